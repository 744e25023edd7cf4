//! The gradients of [`conv2d`](super::conv2d), ops of their own. Formulas and derivation stand there.

use super::conv2d::{Conv2dOptions, product_flops};
use crate::core::{Error, Result, Shape};
use crate::cpu::conv2d::{ConvFloat, GradInput, Loop};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::conv2d as cuda;
use crate::cuda::{CudaCtx, DeviceView, Ptr};
use crate::float_type;
use crate::ops::images::images;
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, one_float};

/// `dx` from `(dy, weight)`.
#[derive(Debug)]
pub(super) struct Conv2dGradInput {
    pub options: Conv2dOptions,
    /// The shape of the input, which the shape of dy does not determine: a stride rounds.
    pub input: Shape,
}

impl Op for Conv2dGradInput {
    fn name(&self) -> &'static str {
        "conv2d_grad_input"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let g = self.options.geometry(self.name(), &self.input, &x[1].shape)?;
        check_dy(self.name(), [g.n, g.o, g.oh, g.ow], &x[0])?;
        Ok(Plan::new(self.input, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let g = self.options.geometry(self.name(), &self.input, &x[1].shape)?;
        float_type!(self.name(), x[0].dtype, T => {
            (T::conv(cx, &g, Loop::GradInput).grad_input)(cx, &g, GradInput { dy: x[0].get(), weight: x[1].get(), bias: None }, y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let g = self.options.geometry(self.name(), &self.input, &x[1].shape)?;
        let to = cuda::GradInput { dy: x[0].f32()?, weight: x[1].f32()?, bias: Ptr::NULL, dx: y[0].f32()? };
        cuda::grad_input(cx, &g, to)
    }

    fn backward(&self, _saved: &Saved, _dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Err(crate::ops::no_second_gradient(self.name()))
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        product_flops(&x[1].shape, &x[0])
    }
}

/// `dw` from `(dy, input)`.
#[derive(Debug)]
pub(super) struct Conv2dGradWeight {
    pub options: Conv2dOptions,
    pub weight: Shape,
}

impl Op for Conv2dGradWeight {
    fn name(&self) -> &'static str {
        "conv2d_grad_weight"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let g = self.options.geometry(self.name(), &x[1].shape, &self.weight)?;
        check_dy(self.name(), [g.n, g.o, g.oh, g.ow], &x[0])?;
        Ok(Plan::new(self.weight, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let g = self.options.geometry(self.name(), &x[1].shape, &self.weight)?;
        float_type!(self.name(), x[0].dtype, T => {
            (T::conv(cx, &g, Loop::GradWeight).grad_weight)(cx, &g, x[0].get(), x[1].get(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let g = self.options.geometry(self.name(), &x[1].shape, &self.weight)?;
        cuda::grad_weight(cx, &g, cuda::GradWeight { dy: x[0].f32()?, x: x[1].f32()?, dw: y[0].f32()? })
    }

    fn backward(&self, _saved: &Saved, _dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Err(crate::ops::no_second_gradient(self.name()))
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        product_flops(&self.weight, &x[0])
    }
}

/// Refuses a `dy` that is not of the output's shape.
pub(crate) fn check_dy(op: &str, output: [usize; 4], dy: &Meta) -> Result<()> {
    if images(op, &dy.shape)? == output {
        return Ok(());
    }
    Err(Error::shape(op, "dy is not the shape of the output")
        .with("dy", dy.shape)
        .expected(format!("{output:?}")))
}
