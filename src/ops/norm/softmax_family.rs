//! What softmax and log_softmax share: everything except the formula.

use crate::core::{Float, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::images::dependence_along;
use crate::ops::one;
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::fmt::Debug;

/// A function of all elements along a dimension. Its gradient needs only its output.
pub(super) trait Normalizer: Debug + Copy + Send + Sync + 'static {
    const NAME: &'static str;
    /// The gradient's name in error messages.
    const GRAD: &'static str;
    /// Whether this is log_softmax. One GPU kernel computes both functions.
    const LOGARITHM: bool;

    /// The function.
    fn y<T: Float>(self, cx: &CpuCtx, around: [usize; 3], x: &[T], y: &mut [T]);

    /// Its gradient, from the output and `dy`.
    fn dx<T: Float>(self, cx: &CpuCtx, around: [usize; 3], y: &[T], dy: &[T], dx: &mut [T]);
}

/// The op that applies such a function along `dim`.
#[derive(Debug)]
pub(super) struct SoftmaxFamily<F> {
    pub dim: isize,
    pub f: F,
}

impl<F: Normalizer> Op for SoftmaxFamily<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        x[0].shape.dim(F::NAME, self.dim)?;
        Ok(Plan::new(x[0].shape, one_float(F::NAME, x)?))
    }

    fn saves(&self) -> Saves {
        Saves::outputs(&[0])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let around = x[0].shape.around(x[0].shape.dim(F::NAME, self.dim)?);
        float_type!(F::NAME, x[0].dtype, T => {
            self.f.y::<T>(cx, around, x[0].get(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let around = x[0].shape.around(x[0].shape.dim(F::NAME, self.dim)?);
        let ((launch, lanes), [n, inner, lines]) = (Launch::lines(around), sizes(around));
        let logarithm = i32::from(F::LOGARITHM);
        kernels::softmax_fwd_f32(cx, launch, x[0].f32()?, y[0].f32()?, n, inner, lines, lanes, logarithm)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let grad = SoftmaxFamilyGrad { dim: self.dim, f: self.f };
        Ok(smallvec![Some(Gradient::of(grad, &[&saved.output(0), dy])?)])
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        4 * x[0].numel() as u64
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        dependence_along(F::NAME, &x[0].shape, &[self.dim])
    }
}

/// Arguments for the GPU kernels: elements per line, the distance between them, and the number of lines.
fn sizes([outer, n, inner]: [usize; 3]) -> [i64; 3] {
    [n, inner, outer * inner].map(|size| size as i64)
}

/// `dx` from the output and `dy`.
#[derive(Debug)]
struct SoftmaxFamilyGrad<F> {
    dim: isize,
    f: F,
}

impl<F: Normalizer> GradientOp for SoftmaxFamilyGrad<F> {
    fn name(&self) -> &'static str {
        F::GRAD
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, one_float(F::GRAD, x)?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let around = x[0].shape.around(x[0].shape.dim(F::GRAD, self.dim)?);
        float_type!(F::GRAD, x[0].dtype, T => {
            self.f.dx::<T>(cx, around, x[0].get(), x[1].get(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let around = x[0].shape.around(x[0].shape.dim(F::GRAD, self.dim)?);
        let ((launch, lanes), [n, inner, lines]) = (Launch::lines(around), sizes(around));
        let (y, dy, dx, logarithm) = (x[0].f32()?, x[1].f32()?, y[0].f32()?, i32::from(F::LOGARITHM));
        kernels::softmax_bwd_f32(cx, launch, y, dy, dx, n, inner, lines, lanes, logarithm)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// Applies `f` along a dimension.
    pub(super) fn softmax_family<F: Normalizer>(&self, dim: isize, f: F) -> Result<Tensor> {
        Ok(one(apply(SoftmaxFamily { dim, f }, &[self])?))
    }
}
