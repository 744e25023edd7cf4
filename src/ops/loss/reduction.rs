//! How the losses of the elements are combined into the result.

use crate::core::{Error, Float, Result, Shape};
use crate::cpu::{CpuCtx, ViewMut, reduce};
use crate::cuda::{CudaCtx, Launch, Ptr, kernels};
use crate::ops::AttrValue;
use std::str::FromStr;

/// How the losses of the elements are combined into the result. PyTorch: `reduction`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reduction {
    /// No reduction: the result has one loss per element.
    None,
    /// The mean. Losses on class labels use the mean weighted by the class weights. NaN if there are no elements.
    #[default]
    Mean,
    /// The sum.
    Sum,
}

impl FromStr for Reduction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Reduction> {
        match text {
            "none" => Ok(Reduction::None),
            "mean" => Ok(Reduction::Mean),
            "sum" => Ok(Reduction::Sum),
            _ => Err(Error::argument("reduction", format!("`{text}` is not a reduction"))
                .expected(Reduction::FORM)),
        }
    }
}

impl AttrValue for Reduction {
    const FORM: &'static str = "mean, sum or none";
}

impl Reduction {
    /// The result's shape, from the shape of the single losses.
    pub(super) fn shape(self, elements: Shape) -> Shape {
        if self == Reduction::None { elements } else { Shape::SCALAR }
    }

    /// Reduces `n` single losses to `y`, and returns the number that their sum was divided by. For a mean this number
    /// is the result of `divisor`, which receives scratch memory of `n` elements. Else it is 1.
    pub(super) fn reduce<T: Float>(
        self,
        cx: &CpuCtx,
        n: usize,
        loss: impl Fn(usize) -> T + Sync + Send,
        divisor: impl FnOnce(&mut [T]) -> T,
        y: &mut [T],
    ) -> T {
        if self == Reduction::None {
            cx.fill_with(y, loss);
            return T::ONE;
        }
        let mut scratch = cx.scratch(n * size_of::<T>());
        let single = scratch.slice_mut::<T>();
        cx.fill_with(single, loss);
        let sum = total(cx, single);
        let divisor = if self == Reduction::Mean { divisor(single) } else { T::ONE };
        y[0] = sum / divisor;
        divisor
    }

    /// As [`reduce`](Self::reduce), on a GPU. `launch` writes `n` single losses to its first pointer. If `weighted`, it
    /// writes their shares of the divisor to its second pointer. `divisor` may be null.
    pub(super) fn reduce_cuda(
        self,
        cx: &CudaCtx,
        n: usize,
        weighted: bool,
        launch: impl FnOnce(Ptr<f32>, Ptr<f32>) -> Result<()>,
        y: Ptr<f32>,
        divisor: Ptr<f32>,
    ) -> Result<()> {
        /// Number of losses that one block sums.
        const PART: usize = 4096;
        let shares = cx.scratch::<f32>(n)?;
        if self == Reduction::None {
            launch(y, shares.ptr())?;
            return if divisor.is_null() { Ok(()) } else { cx.fill_f32(divisor, 1.0, 1) };
        }
        let single = cx.scratch::<f32>(n)?;
        launch(single.ptr(), shares.ptr())?;
        let weighted = weighted && self == Reduction::Mean;
        let (parts, shares) = (n.div_ceil(PART), if weighted { shares.ptr() } else { Ptr::NULL });
        let sums = cx.scratch::<f64>(2 * parts)?;
        let grid = Launch::blocks([parts, 1, 1], 256);
        kernels::loss_partial_f32(cx, grid, single.ptr(), shares, n as i64, PART as i64, sums.ptr())?;
        let given = if weighted { 0.0 } else { self.count(n) };
        let grid = Launch::blocks([1, 1, 1], 256);
        kernels::loss_total_f32(cx, grid, sums.ptr(), parts as i64, given, y, divisor)
    }

    /// As [`reduce`](Self::reduce), for single losses without weights: `losses` writes them all, with the given
    /// `shape`.
    pub(super) fn collect<T: Float>(
        self,
        cx: &CpuCtx,
        shape: Shape,
        y: &mut ViewMut,
        losses: impl FnOnce(&mut ViewMut),
    ) {
        if self == Reduction::None {
            return losses(y);
        }
        let mut scratch = cx.scratch(shape.numel() * size_of::<T>());
        let mut single = ViewMut { shape, dtype: y.dtype, bytes: scratch.bytes_mut() };
        losses(&mut single);
        y.get::<T>()[0] = total(cx, single.get::<T>()) / self.count(shape.numel());
    }

    /// The divisor for the sum of `n` single losses without weights.
    pub(super) fn count<T: Float>(self, n: usize) -> T {
        if self == Reduction::Mean { T::from_f64(n as f64) } else { T::ONE }
    }

    /// The gradient of single loss `i`, from the gradient of the result.
    pub(super) fn spread<T: Copy>(self, dy: &[T], i: usize) -> T {
        dy[if self == Reduction::None { i } else { 0 }]
    }
}

/// The tensor whose gradient is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Of {
    Input = 0,
    Target = 1,
}

/// The sum of all elements.
pub(super) fn total<T: Float>(cx: &CpuCtx, x: &[T]) -> T {
    let mut sum = [T::ZERO];
    reduce::sum(cx, [1, x.len(), 1], x, &mut sum);
    sum[0]
}
