//! Cuts outputs into pieces, one task per piece.
//!
//! The pieces depend only on the size of the problem, and every thread computes a piece in the same way. So results do
//! not depend on the number of threads.

use super::CpuCtx;
use super::context::CHUNK;
use super::disjoint::Disjoint;
use std::ops::Range;

/// A slice cut into pieces of `chunk` elements, for different tasks. The last piece may be shorter.
pub struct Pieces<'a, T> {
    slice: Disjoint<'a, T>,
    chunk: usize,
}

impl<'a, T> Pieces<'a, T> {
    /// Cuts `slice` into pieces of `chunk` elements, or of one element if `chunk` is 0.
    pub fn new(slice: &'a mut [T], chunk: usize) -> Self {
        Pieces { slice: Disjoint::new(slice), chunk: chunk.max(1) }
    }

    fn count(&self) -> usize {
        self.slice.len().div_ceil(self.chunk)
    }

    /// Piece `i`.
    ///
    /// # Panics
    /// If there is no such piece.
    ///
    /// # Safety
    /// The results of two calls with the same `i` may not be alive at once.
    #[inline]
    #[allow(clippy::mut_from_ref)] // the contract above makes the results disjoint
    unsafe fn piece(&self, i: usize) -> &mut [T] {
        let first = i * self.chunk;
        assert!(first < self.slice.len(), "piece {i} is beyond the end");
        // SAFETY: it is within the slice, and nobody else has this piece: promised by the caller.
        unsafe { self.slice.range(first..first + self.chunk.min(self.slice.len() - first)) }
    }

    /// Any range of the slice.
    ///
    /// # Panics
    /// If the range does not lie in the slice.
    ///
    /// # Safety
    /// Two results that overlap may not be alive at once.
    #[inline]
    #[allow(clippy::mut_from_ref)] // the contract above makes the results disjoint
    unsafe fn range(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.slice.len(), "{range:?} is beyond the end");
        // SAFETY: it is within the slice, and nothing else refers to it: promised by the caller.
        unsafe { self.slice.range(range) }
    }
}

/// One task's share of a slice that is cut into pieces: the pieces `first`, `first + step`, `first + 2 step`, ...
pub struct StridedPieces<'a, T> {
    pieces: &'a Pieces<'a, T>,
    first: usize,
    step: usize,
}

impl<T> StridedPieces<'_, T> {
    /// Piece number `s` of this share.
    #[inline]
    pub fn piece(&mut self, s: usize) -> &mut [T] {
        // SAFETY: each share has its own `first` below `step`, so no other share has this piece. `&mut self` lets only
        // one piece of this share be alive at a time.
        unsafe { self.pieces.piece(s * self.step + self.first) }
    }
}

/// One task's share of a matrix: some of its columns.
pub struct Columns<'a, T> {
    matrix: &'a Pieces<'a, T>,
    row: usize,
    columns: Range<usize>,
}

impl<T> Columns<'_, T> {
    /// The elements of row `r` in these columns.
    pub fn row(&mut self, r: usize) -> &mut [T] {
        // SAFETY: shares have different columns, and `&mut self` lets only one row of this share be alive at a time.
        unsafe { self.matrix.range(r * self.row + self.columns.start..r * self.row + self.columns.end) }
    }
}

impl CpuCtx {
    /// Cuts matrices with rows of `row` elements into strips of `width` columns, one task per strip. Each task calls
    /// `f(columns, the strip of each y, its part of own)`. `own` holds the same number of elements for every column,
    /// and a task gets those of its columns. Runs in parallel if `work` (about the number of elements touched) is large
    /// enough.
    pub fn columns<Y: Send, O: Send, const K: usize>(
        &self,
        y: [&mut [Y]; K],
        row: usize,
        width: usize,
        own: &mut [O],
        work: usize,
        f: impl Fn(Range<usize>, [Columns<Y>; K], &mut [O]) + Sync + Send,
    ) {
        let each = own.len() / row.max(1);
        let (y, own) = (y.map(|y| Pieces::new(y, 1)), Pieces::new(own, each * width));
        self.tasks(row.div_ceil(width), work, &|task| {
            let columns = task * width..row.min((task + 1) * width);
            let strips = std::array::from_fn(|k| Columns { matrix: &y[k], row, columns: columns.clone() });
            // SAFETY: `tasks` calls each number once.
            f(columns, strips, unsafe { own.piece(task) });
        });
    }

    /// Calls `f(group, its pieces of each y, its piece of own)` for each of `groups`. Every `y` is cut into pieces of
    /// `chunk` elements, and group g has the pieces g, g + groups, g + 2 groups, ... `own` is cut into one piece per
    /// group. Small groups share a task. Runs in parallel if `work` (about the number of elements touched) is large
    /// enough.
    pub fn groups<Y: Send, O: Send, const K: usize>(
        &self,
        groups: usize,
        y: [&mut [Y]; K],
        chunk: usize,
        own: &mut [O],
        work: usize,
        f: impl Fn(usize, [StridedPieces<Y>; K], &mut [O]) + Sync + Send,
    ) {
        let together = (CHUNK * groups / work.max(1)).clamp(1, groups.max(1));
        let width = own.len() / groups.max(1);
        let (y, own) = (y.map(|y| Pieces::new(y, chunk)), Pieces::new(own, width));
        self.tasks(groups.div_ceil(together), work, &|task| {
            for g in task * together..groups.min((task + 1) * together) {
                let shares = std::array::from_fn(|k| StridedPieces { pieces: &y[k], first: g, step: groups });
                // SAFETY: `tasks` calls each number once, and each group belongs to one task.
                f(g, shares, if width == 0 { &mut [] } else { unsafe { own.piece(g) } });
            }
        });
    }

    /// Cuts `out` into pieces of `chunk` elements and calls `f(piece number, piece)` on each. Runs in parallel if
    /// `work` (about the number of elements touched) is large enough.
    pub fn pieces<T: Send>(
        &self,
        out: &mut [T],
        chunk: usize,
        work: usize,
        f: impl Fn(usize, &mut [T]) + Sync + Send,
    ) {
        let out = Pieces::new(out, chunk);
        // SAFETY: `tasks` calls each number once.
        self.tasks(out.count(), work, &|i| f(i, unsafe { out.piece(i) }));
    }

    /// Like [`pieces`](Self::pieces), for two outputs with the same number of pieces: calls
    /// `f(piece number, piece of a, piece of b)`.
    pub fn pieces2<A: Send, B: Send>(
        &self,
        a: Pieces<A>,
        b: Pieces<B>,
        work: usize,
        f: impl Fn(usize, &mut [A], &mut [B]) + Sync + Send,
    ) {
        // SAFETY: `tasks` calls each number once, and a and b are different slices.
        self.tasks(a.count().min(b.count()), work, &|i| f(i, unsafe { a.piece(i) }, unsafe { b.piece(i) }));
    }

    /// Runs an elementwise loop over `T`, compiled for the vector registers of this processor. Mark the closure
    /// `#[inline(always)]`, and write the loop with `for`: the compiler may put a closure inside the loop into a
    /// function of its own, which uses no wide vectors. f64 is the type of the reference results: its loops are
    /// compiled once, for any processor.
    #[inline(always)]
    pub fn vectors<T, R>(&self, f: impl FnOnce() -> R) -> R {
        if const { size_of::<T>() < 8 } { self.simd().run(f) } else { f() }
    }

    /// `y[i] = f(i)` for every element of `y`, in chunks of [`CHUNK`].
    pub fn fill_with<T: Send>(&self, y: &mut [T], f: impl Fn(usize) -> T + Sync + Send) {
        let work = y.len();
        self.pieces(y, CHUNK, work, |piece, y| {
            let start = piece * CHUNK;
            self.vectors::<T, _>(
                #[inline(always)]
                || {
                    for i in 0..y.len() {
                        y[i] = f(start + i);
                    }
                },
            );
        });
    }

    /// `y[i] = f(x[i])`.
    pub fn map<X: Copy + Sync, Y: Send>(&self, x: &[X], y: &mut [Y], f: impl Fn(X) -> Y + Sync + Send) {
        let work = y.len();
        self.pieces(y, CHUNK, work, |piece, y| {
            self.vectors::<Y, _>(
                #[inline(always)]
                || {
                    let (n, x) = (y.len(), &x[piece * CHUNK..][..y.len()]);
                    for i in 0..n {
                        y[i] = f(x[i]);
                    }
                },
            );
        });
    }

    /// `y[i] = f(a[i], b[i])`.
    pub fn zip<A: Copy + Sync, B: Copy + Sync, Y: Send>(
        &self,
        a: &[A],
        b: &[B],
        y: &mut [Y],
        f: impl Fn(A, B) -> Y + Sync + Send,
    ) {
        let work = y.len();
        self.pieces(y, CHUNK, work, |piece, y| {
            let (a, b) = (&a[piece * CHUNK..][..y.len()], &b[piece * CHUNK..][..y.len()]);
            self.vectors::<Y, _>(
                #[inline(always)]
                || {
                    for i in 0..y.len() {
                        y[i] = f(a[i], b[i]);
                    }
                },
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Float;
    use crate::cpu::{CpuOptions, Simd};

    #[inline(always)]
    fn below(x: f32) -> f32 {
        x.normal().0
    }

    /// Elementary functions in vectors of any width, and alone.
    #[test]
    fn every_level_computes_the_same_bits() {
        let x: Vec<f32> = (0..if cfg!(miri) { 203 } else { 5003 })
            .map(|i| (i as f32 * 0.37).sin() * (i as f32 * 0.013 - 9.0).exp2())
            .collect();
        for level in [Simd::Portable, Simd::Avx2, Simd::Avx512] {
            let Ok(simd) = level.supported() else { continue };
            let cx = CpuCtx::new(&CpuOptions { simd: Some(simd), ..CpuOptions::with_threads(2) }).unwrap();
            let mut y = vec![0f32; x.len()];
            macro_rules! compare {
                ($($f:expr),*) => {$(
                    cx.map(
                        &x,
                        &mut y,
                        #[inline(always)]
                        |x| $f(x),
                    );
                    let alone = x.iter().map(|&x| $f(std::hint::black_box(x)));
                    assert!(y.iter().map(|y| y.to_bits()).eq(alone.map(f32::to_bits)), "{} {level}", stringify!($f));
                )*};
            }
            compare!(Float::exp, Float::ln, Float::tanh, Float::sigmoid, Float::softplus, below);
        }
    }
}
