//! gemm / 03 blocked: a block of B at a time, small enough to stay in the cache.
//!
//! What changed since 02: B is processed in blocks of 64 rows and 512 columns. All rows of C use a block before the
//! next one is loaded.
//!
//! ```text
//!        B                          C
//!   +----+----+----+          +----+----+----+
//!   |####|    |    | 64 x 512 |#  #|    |    |   every row of C, its 512 columns
//!   +----+----+----+   ->     |#  #|    |    |
//!   |    |    |    |          |#  #|    |    |
//!   +----+----+----+          +----+----+----+
//! ```
//!
//! Bytes moved: B comes from memory once instead of once per row of C, and C once per 64 rows of B. The traffic from
//! the first-level cache is the same as in 02: 2 flop per 12 bytes. This limits it, so the next rung keeps C in
//! registers.

use super::Mat;
use super::reordered::add_row;
use crate::core::Float;
use crate::cpu::CpuCtx;

/// Rows and columns of a block of B: 128 KiB of f32.
const ROWS: usize = 64;
const COLUMNS: usize = 512;

/// `C = beta C + A B`: see [`GemmFn`](super::GemmFn).
pub fn gemm<T: Float>(
    cx: &CpuCtx,
    [m, k, n]: [usize; 3],
    a: Mat<T>,
    b: Mat<T>,
    beta: T,
    c: &mut [T],
    ldc: usize,
) {
    if beta == T::ZERO {
        (0..m).for_each(|i| c[i * ldc..][..n].fill(T::ZERO));
    }
    for j in (0..n).step_by(COLUMNS) {
        for from in (0..k).step_by(ROWS) {
            for i in 0..m {
                let c = &mut c[i * ldc + j..][..COLUMNS.min(n - j)];
                for p in from..k.min(from + ROWS) {
                    add_row(cx, a.data[i * a.row + p * a.col], b.from(p, j), c);
                }
            }
        }
    }
}
