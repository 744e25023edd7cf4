//! What all ops that compute a gradient share.

use super::one;
use crate::core::{Error, ErrorKind, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView};
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply};
use std::fmt::Debug;

/// What differs between ops that compute a gradient of another op. No method has a default, so each op implements all.
///
/// The methods correspond to the methods of [`Op`] with the same names. A type that computes several gradients (of the
/// input, of the weight) stores which one it computes, and `name`, `infer` and `flops` depend on it. The gradient of
/// `linear` is an example.
pub(crate) trait GradientOp: Debug + Send + Sync + 'static {
    /// Its name in errors and profiles: `relu_grad`.
    fn name(&self) -> &'static str;

    /// As [`Op::infer`].
    fn infer(&self, x: &[Meta]) -> Result<Plan>;

    /// As [`Op::cpu`].
    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()>;

    /// As [`Op::cuda`].
    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()>;

    /// As [`Op::flops`].
    fn flops(&self, x: &[Meta], y: &[Meta]) -> u64;
}

/// The op that runs a [`GradientOp`]. It saves nothing for backward, because it has no gradient itself.
#[derive(Debug)]
pub(crate) struct Gradient<G>(pub G);

impl<G: GradientOp> Gradient<G> {
    /// Computes the gradient that is the single output of `op`.
    ///
    /// # Errors
    /// As [`apply`].
    pub fn of(op: G, inputs: &[&Tensor]) -> Result<Tensor> {
        Ok(one(apply(Gradient(op), inputs)?))
    }
}

impl<G: GradientOp> Op for Gradient<G> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        self.0.infer(x)
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        self.0.cpu(cx, x, y)
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        self.0.cuda(cx, x, y)
    }

    fn backward(&self, _saved: &Saved, _dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let what = "gradients of gradients are not supported";
        Err(Error::new(ErrorKind::NotDifferentiable, self.name(), what).help("detach the tensor first"))
    }

    fn flops(&self, x: &[Meta], y: &[Meta]) -> u64 {
        self.0.flops(x, y)
    }
}
