//! What the elementwise ops of one tensor share: everything except the formula.

use super::cuda::over_quads;
use crate::core::{Float, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, Ptr};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::{Case, Fill, one};
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::fmt::Debug;

/// What a gradient is computed from, besides `dy`. If it reads the output, the input can be freed, and the next layer
/// keeps the output in memory anyway.
pub(in crate::ops) enum Reads {
    Nothing,
    Input,
    Output,
}

/// An elementwise function and its derivative.
pub(in crate::ops) trait Unary: Debug + Copy + Send + Sync + 'static {
    const NAME: &'static str;
    /// The gradient's name in error messages.
    const GRAD: &'static str;
    const READS: Reads;

    /// Returns an error if an attribute is out of range.
    fn check(self) -> Result<()> {
        Ok(())
    }

    /// The function.
    fn y<T: Float>(self, x: T) -> T;

    /// Its gradient, from the element of the tensor that [`READS`](Self::READS) names and the element of `dy`.
    fn dx<T: Float>(self, read: T, dy: T) -> T;

    /// Launches the kernel of the function over `n` elements.
    fn y_cuda(self, cx: &CudaCtx, grid: Launch, x: Ptr<f32>, y: Ptr<f32>, n: i64) -> Result<()>;

    /// Launches the kernel of its gradient, which computes `dx` from `[read, dy]`.
    fn dx_cuda(self, cx: &CudaCtx, grid: Launch, from: [Ptr<f32>; 2], dx: Ptr<f32>, n: i64) -> Result<()>;
}

/// Defines the launch methods of a function without settings, from the names of its two kernels.
macro_rules! plain_kernels {
    ($forward:ident, $backward:ident) => {
        fn y_cuda(
            self,
            cx: &$crate::cuda::CudaCtx,
            grid: $crate::cuda::Launch,
            x: $crate::cuda::Ptr<f32>,
            y: $crate::cuda::Ptr<f32>,
            n: i64,
        ) -> $crate::Result<()> {
            $crate::cuda::kernels::$forward(cx, grid, x, y, n)
        }

        fn dx_cuda(
            self,
            cx: &$crate::cuda::CudaCtx,
            grid: $crate::cuda::Launch,
            [read, dy]: [$crate::cuda::Ptr<f32>; 2],
            dx: $crate::cuda::Ptr<f32>,
            n: i64,
        ) -> $crate::Result<()> {
            $crate::cuda::kernels::$backward(cx, grid, read, dy, dx, n)
        }
    };
}

pub(super) use plain_kernels;

/// The op of an elementwise function.
#[derive(Debug)]
pub(super) struct Map<F>(pub F);

impl<F: Unary> Op for Map<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        self.0.check()?;
        Ok(Plan::new(x[0].shape, one_float(F::NAME, x)?))
    }

    fn saves(&self) -> Saves {
        match F::READS {
            Reads::Nothing => Saves::NONE,
            Reads::Input => Saves::inputs(&[0]),
            Reads::Output => Saves::outputs(&[0]),
        }
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let f = self.0;
        float_type!(F::NAME, x[0].dtype, T => {
            cx.map(
                x[0].get::<T>(),
                y[0].get::<T>(),
                #[inline(always)]
                |x| f.y(x),
            );
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let n = y[0].numel();
        self.0.y_cuda(cx, over_quads(n), x[0].f32()?, y[0].f32()?, n as i64)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let read = match F::READS {
            Reads::Nothing => dy.clone(),
            Reads::Input => saved.input(0),
            Reads::Output => saved.output(0),
        };
        Ok(smallvec![Some(Gradient::of(MapGrad(self.0), &[&read, dy])?)])
    }
}

/// `dx` from `dy` and the tensor that the gradient reads.
#[derive(Debug)]
pub(super) struct MapGrad<F>(pub F);

impl<F: Unary> GradientOp for MapGrad<F> {
    fn name(&self) -> &'static str {
        F::GRAD
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, one_float(F::GRAD, x)?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let f = self.0;
        float_type!(F::GRAD, x[0].dtype, T => {
            cx.zip(
                x[0].get::<T>(),
                x[1].get::<T>(),
                y[0].get::<T>(),
                #[inline(always)]
                |read, dy| f.dx(read, dy),
            );
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let n = y[0].numel();
        self.0.dx_cuda(cx, over_quads(n), [x[0].f32()?, x[1].f32()?], y[0].f32()?, n as i64)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// Applies an elementwise function.
    pub(super) fn map<F: Unary>(&self, f: F) -> Result<Tensor> {
        Ok(one(apply(Map(f), &[self])?))
    }
}

/// The shapes on which every elementwise function is checked.
pub(super) fn cases(attrs: &str, fill: Fill) -> Vec<Case> {
    vec![
        Case::new("plain", attrs).filled("input", &[2, 3, 5], fill),
        Case::new("scalar", attrs).filled("input", &[], fill).edge(),
        Case::new("empty", attrs).filled("input", &[0, 3], fill).edge(),
        Case::new("feature maps", attrs).filled("input", &[64, 16, 26, 26], fill).bench(),
    ]
}
