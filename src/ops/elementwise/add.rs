//! Addition, with broadcasting.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= x + \alpha z \\
//! \mathrm{dx} &= \mathrm{dy} \\
//! \mathrm{dz} &= \alpha \, \mathrm{dy}
//! \end{aligned}
//! ```
//!
//! z is `other` and alpha is an attribute, 1 by default. The gradient of a broadcast operand is the sum over its
//! copies. PyTorch: `torch.add`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any | |
//! | other | any that broadcasts with input | or a number, as attribute |
//! | output | the two shapes broadcast | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_vec(&cpu, vec![1f32, 2.0, 3.0, 4.0], &[2, 2])?;
//! let bias = Tensor::from_vec(&cpu, vec![10f32, 20.0], &[2])?;
//! assert_eq!((&x + &bias).to_vec::<f32>()?, [11.0, 22.0, 13.0, 24.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::binary::{Binary, Differentiable, Operands, Zip, cases, operand};
use crate::core::{Float, Result};
use crate::cuda::{CudaCtx, kernels};
use crate::ops::{Case, Fill, Input, OpSpec};
use crate::tensor::{Saved, Saves, Tensor};
use std::sync::Arc;

/// `input + alpha * other`.
#[derive(Debug, Clone, Copy)]
pub struct Add {
    alpha: f64,
    other: Option<f64>,
}

impl Binary for Add {
    const NAME: &'static str = "add";

    fn number(self) -> Option<f64> {
        self.other
    }

    #[inline(always)]
    fn y<T: Float>(self, a: T, b: T) -> T {
        a + T::from_f64(self.alpha) * b
    }

    fn cuda(self, cx: &CudaCtx, on: Operands) -> Result<()> {
        kernels::add_f32(cx, on.grid, on.a, on.b, on.number, on.y, self.alpha as f32, on.walk)
    }
}

impl Differentiable for Add {
    fn saves(self) -> Saves {
        Saves::NONE
    }

    fn da(self, _saved: &Saved, dy: &Tensor) -> Result<Tensor> {
        Ok(dy.clone())
    }

    fn db(self, _saved: &Saved, dy: &Tensor) -> Result<Tensor> {
        if self.alpha == 1.0 { Ok(dy.clone()) } else { dy.mul_scalar(self.alpha) }
    }
}

impl Tensor {
    /// `self + other`, broadcast. PyTorch: `torch.add`.
    ///
    /// # Errors
    /// Shapes that do not broadcast; dtypes that differ or are not f32 or f64.
    pub fn add(&self, other: &Tensor) -> Result<Tensor> {
        self.zip(Add { alpha: 1.0, other: None }, Some(other))
    }

    /// `self + other` for a number.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn add_scalar(&self, other: f64) -> Result<Tensor> {
        self.zip(Add { alpha: 1.0, other: Some(other) }, None)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "add",
    torch: "torch.add(input, other, alpha=1)",
    inputs: &[Input::new("input"), Input::new("other").optional()],
    outputs: &["output"],
    attrs: &["other", "alpha"],
    layer: None,
    build: |attrs| {
        let other = operand(attrs, "add", "other")?;
        Ok(Arc::new(Zip(Add { alpha: attrs.or("alpha", 1.0)?, other })))
    },
    cases: || {
        let mut cases = cases("other", "other=2.5 alpha=-3", [Fill::Normal; 2]);
        cases.push(Case::new("alpha", "alpha=0.25").input("input", &[3, 4]).input("other", &[3, 1]));
        cases
    },
};

#[cfg(test)]
mod tests {
    use crate::{DType, Device, Tensor};

    /// Operators cannot return an error, so the panic must have the error's full text, with the shapes.
    #[test]
    #[should_panic(expected = "shapes do not broadcast: 3 against 2")]
    fn the_operator_panics_with_the_errors_text() {
        let cpu = Device::cpu().unwrap();
        let zeros = |dims: &[usize]| Tensor::zeros(&cpu, dims, DType::F32).unwrap();
        let _ = &zeros(&[3]) + &zeros(&[2]);
    }

    /// Both operands are the same leaf, which receives both gradients.
    #[test]
    fn a_tensor_added_to_itself_counts_twice() {
        let x = Tensor::scalar(&Device::cpu().unwrap(), 3f32).requires_grad();
        x.add(&x).unwrap().backward().unwrap();
        assert_eq!(x.grad().unwrap().item().unwrap(), 2.0);
    }
}
