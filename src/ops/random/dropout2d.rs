//! Channel dropout: in training, each channel of each sample is zeroed with probability p, and the others are scaled up
//! to compensate.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{n,c} &= x_{n,c} \, m_{n,c} / (1 - p) \\
//! \mathrm{dx}_{n,c} &= \mathrm{dy}_{n,c} \, m_{n,c} / (1 - p) \\
//! m_{n,c} &= [\mathrm{bits} \ge 2^{32} p]
//! \end{aligned}
//! ```
//!
//! Neighbouring pixels of a feature map are strongly correlated, so [dropping single elements](super::dropout) hides
//! little information. This op drops whole feature maps. Channel i of the batch uses the 32 bits of element i of the
//! [`Key`]. With p = 0, or outside training, the output is the input. Tompson et al. 2015; PyTorch: `F.dropout2d`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, *]` | rank 2 and up |
//! | output | as input | |
//! | mask | `[N, C]`, u8 | 1 where kept; hidden from callers, kept for backward |
//!
//! ```
//! use receptive::{Device, Key, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32; 12], &[2, 3, 2])?;
//! let y = x.dropout2d(0.5, Key::new(1))?.to_vec::<f32>()?;
//! assert!(y.chunks(2).all(|channel| channel == [0.0, 0.0] || channel == [2.0, 2.0]));
//! # Ok::<(), receptive::Error>(())
//! ```

use super::dropout::{check_probability, kept, threshold};
use crate::core::{DType, Float, Key, Result, Shape};
use crate::cpu::context::CHUNK;
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::images::batch_of_channels;
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// Zeroes each channel with probability `p`, while `training`.
#[derive(Debug)]
pub struct Dropout2d {
    /// The probability of being zeroed, 0 to 1.
    pub p: f64,
    /// Determines the mask.
    pub key: Key,
    /// If false, nothing is dropped.
    pub training: bool,
}

impl Dropout2d {
    fn drops(&self) -> bool {
        self.training && self.p > 0.0
    }
}

/// `y = x / (1 - p)` in the channels that are kept, else 0.
fn scale<T: Float>(cx: &CpuCtx, p: f64, x: &[T], mask: &[u8], y: &mut [T]) {
    let (scale, len, work) = (T::from_f64(1.0 / (1.0 - p)), x.len() / mask.len(), x.len());
    let channels = (CHUNK / len).max(1);
    cx.pieces(y, channels * len, work, |piece, y| {
        let masks = &mask[piece * channels..];
        for ((y, x), &m) in y.chunks_mut(len).zip(x[piece * channels * len..].chunks(len)).zip(masks) {
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = kept(x, m, scale));
        }
    });
}

/// As [`scale`], on a GPU.
fn scale_cuda(cx: &CudaCtx, p: f64, x: &DeviceView, mask: &DeviceView, y: &DeviceView) -> Result<()> {
    let (n, scale) = (x.numel(), (1.0 / (1.0 - p)) as f32);
    let len = n / mask.numel().max(1);
    kernels::dropout2d_f32(cx, Launch::over(n), x.f32()?, mask.u8()?, y.f32()?, scale, len as i64, n as i64)
}

impl Op for Dropout2d {
    fn name(&self) -> &'static str {
        "dropout2d"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let (shape, dtype) = (x[0].shape, one_float(self.name(), x)?);
        let [n, c, _] = batch_of_channels(self.name(), &shape)?;
        check_probability(self.name(), self.p, &shape)?;
        if !self.drops() {
            return Ok(Plan::view(shape, dtype, 0));
        }
        Ok(Plan::new(shape, dtype).hidden(Shape::new(&[n, c])?, DType::U8))
    }

    fn saves(&self) -> Saves {
        if self.drops() { Saves::outputs(&[1]) } else { Saves::NONE }
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (key, threshold) = (self.key, threshold(self.p));
        let [y, mask] = y else { unreachable!("infer plans an output and a mask") };
        let mask = mask.get::<u8>();
        cx.fill_with(mask, |i| (key.bits(i as u64) as u64 >= threshold) as u8);
        if x[0].shape.numel() == 0 {
            return Ok(());
        }
        float_type!(self.name(), x[0].dtype, T => {
            scale::<T>(cx, self.p, x[0].get(), mask, y.get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let ((key, step), mask, channels) = (self.key.parts(), y[1].u8()?, y[1].numel());
        let grid = Launch::over(channels);
        kernels::dropout_mask(cx, grid, mask, channels as i64, threshold(self.p), key, step, cx.live_step())?;
        scale_cuda(cx, self.p, &x[0], &y[1], &y[0])
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let dx = match self.drops() {
            true => Gradient::of(Dropout2dGrad { p: self.p }, &[dy, &saved.output(1)])?,
            false => dy.clone(),
        };
        Ok(smallvec![Some(dx)])
    }
}

/// `dx` from `dy` and the mask.
#[derive(Debug)]
struct Dropout2dGrad {
    p: f64,
}

impl GradientOp for Dropout2dGrad {
    fn name(&self) -> &'static str {
        "dropout2d_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, one_float(self.name(), &x[..1])?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => {
            scale::<T>(cx, self.p, x[0].get(), x[1].get(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        scale_cuda(cx, self.p, &x[0], &x[1], &y[0])
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// Zeroes each channel of `[N, C, *]` with probability `p` and scales the others by `1 / (1 - p)`. `key` determines
    /// the mask: the same key drops the same channels. PyTorch: `F.dropout2d(training=True)`.
    ///
    /// # Errors
    /// `p` outside 0 to 1, or NaN; fewer than two dimensions; a dtype other than f32 and f64.
    pub fn dropout2d(&self, p: f64, key: Key) -> Result<Tensor> {
        Ok(one(apply(Dropout2d { p, key, training: true }, &[self])?))
    }
}

/// This op's row in the table of ops. The attribute `seed` replaces PyTorch's global generator.
pub static SPEC: OpSpec = OpSpec {
    name: "dropout2d",
    torch: "F.dropout2d(input, p=0.5, training=True)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["p", "training", "seed"],
    layer: None,
    build: |attrs| {
        Ok(Arc::new(Dropout2d {
            p: attrs.or("p", 0.5)?,
            key: Key::new(attrs.or("seed", 0)?),
            training: attrs.flag("training", true)?,
        }))
    },
    cases: || {
        vec![
            Case::new("plain", "p=0.3 seed=5").input("input", &[3, 5, 2, 7]),
            Case::new("evaluating", "training=false").input("input", &[2, 3, 2, 2]),
            Case::new("keep all", "p=0").input("input", &[2, 3, 2]).edge(),
            Case::new("drop all", "p=1").input("input", &[2, 3, 2, 2]).edge(),
            Case::new("no pixels", "").input("input", &[2, 3, 0, 2]).edge(),
            Case::new("empty", "").input("input", &[0, 3, 2, 2]).edge(),
            Case::new("feature maps", "").input("input", &[64, 64, 16, 16]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, ErrorKind};

    #[test]
    fn channels_go_whole_by_the_key_and_gradients_go_with_them() {
        let (key, p, dims) = (Key::new(3).child("drop"), 0.4, [50, 20, 3, 4]);
        let x = Tensor::full(&Device::cpu().unwrap(), 1.0, &dims, DType::F64).unwrap().requires_grad();
        let y = x.dropout2d(p, key).unwrap();
        y.backward_with(&x.detach()).unwrap();
        let values = y.to_vec::<f64>().unwrap();
        for (i, channel) in values.chunks(12).enumerate() {
            let want = if key.bits(i as u64) as f64 >= p * 4294967296.0 { 1.0 / (1.0 - p) } else { 0.0 };
            assert!(channel.iter().all(|&v| v == want), "channel {i}: {channel:?}");
        }
        assert_eq!(x.grad().unwrap().to_vec::<f64>().unwrap(), values);
        // The standard deviation of the share of kept channels is sqrt(p (1 - p) / 1000) = 0.015.
        let share = values.iter().filter(|&&v| v > 0.0).count() as f64 / values.len() as f64;
        assert!((share - (1.0 - p)).abs() < 0.06, "{share}");
    }

    #[test]
    fn what_has_no_channels_or_no_probability_is_refused() {
        let x = |dims: &[usize]| Tensor::zeros(&Device::meta(), dims, DType::F32).unwrap();
        assert_eq!(x(&[4]).dropout2d(0.5, Key::new(0)).unwrap_err().kind(), ErrorKind::Shape);
        assert_eq!(x(&[4, 2]).dropout2d(f64::NAN, Key::new(0)).unwrap_err().kind(), ErrorKind::Argument);
    }
}
