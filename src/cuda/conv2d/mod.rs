//! Two-dimensional convolution on the GPU: the host's half of the rungs of [`crate::ladder::conv2d`]. Each has the three
//! loops of a training step, as on the CPU; the kernels are in `kernels/conv2d`.

mod direct;
mod im2col;
mod implicit;
mod winograd;

pub use winograd::supports as winograd_supports;

use super::gemm::int32;
use super::kernels::Conv;
use super::{CudaCtx, Ptr};
use crate::core::{Geometry, Result};

/// `y` from `(x, weight)`, plus a bias for each output channel and ReLU where asked for.
pub type ForwardFn = fn(&CudaCtx, &Geometry, Forward) -> Result<()>;
/// `dx` from `(dy, weight)`, plus a bias for each input channel: the forward pass of a transposed convolution has one.
pub type GradInputFn = fn(&CudaCtx, &Geometry, GradInput) -> Result<()>;
/// `dw` from `(dy, x)`.
pub type GradWeightFn = fn(&CudaCtx, &Geometry, GradWeight) -> Result<()>;

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

impl ConvFns {
    /// Rung 01, the definition.
    pub const DIRECT: ConvFns = ConvFns {
        forward: direct::forward,
        grad_input: direct::grad_input,
        grad_weight: direct::grad_weight,
    };

    /// Rung 02, a matrix product over gathered columns.
    pub const IM2COL: ConvFns = ConvFns {
        forward: im2col::forward,
        grad_input: im2col::grad_input,
        grad_weight: im2col::grad_weight,
    };

    /// Rung 03, a matrix product whose columns are never written.
    pub const IMPLICIT: ConvFns = ConvFns {
        forward: |cx, g, to| implicit::F32.forward(cx, g, to),
        grad_input: |cx, g, to| implicit::F32.grad_input(cx, g, to),
        grad_weight: |cx, g, to| implicit::F32.grad_weight(cx, g, to),
    };

    /// Rung 04, the same on tensor cores, factors rounded to tf32.
    pub const TF32: ConvFns = ConvFns {
        forward: |cx, g, to| implicit::TF32.forward(cx, g, to),
        grad_input: |cx, g, to| implicit::TF32.grad_input(cx, g, to),
        grad_weight: |cx, g, to| implicit::TF32.grad_weight(cx, g, to),
    };

    /// Rung 04 with factors rounded to bf16.
    pub const BF16: ConvFns = ConvFns {
        forward: |cx, g, to| implicit::BF16.forward(cx, g, to),
        grad_input: |cx, g, to| implicit::BF16.grad_input(cx, g, to),
        grad_weight: |cx, g, to| implicit::BF16.grad_weight(cx, g, to),
    };

    /// Rung 05, sixteen products between transforms.
    pub const WINOGRAD: ConvFns = ConvFns {
        forward: winograd::forward,
        grad_input: winograd::grad_input,
        grad_weight: winograd::grad_weight,
    };
}

/// `y`, by the rung for these sizes.
///
/// # Errors
/// A dimension beyond 2^31 - 1; no memory for scratch; the driver refusing.
pub fn forward(cx: &CudaCtx, g: &Geometry, to: Forward) -> Result<()> {
    (fns(cx, g).forward)(cx, g, to)
}

/// `dx`, by the rung for these sizes.
///
/// # Errors
/// As [`forward`].
pub fn grad_input(cx: &CudaCtx, g: &Geometry, to: GradInput) -> Result<()> {
    (fns(cx, g).grad_input)(cx, g, to)
}

/// `dw`, by the rung for these sizes.
///
/// # Errors
/// As [`forward`].
pub fn grad_weight(cx: &CudaCtx, g: &Geometry, to: GradWeight) -> Result<()> {
    (fns(cx, g).grad_weight)(cx, g, to)
}

fn fns(cx: &CudaCtx, g: &Geometry) -> &'static ConvFns {
    cx.conv(g).at(cx.options().precision).0
}

/// The sizes as kernels take them, for `n` of the images.
fn sizes(g: &Geometry, n: usize) -> Result<Conv> {
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

/// Floats of scratch memory that the rungs which need much of it may take for a chunk of images: 256 MiB.
const SCRATCH: usize = 1 << 26;

/// Runs `f(first image, images)` for all images, at most `most` at once.
fn by_images(g: &Geometry, most: usize, mut f: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
    let most = most.max(1);
    (0..g.n).step_by(most).try_for_each(|first| f(first, most.min(g.n - first)))
}
