//! gemm / 01 naive: the definition, one dot product per output.
//!
//! ```text
//!                 column j
//!                    |
//!   row i  ---- x    |   summed over k -> C[i, j]
//! ```
//!
//! Bytes moved: 8 per multiply-add. In a column of a row-major B, every number is on a different cache line.
//! Arithmetic intensity: 2 flop per 8 bytes. Limited by: loads, and each addition waits for the one before (4 cycles).

use super::Mat;
use crate::core::Float;
use crate::cpu::CpuCtx;

/// `C = beta C + A B`: see [`GemmFn`](super::GemmFn).
pub fn gemm<T: Float>(
    _cx: &CpuCtx,
    [m, k, n]: [usize; 3],
    a: Mat<T>,
    b: Mat<T>,
    beta: T,
    c: &mut [T],
    ldc: usize,
) {
    for i in 0..m {
        for j in 0..n {
            let dot: T = (0..k).map(|p| a.data[i * a.row + p * a.col] * b.data[p * b.row + j * b.col]).sum();
            let c = &mut c[i * ldc + j];
            *c = if beta == T::ZERO { dot } else { *c + dot };
        }
    }
}
