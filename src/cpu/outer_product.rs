//! The kernel of the matrix products and most convolutions: a block of outer products.
//!
//! ```text
//!                    B_k: N registers -->
//!                  +-------+-------+-------+
//!   A[0,k] splat   | acc   | acc   | acc   |     acc[r][v] += A[r,k] * B_k[v]    for k = 0 .. K
//!   A[1,k] splat   | acc   | acc   | acc   |
//!     ...          |  ...  |       |       |
//!   A[R-1,k]       | acc   | acc   | acc   |
//!                  +-------+-------+-------+
//! ```
//!
//! The sums stay in registers for the whole of K. With AVX-512, R = 8 and N = 3, which makes 24 sums. A step of k loads
//! 3 vectors and 8 numbers for 24 multiply-adds, so the multiply-adds limit it. 24 independent sums hide the
//! multiply-add's latency of 4 cycles.
//!
//! [`Rows`] says where row `B_k` begins. The rows of a matrix are at equal distances. The rows of a convolution are
//! shifted windows of an image, and their positions are in a table. This is the only difference between the two.

use super::vector::Vector;

/// Where row `k` of B begins, in floats.
pub trait Rows: Copy {
    /// # Safety
    /// `k` is below the number of rows.
    unsafe fn at(self, k: usize) -> usize;
}

/// Rows at equal distances.
#[derive(Clone, Copy)]
pub struct StridedRows(pub usize);

impl Rows for StridedRows {
    // SAFETY: the contract is the trait's: there is a row k.
    #[inline(always)]
    unsafe fn at(self, k: usize) -> usize {
        k * self.0
    }
}

/// Rows at the positions that a table lists.
#[derive(Clone, Copy)]
pub struct TableRows<'a>(pub &'a [u32]);

impl Rows for TableRows<'_> {
    // SAFETY: the contract is the trait's: there is a row k.
    #[inline(always)]
    unsafe fn at(self, k: usize) -> usize {
        // SAFETY: the table has a row k: promised by the caller.
        unsafe { *self.0.get_unchecked(k) as usize }
    }
}

/// Rows of floats in memory: row k begins at `start + rows.at(k)`.
#[derive(Clone, Copy)]
pub struct RowsOf<R> {
    pub start: *const f32,
    pub rows: R,
}

/// The left factor: `A[r, k]` lies at `data + r * row + k * col`.
#[derive(Clone, Copy)]
pub struct Left {
    pub data: *const f32,
    pub row: usize,
    pub col: usize,
}

/// `sum over k of A[r, k] B_k` for `R` rows and `N` vectors. The last vector is read through `mask`.
///
/// # Safety
/// All R x K numbers of A can be read. From each of the K rows of B, N - 1 vectors and the mask's lanes of one more can
/// be read.
#[inline(always)]
pub unsafe fn outer_product<V: Vector, const R: usize, const N: usize>(
    k: usize,
    a: Left,
    b: RowsOf<impl Rows>,
    mask: V::Mask,
) -> [[V; N]; R] {
    // SAFETY: A and the rows of B can be read as far as the mask goes: promised by the caller. The mask is left out
    // only if it selects all lanes.
    unsafe {
        if const { V::PREFERS_PLAIN_LOADS } && V::is_full(mask) {
            sums::<V, R, N, true>(k, a, b, mask)
        } else {
            sums::<V, R, N, false>(k, a, b, mask)
        }
    }
}

/// # Safety
/// As for [`outer_product`]. If `WHOLE`, which reads the last vector of a row without the mask, the mask selects all
/// lanes.
#[inline(always)]
unsafe fn sums<V: Vector, const R: usize, const N: usize, const WHOLE: bool>(
    k: usize,
    a: Left,
    b: RowsOf<impl Rows>,
    mask: V::Mask,
) -> [[V; N]; R] {
    let mut sums = [[V::splat(0.0); N]; R];
    for p in 0..k {
        // SAFETY: p is below K, and column p of A and row p of B can be read: promised by the caller.
        unsafe {
            let b = b.start.add(b.rows.at(p));
            let mut row = [V::splat(0.0); N];
            for v in 0..N {
                let from = b.add(v * V::LANES);
                row[v] = if v + 1 < N { V::load(from) } else { V::load_last::<WHOLE>(from, mask) };
            }
            for r in 0..R {
                let a = V::splat(*a.data.add(r * a.row + p * a.col));
                for v in 0..N {
                    sums[r][v] = a.mul_add(row[v], sums[r][v]);
                }
            }
        }
    }
    sums
}

/// Calls `$f::<$V, R, N>($args)` for the run-time `[R, N]` of `$size`, which is one of the listed sizes. Sizes above
/// the level's `$most` are not compiled for it.
macro_rules! by_size {
    ($size:expr, $V:ident, $most:ident, $f:ident $args:tt, $([$r:literal, $n:literal])*) => {
        match $size {
            $([$r, $n] if const { $r <= <$V>::$most[0] && $n <= <$V>::$most[1] } => $f::<$V, $r, $n> $args,)*
            other => unreachable!("no block of {other:?}"),
        }
    };
}
pub(crate) use by_size;

/// [`by_size`] for a tile with `$r` rows, from [`next_rows`], and `$n` vectors.
macro_rules! by_tile {
    ($r:expr, $n:expr, $V:ident, $f:ident $args:tt) => {
        $crate::cpu::outer_product::by_size!([$r, $n], $V, TILE, $f $args,
            [8, 3] [8, 2] [8, 1] [6, 3] [6, 2] [6, 1] [4, 3] [4, 2] [4, 1] [2, 3] [2, 2] [2, 1] [1, 3] [1, 2] [1, 1])
    };
}
pub(crate) use by_tile;

/// How many of `left >= 1` rows the next tile takes: 8, 6, 4, 2 or 1, but no more than V's largest tile has.
#[inline(always)]
pub fn next_rows<V: Vector>(left: usize) -> usize {
    next_of(left, V::TILE[0])
}

/// The same for a level whose largest tile has `most` rows.
#[inline(always)]
pub fn next_of(left: usize, most: usize) -> usize {
    match left.min(most) {
        8.. => 8,
        6.. => 6,
        4.. => 4,
        rows => rows.clamp(1, 2),
    }
}
