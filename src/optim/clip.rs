//! Gradient clipping: limits the gradient of a rare batch that would change the weights far too much.

use super::groups::{Member, blocks, in_groups};
use super::{no_gradient, weights};
use crate::core::{DType, Error, Float, Result};
use crate::cpu::context::CHUNK;
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use crate::tensor::{Meta, Tensor, Update, update};

/// Scales all gradients by one factor so that their joint 2-norm is at most `max_norm`. Returns the norm before
/// scaling, a scalar in f64. On a GPU this call does not wait for it; reading the tensor does. PyTorch:
/// `nn.utils.clip_grad_norm_`.
///
/// # Errors
/// A `max_norm` that is not above 0; no parameters; a parameter without a gradient.
pub fn clip_grad_norm(params: &[(String, Tensor)], max_norm: f64) -> Result<Tensor> {
    positive("clip_grad_norm", max_norm)?;
    let grads = gradients(params)?;
    let first = grads.first().ok_or_else(|| Error::argument("clip_grad_norm", "there are no parameters"))?;
    let norm = Tensor::zeros(first.device(), &[], DType::F64)?;
    let targets: Vec<&Tensor> = std::iter::once(&norm).chain(&grads).collect();
    update(&ClipNorm(max_norm), &targets, &[])?;
    Ok(norm)
}

/// Clamps every gradient element to `-max .. max`. PyTorch: `nn.utils.clip_grad_value_`.
///
/// # Errors
/// A `max` that is not above 0; a parameter without a gradient.
pub fn clip_grad_value(params: &[(String, Tensor)], max: f64) -> Result<()> {
    positive("clip_grad_value", max)?;
    let grads = gradients(params)?;
    if grads.is_empty() { Ok(()) } else { update(&Limit(max), &grads.iter().collect::<Vec<_>>(), &[]) }
}

fn positive(what: &str, limit: f64) -> Result<()> {
    if limit > 0.0 { Ok(()) } else { Err(Error::argument(what, format!("the limit {limit} is not above 0"))) }
}

fn gradients(params: &[(String, Tensor)]) -> Result<Vec<Tensor>> {
    params.iter().map(|(name, p)| p.grad().ok_or_else(|| no_gradient(name))).collect()
}

/// Targets: the norm, which is written, and the gradients. If `max_norm / norm` is below 1, the gradients are
/// multiplied by it.
#[derive(Debug)]
struct ClipNorm(f64);

/// The sum of squares in f64: first over each chunk, in lanes, then over the chunks.
fn squares<T: Float>(cx: &CpuCtx, grad: &[T]) -> f64 {
    const LANES: usize = 8;
    let mut scratch = cx.scratch(grad.len().div_ceil(CHUNK) * size_of::<f64>());
    let sums = scratch.slice_mut::<f64>();
    cx.pieces(sums, 1, grad.len(), |i, sum| {
        let (vectors, rest) = grad[i * CHUNK..grad.len().min((i + 1) * CHUNK)].as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        cx.vectors::<T, _>(
            #[inline(always)]
            || {
                for vector in vectors {
                    lanes.iter_mut().zip(vector).for_each(|(lane, g)| *lane += g.to_f64() * g.to_f64());
                }
            },
        );
        sum[0] = lanes.iter().sum::<f64>() + rest.iter().map(|g| g.to_f64() * g.to_f64()).sum::<f64>();
    });
    sums.iter().sum()
}

/// `g = f(g)`, element by element.
fn change<T: Float>(cx: &CpuCtx, grad: &mut [T], f: impl Fn(T) -> T + Sync + Send) {
    let work = grad.len();
    cx.pieces(grad, CHUNK, work, |_, grad| {
        cx.vectors::<T, _>(
            #[inline(always)]
            || grad.iter_mut().for_each(|g| *g = f(*g)),
        );
    });
}

impl Update for ClipNorm {
    fn name(&self) -> &'static str {
        "clip_grad_norm"
    }

    fn cpu(&self, cx: &CpuCtx, targets: &mut [ViewMut], _x: &[View]) -> Result<()> {
        let (norm, grads) = targets.split_first_mut().expect("the norm comes first");
        let mut sum = 0.0;
        for grad in grads.iter_mut() {
            float_type!(self.name(), grad.dtype, T => {
                sum += squares::<T>(cx, grad.get());
                Ok(())
            })?;
        }
        let norm = &mut norm.get::<f64>()[0];
        *norm = sum.sqrt();
        let factor = self.0 / (*norm + 1e-6);
        if factor < 1.0 {
            for grad in grads {
                float_type!(self.name(), grad.dtype, T => {
                    change::<T>(cx, grad.get(), |g| g * factor as T);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn cuda(&self, cx: &CudaCtx, targets: &[DeviceView], _x: &[DeviceView]) -> Result<()> {
        let (norm, grads) = targets.split_first().expect("the norm comes first");
        let parts: usize = grads.iter().map(|grad| blocks(grad.numel())).sum();
        let (partial, factor) = (cx.scratch::<f64>(parts)?, cx.scratch::<f32>(1)?);
        let mut first = 0;
        in_groups(members(grads), |grid, group| {
            let at = first;
            first += (0..group.count as usize).map(|i| blocks(group.n[i] as usize)).sum::<usize>();
            kernels::squares_f32_f64(cx, grid, group, partial.ptr(), at as i64)
        })?;
        let one = Launch::blocks([1; 3], 256);
        kernels::clip_factor(cx, one, partial.ptr(), parts as i64, self.0, norm.f64()?, factor.ptr())?;
        in_groups(members(grads), |grid, group| kernels::scale_gradients_f32(cx, grid, group, factor.ptr()))
    }

    /// Per element: a square, a sum and, if the norm is too large, a product.
    fn flops(&self, targets: &[Meta], _x: &[Meta]) -> u64 {
        3 * weights(&targets[1..], 1)
    }
}

/// Members that have only a gradient, for the kernels.
fn members(grads: &[DeviceView]) -> impl Iterator<Item = Member<'_>> {
    grads.iter().map(|grad| Member { dw: Some(grad), ..Member::default() })
}

/// `target = clamp(target, -max, max)`, for each target.
#[derive(Debug)]
struct Limit(f64);

impl Update for Limit {
    fn name(&self) -> &'static str {
        "clip_grad_value"
    }

    fn cpu(&self, cx: &CpuCtx, targets: &mut [ViewMut], _x: &[View]) -> Result<()> {
        for grad in targets {
            float_type!(self.name(), grad.dtype, T => {
                let max = self.0 as T;
                change::<T>(cx, grad.get(), |g| g.clamp(-max, max));
                Ok(())
            })?;
        }
        Ok(())
    }

    fn cuda(&self, cx: &CudaCtx, targets: &[DeviceView], _x: &[DeviceView]) -> Result<()> {
        in_groups(members(targets), |grid, group| {
            kernels::limit_gradients_f32(cx, grid, group, self.0 as f32)
        })
    }
}
