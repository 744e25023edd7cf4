//! Two-dimensional convolution on the CPU: the rungs of [`ladder`].
//!
//! Compared with lesson 0, whose loop is the first rung: faster rungs do the same sums in an order that reuses what is
//! in registers and caches.
//!
//! Each rung has the three loops of a training step. Tap k of output row i reads the row
//! `p = i * stride - padding + k * dilation`, and likewise for columns `q`. For every group:
//!
//! | loop | computes |
//! |---|---|
//! | forward | `y[n,o,i,j] = b[o] + sum over c,kh,kw of x[n,c,p,q] w[o,c,kh,kw]` |
//! | grad_input | `dx[n,c,p,q] = sum over o,kh,kw of dy[n,o,i,j] w[o,c,kh,kw]` |
//! | grad_weight | `dw[o,c,kh,kw] = sum over n,i,j of dy[n,o,i,j] x[n,c,p,q]` |
//!
//! where x is 0 outside the image, and dy has no terms outside the outputs.

mod cost_model;
mod direct;
mod im2col;
mod implicit;
pub mod ladder;
mod non_finite;
mod unfold;
mod winograd;

use super::CpuCtx;
use super::context::CHUNK;
use super::gemm::GemmFloat;
use crate::core::Float;
pub use crate::core::{ConvShape, Loop};
pub use cost_model::cheapest;
use ladder::ConvVersion;

/// What is applied to each sum before it is written.
#[derive(Debug, Clone, Copy)]
pub struct Finish<'a, T> {
    /// A number added to each channel.
    pub bias: Option<&'a [T]>,
    /// True if negative outputs become 0.
    pub relu: bool,
}

impl<T: Float> Finish<'_, T> {
    /// No bias and no rectifier.
    pub const NONE: Self = Finish { bias: None, relu: false };

    /// Rectifies a plane of finished sums, if `relu` is set.
    fn rectify(&self, y: &mut [T]) {
        if self.relu {
            y.iter_mut().for_each(|y| *y = if *y <= T::ZERO { T::ZERO } else { *y });
        }
    }
}

/// The inputs from which the gradient of the input is computed.
#[derive(Debug, Clone, Copy)]
pub struct GradInput<'a, T> {
    pub dy: &'a [T],
    pub weight: &'a [T],
    /// One number per channel, at which the channel's sums start.
    pub bias: Option<&'a [T]>,
}

/// `y` from `(x, weight)`.
pub type ForwardFn<T> = fn(&CpuCtx, &ConvShape, &[T], &[T], Finish<T>, &mut [T]);
/// `dx` from `(dy, weight)`. As `dx` is the output of a transposed convolution, it may get a bias per channel.
pub type GradInputFn<T> = fn(&CpuCtx, &ConvShape, GradInput<T>, &mut [T]);
/// `dw` from `(dy, x)`.
pub type GradWeightFn<T> = fn(&CpuCtx, &ConvShape, &[T], &[T], &mut [T]);

/// One rung's loops for one element type.
#[derive(Debug, Clone, Copy)]
pub struct ConvFns<T> {
    pub forward: ForwardFn<T>,
    pub grad_input: GradInputFn<T>,
    pub grad_weight: GradWeightFn<T>,
}

/// Adds the partial sums, from the first to the last.
fn add_in_order<T: Float>(cx: &CpuCtx, partials: &[T], dw: &mut [T]) {
    let size = dw.len();
    cx.pieces(dw, CHUNK, partials.len(), |piece, dw| {
        dw.fill(T::ZERO);
        for partial in partials.chunks_exact(size) {
            dw.iter_mut().zip(&partial[piece * CHUNK..]).for_each(|(d, &p)| *d += p);
        }
    });
}

/// Picks a version's loops for an element type, so that generic code can call them.
pub trait ConvFloat: GemmFloat {
    /// The loops for `Self`.
    fn loops(version: &ConvVersion) -> &ConvFns<Self>;
}

impl ConvFloat for f32 {
    fn loops(version: &ConvVersion) -> &ConvFns<f32> {
        &version.f32
    }
}

impl ConvFloat for f64 {
    fn loops(version: &ConvVersion) -> &ConvFns<f64> {
        &version.f64
    }
}
