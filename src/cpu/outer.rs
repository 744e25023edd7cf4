//! The kernel that every matrix product and every convolution here is made of: a block of outer products.
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
//! The sums stay in registers for the whole of K. With AVX-512, R = 8 and N = 3: 24 sums, and a step of k loads 3
//! vectors and 8 numbers for 24 multiply-adds, so the multiply-adds are what limits it. 24 independent sums hide their
//! latency of 4 cycles.
//!
//! Where row `B_k` begins is up to [`Rows`]: every so many floats for a matrix, looked up in a table for a convolution,
//! whose rows are shifted windows of an image. That is all that tells the two apart.

use super::vector::Vector;

/// Where row `k` of B begins, in floats.
pub trait Rows: Copy {
    /// # Safety
    /// `k` is below the number of rows.
    unsafe fn at(self, k: usize) -> usize;
}

/// Rows at equal distances.
#[derive(Clone, Copy)]
pub struct Strided(pub usize);

impl Rows for Strided {
    // SAFETY: the contract is the trait's: there is a row k.
    #[inline(always)]
    unsafe fn at(self, k: usize) -> usize {
        k * self.0
    }
}

/// Rows at the places of a table.
#[derive(Clone, Copy)]
pub struct Table<'a>(pub &'a [u32]);

impl Rows for Table<'_> {
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

/// `sum over k of A[r, k] B_k` for `R` rows and `N` vectors, the last of which is read through `mask`.
///
/// # Safety
/// All R x K numbers of A, and of each of the K rows of B N - 1 vectors and the mask's part of one more, can be read.
#[inline(always)]
pub unsafe fn outer<V: Vector, const R: usize, const N: usize>(
    k: usize,
    a: Left,
    b: RowsOf<impl Rows>,
    mask: V::Mask,
) -> [[V; N]; R] {
    // SAFETY: A and the rows of B can be read as far as the mask goes: promised by the caller. Where the mask is spared it
    // takes all lanes.
    unsafe {
        match V::spared(mask) {
            true => sums(
                k,
                a,
                b,
                #[inline(always)]
                |last| V::load(last),
            ),
            false => sums(
                k,
                a,
                b,
                #[inline(always)]
                |last| V::load_part(last, mask),
            ),
        }
    }
}

/// # Safety
/// As [`outer`], the last vector of a row being read by `load`.
#[inline(always)]
unsafe fn sums<V: Vector, const R: usize, const N: usize>(
    k: usize,
    a: Left,
    b: RowsOf<impl Rows>,
    load: impl Fn(*const f32) -> V,
) -> [[V; N]; R] {
    let mut sums = [[V::splat(0.0); N]; R];
    for p in 0..k {
        // SAFETY: p is below K, and column p of A and row p of B can be read: promised by the caller.
        unsafe {
            let b = b.start.add(b.rows.at(p));
            let mut row = [V::splat(0.0); N];
            for (v, row) in row[..N - 1].iter_mut().enumerate() {
                *row = V::load(b.add(v * V::LANES));
            }
            row[N - 1] = load(b.add((N - 1) * V::LANES));
            for (r, sums) in sums.iter_mut().enumerate() {
                let a = V::splat(*a.data.add(r * a.row + p * a.col));
                for (sum, &b) in sums.iter_mut().zip(&row) {
                    *sum = a.mul_add(b, *sum);
                }
            }
        }
    }
    sums
}

/// Calls `$f::<$V, R, N>($args)` for the run-time numbers of rows and vectors `$r`, from [`next_rows`], and `$n`, at most
/// [`Vector::TILE`]'s.
macro_rules! by_tile {
    ($r:expr, $n:expr, $V:ident, $f:ident($($arg:expr),* $(,)?)) => {
        match ($r, $n) {
            (8, 3) => $f::<$V, 8, 3>($($arg),*),
            (8, 2) => $f::<$V, 8, 2>($($arg),*),
            (8, 1) => $f::<$V, 8, 1>($($arg),*),
            (6, 3) => $f::<$V, 6, 3>($($arg),*),
            (6, 2) => $f::<$V, 6, 2>($($arg),*),
            (6, 1) => $f::<$V, 6, 1>($($arg),*),
            (4, 3) => $f::<$V, 4, 3>($($arg),*),
            (4, 2) => $f::<$V, 4, 2>($($arg),*),
            (4, 1) => $f::<$V, 4, 1>($($arg),*),
            (2, 3) => $f::<$V, 2, 3>($($arg),*),
            (2, 2) => $f::<$V, 2, 2>($($arg),*),
            (2, 1) => $f::<$V, 2, 1>($($arg),*),
            (1, 3) => $f::<$V, 1, 3>($($arg),*),
            (1, 2) => $f::<$V, 1, 2>($($arg),*),
            (1, 1) => $f::<$V, 1, 1>($($arg),*),
            other => unreachable!("no tile of {other:?}"),
        }
    };
}
pub(crate) use by_tile;

/// How many of `left >= 1` rows the next tile takes: 8, 6, 4, 2 or 1, at most V's.
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
