//! Parts of normalisation layers: weight and bias, and the buffers of running statistics.

use super::{Ctx, Init, Param, Visitor};
use crate::core::{DType, Float, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use crate::tensor::{Tensor, Update, update};

/// A weight that starts at 1 and a bias that starts at 0.
#[derive(Debug)]
pub(super) struct AffineParams {
    weight: Param,
    bias: Param,
}

impl AffineParams {
    pub fn new(dims: &[usize]) -> AffineParams {
        let param = |value| Param::new(dims, Init::Constant(value));
        AffineParams { weight: param(1.0), bias: param(0.0) }
    }

    pub fn visit<'a>(affine: &'a Option<AffineParams>, visitor: &mut Visitor<'a>) {
        if let Some(AffineParams { weight, bias }) = affine {
            visitor.param("weight", weight);
            visitor.param("bias", bias);
        }
    }

    /// Weight and bias for this forward pass.
    pub fn values(affine: &Option<AffineParams>, cx: &Ctx) -> Result<[Option<Tensor>; 2]> {
        let Some(AffineParams { weight, bias }) = affine else { return Ok([None, None]) };
        Ok([Some(cx.value(weight)?), Some(cx.value(bias)?)])
    }
}

/// The running statistics of a layer: buffers, updated in place by every training pass.
#[derive(Debug)]
pub(super) struct RunningStats {
    mean: Param,
    var: Param,
    batches: Param,
}

impl RunningStats {
    /// Initially mean 0, variance 1 and no batches.
    pub fn new(features: usize) -> RunningStats {
        let buffer = |value| Param::buffer(&[features], Init::Constant(value), None);
        let batches = Param::buffer(&[], Init::Constant(0.0), Some(DType::I64));
        RunningStats { mean: buffer(0.0), var: buffer(1.0), batches }
    }

    pub fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        visitor.param("running_mean", &self.mean);
        visitor.param("running_var", &self.var);
        visitor.param("num_batches_tracked", &self.batches);
    }

    /// Whether the statistics stay unchanged, even in training.
    pub fn is_frozen(&self) -> bool {
        self.mean.is_frozen() || self.var.is_frozen()
    }

    /// Running mean and variance.
    pub fn values(&self) -> Result<[&Tensor; 2]> {
        Ok([self.mean.value()?, self.var.value()?])
    }

    /// Counts a batch and stores the new statistics. With `cumulative`, mean and variance are those of this batch
    /// alone, and the stored ones become the average over all batches so far.
    pub fn track(&self, [mean, var]: &[Tensor; 2], cumulative: bool) -> Result<()> {
        let targets = [self.mean.value()?, self.var.value()?, self.batches.value()?];
        update(&Track { cumulative }, &targets, &[mean, var])
    }

    /// Stores new statistics without counting, as PyTorch's instance normalisation does.
    pub fn store(&self, [mean, var]: &[Tensor; 2]) -> Result<()> {
        self.mean.value()?.copy_from(mean)?;
        self.var.value()?.copy_from(var)
    }
}

/// Targets `running_mean`, `running_var`, `num_batches_tracked`; inputs mean and variance.
#[derive(Debug)]
struct Track {
    cumulative: bool,
}

impl Track {
    fn store<T: Float>(&self, batches: i64, target: &mut [T], x: &[T]) {
        if !self.cumulative {
            return target.copy_from_slice(x);
        }
        let share = 1.0 / batches as f64;
        for (running, x) in target.iter_mut().zip(x) {
            *running = T::from_f64((1.0 - share) * running.to_f64() + share * x.to_f64());
        }
    }
}

impl Update for Track {
    fn name(&self) -> &'static str {
        "running statistics"
    }

    fn cpu(&self, _cx: &CpuCtx, targets: &mut [ViewMut], x: &[View]) -> Result<()> {
        let [mean, var, batches] = targets else { unreachable!("three targets") };
        let batches = &mut batches.get::<i64>()[0];
        *batches += 1;
        float_type!(self.name(), mean.dtype, T => {
            self.store::<T>(*batches, mean.get(), x[0].get());
            self.store::<T>(*batches, var.get(), x[1].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, targets: &[DeviceView], x: &[DeviceView]) -> Result<()> {
        let [mean, var, batches] = targets else { unreachable!("three targets") };
        let ([mean, var], batches) = ([mean.f32()?, var.f32()?], batches.i64()?);
        let (n, block, cumulative) =
            (x[0].numel() as i64, Launch::blocks([1; 3], 256), self.cumulative as i32);
        kernels::track_f32(cx, block, mean, var, batches, x[0].f32()?, x[1].f32()?, n, cumulative)
    }
}

/// A number as Python prints it: `1e-05`, `0.1`, `1.0`.
pub(super) fn python(x: f64) -> String {
    let text = format!("{x:?}");
    match text.split_once("e-") {
        Some((digits, exponent)) if exponent.len() < 2 => format!("{digits}e-0{exponent}"),
        _ => text,
    }
}

/// A flag as Python prints it.
pub(super) fn flag(on: bool) -> &'static str {
    if on { "True" } else { "False" }
}
