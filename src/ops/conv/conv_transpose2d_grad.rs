//! The gradients of [`conv_transpose2d`](super::conv_transpose2d), ops of their own. Formulas stand there: each is a loop
//! of the convolution from y to x.

use super::conv_transpose2d::ConvTranspose2dOptions;
use super::conv2d::product_flops;
use super::conv2d_grad::check_dy;
use crate::core::{Result, Shape};
use crate::cpu::conv2d::{ConvFloat, Finish, Loop};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::conv2d as cuda;
use crate::cuda::{CudaCtx, DeviceView, Ptr};
use crate::float_type;
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, one_float};

/// `dx` from `(dy, weight)`: a convolution.
#[derive(Debug)]
pub(super) struct ConvTranspose2dGradInput {
    pub options: ConvTranspose2dOptions,
    pub input: Shape,
}

impl Op for ConvTranspose2dGradInput {
    fn name(&self) -> &'static str {
        "conv_transpose2d_grad_input"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let g = self.options.geometry(self.name(), &self.input, &x[1].shape)?;
        check_dy(self.name(), [g.n, g.c, g.h, g.w], &x[0])?;
        Ok(Plan::new(self.input, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let g = self.options.geometry(self.name(), &self.input, &x[1].shape)?;
        float_type!(self.name(), x[0].dtype, T => {
            (T::conv(cx, &g, Loop::Forward).forward)(cx, &g, x[0].get(), x[1].get(), Finish::NONE, y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let g = self.options.geometry(self.name(), &self.input, &x[1].shape)?;
        let (x, weight, y) = (x[0].f32()?, x[1].f32()?, y[0].f32()?);
        cuda::forward(cx, &g, cuda::Forward { x, weight, bias: Ptr::NULL, relu: false, y })
    }

    fn backward(&self, _saved: &Saved, _dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Err(crate::ops::no_second_gradient(self.name()))
    }

    fn flops(&self, x: &[Meta], y: &[Meta]) -> u64 {
        product_flops(&x[1].shape, &y[0])
    }
}

/// `dw` from `(dy, input)`: a convolution's, with the two in each other's role.
#[derive(Debug)]
pub(super) struct ConvTranspose2dGradWeight {
    pub options: ConvTranspose2dOptions,
    pub weight: Shape,
}

impl Op for ConvTranspose2dGradWeight {
    fn name(&self) -> &'static str {
        "conv_transpose2d_grad_weight"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let g = self.options.geometry(self.name(), &x[1].shape, &self.weight)?;
        check_dy(self.name(), [g.n, g.c, g.h, g.w], &x[0])?;
        Ok(Plan::new(self.weight, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let g = self.options.geometry(self.name(), &x[1].shape, &self.weight)?;
        float_type!(self.name(), x[0].dtype, T => {
            (T::conv(cx, &g, Loop::GradWeight).grad_weight)(cx, &g, x[1].get(), x[0].get(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let g = self.options.geometry(self.name(), &x[1].shape, &self.weight)?;
        cuda::grad_weight(cx, &g, cuda::GradWeight { dy: x[1].f32()?, x: x[0].f32()?, dw: y[0].f32()? })
    }

    fn backward(&self, _saved: &Saved, _dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Err(crate::ops::no_second_gradient(self.name()))
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        product_flops(&self.weight, &x[1])
    }
}
