//! Softmax and log-softmax along one dimension, with their gradients.
//!
//! A tensor is seen as `[outer, n, inner]`: the sizes before the dimension, of the dimension, and after it. If `inner`
//! is 1, each row is contiguous in memory. Otherwise (class maps: `[N, C, H W]`) a tile of neighbouring columns is
//! first copied to contiguous rows, so that one kernel serves both. A tile fits in the cache. Work is cut into whole
//! rows or planes, by size.

use super::CpuCtx;
use super::context::CHUNK;
use super::reduce::{max_of, sum_of};
use crate::core::Float;

/// The cost of one `exp` in additions. It decides whether a loop runs in parallel.
const EXP: usize = 8;
/// The most elements of a tile of columns.
const TILE: usize = 2048;

/// `y = exp(x - m) / sum exp(x - m)` with `m = max x`: the shift keeps `exp` from overflowing and cancels out.
pub fn softmax<T: Float>(cx: &CpuCtx, around: [usize; 3], x: &[T], y: &mut [T]) {
    #[inline(always)]
    fn row<T: Float>([x]: [&[T]; 1], y: &mut [T]) {
        let sum = shifted_exp(x, max_of(x), y);
        y.iter_mut().for_each(|y| *y /= sum);
    }
    rows(cx, around, [x], y, row);
}

/// `y = x - m - ln(sum exp(x - m))`: the logarithm of [`softmax`], with no probability that could round to 0.
pub fn log_softmax<T: Float>(cx: &CpuCtx, around: [usize; 3], x: &[T], y: &mut [T]) {
    #[inline(always)]
    fn row<T: Float>([x]: [&[T]; 1], y: &mut [T]) {
        let m = max_of(x);
        let log_sum = shifted_exp(x, m, y).ln();
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x - m - log_sum;
        }
    }
    rows(cx, around, [x], y, row);
}

/// `dx = y (dy - sum y dy)`.
pub fn softmax_grad<T: Float>(cx: &CpuCtx, around: [usize; 3], y: &[T], dy: &[T], dx: &mut [T]) {
    #[inline(always)]
    fn row<T: Float>([y, dy]: [&[T]; 2], dx: &mut [T]) {
        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = y * dy;
        }
        let dot = sum_of(dx);
        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = y * (dy - dot);
        }
    }
    rows(cx, around, [y, dy], dx, row);
}

/// `dx = dy - exp(y) sum dy`.
pub fn log_softmax_grad<T: Float>(cx: &CpuCtx, around: [usize; 3], y: &[T], dy: &[T], dx: &mut [T]) {
    #[inline(always)]
    fn row<T: Float>([y, dy]: [&[T]; 2], dx: &mut [T]) {
        let sum = sum_of(dy);
        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = dy - y.exp() * sum;
        }
    }
    rows(cx, around, [y, dy], dx, row);
}

/// Writes `y = exp(x - m)` and returns the sum of `y`.
#[inline(always)]
fn shifted_exp<T: Float>(x: &[T], m: T, y: &mut [T]) -> T {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = (x - m).exp();
    }
    sum_of(y)
}

/// Calls `kernel(rows of the inputs, row of y)` for every row along the dimension.
fn rows<T: Float, const K: usize>(
    cx: &CpuCtx,
    [_, n, inner]: [usize; 3],
    x: [&[T]; K],
    y: &mut [T],
    kernel: impl Fn([&[T]; K], &mut [T]) + Sync + Send,
) {
    let work = y.len() * EXP;
    if inner == 1 {
        let piece = (CHUNK / EXP / n.max(1)).max(1) * n;
        cx.pieces(y, piece, work, |p, y| {
            cx.vectors::<T, _>(
                #[inline(always)]
                || {
                    for (i, y) in y.chunks_mut(n).enumerate() {
                        let start = p * piece + i * n;
                        kernel(x.map(|x| &x[start..start + n]), y);
                    }
                },
            );
        });
    } else {
        let plane = n * inner;
        cx.pieces(y, plane, work, |p, y| {
            columns(cx, [n, inner], x.map(|x| &x[p * plane..][..plane]), y, &kernel)
        });
    }
}

/// One `[n, inner]` plane, one tile of columns after the other.
fn columns<T: Float, const K: usize>(
    cx: &CpuCtx,
    [n, inner]: [usize; 2],
    x: [&[T]; K],
    y: &mut [T],
    kernel: &impl Fn([&[T]; K], &mut [T]),
) {
    let width = (TILE / n).clamp(1, inner);
    let mut buffer = cx.scratch((K + 1) * width * n * size_of::<T>());
    let (tiles, out) = buffer.slice_mut::<T>().split_at_mut(K * width * n);
    for first in (0..inner).step_by(width) {
        let width = width.min(inner - first);
        for (x, tile) in x.iter().zip(tiles.chunks_mut(width * n)) {
            for i in 0..n {
                for (j, &v) in x[i * inner + first..][..width].iter().enumerate() {
                    tile[j * n + i] = v;
                }
            }
        }
        cx.vectors::<T, _>(
            #[inline(always)]
            || {
                for (j, out) in out[..width * n].chunks_mut(n).enumerate() {
                    kernel(std::array::from_fn(|k| &tiles[(k * width + j) * n..][..n]), out);
                }
            },
        );
        for i in 0..n {
            for (j, y) in y[i * inner + first..][..width].iter_mut().enumerate() {
                *y = out[j * n + i];
            }
        }
    }
}
