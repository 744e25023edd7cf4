//! gemm / 09: the `matrixmultiply` crate, which packs panels and chooses a SIMD micro-kernel itself. The other rungs
//! are compared with it, and f64 uses it from rung 4 on.

use super::{Mat, check_bounds};
use crate::core::{Element, Float};
use crate::cpu::CpuCtx;

/// A type that the crate can multiply.
pub trait MatrixMultiply: Element {
    /// `C = beta C + A B`.
    ///
    /// # Safety
    /// All elements that the sizes and strides describe are in bounds.
    unsafe fn multiply(sizes: [usize; 3], a: Mat<Self>, b: Mat<Self>, beta: Self, c: &mut [Self], ldc: usize);
}

macro_rules! multiply_with {
    ($t:ty, $gemm:path) => {
        impl MatrixMultiply for $t {
            /// # Safety
            /// As for the trait.
            unsafe fn multiply(
                [m, k, n]: [usize; 3],
                a: Mat<$t>,
                b: Mat<$t>,
                beta: $t,
                c: &mut [$t],
                ldc: usize,
            ) {
                let [ar, ac, br, bc, ldc] = [a.row, a.col, b.row, b.col, ldc].map(|stride| stride as isize);
                let (a, b, c) = (a.data.as_ptr(), b.data.as_ptr(), c.as_mut_ptr());
                // SAFETY: every element is in bounds: promised by the caller. C is exclusively borrowed.
                unsafe { $gemm(m, k, n, 1.0, a, ar, ac, b, br, bc, beta, c, ldc, 1) }
            }
        }
    };
}

multiply_with!(f32, matrixmultiply::sgemm);
multiply_with!(f64, matrixmultiply::dgemm);

/// `C = beta C + A B`: see [`GemmFn`](super::GemmFn).
pub fn gemm<T: MatrixMultiply>(
    _cx: &CpuCtx,
    [m, k, n]: [usize; 3],
    a: Mat<T>,
    b: Mat<T>,
    beta: T,
    c: &mut [T],
    ldc: usize,
) {
    if m == 0 || n == 0 {
        return;
    }
    check_bounds([m, k, n], &a, &b, c, ldc);
    // SAFETY: `check_bounds` bounds every element that is read or written.
    unsafe { T::multiply([m, k, n], a, b, beta, c, ldc) }
}

/// A product with fewer multiply-adds than this runs on one thread.
const SERIAL: usize = 1 << 18;
/// Rows of C that one task computes.
const TILE_ROWS: usize = 32;
/// Columns of C that one task computes when C has few rows.
const TILE_COLS: usize = 128;

/// Like [`gemm`], but cut into tiles of C by the problem's size, one task per tile.
pub fn parallel<T: MatrixMultiply + Float>(
    cx: &CpuCtx,
    [m, k, n]: [usize; 3],
    a: Mat<T>,
    b: Mat<T>,
    beta: T,
    c: &mut [T],
    ldc: usize,
) {
    let work = m * k * n;
    if work < SERIAL || m * n == 0 {
        return gemm(cx, [m, k, n], a, b, beta, c, ldc);
    }
    if m >= 2 * TILE_ROWS {
        let end = (m - 1) * ldc + n;
        return cx.pieces(&mut c[..end], TILE_ROWS * ldc, work, |tile, c| {
            let rows = (c.len() + ldc - n) / ldc;
            gemm(cx, [rows, k, n], a.from(tile * TILE_ROWS, 0), b, beta, c, ldc);
        });
    }
    // The column tiles of a row-major C interleave in memory. So each task computes into a buffer of its own, which is
    // copied to C afterwards.
    let tiles = n.div_ceil(TILE_COLS);
    let mut buffer = cx.scratch(tiles * m * TILE_COLS * size_of::<T>());
    let scratch = buffer.slice_mut::<T>();
    cx.pieces(scratch, m * TILE_COLS, work, |tile, t| {
        let first = tile * TILE_COLS;
        gemm(cx, [m, k, TILE_COLS.min(n - first)], a, b.from(0, first), T::ZERO, t, TILE_COLS);
    });
    for i in 0..m {
        for (tile, out) in c[i * ldc..][..n].chunks_mut(TILE_COLS).enumerate() {
            let t = &scratch[(tile * m + i) * TILE_COLS..];
            for (c, &t) in out.iter_mut().zip(t) {
                *c = if beta == T::ZERO { t } else { *c + t };
            }
        }
    }
}
