//! Subtraction, with broadcasting.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= x - \alpha z \\
//! \mathrm{dx} &= \mathrm{dy} \\
//! \mathrm{dz} &= -\alpha \, \mathrm{dy}
//! \end{aligned}
//! ```
//!
//! z is `other` and alpha is an attribute, 1 by default. The gradient of a broadcast operand is the sum over its
//! copies. PyTorch: `torch.sub`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any | |
//! | other | any that broadcasts with input | or a number, as attribute |
//! | output | the two shapes broadcast | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 2.0], &[2, 1])?;
//! assert_eq!((&x - &x.reshape(&[2])?).to_vec::<f32>()?, [0.0, -1.0, 1.0, 0.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::binary::{Binary, Differentiable, Operands, Zip, cases, operand};
use crate::core::{Float, Result};
use crate::cuda::{CudaCtx, kernels};
use crate::ops::{Case, Fill, Input, OpSpec};
use crate::tensor::{Saved, Saves, Tensor};
use std::sync::Arc;

/// `input - alpha * other`.
#[derive(Debug, Clone, Copy)]
pub struct Sub {
    alpha: f64,
    other: Option<f64>,
}

impl Binary for Sub {
    const NAME: &'static str = "sub";

    fn number(self) -> Option<f64> {
        self.other
    }

    #[inline(always)]
    fn y<T: Float>(self, a: T, b: T) -> T {
        a - T::from_f64(self.alpha) * b
    }

    fn cuda(self, cx: &CudaCtx, on: Operands) -> Result<()> {
        kernels::add_f32(cx, on.grid, on.a, on.b, on.number, on.y, -self.alpha as f32, on.walk)
    }
}

impl Differentiable for Sub {
    fn saves(self) -> Saves {
        Saves::NONE
    }

    fn da(self, _saved: &Saved, dy: &Tensor) -> Result<Tensor> {
        Ok(dy.clone())
    }

    fn db(self, _saved: &Saved, dy: &Tensor) -> Result<Tensor> {
        dy.mul_scalar(-self.alpha)
    }
}

impl Tensor {
    /// `self - other`, broadcast. PyTorch: `torch.sub`.
    ///
    /// # Errors
    /// Shapes that do not broadcast; dtypes that differ or are not f32 or f64.
    pub fn sub(&self, other: &Tensor) -> Result<Tensor> {
        self.zip(Sub { alpha: 1.0, other: None }, Some(other))
    }

    /// `self - other` for a number.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn sub_scalar(&self, other: f64) -> Result<Tensor> {
        self.zip(Sub { alpha: 1.0, other: Some(other) }, None)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "sub",
    torch: "torch.sub(input, other, alpha=1)",
    inputs: &[Input::new("input"), Input::new("other").optional()],
    outputs: &["output"],
    attrs: &["other", "alpha"],
    layer: None,
    build: |attrs| {
        let other = operand(attrs, "sub", "other")?;
        Ok(Arc::new(Zip(Sub { alpha: attrs.or("alpha", 1.0)?, other })))
    },
    cases: || {
        let mut cases = cases("other", "other=2.5 alpha=-3", [Fill::Normal; 2]);
        cases.push(Case::new("alpha", "alpha=0.25").input("input", &[3, 4]).input("other", &[3, 1]));
        cases
    },
};
