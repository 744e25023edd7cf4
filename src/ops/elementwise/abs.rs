//! Absolute value.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= |x| \\
//! \mathrm{dx} &= \mathrm{dy} \, \operatorname{sign}(x)
//! \end{aligned}
//! ```
//!
//! The derivative at 0 is taken as 0, as in PyTorch (`torch.abs`).
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![-1.5f32, 0.0, 2.0], &[3])?;
//! assert_eq!(x.abs()?.to_vec::<f32>()?, [1.5, 0.0, 2.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::unary::{Map, Reads, Unary, cases, plain_kernels};
use crate::core::{Float, Result};
use crate::ops::{Fill, Input, OpSpec};
use crate::tensor::Tensor;
use std::sync::Arc;

/// `|x|`.
#[derive(Debug, Clone, Copy)]
pub struct Abs;

impl Unary for Abs {
    const NAME: &'static str = "abs";
    const GRAD: &'static str = "abs_grad";
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        x.abs()
    }

    #[inline(always)]
    fn dx<T: Float>(self, x: T, dy: T) -> T {
        if x > T::ZERO {
            dy
        } else if x < T::ZERO {
            -dy
        } else {
            T::ZERO
        }
    }

    plain_kernels!(abs_fwd_f32, abs_bwd_f32);
}

impl Tensor {
    /// `|x|`, element by element. Any shape. PyTorch: `torch.abs(input)`.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn abs(&self) -> Result<Tensor> {
        self.map(Abs)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "abs",
    torch: "torch.abs(input)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &[],
    layer: None,
    build: |_| Ok(Arc::new(Map(Abs))),
    cases: || cases("", Fill::Normal),
};
