//! The second kernel: a block of dot products. The gradients of weights and matrix products of few rows use it.
//!
//! ```text
//!                        p = pixels --->
//!   A[0]      x x x x | x x x x | ...         acc[r][c] += A[r][p ..] * B[c][p ..]     lane by lane
//!   ...
//!   A[R-1]    x x x x | x x x x | ...         A[r] . B[c]  =  the sum of the lanes of acc[r][c], once at the end
//!
//!   B[0]      x x x x | x x x x | ...
//!   ...
//!   B[C-1]    x x x x | x x x x | ...
//! ```
//!
//! In [`outer_product`](super::outer_product), neighbouring numbers of B belong to different *outputs*. Here
//! neighbouring numbers of both factors belong to the same *sum*: `dw[o, k]` sums over pixels, and the pixels of an
//! image lie side by side. So the lanes run along the sum. With AVX-512, R = 4 and C = 6, which makes 24 sums. A step
//! of 16 pixels loads 10 registers for 24 multiply-adds.

use super::outer_product::{Rows, RowsOf};
use super::vector::Vector;

/// `sums[r][c] = sum over p < n of A[r][p] B[c][p]`, lane by lane, for rows r of A and rows c of B. [`Vector::sum`]
/// adds the lanes of each to give the dot product.
///
/// # Safety
/// `n` floats of each of the R and C rows can be read.
#[inline(always)]
pub unsafe fn dot_products<V: Vector, const R: usize, const C: usize>(
    n: usize,
    a: RowsOf<impl Rows>,
    b: RowsOf<impl Rows>,
) -> [[V; C]; R] {
    // SAFETY: `n` floats of each of the R and C rows can be read: promised by the caller.
    unsafe { add_dot_products([[V::splat(0.0); C]; R], n, a, b) }
}

/// Like [`dot_products`], but adds to sums that an earlier call returned.
///
/// # Safety
/// As for [`dot_products`].
#[inline(always)]
pub unsafe fn add_dot_products<V: Vector, const R: usize, const C: usize>(
    mut sums: [[V; C]; R],
    n: usize,
    a: RowsOf<impl Rows>,
    b: RowsOf<impl Rows>,
) -> [[V; C]; R] {
    // SAFETY: A has R rows and B has C: promised by the caller.
    let (a, b) = unsafe { (starts::<R>(a), starts::<C>(b)) };
    let whole = n / V::LANES * V::LANES;
    for p in (0..whole).step_by(V::LANES) {
        // SAFETY: whole registers end at `whole`, which is at most n.
        sums = unsafe { add_products::<V, R, C, true>(sums, a, b, p, V::first(V::LANES)) };
    }
    if whole < n {
        // SAFETY: the mask ends at n.
        sums = unsafe { add_products::<V, R, C, false>(sums, a, b, whole, V::first(n - whole)) };
    }
    sums
}

/// A pointer to the beginning of each of R rows.
///
/// # Safety
/// There are R rows.
#[inline(always)]
unsafe fn starts<const R: usize>(rows: RowsOf<impl Rows>) -> [*const f32; R] {
    let mut starts = [rows.start; R];
    for r in 0..R {
        // SAFETY: there is a row r: promised by the caller.
        starts[r] = unsafe { rows.start.add(rows.rows.at(r)) };
    }
    starts
}

/// Adds one more register of every row's products to the sums: the whole register if `WHOLE`, else the mask's lanes.
///
/// # Safety
/// Those lanes can be read, from number p of each row on.
#[inline(always)]
unsafe fn add_products<V: Vector, const R: usize, const C: usize, const WHOLE: bool>(
    mut sums: [[V; C]; R],
    a: [*const f32; R],
    b: [*const f32; C],
    p: usize,
    mask: V::Mask,
) -> [[V; C]; R] {
    let mut left = [V::splat(0.0); R];
    for r in 0..R {
        // SAFETY: those lanes can be read: promised by the caller.
        left[r] = unsafe { V::load_last::<WHOLE>(a[r].add(p), mask) };
    }
    for c in 0..C {
        // SAFETY: those lanes can be read: promised by the caller.
        let b = unsafe { V::load_last::<WHOLE>(b[c].add(p), mask) };
        for r in 0..R {
            sums[r][c] = left[r].mul_add(b, sums[r][c]);
        }
    }
    sums
}

/// [`by_size`](super::outer_product::by_size) for the rows `$r` of A and `$c` of B, as [`next_dots`] cuts them.
macro_rules! by_dots {
    ($r:expr, $c:expr, $V:ident, $f:ident $args:tt) => {
        $crate::cpu::outer_product::by_size!([$r, $c], $V, DOTS, $f $args,
            [4, 6] [4, 4] [4, 2] [4, 1] [2, 6] [2, 4] [2, 2] [2, 1] [1, 6] [1, 4] [1, 2] [1, 1])
    };
}
pub(crate) use by_dots;

/// How many of `left >= 1` rows of A (`which` 0) or B (`which` 1) the next block takes: V's `DOTS`, or if fewer rows
/// are left, the largest power of two that is at most 4.
#[inline(always)]
pub fn next_dots<V: Vector>(which: usize, left: usize) -> usize {
    if left >= V::DOTS[which] { V::DOTS[which] } else { (1 << left.ilog2()).min(4) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::outer_product::{StridedRows, TableRows};
    use crate::cpu::simd::Simd;
    use crate::cpu::vector::Kernel;

    /// All of `rows x columns` dot products of length n, block by block.
    struct All<'a> {
        n: usize,
        a: &'a [f32],
        b: &'a [f32],
        offsets: &'a [u32],
        out: &'a mut [f32],
    }

    impl Kernel for All<'_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            let (rows, columns) = (self.a.len() / self.n, self.offsets.len());
            let mut r = 0;
            while r < rows {
                let (height, mut c) = (next_dots::<V>(0, rows - r), 0);
                while c < columns {
                    let width = next_dots::<V>(1, columns - c);
                    let a = RowsOf { start: self.a[r * self.n..].as_ptr(), rows: StridedRows(self.n) };
                    let b = RowsOf { start: self.b.as_ptr(), rows: TableRows(&self.offsets[c..]) };
                    // SAFETY: `rows` rows of A lie n apart, and each offset leaves n floats of b.
                    unsafe {
                        by_dots!(
                            height,
                            width,
                            V,
                            block(self.n, a, b, &mut self.out[r * columns + c..], columns)
                        );
                    }
                    c += width;
                }
                r += height;
            }
        }
    }

    /// # Safety
    /// As [`dot_products`].
    #[inline(always)]
    unsafe fn block<V: Vector, const R: usize, const C: usize>(
        n: usize,
        a: RowsOf<impl Rows>,
        b: RowsOf<impl Rows>,
        out: &mut [f32],
        columns: usize,
    ) {
        // SAFETY: `n` floats of each row can be read: promised by the caller.
        let sums = unsafe { dot_products::<V, R, C>(n, a, b) };
        for (r, row) in sums.into_iter().enumerate() {
            row.into_iter().enumerate().for_each(|(c, sum)| out[r * columns + c] = sum.sum());
        }
    }

    #[test]
    fn every_size_at_every_level() {
        let b: Vec<f32> = (0..200).map(|i| (i as f32 * 0.7).sin()).collect();
        for level in [Simd::Portable, Simd::Avx2, Simd::Avx512].into_iter().filter_map(|l| l.supported().ok())
        {
            for (rows, columns) in [(1, 1), (4, 6), (7, 9), (3, 25), (6, 13)] {
                for n in [1, 3, 15, 16, 17, 64, 77] {
                    let a: Vec<f32> = (0..rows * n).map(|i| (i as f32 * 1.3).cos()).collect();
                    let offsets: Vec<u32> = (0..columns as u32).map(|c| c * 5 % 123).collect();
                    let mut out = vec![f32::NAN; rows * columns];
                    level.dispatch(All { n, a: &a, b: &b, offsets: &offsets, out: &mut out });
                    for (i, &got) in out.iter().enumerate() {
                        let (a, b) = (&a[i / columns * n..][..n], &b[offsets[i % columns] as usize..]);
                        let dot: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                        let error = (f64::from(got) - dot).abs();
                        assert!(
                            error <= 1e-5,
                            "{level} {rows}x{columns} of {n}, output {i}: {got} is not {dot}"
                        );
                    }
                }
            }
        }
    }
}
