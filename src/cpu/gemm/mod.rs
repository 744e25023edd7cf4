//! General matrix multiplication on the CPU: the rungs of [`ladder`], one file per rung (04, 05 and 06 share one).
//!
//! Compared with lesson 0, which adds up one product after the other: blocks that fit the caches, packed so that they
//! are read in order, and sums that stay in registers.

pub mod blocked;
pub mod ladder;
pub mod matrixmultiply;
pub mod naive;
mod pack;
pub mod packed;
pub mod reordered;
mod small_batch;
mod threads;
pub mod tiling;

use super::CpuCtx;
use crate::core::{Element, Float};
pub use matrixmultiply::MatrixMultiply;

/// A matrix in memory: element `(i, j)` is `data[i * row + j * col]`. A transpose swaps the strides.
#[derive(Clone, Copy)]
pub struct Mat<'a, T> {
    pub data: &'a [T],
    pub row: usize,
    pub col: usize,
}

impl<'a, T> Mat<'a, T> {
    /// A row-major matrix with `cols` columns.
    pub fn new(data: &'a [T], cols: usize) -> Self {
        Mat { data, row: cols, col: 1 }
    }

    /// The transpose of a row-major matrix that is stored with `cols` columns.
    pub fn transposed(data: &'a [T], cols: usize) -> Self {
        Mat { data, row: 1, col: cols }
    }

    /// The transpose of this matrix.
    pub fn t(self) -> Self {
        Mat { row: self.col, col: self.row, ..self }
    }

    /// The part of the matrix that starts at `(i, j)`.
    #[inline]
    pub fn from(&self, i: usize, j: usize) -> Self {
        let start = (i * self.row + j * self.col).min(self.data.len());
        Mat { data: &self.data[start..], ..*self }
    }
}

/// `C[m, n] = beta C + A[m, k] B[k, n]` for `[m, k, n]`. C is row-major with `ldc` elements from row to row. `beta` is
/// 0 or 1; if it is 0, C is not read. Each output is summed in one fixed order, on any number of threads.
pub type GemmFn<T> =
    fn(cx: &CpuCtx, sizes: [usize; 3], a: Mat<T>, b: Mat<T>, beta: T, c: &mut [T], ldc: usize);

/// One rung's loops for one element type.
#[derive(Debug, Clone, Copy)]
pub struct GemmFns<T> {
    /// Runs on the calling thread only. The tasks of a convolution call it.
    pub alone: GemmFn<T>,
    /// Runs on all threads of the context, if the rung uses them.
    pub together: GemmFn<T>,
}

impl<T> GemmFns<T> {
    /// A rung that uses one thread.
    pub const fn serial(gemm: GemmFn<T>) -> Self {
        GemmFns { alone: gemm, together: gemm }
    }
}

impl<T: Float + MatrixMultiply> GemmFns<T> {
    /// Rung 09, the `matrixmultiply` crate.
    pub const MATRIXMULTIPLY: Self =
        GemmFns { alone: matrixmultiply::gemm, together: matrixmultiply::parallel };
}

/// Panics unless the three matrices hold all elements that a product of these sizes reads and writes. Neither m nor n
/// may be 0.
fn check_bounds<T: Element>([m, k, n]: [usize; 3], a: &Mat<T>, b: &Mat<T>, c: &[T], ldc: usize) {
    let last = |mat: &Mat<T>, rows: usize, cols: usize| (rows - 1) * mat.row + (cols - 1) * mat.col;
    assert!(k == 0 || last(a, m, k) < a.data.len(), "A is too short");
    assert!(k == 0 || last(b, k, n) < b.data.len(), "B is too short");
    assert!((m - 1) * ldc + n - 1 < c.len(), "C is too short");
}

/// Picks a rung's version for an element type, so that generic loops can call it.
pub trait GemmFloat: Float {
    /// This context's GEMM for `Self`.
    fn gemm(cx: &CpuCtx) -> &'static GemmFns<Self>;
}

impl GemmFloat for f32 {
    fn gemm(cx: &CpuCtx) -> &'static GemmFns<f32> {
        &ladder::of(cx).version.f32
    }
}

impl GemmFloat for f64 {
    fn gemm(cx: &CpuCtx) -> &'static GemmFns<f64> {
        &ladder::of(cx).version.f64
    }
}

/// `C = beta C + A B` for `[m, k, n]` with C contiguous, by the context's rung.
pub fn gemm<T: GemmFloat>(cx: &CpuCtx, sizes: [usize; 3], a: Mat<T>, b: Mat<T>, beta: T, c: &mut [T]) {
    (T::gemm(cx).together)(cx, sizes, a, b, beta, c, sizes[2]);
}
