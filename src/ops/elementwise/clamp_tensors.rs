//! Limits values to a range given by tensors. [`clamp`](super::clamp) has the formulas and the op for numbers.

use super::clamp::{at_least, at_most, no_limits};
use super::cuda::{over_quads, walk};
use crate::core::{Element, Float, Result};
use crate::cpu::{CpuCtx, View, ViewMut, broadcast};
use crate::cuda::{CudaCtx, DeviceView, Launch, Ptr, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::one;
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::SmallVec;

/// Which limits are given. They follow the input, in this order.
#[derive(Debug, Clone, Copy)]
struct Limits {
    min: bool,
    max: bool,
}

impl Limits {
    /// Splits the inputs into `x` and, if given, `min` and `max`.
    fn split<X: Copy>(self, x: &[X]) -> (X, Option<X>, Option<X>) {
        (x[0], self.min.then(|| x[1]), self.max.then(|| x[1 + self.min as usize]))
    }
}

/// Limits by tensors.
#[derive(Debug)]
pub(super) struct ClampTensors(Limits);

impl ClampTensors {
    /// The op for calls in which `min` and `max` are given or not.
    pub fn new([min, max]: [bool; 2]) -> ClampTensors {
        ClampTensors(Limits { min, max })
    }
}

impl Op for ClampTensors {
    fn name(&self) -> &'static str {
        "clamp"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let shapes = x[1..].iter().try_fold(x[0].shape, |shape, m| shape.broadcast(self.name(), &m.shape));
        Ok(Plan::new(shapes?, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(if self.0.min && self.0.max { &[0, 1, 2] } else { &[0, 1] })
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let y = &mut y[0];
        float_type!(self.name(), y.dtype, T => {
            match self.0.split(x) {
                (x, Some(min), None) => broadcast::zip::<T>(cx, x, min, y, at_least),
                (x, None, Some(max)) => broadcast::zip::<T>(cx, x, max, y, at_most),
                (x, Some(min), Some(max)) => {
                    let (shape, dtype) = (y.shape, y.dtype);
                    let mut raised = cx.scratch(y.bytes.len());
                    let mut view = ViewMut { shape, dtype, bytes: raised.bytes_mut() };
                    broadcast::zip::<T>(cx, x, min, &mut view, at_least);
                    broadcast::zip::<T>(cx, View { shape, dtype, bytes: raised.bytes() }, max, y, at_most);
                }
                (_, None, None) => return Err(no_limits()),
            }
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (y, (x, min, max)) = (&y[0], self.0.split(&x.iter().collect::<SmallVec<[_; 3]>>()));
        let grid = over_quads(y.numel());
        match (min, max) {
            (Some(min), None) => {
                let walk = walk(&y.shape, [&x.shape, &min.shape]);
                kernels::at_least_f32(cx, grid, x.f32()?, min.f32()?, y.f32()?, walk)
            }
            (None, Some(max)) => {
                let walk = walk(&y.shape, [&x.shape, &max.shape]);
                kernels::at_most_f32(cx, grid, x.f32()?, max.f32()?, y.f32()?, walk)
            }
            (Some(min), Some(max)) => {
                let raised = cx.scratch::<f32>(y.numel())?;
                let first = walk(&y.shape, [&x.shape, &min.shape]);
                kernels::at_least_f32(cx, grid, x.f32()?, min.f32()?, raised.ptr(), first)?;
                let second = walk(&y.shape, [&y.shape, &max.shape]);
                kernels::at_most_f32(cx, grid, raised.ptr(), max.f32()?, y.f32()?, second)
            }
            (None, None) => Err(no_limits()),
        }
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let stretched = (0..needs.len()).map(|i| saved.input(i).expand(dy.dims()));
        let stretched: SmallVec<[Tensor; 3]> = stretched.collect::<Result<_>>()?;
        let inputs: SmallVec<[&Tensor; 4]> = stretched.iter().chain([dy]).collect();
        let limits = self.0;
        let gradient = |i: usize| {
            let part = match i {
                0 => ClampInput::Input,
                1 if limits.min => ClampInput::Min,
                _ => ClampInput::Max,
            };
            let whole = Gradient::of(ClampTensorsGrad { limits, part }, &inputs)?;
            whole.sum_to_size(saved.meta(i).dims())
        };
        (0..needs.len()).map(|i| needs[i].then(|| gradient(i)).transpose()).collect()
    }
}

/// The input whose gradient is computed.
#[derive(Debug, Clone, Copy)]
enum ClampInput {
    Input = 0,
    Min = 1,
    Max = 2,
}

/// How much of `dy` this input receives.
enum Share {
    Nothing,
    Half,
    All,
}

fn share<T: Float>(part: ClampInput, x: T, min: Option<T>, max: Option<T>) -> Share {
    let (all, half) = match (min, max) {
        (Some(min), Some(max)) => {
            let tie = min < max && (x == min || x == max);
            match part {
                ClampInput::Input => (!(x < min || x > max), tie),
                ClampInput::Min => (x < min && min <= max, tie && x == min),
                ClampInput::Max => (x > max && min <= max || max < min, tie && x == max),
            }
        }
        (Some(min), None) => (!loses(part, min > x, min < x), x == min),
        (None, Some(max)) => (!loses(part, max < x, max > x), x == max),
        (None, None) => (true, false),
    };
    match (half, all) {
        (true, _) => Share::Half,
        (false, true) => Share::All,
        (false, false) => Share::Nothing,
    }
}

/// True if the output did not come from `part`, for calls with one limit. `limited`: the output is the limit. `free`:
/// the output is the input.
fn loses(part: ClampInput, limited: bool, free: bool) -> bool {
    if matches!(part, ClampInput::Input) { limited } else { free }
}

/// The gradient of one input, from `dy` and all inputs, broadcast to the shape of `dy`.
#[derive(Debug)]
struct ClampTensorsGrad {
    limits: Limits,
    part: ClampInput,
}

impl GradientOp for ClampTensorsGrad {
    fn name(&self) -> &'static str {
        "clamp_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, one_float(self.name(), x)?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (part, dy) = (self.part, x[x.len() - 1]);
        let (x, min, max) = self.limits.split(x);
        float_type!(self.name(), dy.dtype, T => {
            let (x, dy) = (x.get::<T>(), dy.get::<T>());
            let (min, max) = (min.map(|v| v.get::<T>()), max.map(|v| v.get::<T>()));
            cx.fill_with(y[0].get::<T>(), |i| {
                match share(part, x[i], min.map(|v| v[i]), max.map(|v| v[i])) {
                    Share::Nothing => T::ZERO,
                    Share::Half => dy[i] * T::from_f64(0.5),
                    Share::All => dy[i],
                }
            });
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let n = y[0].numel();
        let x: SmallVec<[Ptr<f32>; 4]> = x.iter().map(DeviceView::f32).collect::<Result<_>>()?;
        let dy = x[x.len() - 1];
        let (x, min, max) = self.limits.split(&x);
        let (min, max) = (min.unwrap_or(Ptr::NULL), max.unwrap_or(Ptr::NULL));
        let part = self.part as i32;
        kernels::clamp_tensors_bwd_f32(cx, Launch::over(n), x, min, max, dy, y[0].f32()?, part, n as i64)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// As [`clamp`](Self::clamp), with tensors as limits. All shapes broadcast.
    ///
    /// # Errors
    /// Neither limit; shapes that do not broadcast; dtypes that differ or are not f32 or f64.
    pub fn clamp_tensors(&self, min: Option<&Tensor>, max: Option<&Tensor>) -> Result<Tensor> {
        if min.is_none() && max.is_none() {
            return Err(no_limits());
        }
        let inputs: SmallVec<[&Tensor; 3]> = [Some(self), min, max].into_iter().flatten().collect();
        Ok(one(apply(ClampTensors::new([min, max].map(|limit| limit.is_some())), &inputs)?))
    }
}
