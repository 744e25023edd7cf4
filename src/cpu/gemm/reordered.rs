//! gemm / 02 reordered: the same three loops, `k` in the middle.
//!
//! What changed since 01: the innermost loop runs along rows of B and C.
//!
//! ```text
//!   A[i, k]  times  row k of B   is added to   row i of C
//!      x           ============>               ============>
//! ```
//!
//! Neighbours in memory are used one after the other, the additions of a row do not wait for each other, and the compiler
//! makes vectors of them. A transposed B has no rows that lie together: there this rung is as slow as the first.
//!
//! Bytes moved: for a vector of multiply-adds, one of B and one of C loaded and one of C stored. Arithmetic intensity: 2
//! flop per 12 bytes. What limits it: loads and stores; and once B is larger than a cache, reading all of it for each row.

use super::Mat;
use crate::core::Float;
use crate::cpu::CpuCtx;

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
    for i in 0..m {
        let c = &mut c[i * ldc..][..n];
        for p in 0..k {
            add_row(cx, a.data[i * a.row + p * a.col], b.from(p, 0), c);
        }
    }
}

/// `c += a` times the first row of `b`.
pub fn add_row<T: Float>(cx: &CpuCtx, a: T, b: Mat<T>, c: &mut [T]) {
    if b.col == 1 {
        cx.vectors::<T, _>(
            #[inline(always)]
            || c.iter_mut().zip(b.data).for_each(|(c, &b)| *c += a * b),
        );
    } else {
        c.iter_mut().zip(b.data.iter().step_by(b.col)).for_each(|(c, &b)| *c += a * b);
    }
}
