//! Loops of the 2-d poolings: every plane of every image for itself.

use super::CpuCtx;
use super::context::CHUNK;
use crate::core::{Float, Window};
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

/// The largest element of each window, and its flat position in the plane.
pub fn max<T: Float>(
    cx: &CpuCtx,
    planes: &Planes,
    window: &Window,
    x: &[T],
    y: &mut [T],
    indices: &mut [i64],
) {
    let (plane, per_task) = (planes.oh * planes.ow, planes.per_task());
    let halves = window.kernel == [2, 2] && window.stride == [2, 2];
    let whole = planes.oh * 2 <= planes.h && planes.ow * 2 <= planes.w;
    let simple = halves && whole && window.padding == [[0; 2]; 2] && window.dilation == [1, 1];
    cx.pieces2((y, per_task * plane), (indices, per_task * plane), x.len(), |task, y, indices| {
        let pairs = y.chunks_exact_mut(plane).zip(indices.chunks_exact_mut(plane));
        for (i, (y, indices)) in pairs.enumerate() {
            let x = &x[planes.input(task * per_task + i)];
            if simple {
                max_2x2(planes, x, y, indices);
            } else {
                max_any(planes, window, x, y, indices);
            }
        }
    });
}

/// Any window. NaN wins over every number, and a later NaN over an earlier one, as in PyTorch.
fn max_any<T: Float>(planes: &Planes, window: &Window, x: &[T], y: &mut [T], indices: &mut [i64]) {
    for (o, (y, index)) in y.iter_mut().zip(indices).enumerate() {
        let (i, j) = (o / planes.ow, o % planes.ow);
        let columns = window.taps(1, j, planes.w);
        (*y, *index) = (T::NEG_INFINITY, -1);
        for a in window.taps(0, i, planes.h) {
            let row = window.position(0, i, a) * planes.w;
            for b in columns.clone() {
                let at = row + window.position(1, j, b);
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
