//! Loops of 2-d pooling. Every plane of every image is computed by itself.

mod max;

pub use max::{TapIndex, adaptive_max, adaptive_max_grad, max, max_grad, places, wins};

use super::CpuCtx;
use super::context::CHUNK;
use super::reduce::sum_of;
use crate::core::Float;
use std::ops::Range;

/// The sizes of a pooling's planes: height and width of the input (`h`, `w`) and of the output (`oh`, `ow`).
#[derive(Debug, Clone, Copy)]
pub struct Planes {
    pub h: usize,
    pub w: usize,
    pub oh: usize,
    pub ow: usize,
}

impl Planes {
    /// Takes the sizes from the shapes `[N, C, H, W]` of input and output.
    pub fn new([_, _, h, w]: [usize; 4], [_, _, oh, ow]: [usize; 4]) -> Self {
        Planes { h, w, oh, ow }
    }

    fn input(&self, plane: usize) -> Range<usize> {
        plane * self.h * self.w..(plane + 1) * self.h * self.w
    }

    fn output(&self, plane: usize) -> Range<usize> {
        plane * self.oh * self.ow..(plane + 1) * self.oh * self.ow
    }

    /// The number of planes per task: enough that starting the task costs little.
    fn per_task(&self) -> usize {
        (CHUNK / (self.h * self.w).max(1)).max(1)
    }

    /// Calls `f(range of a plane's outputs, its input gradients)` for every plane. `outputs` is the number of elements
    /// of dy.
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

/// The mean of each window. `under(output)` gives the window's rows and columns, and the divisor of its sum.
pub fn average<T: Float>(
    cx: &CpuCtx,
    planes: &Planes,
    under: impl Fn(usize) -> ([Range<usize>; 2], f64) + Sync + Send,
    x: &[T],
    y: &mut [T],
) {
    planes.gather(cx, x, y, |x, y| {
        cx.vectors::<T, _>(
            #[inline(always)]
            || {
                for (o, y) in y.iter_mut().enumerate() {
                    let ([rows, columns], divisor) = under(o);
                    let sum = match columns.len() == planes.w {
                        true => sum_of(&x[rows.start * planes.w..rows.end.max(rows.start) * planes.w]),
                        false => {
                            // An iterator's sum also starts at -0.0.
                            let mut sum = T::from_f64(-0.0);
                            for p in rows {
                                let row = &x[p * planes.w..][columns.clone()];
                                for i in 0..row.len() {
                                    sum += row[i];
                                }
                            }
                            sum
                        }
                    };
                    *y = sum / T::from_f64(divisor);
                }
            },
        );
    });
}

/// The adjoint of [`average`]: every dy is divided equally among the elements of its window.
pub fn share<T: Float>(
    cx: &CpuCtx,
    planes: &Planes,
    under: impl Fn(usize) -> ([Range<usize>; 2], f64) + Sync + Send,
    dy: &[T],
    dx: &mut [T],
) {
    planes.scatter(cx, dy.len(), dx, |out, dx| {
        cx.vectors::<T, _>(
            #[inline(always)]
            || {
                dx.fill(T::ZERO);
                for (o, &dy) in dy[out].iter().enumerate() {
                    let ([rows, columns], divisor) = under(o);
                    let share = dy / T::from_f64(divisor);
                    for p in rows {
                        dx[p * planes.w..][columns.clone()].iter_mut().for_each(|dx| *dx += share);
                    }
                }
            },
        );
    });
}
