//! Two-dimensional convolution on the GPU: the host code of the rungs of [`ladder`]. As on the CPU, each rung has three
//! "loops": the forward pass, the gradient of the input, and the gradient of the weights. The kernels are in
//! `kernels/conv2d`.

mod direct;
mod im2col;
mod implicit;
pub mod ladder;
mod winograd;

use super::gemm::int32;
use super::kernels::Conv;
use super::{CudaCtx, Ptr};
use crate::core::{ConvShape, Result};

/// Computes `y` from `(x, weight)`, with an optional bias per output channel and an optional ReLU.
pub type ForwardFn = fn(&CudaCtx, &ConvShape, Forward) -> Result<()>;
/// Computes `dx` from `(dy, weight)`. This is also the forward pass of a transposed convolution, which may add a bias
/// per input channel.
pub type GradInputFn = fn(&CudaCtx, &ConvShape, GradInput) -> Result<()>;
/// Computes `dw` from `(dy, x)`.
pub type GradWeightFn = fn(&CudaCtx, &ConvShape, GradWeight) -> Result<()>;

/// Operands of the forward loop; `bias` may be [`Ptr::NULL`].
#[derive(Debug, Clone, Copy)]
pub struct Forward {
    pub x: Ptr<f32>,
    pub weight: Ptr<f32>,
    pub bias: Ptr<f32>,
    pub relu: bool,
    pub y: Ptr<f32>,
}

/// Operands of the loop for the gradient of the input; `bias` may be [`Ptr::NULL`].
#[derive(Debug, Clone, Copy)]
pub struct GradInput {
    pub dy: Ptr<f32>,
    pub weight: Ptr<f32>,
    pub bias: Ptr<f32>,
    pub dx: Ptr<f32>,
}

/// Operands of the loop for the gradient of the weights.
#[derive(Debug, Clone, Copy)]
pub struct GradWeight {
    pub dy: Ptr<f32>,
    pub x: Ptr<f32>,
    pub dw: Ptr<f32>,
}

/// One rung's loops.
#[derive(Debug, Clone, Copy)]
pub struct ConvFns {
    pub forward: ForwardFn,
    pub grad_input: GradInputFn,
    pub grad_weight: GradWeightFn,
}

/// Computes `y` with the rung for these sizes.
///
/// # Errors
/// A dimension is beyond 2^31 - 1, there is no scratch memory, or the driver refuses.
pub fn forward(cx: &CudaCtx, g: &ConvShape, to: Forward) -> Result<()> {
    (ladder::loops_of(cx, g).forward)(cx, g, to)
}

/// Computes `dx` with the rung for these sizes.
///
/// # Errors
/// As for [`forward`].
pub fn grad_input(cx: &CudaCtx, g: &ConvShape, to: GradInput) -> Result<()> {
    (ladder::loops_of(cx, g).grad_input)(cx, g, to)
}

/// Computes `dw` with the rung for these sizes.
///
/// # Errors
/// As for [`forward`].
pub fn grad_weight(cx: &CudaCtx, g: &ConvShape, to: GradWeight) -> Result<()> {
    (ladder::loops_of(cx, g).grad_weight)(cx, g, to)
}

/// The sizes as kernels take them, but with `n` images instead of all.
fn sizes(g: &ConvShape, n: usize) -> Result<Conv> {
    let w = &g.window;
    let int = |what, value| int32(what, value);
    Ok(Conv {
        n: int("images", n)?,
        c: int("channels", g.c)?,
        h: int("rows", g.h)?,
        w: int("columns", g.w)?,
        o: int("channels", g.o)?,
        oh: int("rows", g.oh)?,
        ow: int("columns", g.ow)?,
        groups: int("groups", g.groups)?,
        kh: int("rows", w.kernel[0])?,
        kw: int("columns", w.kernel[1])?,
        sh: int("rows", w.stride[0])?,
        sw: int("columns", w.stride[1])?,
        ph: int("rows", w.padding[0][0])?,
        pw: int("columns", w.padding[1][0])?,
        dh: int("rows", w.dilation[0])?,
        dw: int("columns", w.dilation[1])?,
    })
}

/// About how many floats of scratch memory a chunk of images may need: 256 MiB. Rungs that need much scratch memory
/// work on a few images at a time to stay near this limit.
const SCRATCH: usize = 1 << 26;

/// Calls `f(first image, number of images)` until all images are done, with at most `most` images per call.
fn by_images(g: &ConvShape, most: usize, mut f: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
    let most = most.max(1);
    (0..g.n).step_by(most).try_for_each(|first| f(first, most.min(g.n - first)))
}
