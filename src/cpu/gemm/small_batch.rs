//! Few outputs with long sums: `C = A B^T` where rows of both factors are contiguous along `k`, as in a linear layer on
//! a small batch.
//!
//! ```text
//!   A: some rows (the batch)           k --->
//!   B^T: many rows (the weights)       k --->       C[i, j] = A[i] . B^T[j]
//! ```
//!
//! With a batch of 4, every weight is used 4 times. Packing it, or broadcasting it to a register for 4 lanes, would be
//! most of the work. Here registers run along `k` ([`dot_products`](crate::cpu::dot_products)): both factors are read
//! where they lie, and the weights only once. Limited by: memory, which delivers 4 bytes (one weight) per 2 flop of
//! each image.

use super::Mat;
use super::threads::{TASK, Threads};
use crate::cpu::dot_products::{by_dots, dot_products, next_dots};
use crate::cpu::outer_product::{RowsOf, StridedRows};
use crate::cpu::vector::{Kernel, Vector};

/// The most rows of A. With more, an outer product's tile is full anyway.
const FEW: usize = 16;
/// The shortest sums for which this is faster: each sum ends with an addition across the lanes.
const LONG: usize = 128;
/// Steps of k in a block that all rows of A use before the next block: at most 256 KiB of A.
const DEPTH: usize = 4096;
/// The most tasks of a product.
const MOST_TASKS: usize = 64;

/// True if a product of these sizes should be computed by this file.
pub fn suits([m, k, _]: [usize; 3], a: &Mat<f32>, b: &Mat<f32>) -> bool {
    m <= FEW && k >= LONG && a.col == 1 && b.row == 1
}

/// `C = beta C + A B` for factors that [`suits`] accepts and whose bounds were checked. Runs in parallel if `share`.
pub fn gemm(
    threads: Threads,
    [m, k, n]: [usize; 3],
    a: Mat<f32>,
    b: Mat<f32>,
    beta: f32,
    c: &mut [f32],
    ldc: usize,
) {
    let Threads { cx, simd, share } = threads;
    let work = m * k * n;
    let columns = n.div_ceil((work / TASK).clamp(1, MOST_TASKS)).next_multiple_of(4);
    // C^T, so that a task's outputs are contiguous.
    let mut buffer = cx.scratch(n * m * size_of::<f32>());
    let turned = buffer.slice_mut::<f32>();
    let task = |i: usize, out: &mut [f32]| {
        let b = b.from(0, i * columns);
        simd.dispatch(ColumnBlock { m, k, a, b, out });
    };
    match share && work >= TASK {
        true => cx.pieces(turned, columns * m, work, task),
        false => turned.chunks_mut(columns * m).enumerate().for_each(|(i, out)| task(i, out)),
    }
    for (i, c) in c.chunks_mut(ldc).take(m).enumerate() {
        for (c, &sum) in c[..n].iter_mut().zip(turned[i..].iter().step_by(m)) {
            *c = if beta == 0.0 { sum } else { *c + sum };
        }
    }
}

/// Some columns of C, stored as rows of `m` outputs.
struct ColumnBlock<'a> {
    m: usize,
    k: usize,
    a: Mat<'a, f32>,
    b: Mat<'a, f32>,
    out: &'a mut [f32],
}

impl Kernel for ColumnBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let ColumnBlock { m, k, a, b, out } = self;
        let n = out.len() / m;
        for from in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - from);
            let mut j = 0;
            while j < n {
                let (height, mut i) = (next_dots::<V>(0, n - j), 0);
                let rows = RowsOf { start: b.from(from, j).data.as_ptr(), rows: StridedRows(b.col) };
                while i < m {
                    let width = next_dots::<V>(1, m - i);
                    let columns = RowsOf { start: a.from(i, from).data.as_ptr(), rows: StridedRows(a.row) };
                    let out = &mut out[j * m + i..];
                    // SAFETY: the bounds of A and B were checked, and `depth` ends within k.
                    unsafe { by_dots!(height, width, V, block(depth, rows, columns, out, m, from > 0)) };
                    i += width;
                }
                j += height;
            }
        }
    }
}

/// `out[r * m + c] = A[r] . B[c]`, or `+=` if `add`.
///
/// # Safety
/// `n` floats of each of the rows can be read.
#[inline(always)]
unsafe fn block<V: Vector, const R: usize, const C: usize>(
    n: usize,
    a: RowsOf<StridedRows>,
    b: RowsOf<StridedRows>,
    out: &mut [f32],
    m: usize,
    add: bool,
) {
    // SAFETY: `n` floats of each of the R and C rows can be read: promised by the caller.
    let sums = unsafe { dot_products::<V, R, C>(n, a, b) };
    for r in 0..R {
        for c in 0..C {
            let (out, sum) = (&mut out[r * m + c], sums[r][c].sum());
            *out = if add { *out + sum } else { sum };
        }
    }
}
