//! conv2d / 01 direct: one thread per output; `kernels/conv2d/01_direct.cu`.

use super::{Forward, GradInput, GradWeight, sizes};
use crate::core::{ConvShape, Result};
use crate::cuda::{CudaCtx, Launch, kernels};

pub fn forward(cx: &CudaCtx, g: &ConvShape, to: Forward) -> Result<()> {
    let launch = Launch::over(g.n * g.o * g.out_plane());
    kernels::conv2d_fwd_v01_f32(
        cx,
        launch,
        to.x,
        to.weight,
        to.bias,
        to.y,
        i32::from(to.relu),
        sizes(g, g.n)?,
    )
}

pub fn grad_input(cx: &CudaCtx, g: &ConvShape, to: GradInput) -> Result<()> {
    let launch = Launch::over(g.n * g.c * g.plane());
    kernels::conv2d_grad_input_v01_f32(cx, launch, to.dy, to.weight, to.bias, to.dx, sizes(g, g.n)?)
}

/// One block per weight, because each weight's gradient is a long sum.
pub fn grad_weight(cx: &CudaCtx, g: &ConvShape, to: GradWeight) -> Result<()> {
    let launch = Launch::blocks([g.o * g.k(), 1, 1], 256);
    kernels::conv2d_grad_weight_v01_f32(cx, launch, to.dy, to.x, to.dw, sizes(g, g.n)?)
}
