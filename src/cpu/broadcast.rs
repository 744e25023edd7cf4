//! Broadcasting in both directions: operands are stretched to the output's shape, and gradients are summed over the
//! stretched dimensions.
//!
//! Most broadcasts reduce to one, two or three dimensions. Dimensions of size 1 are dropped. Neighbouring dimensions
//! merge into one if every operand either steps in both or is stretched in both:
//!
//! ```text
//! same shape      [8, 3, 5, 5] with [8, 3, 5, 5]      ->  one run of 600, both step
//! a number        [8, 3, 5, 5] with []                ->  one run of 600, b stands still
//! bias of linear  [64, 120]    with [120]             ->  64 runs of 120, both step
//! bias of conv    [8, 3, 5, 5] with [3, 1, 1]         ->  24 runs of 25, b stands still in each
//! ```
//!
//! A counter of indices then runs over the outer dimensions, and a plain slice loop, which the compiler vectorises,
//! over the innermost one.

use super::context::CHUNK;
use super::reduce::{self, ReduceDim};
use super::{CpuCtx, View, ViewMut};
use crate::core::shape::MAX_RANK;
use crate::core::{Element, Float, Shape};
use smallvec::SmallVec;
use std::ops::Range;

/// Merged dimensions, outermost first, with the stride of each of `K` operands. Never empty.
pub(crate) struct BroadcastLayout<const K: usize>(SmallVec<[(usize, [usize; K]); MAX_RANK]>);

impl<const K: usize> BroadcastLayout<K> {
    /// The merged dimensions of `output`. An operand that is stretched along a dimension has stride 0 there.
    pub(crate) fn new(output: &Shape, operands: [&Shape; K]) -> Self {
        let mut merged: SmallVec<[(usize, [bool; K]); MAX_RANK]> = SmallVec::new();
        for (d, &size) in output.dims().iter().enumerate().filter(|(_, size)| **size != 1) {
            let steps = operands.map(|shape| {
                let missing = output.rank() - shape.rank();
                d >= missing && shape.dims()[d - missing] != 1
            });
            match merged.last_mut() {
                Some((inner, same)) if *same == steps => *inner *= size,
                _ => merged.push((size, steps)),
            }
        }
        let mut strides = [1; K];
        let mut dims: SmallVec<_> = SmallVec::new();
        for &(size, steps) in merged.iter().rev() {
            dims.push((size, std::array::from_fn(|k| if steps[k] { strides[k] } else { 0 })));
            (0..K).filter(|&k| steps[k]).for_each(|k| strides[k] *= size);
        }
        dims.reverse();
        if dims.is_empty() {
            dims.push((1, [0; K]));
        }
        BroadcastLayout(dims)
    }

    /// Size and strides of each dimension, outermost first.
    pub(crate) fn dims(&self) -> &[(usize, [usize; K])] {
        &self.0
    }

    /// The innermost dimension's strides.
    fn inner(&self) -> [usize; K] {
        self.0[self.0.len() - 1].1
    }

    /// Cuts the elements `start .. start + len` into runs along the innermost dimension. Calls `f` with each run's
    /// range, counted from `start`, and the position of every operand at the run's beginning.
    #[inline(always)]
    fn runs(&self, start: usize, len: usize, mut f: impl FnMut(Range<usize>, [usize; K])) {
        let (&(inner, step), outer) = self.0.split_last().expect("a layout is never empty");
        if len == 0 {
            return;
        }
        let (mut index, mut at) = ([0; MAX_RANK], [0; K]);
        let (mut column, mut rest) = (start % inner, start / inner);
        for (d, (size, strides)) in outer.iter().enumerate().rev() {
            index[d] = rest % size;
            rest /= size;
            (0..K).for_each(|k| at[k] += index[d] * strides[k]);
        }
        let mut done = 0;
        loop {
            let run = (inner - column).min(len - done);
            let mut begin = at;
            for k in 0..K {
                begin[k] += column * step[k];
            }
            f(done..done + run, begin);
            done += run;
            if done == len {
                return;
            }
            column = 0;
            for (d, (size, strides)) in outer.iter().enumerate().rev() {
                index[d] += 1;
                (0..K).for_each(|k| at[k] += strides[k]);
                if index[d] < *size {
                    break;
                }
                index[d] = 0;
                (0..K).for_each(|k| at[k] -= size * strides[k]);
            }
        }
    }
}

/// `y = f(a, b)` element by element, `a` and `b` stretched to the shape of `y`.
pub fn zip<T: Element>(cx: &CpuCtx, a: View, b: View, y: &mut ViewMut, f: impl Fn(T, T) -> T + Sync + Send) {
    let layout = BroadcastLayout::new(&y.shape, [&a.shape, &b.shape]);
    let steps = layout.inner().map(|stride| stride != 0);
    let (a, b, y) = (a.get::<T>(), b.get::<T>(), y.get::<T>());
    let work = y.len();
    cx.pieces(y, CHUNK, work, |piece, y| {
        layout.runs(piece * CHUNK, y.len(), |run, [i, j]| {
            let y = &mut y[run];
            let n = y.len();
            match steps {
                [true, true] => {
                    let (a, b) = (&a[i..][..n], &b[j..][..n]);
                    for k in 0..n {
                        y[k] = f(a[k], b[k]);
                    }
                }
                [true, false] => {
                    let (a, b) = (&a[i..][..n], b[j]);
                    for k in 0..n {
                        y[k] = f(a[k], b);
                    }
                }
                [false, true] => {
                    let (a, b) = (a[i], &b[j..][..n]);
                    for k in 0..n {
                        y[k] = f(a, b[k]);
                    }
                }
                [false, false] => y.fill(f(a[i], b[j])),
            }
        });
    });
}

/// `y[o] = f(places)`. Operand `k` has the shape `shapes[k]` and any element type. `places[k]` is the position at which
/// it is read for output `o` when it is stretched to the shape of `y`. Use this for operands of different types, or for
/// more than the two operands of [`zip`].
pub fn gather<T: Element, const K: usize>(
    cx: &CpuCtx,
    shapes: [&Shape; K],
    y: &mut ViewMut,
    f: impl Fn([usize; K]) -> T + Sync + Send,
) {
    let layout = BroadcastLayout::new(&y.shape, shapes);
    let step = layout.inner();
    let y = y.get::<T>();
    let work = y.len();
    cx.pieces(y, CHUNK, work, |piece, y| {
        layout.runs(piece * CHUNK, y.len(), |run, at| {
            let (y, mut places) = (&mut y[run], at);
            for i in 0..y.len() {
                y[i] = f(places);
                for k in 0..K {
                    places[k] += step[k];
                }
            }
        });
    });
}

/// `y = x`, stretched to the shape of `y`.
pub fn expand<T: Element>(cx: &CpuCtx, x: View, y: &mut ViewMut) {
    let layout = BroadcastLayout::new(&y.shape, [&x.shape]);
    let [step] = layout.inner();
    let (x, y) = (x.get::<T>(), y.get::<T>());
    let work = y.len();
    cx.pieces(y, CHUNK, work, |piece, y| {
        layout.runs(piece * CHUNK, y.len(), |run, [i]| {
            let n = run.len();
            match step {
                0 => y[run].fill(x[i]),
                _ => y[run].copy_from_slice(&x[i..i + n]),
            }
        });
    });
}

/// `y = x` summed over the dimensions in which `y` would be stretched to the shape of `x`: the adjoint of [`expand`].
pub fn sum_to<T: Float>(cx: &CpuCtx, x: View, y: &mut ViewMut) {
    let layout = BroadcastLayout::new(&x.shape, [&y.shape]);
    let dims: SmallVec<[ReduceDim; MAX_RANK]> =
        layout.0.iter().map(|&(size, [stride])| ReduceDim { size, summed: stride == 0 }).collect();
    reduce::sum_dims(cx, &dims, x.get::<T>(), y.get::<T>());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dims: &[usize]) -> Shape {
        Shape::new(dims).unwrap()
    }

    /// Merging has this purpose: adding a convolution's bias is one run per plane, not one step per pixel.
    #[test]
    fn common_broadcasts_are_few_dimensions() {
        let dims =
            |y: &[usize], b: &[usize]| BroadcastLayout::new(&shape(y), [&shape(y), &shape(b)]).0.to_vec();
        assert_eq!(dims(&[8, 3, 5, 5], &[8, 3, 5, 5]), [(600, [1, 1])]);
        assert_eq!(dims(&[8, 3, 5, 5], &[]), [(600, [1, 0])]);
        assert_eq!(dims(&[64, 120], &[120]), [(64, [120, 0]), (120, [1, 1])]);
        assert_eq!(dims(&[8, 3, 5, 5], &[3, 1, 1]), [(8, [75, 0]), (3, [25, 1]), (25, [1, 0])]);
    }

    /// A piece may start in the middle of a run: wherever the work is cut, the same elements must be visited.
    #[test]
    fn runs_do_not_depend_on_where_the_work_is_cut() {
        let layout = BroadcastLayout::new(&shape(&[4, 3, 5]), [&shape(&[3, 1]), &shape(&[4, 1, 5])]);
        let walk = |start, len| {
            let mut seen = Vec::new();
            layout.runs(start, len, |run, [i, j]| {
                let [a, b] = layout.inner();
                seen.extend((0..run.len()).map(|k| (i + k * a, j + k * b)));
            });
            seen
        };
        let whole = walk(0, 60);
        assert_eq!(whole[3 * 5 + 2 * 5 + 4 - 5], (1, 5 + 4));
        for cut in 1..60 {
            assert_eq!([walk(0, cut), walk(cut, 60 - cut)].concat(), whole, "cut at {cut}");
        }
    }
}
