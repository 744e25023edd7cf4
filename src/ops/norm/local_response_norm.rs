//! Local response normalisation: divides each value by a power of the energy (the sum of squares) of neighbouring
//! channels.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! s_c &= k + a \sum_{i \in \mathrm{window}(c)} x_i^2 \qquad a = \alpha / \mathrm{size} \\
//! y_c &= x_c \, s_c^{-\beta} \\
//! \mathrm{dx}_i &= \mathrm{dy}_i \, s_i^{-\beta} - 2 a \beta \, x_i \sum_{\mathrm{window}(c) \ni i} u_c
//!   \qquad u = \mathrm{dy} \, x \, s^{-\beta - 1} \\
//! \mathrm{window}(c) &=
//!   \bigl\{ c - \lfloor \mathrm{size} / 2 \rfloor, \ldots, c + \lfloor (\mathrm{size} - 1) / 2 \rfloor \bigr\}
//! \end{aligned}
//! ```
//!
//! These formulas hold at each pixel; c and i are channels. k, alpha, beta and size are attributes. Channels beyond the
//! first and the last count as 0; the divisor `size` stays the same. The first term of the gradient comes from the
//! numerator, the second from the denominator: `x[i]` is in the windows of channels `i - (size-1)/2 .. i + size/2`. A
//! strong response reduces its neighbours, as in the visual cortex. PyTorch: `F.local_response_norm`. Krizhevsky,
//! Sutskever, Hinton 2012 (AlexNet).
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, *]` | rank 3 and up |
//! | output | as input | |
//! | energy | as input | s; hidden from callers, kept for backward |
//!
//! ```
//! use receptive::ops::local_response_norm::LocalResponseNormOptions;
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 2.0, 4.0], &[1, 3, 1])?;
//! // Two channels a window, the one before and the channel itself: s = 1 + (0 + 1), 1 + (1 + 4), 1 + (4 + 16).
//! let settings = LocalResponseNormOptions { alpha: 2.0, beta: 1.0, ..LocalResponseNormOptions::new(2) };
//! assert_eq!(x.local_response_norm(settings)?.to_vec::<f32>()?, [1.0 / 2.0, 2.0 / 6.0, 4.0 / 21.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use crate::core::{Element, Error, Float, Result, Shape};
use crate::cpu::context::CHUNK;
use crate::cpu::{CpuCtx, Pieces, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::images::batch_of_channels;
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::ops::Range;
use std::sync::Arc;

/// The settings of `F.local_response_norm`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalResponseNormOptions {
    /// Number of channels in a window.
    pub size: usize,
    pub alpha: f64,
    pub beta: f64,
    pub k: f64,
}

impl LocalResponseNormOptions {
    /// PyTorch's defaults: alpha 1e-4, beta 0.75, k 1.
    pub fn new(size: usize) -> LocalResponseNormOptions {
        LocalResponseNormOptions { size, alpha: 1e-4, beta: 0.75, k: 1.0 }
    }

    fn a(&self) -> f64 {
        self.alpha / self.size as f64
    }

    /// Arguments for the GPU kernels: channels, pixels per channel, channels per window, and all elements.
    fn sizes(&self, input: &Shape) -> Result<[i64; 4]> {
        let [_, channels, len] = batch_of_channels(NAME, input)?;
        Ok([channels, len, self.size.min(2 * channels), input.numel()].map(|size| size as i64))
    }
}

const NAME: &str = "local_response_norm";

/// Elements per task, a whole number of planes.
fn plane_pieces(len: usize) -> usize {
    (CHUNK / len.max(1)).max(1) * len
}

/// The channels `c - before .. c + after` that exist.
fn window(c: usize, before: usize, after: usize, channels: usize) -> Range<usize> {
    c.saturating_sub(before)..(c.saturating_add(after).saturating_add(1)).min(channels)
}

/// Calls `f(y, x)` for each pixel y of output plane `p` and the same pixel x of each plane in its window.
fn windows<T: Float>(
    [channels, len]: [usize; 2],
    [before, after]: [usize; 2],
    p: usize,
    x: &[T],
    y: &mut [T],
    f: impl Fn(&mut T, T),
) {
    let (n, c) = (p / channels, p % channels);
    for j in window(c, before, after, channels) {
        let x = &x[(n * channels + j) * len..][..len];
        y.iter_mut().zip(x).for_each(|(y, &x)| f(y, x));
    }
}

/// `y = y s^-beta`. Beta is nearly always 3/4; square roots then replace the power.
fn divide<T: Float>(cx: &CpuCtx, y: &mut [T], s: &[T], beta: f64) {
    if beta == 0.75 {
        return cx.vectors::<T, _>(
            #[inline(always)]
            || y.iter_mut().zip(s).for_each(|(y, &s)| *y /= s.sqrt() * s.sqrt().sqrt()),
        );
    }
    let power = T::from_f64(-beta);
    y.iter_mut().zip(s).for_each(|(y, &s)| *y *= s.powf(power));
}

impl Op for LocalResponseNormOptions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let (shape, dtype) = (x[0].shape, one_float(NAME, x)?);
        if shape.rank() < 3 {
            return Err(Error::shape(NAME, format!("input has {} dimensions", shape.rank()))
                .with("input", shape)
                .expected("[N, C, ...], three dimensions or more"));
        }
        if self.size == 0 {
            return Err(Error::argument(NAME, "size is 0").expected("a size of 1 or more"));
        }
        Ok(Plan::new(shape, dtype).hidden(shape, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0]).and_outputs(&[1])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let [_, channels, len] = batch_of_channels(NAME, &x[0].shape)?;
        let [y, energy] = y else { unreachable!("infer plans two outputs") };
        float_type!(NAME, x[0].dtype, T => {
            let (x, k, a) = (x[0].get::<T>(), T::from_f64(self.k), T::from_f64(self.a()));
            let (piece, reach) = (plane_pieces(len), [self.size / 2, (self.size - 1) / 2]);
            let (y, energy) = (Pieces::new(y.get::<T>(), piece), Pieces::new(energy.get::<T>(), piece));
            cx.pieces2(y, energy, 8 * x.len(), |i, y, s| {
                for (p, (y, s)) in (i * piece / len..).zip(y.chunks_mut(len).zip(s.chunks_mut(len))) {
                    s.fill(T::ZERO);
                    windows([channels, len], reach, p, x, s, |s, x| *s += x * x);
                    s.iter_mut().for_each(|s| *s = k + a * *s);
                    y.copy_from_slice(&x[p * len..][..len]);
                    divide(cx, y, s, self.beta);
                }
            });
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (launch, [channels, len, size, n]) = (Launch::over(x[0].numel()), self.sizes(&x[0].shape)?);
        let (input, output, energy) = (x[0].f32()?, y[0].f32()?, y[1].f32()?);
        let [k, a, beta] = [self.k, self.a(), self.beta].map(|v| v as f32);
        kernels::lrn_fwd_f32(cx, launch, input, output, energy, channels, len, size, k, a, beta, n)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let grad = LocalResponseNormGrad(*self);
        Ok(smallvec![Some(Gradient::of(grad, &[dy, &saved.input(0), &saved.output(1)])?)])
    }

    /// A multiply-add per channel of the window, the factors, and one operation for the power.
    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        (2 * self.size as u64 + 4).saturating_mul(x[0].numel() as u64)
    }

    /// A window covers channels. In the image an output depends only on its own pixel.
    fn dependence(&self, _x: &[Meta]) -> Dependence {
        Dependence::Pointwise
    }
}

/// `dx` from `(dy, input, energy)`.
#[derive(Debug)]
struct LocalResponseNormGrad(LocalResponseNormOptions);

impl GradientOp for LocalResponseNormGrad {
    fn name(&self) -> &'static str {
        "local_response_norm_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, one_float(self.name(), x)?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let [_, channels, len] = batch_of_channels(self.name(), &x[0].shape)?;
        let LocalResponseNormOptions { size, beta, .. } = self.0;
        float_type!(self.name(), x[0].dtype, T => {
            let (dy, x, s, dx) = (x[0].get::<T>(), x[1].get::<T>(), x[2].get::<T>(), y[0].get::<T>());
            let factor = T::from_f64(-2.0 * self.0.a() * beta);
            let mut t = cx.scratch(size_of_val(x));
            let t = t.slice_mut::<T>();
            cx.pieces2(Pieces::new(dx, CHUNK), Pieces::new(t, CHUNK), 8 * x.len(), |i, dx, t| {
                let (x, s) = (&x[i * CHUNK..], &s[i * CHUNK..]);
                dx.copy_from_slice(&dy[i * CHUNK..][..dx.len()]);
                divide(cx, dx, s, beta);
                t.iter_mut().zip(&*dx).zip(x).zip(s).for_each(|(((t, &dx), &x), &s)| *t = dx / s * x);
            });
            let (piece, reach) = (plane_pieces(len), [(size - 1) / 2, size / 2]);
            cx.pieces(dx, piece, 2 * x.len(), |i, dx| {
                for (p, dx) in (i * piece / len..).zip(dx.chunks_mut(len)) {
                    let mut sum = cx.scratch(size_of_val(dx));
                    let sum = sum.slice_mut::<T>();
                    sum.fill(T::ZERO);
                    windows([channels, len], reach, p, t, sum, |sum, t| *sum += t);
                    for ((dx, &x), &sum) in dx.iter_mut().zip(&x[p * len..]).zip(&*sum) {
                        *dx += factor * x * sum;
                    }
                }
            });
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (launch, [channels, len, size, n]) = (Launch::over(x[0].numel()), self.0.sizes(&x[0].shape)?);
        let (dy, input, energy, dx) = (x[0].f32()?, x[1].f32()?, x[2].f32()?, y[0].f32()?);
        let (beta, factor) = (self.0.beta as f32, (-2.0 * self.0.a() * self.0.beta) as f32);
        let t = cx.scratch::<f32>(x[0].numel())?;
        kernels::lrn_slope_f32(cx, launch, dy, input, energy, dx, t.ptr(), beta, n)?;
        kernels::lrn_bwd_f32(cx, launch, input, t.ptr(), dx, channels, len, size, factor, n)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// Divides each value of `[N, C, *]` by a power of the energy of the neighbouring channels. PyTorch:
    /// `F.local_response_norm`.
    ///
    /// # Errors
    /// Fewer than three dimensions; a window of size 0.
    pub fn local_response_norm(&self, settings: LocalResponseNormOptions) -> Result<Tensor> {
        Ok(one(apply(settings, &[self])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: NAME,
    torch: "F.local_response_norm(input, size, alpha=0.0001, beta=0.75, k=1.0)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["size", "alpha", "beta", "k"],
    layer: None,
    build: |attrs| {
        let default = LocalResponseNormOptions::new(attrs.need("size")?);
        Ok(Arc::new(LocalResponseNormOptions {
            alpha: attrs.or("alpha", default.alpha)?,
            beta: attrs.or("beta", default.beta)?,
            k: attrs.or("k", default.k)?,
            ..default
        }))
    },
    cases,
};

fn cases() -> Vec<Case> {
    let case = |label, attrs, input: &[usize]| Case::new(label, attrs).input("input", input);
    vec![
        case("defaults", "size=5", &[2, 7, 2, 3]),
        case("strong", "size=3 alpha=2 beta=0.5 k=2", &[2, 5, 3]),
        case("even window", "size=4 alpha=1", &[2, 6, 2, 2]),
        case("volumes", "size=2 alpha=0.5 beta=2", &[2, 3, 2, 2, 2]),
        case("window of one", "size=1 alpha=1", &[1, 3, 4]).edge(),
        case("wider than the channels", "size=9 alpha=3", &[2, 3, 2]).edge(),
        case("empty batch", "size=3", &[0, 4, 2, 2]).edge(),
        case("alexnet", "size=5", &[32, 64, 27, 27]).bench(),
    ]
}
