//! General matrix multiplication on the CPU: the rungs of [`crate::ladder::gemm`], and the cutting into tiles that
//! all of them share.

mod packed;

use super::CpuCtx;
use crate::core::{Element, Float};

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

    /// The transpose of a row-major matrix that has `cols` columns as stored.
    pub fn transposed(data: &'a [T], cols: usize) -> Self {
        Mat { data, row: 1, col: cols }
    }

    /// The transpose of this matrix.
    pub fn t(self) -> Self {
        Mat { row: self.col, col: self.row, ..self }
    }

    /// The part of the matrix that starts at `(i, j)`.
    pub fn from(&self, i: usize, j: usize) -> Self {
        let start = (i * self.row + j * self.col).min(self.data.len());
        Mat { data: &self.data[start..], ..*self }
    }
}

/// `C[m, n] = beta C + A[m, k] B[k, n]`. C is row-major with `ldc` elements from row to row; `beta` is 0 or 1, and 0
/// does not read C.
pub type GemmFn<T> = fn(m: usize, k: usize, n: usize, a: Mat<T>, b: Mat<T>, beta: T, c: &mut [T], ldc: usize);

/// The definition: one dot product an output.
#[allow(clippy::too_many_arguments)] // the signature of BLAS
pub fn naive<T: Float>(m: usize, k: usize, n: usize, a: Mat<T>, b: Mat<T>, beta: T, c: &mut [T], ldc: usize) {
    for i in 0..m {
        for j in 0..n {
            let dot: T = (0..k).map(|p| a.data[i * a.row + p * a.col] * b.data[p * b.row + j * b.col]).sum();
            let c = &mut c[i * ldc + j];
            *c = if beta == T::ZERO { dot } else { *c + dot };
        }
    }
}

/// Panics unless the three matrices hold all that a product of these sizes, none of m and n 0, reads and writes.
fn check_bounds<T: Element>([m, k, n]: [usize; 3], a: &Mat<T>, b: &Mat<T>, c: &[T], ldc: usize) {
    let last = |mat: &Mat<T>, rows: usize, cols: usize| (rows - 1) * mat.row + (cols - 1) * mat.col;
    assert!(k == 0 || last(a, m, k) < a.data.len(), "A is too short");
    assert!(k == 0 || last(b, k, n) < b.data.len(), "B is too short");
    assert!((m - 1) * ldc + n - 1 < c.len(), "C is too short");
}

macro_rules! yardstick {
    ($name:ident, $t:ty, $gemm:path) => {
        /// The `matrixmultiply` crate: packed panels and a SIMD micro-kernel chosen at run time.
        #[allow(clippy::too_many_arguments)] // the signature of BLAS
        pub fn $name(
            m: usize,
            k: usize,
            n: usize,
            a: Mat<$t>,
            b: Mat<$t>,
            beta: $t,
            c: &mut [$t],
            ldc: usize,
        ) {
            if m == 0 || n == 0 {
                return;
            }
            check_bounds([m, k, n], &a, &b, c, ldc);
            // SAFETY: the assertions bound every element the call reads or writes; C is exclusively borrowed.
            unsafe {
                $gemm(
                    m,
                    k,
                    n,
                    1.0,
                    a.data.as_ptr(),
                    a.row as isize,
                    a.col as isize,
                    b.data.as_ptr(),
                    b.row as isize,
                    b.col as isize,
                    beta,
                    c.as_mut_ptr(),
                    ldc as isize,
                    1,
                );
            }
        }
    };
}

yardstick!(yardstick_f32, f32, matrixmultiply::sgemm);
yardstick!(yardstick_f64, f64, matrixmultiply::dgemm);

/// Picks a rung's version for an element type, so that generic loops can call it.
pub trait GemmFloat: Float {
    /// This context's GEMM for `Self`.
    fn gemm(cx: &CpuCtx) -> GemmFn<Self>;
}

impl GemmFloat for f32 {
    fn gemm(cx: &CpuCtx) -> GemmFn<f32> {
        cx.gemm().f32
    }
}

impl GemmFloat for f64 {
    fn gemm(cx: &CpuCtx) -> GemmFn<f64> {
        cx.gemm().f64
    }
}

/// Multiply-adds below which one GEMM is not worth a second thread.
const SERIAL_FLOPS: usize = 1 << 18;
/// Rows of C that one task computes.
const TILE_ROWS: usize = 32;
/// Columns of C that one task computes when C has few rows.
const TILE_COLS: usize = 128;

/// `C[m, n] = beta C + A B` with C contiguous, cut into tiles of C by the problem's size. Each output is one dot
/// product summed in one fixed order, whoever computes it.
#[allow(clippy::too_many_arguments)] // the signature of BLAS
pub fn gemm<T: GemmFloat>(
    cx: &CpuCtx,
    m: usize,
    k: usize,
    n: usize,
    a: Mat<T>,
    b: Mat<T>,
    beta: T,
    c: &mut [T],
) {
    let run = T::gemm(cx);
    let work = m * k * n;
    if work < SERIAL_FLOPS || m * n == 0 {
        return run(m, k, n, a, b, beta, c, n);
    }
    if m >= 2 * TILE_ROWS {
        cx.pieces(&mut c[..m * n], TILE_ROWS * n, work, |tile, c| {
            run(c.len() / n, k, n, a.from(tile * TILE_ROWS, 0), b, beta, c, n);
        });
    } else {
        columns(cx, (m, k, n), a, b, beta, c);
    }
}

/// A short and wide C, cut by columns. Column tiles of a row-major C interleave in memory, so each task computes into
/// a tile of its own, which is copied in afterwards.
fn columns<T: GemmFloat>(
    cx: &CpuCtx,
    (m, k, n): (usize, usize, usize),
    a: Mat<T>,
    b: Mat<T>,
    beta: T,
    c: &mut [T],
) {
    let run = T::gemm(cx);
    let tiles = n.div_ceil(TILE_COLS);
    let mut buffer = cx.scratch(tiles * m * TILE_COLS * size_of::<T>());
    let scratch = buffer.slice_mut::<T>();
    cx.pieces(scratch, m * TILE_COLS, m * k * n, |tile, t| {
        let first = tile * TILE_COLS;
        let width = TILE_COLS.min(n - first);
        run(m, k, width, a, b.from(0, first), T::ZERO, t, TILE_COLS);
    });
    for (i, row) in c[..m * n].chunks_mut(n).enumerate() {
        for (tile, out) in row.chunks_mut(TILE_COLS).enumerate() {
            let t = &scratch[(tile * m + i) * TILE_COLS..];
            for (c, &t) in out.iter_mut().zip(t) {
                *c = if beta == T::ZERO { t } else { *c + t };
            }
        }
    }
}
