//! Softmax: turns scores into probabilities.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_i &= \frac{e^{x_i - m}}{\sum_k e^{x_k - m}} \qquad m = \max_k x_k \\
//! \mathrm{dx}_i &= y_i \, \Bigl( \mathrm{dy}_i - \sum_k y_k \, \mathrm{dy}_k \Bigr)
//! \end{aligned}
//! ```
//!
//! The sums and the maximum go along dimension `dim`. The shift by `m` cancels in exact arithmetic. In floating-point
//! arithmetic it keeps `exp` from overflowing. The derivative is `d y[k] / d x[i] = y[k] ([i = k] - y[i])`: raising one
//! score lowers all other probabilities. Multiplied by `dy[k]` and summed over k, it gives the formula for dx above,
//! which needs only the output.
//!
//! As in PyTorch (`F.softmax`), a row of minus infinities gives NaN. A single minus infinity has probability 0.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any; classes along `dim` |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1000f32, 1000.0, f32::NEG_INFINITY], &[1, 3])?;
//! assert_eq!(x.softmax(-1)?.to_vec::<f32>()?, [0.5, 0.5, 0.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::softmax_family::{Normalizer, SoftmaxFamily};
use crate::core::{Float, Result};
use crate::cpu::CpuCtx;
use crate::cpu::softmax as loops;
use crate::ops::{Case, Input, OpSpec};
use crate::tensor::Tensor;
use std::sync::Arc;

/// `F.softmax(input, dim)` without its dimension.
#[derive(Debug, Clone, Copy)]
pub struct Softmax;

impl Normalizer for Softmax {
    const NAME: &'static str = "softmax";
    const GRAD: &'static str = "softmax_grad";
    const LOGARITHM: bool = false;

    fn y<T: Float>(self, cx: &CpuCtx, around: [usize; 3], x: &[T], y: &mut [T]) {
        loops::softmax(cx, around, x, y);
    }

    fn dx<T: Float>(self, cx: &CpuCtx, around: [usize; 3], y: &[T], dy: &[T], dx: &mut [T]) {
        loops::softmax_grad(cx, around, y, dy, dx);
    }
}

impl Tensor {
    /// Turns the scores along `dim` into probabilities: from 0 to 1, with sum 1. Any shape. PyTorch: `F.softmax`.
    ///
    /// # Errors
    /// A `dim` out of range; a dtype other than f32 and f64.
    pub fn softmax(&self, dim: isize) -> Result<Tensor> {
        self.softmax_family(dim, Softmax)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "softmax",
    torch: "F.softmax(input, dim)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["dim"],
    layer: None,
    build: |attrs| Ok(Arc::new(SoftmaxFamily { dim: attrs.need("dim")?, f: Softmax })),
    cases,
};

/// The cases of softmax and of log_softmax.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("rows", "dim=-1").input("input", &[5, 21]),
        Case::new("class maps", "dim=1").input("input", &[2, 3, 4, 5]),
        Case::new("first dimension", "dim=0").input("input", &[4, 3]),
        Case::new("many columns", "dim=-2").input("input", &[2, 40, 130]),
        Case::new("one class", "dim=1").input("input", &[3, 1]).edge(),
        Case::new("scalar", "dim=0").input("input", &[]).edge(),
        Case::new("empty batch", "dim=1").input("input", &[0, 10]).edge(),
        Case::new("no classes", "dim=1").input("input", &[3, 0]).edge(),
        Case::new("ImageNet classes", "dim=1").input("input", &[256, 1000]).bench(),
        Case::new("segmentation", "dim=1").input("input", &[8, 21, 128, 128]).bench(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    /// A maximum of minus infinity, or a NaN in the sum, must not produce a probability that looks valid.
    #[test]
    fn infinite_scores_follow_pytorch() {
        let cpu = Device::cpu().unwrap();
        let inf = f32::INFINITY;
        let scores = vec![-inf, -inf, 0.0, -inf, inf, 0.0, f32::NAN, 0.0];
        let x = Tensor::from_vec(&cpu, scores, &[4, 2]).unwrap();
        let y = x.softmax(1).unwrap().to_vec::<f32>().unwrap();
        assert!(y[0].is_nan() && y[1].is_nan(), "all minus infinity: {y:?}");
        assert_eq!(y[2..4], [1.0, 0.0]);
        assert!(y[4].is_nan() && y[6].is_nan() && y[7].is_nan(), "{y:?}");
        let log = x.log_softmax(1).unwrap().to_vec::<f32>().unwrap();
        assert!(log[0].is_nan() && log[4].is_nan() && log[7].is_nan(), "{log:?}");
        assert_eq!(log[2..4], [0.0, -inf]);
    }
}
