//! gemm / 02 reordered: the same three loops, `k` in the middle.
//!
//! What changed since 01: the innermost loop runs along rows of B and C.
//!
//! ```text
//!   A[i, k]  times  row k of B   is added to   row i of C
//!      x           ============>               ============>
//! ```
//!
//! Neighbours in memory are used one after the other. The additions of a row do not wait for each other, so the
//! compiler turns them into vector instructions. The rows of a transposed B are not contiguous: there this rung is as
//! slow as 01.
//!
//! Bytes moved: a vector of multiply-adds loads one vector of B and one of C, and stores one of C. Arithmetic
//! intensity: 2 flop per 12 bytes. Limited by: loads and stores, and if B is larger than a cache, by reading all of B
//! for each row of C.

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
