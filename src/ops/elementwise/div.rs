//! Division, with broadcasting.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= x / z \\
//! \mathrm{dx} &= \mathrm{dy} / z \\
//! \mathrm{dz} &= -\mathrm{dy} \, y / z
//! \end{aligned}
//! ```
//!
//! z is `other`. The second gradient follows from `d y / d z = -x / z^2 = -y / z`. With a `rounding_mode` the quotient
//! is rounded, towards zero (`trunc`) or down (`floor`). The result is then piecewise constant, and both gradients are
//! 0. The gradient of a broadcast operand is the sum over its copies. PyTorch: `torch.div`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any | |
//! | other | any that broadcasts with input | or a number, as attribute |
//! | output | the two shapes broadcast | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, -3.0], &[2])?;
//! assert_eq!((&x / 2.0).to_vec::<f32>()?, [0.5, -1.5]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::binary::{Binary, Differentiable, Operands, Zip, cases, operand};
use crate::core::{Float, Result};
use crate::cuda::{CudaCtx, kernels};
use crate::ops::{Attrs, Case, Fill, Input, OpSpec};
use crate::tensor::{Saved, Saves, Tensor};
use std::sync::Arc;

/// How the quotient is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Not rounded.
    None,
    /// Rounded towards zero, as integer division in C.
    Trunc,
    /// Rounded down, as `//` in Python.
    Floor,
}

/// `input / other`, rounded if wanted.
#[derive(Debug, Clone, Copy)]
pub struct Div {
    rounding: Rounding,
    other: Option<f64>,
}

impl Div {
    /// The gradient of a rounded quotient, which is zero; `None` if the quotient is not rounded.
    fn flat(self, dy: &Tensor) -> Option<Result<Tensor>> {
        (self.rounding != Rounding::None).then(|| Tensor::zeros(dy.device(), dy.dims(), dy.dtype()))
    }
}

impl Binary for Div {
    const NAME: &'static str = "div";

    fn number(self) -> Option<f64> {
        self.other
    }

    #[inline(always)]
    fn y<T: Float>(self, a: T, b: T) -> T {
        match self.rounding {
            Rounding::None => a / b,
            Rounding::Trunc => T::from_f64((a / b).to_f64().trunc()),
            Rounding::Floor => T::from_f64(floor_div(a.to_f64(), b.to_f64())),
        }
    }

    fn cuda(self, cx: &CudaCtx, on: Operands) -> Result<()> {
        let kernel = match self.rounding {
            Rounding::None => kernels::div_f32,
            Rounding::Trunc => kernels::div_trunc_f32,
            Rounding::Floor => kernels::div_floor_f32,
        };
        kernel(cx, on.grid, on.a, on.b, on.number, on.y, on.walk)
    }
}

impl Differentiable for Div {
    fn saves(self) -> Saves {
        match (self.rounding, self.other) {
            (Rounding::None, None) => Saves::inputs(&[1]).and_outputs(&[0]),
            _ => Saves::NONE,
        }
    }

    fn da(self, saved: &Saved, dy: &Tensor) -> Result<Tensor> {
        self.flat(dy).unwrap_or_else(|| match self.other {
            Some(other) => dy.div_scalar(other),
            None => dy.div(&saved.input(1)),
        })
    }

    fn db(self, saved: &Saved, dy: &Tensor) -> Result<Tensor> {
        self.flat(dy).unwrap_or_else(|| saved.output(0).div(&saved.input(1))?.mul(dy)?.neg())
    }
}

/// The quotient rounded down. Rounding the computed `a / b` would be wrong if the division has already rounded up to an
/// integer. Example: 1 / 0.1 gives 10, but the float 0.1 is a little more than a tenth, so 10 is too large. The exact
/// remainder decides instead, as in Python.
fn floor_div(a: f64, b: f64) -> f64 {
    if b == 0.0 {
        return a / b;
    }
    let remainder = a % b;
    let below = if remainder != 0.0 && (b < 0.0) != (remainder < 0.0) { 1.0 } else { 0.0 };
    let quotient = (a - remainder) / b - below;
    if quotient == 0.0 { 0f64.copysign(a / b) } else { quotient.round() }
}

impl Tensor {
    /// `self / other`, broadcast. PyTorch: `torch.div`.
    ///
    /// # Errors
    /// Shapes that do not broadcast; dtypes that differ or are not f32 or f64.
    pub fn div(&self, other: &Tensor) -> Result<Tensor> {
        self.zip(Div { rounding: Rounding::None, other: None }, Some(other))
    }

    /// `self / other` for a number.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn div_scalar(&self, other: f64) -> Result<Tensor> {
        self.zip(Div { rounding: Rounding::None, other: Some(other) }, None)
    }

    /// `self / other`, broadcast and rounded. PyTorch: `torch.div(rounding_mode=...)`.
    ///
    /// # Errors
    /// As [`div`](Self::div).
    pub fn div_rounded(&self, other: &Tensor, rounding: Rounding) -> Result<Tensor> {
        self.zip(Div { rounding, other: None }, Some(other))
    }
}

fn rounding(attrs: &Attrs) -> Result<Rounding> {
    match attrs.text("rounding_mode") {
        None => Ok(Rounding::None),
        Some("trunc") => Ok(Rounding::Trunc),
        Some("floor") => Ok(Rounding::Floor),
        Some(text) => Err(attrs.malformed("rounding_mode", text, "None, trunc or floor")),
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "div",
    torch: "torch.div(input, other, rounding_mode=None)",
    inputs: &[Input::new("input"), Input::new("other").optional()],
    outputs: &["output"],
    attrs: &["other", "rounding_mode"],
    layer: None,
    build: |attrs| {
        Ok(Arc::new(Zip(Div { rounding: rounding(attrs)?, other: operand(attrs, "div", "other")? })))
    },
    cases: || {
        let rounded = |label, attrs| {
            Case::new(label, attrs).filled("input", &[3, 7], Fill::Uniform(-9.0, 9.0)).filled(
                "other",
                &[3, 1],
                Fill::Uniform(-2.0, -0.5),
            )
        };
        let mut cases = cases("other", "other=-0.5", [Fill::Normal, Fill::Uniform(0.5, 2.0)]);
        cases.push(rounded("rounded towards zero", "rounding_mode=trunc"));
        cases.push(rounded("rounded down", "rounding_mode=floor"));
        cases
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The rounding error of the division must not change the result, and signs follow Python's `//`.
    #[test]
    fn floor_follows_python() {
        assert_eq!(floor_div(1.0, 0.1), 9.0);
        assert_eq!(floor_div(-7.0, 2.0), -4.0);
        assert_eq!(floor_div(7.0, -2.0), -4.0);
        assert_eq!(floor_div(-6.0, -2.0), 3.0);
        assert_eq!(floor_div(1.0, 0.0), f64::INFINITY);
        assert!(floor_div(-0.0, 2.0).is_sign_negative());
        assert!(floor_div(0.0, 0.0).is_nan() && floor_div(f64::INFINITY, 1.0).is_nan());
    }
}
