//! Negation.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= -x \\
//! \mathrm{dx} &= -\mathrm{dy}
//! \end{aligned}
//! ```
//!
//! PyTorch: `torch.neg`. The gradient needs only `dy`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, -2.0], &[2])?;
//! assert_eq!(x.neg()?.to_vec::<f32>()?, [-1.0, 2.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::unary::{Map, Reads, Unary, cases};
use crate::core::{Float, Result};
use crate::cuda::{CudaCtx, Launch, Ptr, kernels};
use crate::ops::{Fill, Input, OpSpec};
use crate::tensor::Tensor;
use std::sync::Arc;

/// `-x`.
#[derive(Debug, Clone, Copy)]
pub struct Neg;

impl Unary for Neg {
    const NAME: &'static str = "neg";
    const GRAD: &'static str = "neg_grad";
    const READS: Reads = Reads::Nothing;

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        -x
    }

    #[inline(always)]
    fn dx<T: Float>(self, _: T, dy: T) -> T {
        -dy
    }

    fn y_cuda(self, cx: &CudaCtx, grid: Launch, x: Ptr<f32>, y: Ptr<f32>, n: i64) -> Result<()> {
        kernels::neg_f32(cx, grid, x, y, n)
    }

    fn dx_cuda(self, cx: &CudaCtx, grid: Launch, [_, dy]: [Ptr<f32>; 2], dx: Ptr<f32>, n: i64) -> Result<()> {
        kernels::neg_f32(cx, grid, dy, dx, n)
    }
}

impl Tensor {
    /// `-x`, element by element. Any shape. PyTorch: `torch.neg(input)`.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn neg(&self) -> Result<Tensor> {
        self.map(Neg)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "neg",
    torch: "torch.neg(input)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &[],
    layer: None,
    build: |_| Ok(Arc::new(Map(Neg))),
    cases: || cases("", Fill::Normal),
};
