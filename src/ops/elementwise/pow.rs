//! Powers, with broadcasting.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= x^z \\
//! \mathrm{dx} &= \mathrm{dy} \, z \, x^{z - 1} \\
//! \mathrm{dz} &= \mathrm{dy} \, y \ln x
//! \end{aligned}
//! ```
//!
//! z is `exponent`. The derivatives follow from `x^z = exp(z ln x)`. Special cases are those of PyTorch (`torch.pow`).
//! `x^0` is 1 with gradient 0 for every x, also for 0. At x = 0, dz is 0 if `z >= 0`; for `z > 0` that is the limit of
//! `x^z ln x`. For a negative x, y is real only for integer z and NaN for others; dz is always NaN.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any | |
//! | exponent | any that broadcasts with input | or a number, as attribute |
//! | output | the two shapes broadcast | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, -2.0, 3.0], &[3])?;
//! assert_eq!(x.pow_scalar(3.0)?.to_vec::<f32>()?, [1.0, -8.0, 27.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::binary::{Binary, Differentiable, Operands, Zip, cases, operand};
use crate::core::{Float, Result};
use crate::cuda::{CudaCtx, kernels};
use crate::ops::gradient::Gradient;
use crate::ops::{Case, Fill, Input, OpSpec};
use crate::tensor::{Saved, Saves, Tensor};
use std::sync::Arc;

/// `input ^ exponent`.
#[derive(Debug, Clone, Copy)]
pub struct Pow {
    exponent: Option<f64>,
}

impl Binary for Pow {
    const NAME: &'static str = "pow";

    fn number(self) -> Option<f64> {
        self.exponent
    }

    #[inline(always)]
    fn y<T: Float>(self, x: T, e: T) -> T {
        if self.exponent.is_some() { power_of_number(x, e) } else { power(x, e) }
    }

    fn cuda(self, cx: &CudaCtx, on: Operands) -> Result<()> {
        kernels::pow_f32(cx, on.grid, on.a, on.b, on.number, on.y, on.walk)
    }
}

impl Differentiable for Pow {
    fn saves(self) -> Saves {
        if self.exponent.is_some() { Saves::inputs(&[0]) } else { Saves::inputs(&[0, 1]) }
    }

    fn da(self, saved: &Saved, dy: &Tensor) -> Result<Tensor> {
        let (x, slope) = (saved.input(0), Zip(Slope { exponent: self.exponent }));
        match self.exponent {
            Some(_) => Gradient::of(slope, &[&x])?,
            None => Gradient::of(slope, &[&x, &saved.input(1)])?,
        }
        .mul(dy)
    }

    fn db(self, saved: &Saved, dy: &Tensor) -> Result<Tensor> {
        Gradient::of(Zip(Growth), &[&saved.input(0), &saved.input(1)])?.mul(dy)
    }
}

/// Treats exponents 1 and 2 separately. Most powers are squares and their gradients, and `powf` is many times slower
/// than a product.
#[inline(always)]
fn power<T: Float>(x: T, e: T) -> T {
    if e == T::ONE {
        x
    } else if e == T::ONE + T::ONE {
        x * x
    } else {
        x.powf(e)
    }
}

/// As in PyTorch if the exponent is a number: exponents 1/2 and -1/2 use the square root, which differs from `powf` at
/// -0 and -infinity.
#[inline(always)]
fn power_of_number<T: Float>(x: T, e: T) -> T {
    let half = T::from_f64(0.5);
    if e == half {
        x.sqrt()
    } else if e == -half {
        T::ONE / x.sqrt()
    } else {
        power(x, e)
    }
}

/// `z x^(z-1)`, and 0 for `z = 0`: the derivative with respect to x.
#[derive(Debug, Clone, Copy)]
struct Slope {
    exponent: Option<f64>,
}

impl Binary for Slope {
    const NAME: &'static str = "pow_grad_input";

    fn number(self) -> Option<f64> {
        self.exponent
    }

    #[inline(always)]
    fn y<T: Float>(self, x: T, e: T) -> T {
        if e == T::ZERO {
            T::ZERO
        } else if self.exponent.is_some() {
            e * power_of_number(x, e - T::ONE)
        } else {
            e * power(x, e - T::ONE)
        }
    }

    fn cuda(self, cx: &CudaCtx, on: Operands) -> Result<()> {
        kernels::pow_slope_f32(cx, on.grid, on.a, on.b, on.number, on.y, on.walk)
    }
}

/// `x^z ln x`, and 0 for `x = 0, z >= 0`: the derivative with respect to z.
#[derive(Debug, Clone, Copy)]
struct Growth;

impl Binary for Growth {
    const NAME: &'static str = "pow_grad_exponent";

    fn number(self) -> Option<f64> {
        None
    }

    #[inline(always)]
    fn y<T: Float>(self, x: T, e: T) -> T {
        if x == T::ZERO && e >= T::ZERO { T::ZERO } else { power(x, e) * x.ln() }
    }

    fn cuda(self, cx: &CudaCtx, on: Operands) -> Result<()> {
        kernels::pow_growth_f32(cx, on.grid, on.a, on.b, on.number, on.y, on.walk)
    }
}

impl Tensor {
    /// `self ^ exponent`, element by element, broadcast. PyTorch: `torch.pow`.
    ///
    /// # Errors
    /// Shapes that do not broadcast; dtypes that differ or are not f32 or f64.
    pub fn pow(&self, exponent: &Tensor) -> Result<Tensor> {
        self.zip(Pow { exponent: None }, Some(exponent))
    }

    /// `self ^ exponent` for a number.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn pow_scalar(&self, exponent: f64) -> Result<Tensor> {
        self.zip(Pow { exponent: Some(exponent) }, None)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "pow",
    torch: "torch.pow(input, exponent)",
    inputs: &[Input::new("input"), Input::new("exponent").optional()],
    outputs: &["output"],
    attrs: &["exponent"],
    layer: None,
    build: |attrs| Ok(Arc::new(Zip(Pow { exponent: operand(attrs, "pow", "exponent")? }))),
    cases: || {
        let mut cases = cases("exponent", "exponent=-1.5", [Fill::Uniform(0.25, 2.0), Fill::Normal]);
        for (label, attrs) in
            [("square", "exponent=2"), ("cube", "exponent=3"), ("one", "exponent=1"), ("zero", "exponent=0")]
        {
            cases.push(Case::new(label, attrs).input("input", &[3, 5]));
        }
        cases
    },
};

#[cfg(test)]
mod tests {
    use crate::{Device, Tensor};

    /// A direct implementation would compute `0 * ln 0` or `0 * 0^-1`, which are NaN.
    #[test]
    fn gradients_at_zero_are_pytorchs() {
        let cpu = Device::cpu().unwrap();
        let leaf = |v: [f64; 4]| Tensor::from_slice(&cpu, &v, &[4]).unwrap().requires_grad();
        let (x, e) = (leaf([0.0, 0.0, 0.0, 0.0]), leaf([0.0, 1.0, 2.0, 0.5]));
        let y = x.pow(&e).unwrap();
        assert_eq!(y.to_vec::<f64>().unwrap(), [1.0, 0.0, 0.0, 0.0]);
        y.sum_to_size(&[]).unwrap().backward().unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f64>().unwrap(), [0.0, 1.0, 0.0, f64::INFINITY]);
        assert_eq!(e.grad().unwrap().to_vec::<f64>().unwrap(), [0.0; 4]);
    }
}
