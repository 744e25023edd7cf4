//! Dropout: in training, each element is zeroed with probability p, and the others are scaled up to compensate.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= x \, m / (1 - p) \\
//! \mathrm{dx} &= \mathrm{dy} \, m / (1 - p) \\
//! m &= [\mathrm{bits} \ge 2^{32} p] \qquad \text{bits uniform in } 0 \ldots 2^{32} - 1
//! \end{aligned}
//! ```
//!
//! The factor keeps the mean: `E[y] = x`. The 32 bits of element i are computed from the [`Key`] and i (Philox), and
//! compared as integers. So the mask is the same on every device and with any number of threads, and a resumed run gets
//! the same mask. The mask is stored for backward, one byte per element, because drawing it twice would cost more. With
//! p = 0, or outside training, the output is the input. Srivastava et al. 2014; PyTorch: `F.dropout`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any | |
//! | output | as input | |
//! | mask | as input, u8 | 1 where kept; hidden from callers, kept for backward |
//!
//! ```
//! use receptive::{Device, Key, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32; 6], &[6])?;
//! assert!(x.dropout(0.5, Key::new(1))?.to_vec::<f32>()?.iter().all(|&y| y == 0.0 || y == 2.0));
//! assert_eq!(x.dropout(1.0, Key::new(1))?.to_vec::<f32>()?, [0.0; 6]);
//! # Ok::<(), receptive::Error>(())
//! ```

use crate::core::{DType, Element, Error, Float, Key, Result, Shape};
use crate::cpu::context::CHUNK;
use crate::cpu::{CpuCtx, Pieces, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, kernels};
use crate::float_type;
use crate::ops::elementwise::cuda::over_quads;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// Zeroes each element with probability `p`, while `training`.
#[derive(Debug)]
pub struct Dropout {
    /// The probability of being zeroed, 0 to 1.
    pub p: f64,
    /// Determines the mask.
    pub key: Key,
    /// If false, nothing is dropped.
    pub training: bool,
}

impl Dropout {
    fn drops(&self) -> bool {
        self.training && self.p > 0.0
    }
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let (shape, dtype) = (x[0].shape, one_float(self.name(), x)?);
        check_probability(self.name(), self.p, &shape)?;
        let dropped = || Plan::new(shape, dtype).hidden(shape, DType::U8);
        Ok(if self.drops() { dropped() } else { Plan::view(shape, dtype, 0) })
    }

    fn saves(&self) -> Saves {
        if self.drops() { Saves::outputs(&[1]) } else { Saves::NONE }
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (key, threshold) = (self.key, threshold(self.p));
        let [y, mask] = y else { unreachable!("infer plans an output and a mask") };
        float_type!(self.name(), x[0].dtype, T => {
            let (x, y, mask) = (x[0].get::<T>(), y.get::<T>(), mask.get::<u8>());
            let (work, scale) = (x.len(), T::from_f64(1.0 / (1.0 - self.p)));
            cx.pieces2(Pieces::new(y, CHUNK), Pieces::new(mask, CHUNK), work, |piece, y, mask| {
                draw(cx, key, (piece * CHUNK / 4) as u64, threshold, mask);
                cx.vectors::<T, _>(
                    #[inline(always)]
                    || {
                        for ((y, &x), &m) in y.iter_mut().zip(&x[piece * CHUNK..]).zip(&*mask) {
                            *y = kept(x, m, scale);
                        }
                    },
                );
            });
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let ((key, step), n) = (self.key.parts(), x[0].numel());
        let (threshold, scale) = (threshold(self.p), (1.0 / (1.0 - self.p)) as f32);
        let ([x, y], mask, live) = ([x[0].f32()?, y[0].f32()?], y[1].u8()?, cx.live_step());
        kernels::dropout_fwd_f32(cx, over_quads(n), x, y, mask, n as i64, threshold, scale, key, step, live)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let dx = match self.drops() {
            true => Gradient::of(DropoutGrad { p: self.p }, &[dy, &saved.output(1)])?,
            false => dy.clone(),
        };
        Ok(smallvec![Some(dx)])
    }
}

/// # Errors
/// `p` outside 0 to 1, or NaN.
pub(super) fn check_probability(op: &str, p: f64, input: &Shape) -> Result<()> {
    if (0.0..=1.0).contains(&p) {
        return Ok(());
    }
    Err(Error::argument(op, format!("p = {p} is not a probability"))
        .with("input", input)
        .expected("p from 0 to 1"))
}

/// An element is dropped if its 32 random bits are below this threshold.
pub(super) fn threshold(p: f64) -> u64 {
    (p * (1u64 << 32) as f64).round() as u64
}

/// Draws the mask of the elements from `4 * block` on: 1 if the key's bits are at least the threshold.
fn draw(cx: &CpuCtx, key: Key, block: u64, threshold: u64, mask: &mut [u8]) {
    /// Number of blocks drawn at once; they fill one vector register of the widest kind.
    const LANES: usize = 16;
    // The comparison uses 32 bits. A threshold of 2^32 does not fit; no bits reach it, so `none` handles it.
    let (least, none) = (threshold as u32, threshold > u32::MAX as u64);
    cx.vectors::<u8, _>(
        #[inline(always)]
        || {
            for (block, mask) in (block..).step_by(LANES).zip(mask.chunks_mut(4 * LANES)) {
                // One word per block holds the mask bytes of its four elements.
                let mut words = [0u32; LANES];
                for (k, bits) in key.blocks::<LANES>(block).iter().enumerate() {
                    for (word, &bits) in words.iter_mut().zip(bits) {
                        *word |= ((bits >= least && !none) as u32) << (8 * k);
                    }
                }
                mask.copy_from_slice(&words.map(u32::to_le_bytes).as_flattened()[..mask.len()]);
            }
        },
    );
}

/// Selects instead of multiplying by the mask: with p = 1 the scale is infinite, and 0 times infinity is NaN. Has no
/// branch, because the processor could not predict a random one.
#[inline(always)]
pub(super) fn kept<T: Float>(x: T, mask: u8, scale: T) -> T {
    std::hint::select_unpredictable(mask == 0, T::ZERO, x * scale)
}

/// `dx` from `dy` and the mask.
#[derive(Debug)]
struct DropoutGrad {
    p: f64,
}

impl GradientOp for DropoutGrad {
    fn name(&self) -> &'static str {
        "dropout_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, one_float(self.name(), &x[..1])?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => {
            let scale = T::from_f64(1.0 / (1.0 - self.p));
            cx.zip(
                x[0].get::<T>(),
                x[1].get::<u8>(),
                y[0].get::<T>(),
                #[inline(always)]
                |dy, m| kept(dy, m, scale),
            );
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (n, scale) = (x[0].numel(), (1.0 / (1.0 - self.p)) as f32);
        kernels::dropout_bwd_f32(cx, over_quads(n), x[0].f32()?, x[1].u8()?, y[0].f32()?, scale, n as i64)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// Zeroes each element with probability `p` and scales the others by `1 / (1 - p)`. Any shape. `key` determines the
    /// mask: the same key drops the same elements. PyTorch: `F.dropout(training=True)`.
    ///
    /// # Errors
    /// `p` outside 0 to 1, or NaN; a dtype other than f32 and f64.
    pub fn dropout(&self, p: f64, key: Key) -> Result<Tensor> {
        Ok(one(apply(Dropout { p, key, training: true }, &[self])?))
    }
}

/// This op's row in the table of ops. The attribute `seed` replaces PyTorch's global generator.
pub static SPEC: OpSpec = OpSpec {
    name: "dropout",
    torch: "F.dropout(input, p=0.5, training=True)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["p", "training", "seed"],
    layer: None,
    build: |attrs| {
        Ok(Arc::new(Dropout {
            p: attrs.or("p", 0.5)?,
            key: Key::new(attrs.or("seed", 0)?),
            training: attrs.flag("training", true)?,
        }))
    },
    cases: || {
        vec![
            Case::new("plain", "p=0.3 seed=5").input("input", &[3, 5, 7]),
            Case::new("evaluating", "training=false").input("input", &[2, 7]),
            Case::new("keep all", "p=0").input("input", &[2, 7]).edge(),
            Case::new("drop all", "p=1").input("input", &[2, 7]).edge(),
            Case::new("scalar", "seed=2").input("input", &[]).edge(),
            Case::new("empty", "").input("input", &[0, 3]).edge(),
            Case::new("fully connected", "").input("input", &[128, 4096]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuOptions;
    use crate::{Device, ErrorKind};

    fn ones(threads: usize, n: usize) -> Tensor {
        let cpu = Device::cpu_with(&CpuOptions::with_threads(threads)).unwrap();
        Tensor::full(&cpu, 1.0, &[n], DType::F32).unwrap().requires_grad()
    }

    /// If the mask depended on the number of threads, results would differ between machines. The length includes a
    /// partial last chunk.
    #[test]
    fn the_mask_is_the_key_s_on_any_number_of_threads() {
        let (n, p, key) = (3 * CHUNK + 7, 0.3, Key::new(9).child("dropout").step(2));
        let expected: Vec<bool> = (0..n as u64).map(|i| key.bits(i) as f64 >= p * 4294967296.0).collect();
        for threads in [1, 2] {
            let y = ones(threads, n).dropout(p, key).unwrap().to_vec::<f32>().unwrap();
            assert!(y.iter().map(|&y| y != 0.0).eq(expected.iter().copied()), "{threads} threads");
        }
    }

    #[test]
    fn the_mean_is_kept_and_the_gradient_has_the_same_mask() {
        let x = ones(2, 100_000);
        let y = x.dropout(0.8, Key::new(4)).unwrap();
        let sum = y.sum_to_size(&[]).unwrap();
        // The standard deviation of the mean is sqrt(p / (1 - p) / n) = 0.006.
        assert!((sum.item().unwrap() / 1e5 - 1.0).abs() < 0.02);
        sum.backward().unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), y.to_vec::<f32>().unwrap());
    }

    /// With p = 1 the scale is infinite, and infinity times 0 is NaN.
    #[test]
    fn dropping_all_gives_zeros_both_ways() {
        let x = ones(1, 5);
        let y = x.dropout(1.0, Key::new(0)).unwrap();
        y.sum_to_size(&[]).unwrap().backward().unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap(), [0.0; 5]);
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), [0.0; 5]);
    }

    #[test]
    fn a_p_that_is_no_probability_is_refused() {
        for p in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(ones(1, 2).dropout(p, Key::new(0)).unwrap_err().kind(), ErrorKind::Argument, "{p}");
        }
    }
}
