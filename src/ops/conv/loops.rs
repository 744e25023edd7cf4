//! The three loops of a convolution: forward, gradient of the input, gradient of the weight. `conv2d`,
//! `conv_transpose2d` and their gradients each run one of these loops:
//!
//! | op | loop | first operand | second | result |
//! |---|---|---|---|---|
//! | `conv2d` | forward | x | weight | y |
//! | its gradients | grad input | dy | weight | dx |
//! | | grad weight | dy | x | dw |
//! | `conv_transpose2d` | grad input | x | weight | y |
//! | its gradients | forward | dy | weight | dx |
//! | | grad weight | x | dy | dw |
//!
//! A transposed convolution is the input gradient of a convolution from y to x. That is why x and dy change places
//! there. Notation: [docs/notation.md](crate::ops::notation).

use crate::core::{ConvShape, Loop, Result, Shape};
use crate::cpu::conv2d::{ConvFloat, Finish, GradInput, ladder};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::conv2d as cuda;
use crate::cuda::{CudaCtx, DeviceView, Ptr};
use crate::float_type;
use crate::ops::gradient::GradientOp;
use crate::ops::images::check_dy;
use crate::tensor::{Meta, Plan, Tensor, one_float};

/// Runs a loop on `[first operand, second]` or `[first operand, second, bias]`. With `relu`, which only the forward
/// loop has, negative outputs become 0.
///
/// # Errors
/// A dtype other than f32 and f64.
pub(super) fn on_cpu(
    op: &str,
    cx: &CpuCtx,
    g: &ConvShape,
    which: Loop,
    x: &[View],
    relu: bool,
    y: &mut ViewMut,
) -> Result<()> {
    float_type!(op, x[0].dtype, T => {
        let loops = T::loops(&ladder::choose(cx.conv_rung(), cx.simd(), g, which).version);
        let (first, second, y) = (x[0].get::<T>(), x[1].get::<T>(), y.get::<T>());
        let bias = x.get(2).map(|bias| bias.get::<T>());
        match which {
            Loop::Forward => (loops.forward)(cx, g, first, second, Finish { bias, relu }, y),
            Loop::GradInput => (loops.grad_input)(cx, g, GradInput { dy: first, weight: second, bias }, y),
            Loop::GradWeight => (loops.grad_weight)(cx, g, first, second, y),
        }
        Ok(())
    })
}

/// As [`on_cpu`], on a GPU.
///
/// # Errors
/// A dtype without a kernel; too little memory; an error from the driver.
pub(super) fn on_cuda(
    cx: &CudaCtx,
    g: &ConvShape,
    which: Loop,
    x: &[DeviceView],
    relu: bool,
    y: &DeviceView,
) -> Result<()> {
    let (first, second, y) = (x[0].f32()?, x[1].f32()?, y.f32()?);
    let bias = x.get(2).map_or(Ok(Ptr::NULL), DeviceView::f32)?;
    match which {
        Loop::Forward => cuda::forward(cx, g, cuda::Forward { x: first, weight: second, bias, relu, y }),
        Loop::GradInput => {
            cuda::grad_input(cx, g, cuda::GradInput { dy: first, weight: second, bias, dx: y })
        }
        Loop::GradWeight => cuda::grad_weight(cx, g, cuda::GradWeight { dy: first, x: second, dw: y }),
    }
}

/// Floating-point operations of a loop: a multiplication and an addition per term of each output's sum.
pub(super) fn flops(g: &ConvShape) -> u64 {
    2 * g.work() as u64
}

/// The gradient of a convolution or a transposed convolution with respect to its input or its weight. The table above
/// lists its two operands.
#[derive(Debug)]
pub(super) struct ConvGrad {
    pub name: &'static str,
    pub g: ConvShape,
    pub which: Loop,
    /// Index of the operand that is dy; `output` has the dimensions that it must have.
    pub dy: usize,
    pub output: [usize; 4],
    /// The shape of the result.
    pub gradient: Shape,
}

impl GradientOp for ConvGrad {
    fn name(&self) -> &'static str {
        self.name
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        check_dy(self.name, self.output, &x[self.dy])?;
        Ok(Plan::new(self.gradient, one_float(self.name, x)?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        on_cpu(self.name, cx, &self.g, self.which, x, false, &mut y[0])
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        on_cuda(cx, &self.g, self.which, x, false, &y[0])
    }

    fn flops(&self, _x: &[Meta], _y: &[Meta]) -> u64 {
        flops(&self.g)
    }
}

/// The gradient of a bias: the sum of dy over all elements of its channel.
pub(super) fn bias_gradient(dy: &Tensor, channels: usize) -> Result<Tensor> {
    dy.sum_to_size(&[channels, 1, 1])?.reshape(&[channels])
}
