//! An op with weights and the rectifier behind it as one op.
//!
//! ```text
//! y = max(0, f(x))        d = dy [y > 0], and from there f's own gradients
//! ```
//!
//! A kernel that has each sum in a register when it is done rectifies it before it is written; others rectify the output
//! where it lies. Backward reads the output, as that of `relu` does, so `f(x)` itself is kept by nobody.

use super::one;
use super::relu::Relu;
use super::unary::{MapGrad, Unary};
use crate::core::{DType, Result};
use crate::cpu::context::CHUNK;
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView};
use crate::float_type;
use crate::tensor::{Field, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply};

/// An op whose kernels can end in a rectifier.
pub(super) trait BeforeRelu: Op {
    /// The name of both together.
    const WITH_RELU: &'static str;

    /// As [`Op::cpu`], rectified.
    fn cpu_relu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()>;

    /// As [`Op::cuda`], rectified.
    fn cuda_relu(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()>;
}

/// Rectifies an output where it lies.
pub(super) fn rectify(op: &str, cx: &CpuCtx, dtype: DType, y: &mut ViewMut) -> Result<()> {
    float_type!(op, dtype, T => {
        let y = y.get::<T>();
        let work = y.len();
        cx.pieces(y, CHUNK, work, |_, y| y.iter_mut().for_each(|y| *y = Relu.y(*y)));
        Ok(())
    })
}

/// Both together.
#[derive(Debug)]
pub(super) struct WithRelu<O>(pub O);

impl<O: BeforeRelu> Op for WithRelu<O> {
    fn name(&self) -> &'static str {
        O::WITH_RELU
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        self.0.infer(x)
    }

    fn saves(&self) -> Saves {
        self.0.saves().and_outputs(&[0])
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        self.0.cpu_relu(cx, x, y)
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        self.0.cuda_relu(cx, x, y)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let through = one(apply(MapGrad(Relu), &[&saved.output(0), dy])?);
        self.0.backward(saved, &through, needs)
    }

    fn flops(&self, x: &[Meta], y: &[Meta]) -> u64 {
        self.0.flops(x, y) + y[0].numel() as u64
    }

    fn field(&self, x: &[Meta]) -> Field {
        self.0.field(x)
    }
}
