//! The logarithm of softmax. The losses for classes start from it.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_i &= x_i - m - \ln \sum_k e^{x_k - m} \qquad m = \max_k x_k \\
//! \mathrm{dx}_i &= \mathrm{dy}_i - e^{y_i} \sum_k \mathrm{dy}_k
//! \end{aligned}
//! ```
//!
//! The sum and the maximum go along dimension `dim`. If softmax and logarithm were computed one after the other, each
//! probability that rounds to 0 would become minus infinity. Computed together, a very unlikely class keeps a finite
//! value. The gradient follows from `d y[k] / d x[i] = [i = k] - softmax(x)[i]`. The softmax is `exp(y)`, so backward
//! needs only the output. PyTorch: `F.log_softmax`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any; classes along `dim` |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![0f64, 800.0], &[2])?;
//! assert_eq!(x.log_softmax(0)?.to_vec::<f64>()?, [-800.0, 0.0]);
//! assert_eq!(x.softmax(0)?.to_vec::<f64>()?, [0.0, 1.0], "ln(0) would be minus infinity");
//! # Ok::<(), receptive::Error>(())
//! ```

use super::softmax_family::{Normalizer, SoftmaxFamily};
use crate::core::{Float, Result};
use crate::cpu::CpuCtx;
use crate::cpu::softmax as loops;
use crate::ops::{Input, OpSpec};
use crate::tensor::Tensor;
use std::sync::Arc;

/// `F.log_softmax(input, dim)` without its dimension.
#[derive(Debug, Clone, Copy)]
pub struct LogSoftmax;

impl Normalizer for LogSoftmax {
    const NAME: &'static str = "log_softmax";
    const GRAD: &'static str = "log_softmax_grad";
    const LOGARITHM: bool = true;

    fn y<T: Float>(self, cx: &CpuCtx, around: [usize; 3], x: &[T], y: &mut [T]) {
        loops::log_softmax(cx, around, x, y);
    }

    fn dx<T: Float>(self, cx: &CpuCtx, around: [usize; 3], y: &[T], dy: &[T], dx: &mut [T]) {
        loops::log_softmax_grad(cx, around, y, dy, dx);
    }
}

impl Tensor {
    /// `ln(softmax(x))` along `dim`, computed in one step. Any shape. PyTorch: `F.log_softmax`.
    ///
    /// # Errors
    /// A `dim` out of range; a dtype other than f32 and f64.
    pub fn log_softmax(&self, dim: isize) -> Result<Tensor> {
        self.softmax_family(dim, LogSoftmax)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "log_softmax",
    torch: "F.log_softmax(input, dim)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["dim"],
    layer: None,
    build: |attrs| Ok(Arc::new(SoftmaxFamily { dim: attrs.need("dim")?, f: LogSoftmax })),
    cases: super::softmax::cases,
};
