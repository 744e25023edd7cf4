//! Loops of the 2-d poolings: every plane of every image for itself.

use super::CpuCtx;
use super::context::CHUNK;
use crate::core::{Float, Window};
use std::iter::StepBy;
use std::ops::Range;

/// The planes of a pooling: how many, and their sizes before and after.
#[derive(Debug, Clone, Copy)]
pub struct Planes {
    pub h: usize,
    pub w: usize,
    pub oh: usize,
    pub ow: usize,
}

impl Planes {
    /// From the shapes `[N, C, H, W]` of input and output.
    pub fn new([_, _, h, w]: [usize; 4], [_, _, oh, ow]: [usize; 4]) -> Self {
        Planes { h, w, oh, ow }
    }

    fn input(&self, plane: usize) -> Range<usize> {
        plane * self.h * self.w..(plane + 1) * self.h * self.w
    }

    fn output(&self, plane: usize) -> Range<usize> {
        plane * self.oh * self.ow..(plane + 1) * self.oh * self.ow
    }

    /// Planes that one task takes: enough that starting it costs little.
    fn per_task(&self) -> usize {
        (CHUNK / (self.h * self.w).max(1)).max(1)
    }

    /// Calls `f(range of a plane's outputs, its input gradients)` for every plane; `outputs` counts the elements of dy.
    pub fn scatter<T: Send>(
        &self,
        cx: &CpuCtx,
        outputs: usize,
        dx: &mut [T],
        f: impl Fn(Range<usize>, &mut [T]) + Sync + Send,
    ) {
        let (plane, planes) = (self.h * self.w, self.per_task());
        let work = dx.len().max(outputs);
        cx.pieces(dx, planes * plane, work, |task, dx| {
            for (i, dx) in dx.chunks_exact_mut(plane).enumerate() {
                f(self.output(task * planes + i), dx);
            }
        });
    }

    /// Calls `f(a plane's inputs, its outputs)` for every plane.
    pub fn gather<T: Sync, Y: Send>(
        &self,
        cx: &CpuCtx,
        x: &[T],
        y: &mut [Y],
        f: impl Fn(&[T], &mut [Y]) + Sync + Send,
    ) {
        let (plane, planes) = (self.oh * self.ow, self.per_task());
        cx.pieces(y, planes * plane, x.len(), |task, y| {
            for (i, y) in y.chunks_exact_mut(plane).enumerate() {
                f(&x[self.input(task * planes + i)], y);
            }
        });
    }
}

/// The mean of each window: `under(output)` tells the window's rows and columns, and what its sum is divided by.
pub fn average<T: Float>(
    cx: &CpuCtx,
    planes: &Planes,
    under: impl Fn(usize) -> ([Range<usize>; 2], f64) + Sync + Send,
    x: &[T],
    y: &mut [T],
) {
    planes.gather(cx, x, y, |x, y| {
        for (o, y) in y.iter_mut().enumerate() {
            let ([rows, columns], divisor) = under(o);
            let row = |p| &x[p * planes.w..][columns.clone()];
            let sum: T = rows.flat_map(row).copied().sum();
            *y = sum / T::from_f64(divisor);
        }
    });
}

/// The adjoint of [`average`]: every dy is shared out to its window.
pub fn share<T: Float>(
    cx: &CpuCtx,
    planes: &Planes,
    under: impl Fn(usize) -> ([Range<usize>; 2], f64) + Sync + Send,
    dy: &[T],
    dx: &mut [T],
) {
    planes.scatter(cx, dy.len(), dx, |out, dx| {
        dx.fill(T::ZERO);
        for (o, &dy) in dy[out].iter().enumerate() {
            let ([rows, columns], divisor) = under(o);
            let share = dy / T::from_f64(divisor);
            for p in rows {
                dx[p * planes.w..][columns.clone()].iter_mut().for_each(|dx| *dx += share);
            }
        }
    });
}

/// The largest element of each window, and its flat position in the plane.
pub fn max<T: Float>(
    cx: &CpuCtx,
    planes: &Planes,
    window: &Window,
    x: &[T],
    y: &mut [T],
    indices: &mut [i64],
) {
    let halves = window.kernel == [2, 2] && window.stride == [2, 2];
    let whole = planes.oh * 2 <= planes.h && planes.ow * 2 <= planes.w;
    if halves && whole && window.padding == [[0; 2]; 2] && window.dilation == [1, 1] {
        return winners(cx, planes, x, y, indices, max_2x2);
    }
    let size = [planes.h, planes.w];
    max_of(cx, planes, |axis, i| window.positions(axis, i, size[axis]), x, y, indices);
}

/// As [`max`] for any windows: `under(axis, i)` are the rows, or columns, of output row, or column, i.
pub fn max_of<T: Float>(
    cx: &CpuCtx,
    planes: &Planes,
    under: impl Fn(usize, usize) -> StepBy<Range<usize>> + Sync + Send,
    x: &[T],
    y: &mut [T],
    indices: &mut [i64],
) {
    winners(cx, planes, x, y, indices, |planes, x, y, indices| max_any(planes, &under, x, y, indices));
}

/// Calls `f(planes, a plane's inputs, its outputs, their indices)` for every plane.
fn winners<T: Float>(
    cx: &CpuCtx,
    planes: &Planes,
    x: &[T],
    y: &mut [T],
    indices: &mut [i64],
    f: impl Fn(&Planes, &[T], &mut [T], &mut [i64]) + Sync + Send,
) {
    let (plane, per_task) = (planes.oh * planes.ow, planes.per_task());
    cx.pieces2((y, per_task * plane), (indices, per_task * plane), x.len(), |task, y, indices| {
        let pairs = y.chunks_exact_mut(plane).zip(indices.chunks_exact_mut(plane));
        for (i, (y, indices)) in pairs.enumerate() {
            f(planes, &x[planes.input(task * per_task + i)], y, indices);
        }
    });
}

/// Any window. NaN wins over every number, and a later NaN over an earlier one, as in PyTorch.
fn max_any<T: Float>(
    planes: &Planes,
    under: impl Fn(usize, usize) -> StepBy<Range<usize>>,
    x: &[T],
    y: &mut [T],
    indices: &mut [i64],
) {
    for (o, (y, index)) in y.iter_mut().zip(indices).enumerate() {
        let columns = under(1, o % planes.ow);
        (*y, *index) = (T::NEG_INFINITY, -1);
        for row in under(0, o / planes.ow) {
            for at in columns.clone().map(|column| row * planes.w + column) {
                if x[at] > *y || x[at].is_nan() || *index < 0 {
                    (*y, *index) = (x[at], at as i64);
                }
            }
        }
    }
}

/// Four neighbours side by side, the commonest window: no border, no inner loops.
fn max_2x2<T: Float>(planes: &Planes, x: &[T], y: &mut [T], indices: &mut [i64]) {
    let rows = x.chunks_exact(2 * planes.w);
    let outputs = y.chunks_exact_mut(planes.ow).zip(indices.chunks_exact_mut(planes.ow));
    for (i, (x, (y, indices))) in rows.zip(outputs).enumerate() {
        let (upper, lower) = x.split_at(planes.w);
        let taps = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
        for (j, ((&[a, b], &[c, d]), (y, index))) in taps.zip(y.iter_mut().zip(indices)).enumerate() {
            let (mut best, mut at) = (a, 0);
            for (x, place) in [(b, 1), (c, planes.w), (d, planes.w + 1)] {
                if x > best || x.is_nan() {
                    (best, at) = (x, place);
                }
            }
            *y = best;
            *index = (2 * i * planes.w + 2 * j + at) as i64;
        }
    }
}
