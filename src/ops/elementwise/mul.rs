//! Multiplication, element by element, with broadcasting.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= x \, z \\
//! \mathrm{dx} &= \mathrm{dy} \, z \\
//! \mathrm{dz} &= \mathrm{dy} \, x
//! \end{aligned}
//! ```
//!
//! z is `other`. The gradient of a broadcast operand is the sum over its copies. PyTorch: `torch.mul`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any | |
//! | other | any that broadcasts with input | or a number, as attribute |
//! | output | the two shapes broadcast | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 2.0, 3.0], &[3])?.requires_grad();
//! x.mul(&x)?.sum_to_size(&[])?.backward()?;
//! assert_eq!(x.grad().unwrap().to_vec::<f32>()?, [2.0, 4.0, 6.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::binary::{Binary, Differentiable, Operands, Zip, cases, operand};
use crate::core::{Float, Result};
use crate::cuda::{CudaCtx, kernels};
use crate::ops::{Fill, Input, OpSpec};
use crate::tensor::{Saved, Saves, Tensor};
use std::sync::Arc;

/// `input * other`.
#[derive(Debug, Clone, Copy)]
pub struct Mul {
    other: Option<f64>,
}

impl Binary for Mul {
    const NAME: &'static str = "mul";

    fn number(self) -> Option<f64> {
        self.other
    }

    #[inline(always)]
    fn y<T: Float>(self, a: T, b: T) -> T {
        a * b
    }

    fn cuda(self, cx: &CudaCtx, on: Operands) -> Result<()> {
        kernels::mul_f32(cx, on.grid, on.a, on.b, on.number, on.y, on.walk)
    }
}

impl Differentiable for Mul {
    fn saves(self) -> Saves {
        if self.other.is_some() { Saves::NONE } else { Saves::inputs(&[0, 1]) }
    }

    fn da(self, saved: &Saved, dy: &Tensor) -> Result<Tensor> {
        match self.other {
            Some(other) => dy.mul_scalar(other),
            None => dy.mul(&saved.input(1)),
        }
    }

    fn db(self, saved: &Saved, dy: &Tensor) -> Result<Tensor> {
        dy.mul(&saved.input(0))
    }
}

impl Tensor {
    /// `self * other`, element by element, broadcast. PyTorch: `torch.mul`.
    ///
    /// # Errors
    /// Shapes that do not broadcast; dtypes that differ or are not f32 or f64.
    pub fn mul(&self, other: &Tensor) -> Result<Tensor> {
        self.zip(Mul { other: None }, Some(other))
    }

    /// `self * other` for a number.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn mul_scalar(&self, other: f64) -> Result<Tensor> {
        self.zip(Mul { other: Some(other) }, None)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "mul",
    torch: "torch.mul(input, other)",
    inputs: &[Input::new("input"), Input::new("other").optional()],
    outputs: &["output"],
    attrs: &["other"],
    layer: None,
    build: |attrs| Ok(Arc::new(Zip(Mul { other: operand(attrs, "mul", "other")? }))),
    cases: || cases("other", "other=-0.5", [Fill::Normal; 2]),
};
