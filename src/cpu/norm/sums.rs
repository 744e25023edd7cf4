//! Sums, means and deviations over blocks of elements.

use crate::core::Float;
use std::ops::Range;

/// Elements that are summed in `T`, in lanes, before the sums are added in f64.
pub const BLOCK: usize = 1024;
/// Independent running sums within a block: two vector registers of the widest level, whose additions overlap.
pub const LANES: usize = 2 * HALF;
const HALF: usize = 16;

/// A part of some slices of a group.
pub struct GroupBlock {
    pub slices: Range<usize>,
    pub part: Range<usize>,
}

impl GroupBlock {
    /// The number of its elements.
    fn len(&self) -> usize {
        self.slices.len() * self.part.len()
    }
}

/// `sums[k] += f(x[0][i], x[1][i], ..)[k]` over all i, in lanes. All inputs have the same length.
#[inline(always)]
pub fn fold<T: Float, const N: usize, const K: usize>(
    sums: &mut [[T; LANES]; K],
    mut x: [&[T]; N],
    f: impl Fn([T; N]) -> [T; K],
) {
    // Two arrays of half of the lanes each: small enough for the compiler to keep them in registers.
    let [mut even, mut odd] = [[[T::ZERO; HALF]; K]; 2];
    for k in 0..K {
        even[k].copy_from_slice(&sums[k][..HALF]);
        odd[k].copy_from_slice(&sums[k][HALF..]);
    }
    let mut chunks = [&[][..]; N];
    for n in 0..N {
        (chunks[n], x[n]) = x[n].as_chunks::<HALF>();
    }
    for i in 0..chunks[0].len() / 2 {
        step(&mut even, chunks, 2 * i, &f);
        step(&mut odd, chunks, 2 * i + 1, &f);
    }
    if chunks[0].len() % 2 == 1 {
        step(&mut even, chunks, chunks[0].len() - 1, &f);
    }
    for k in 0..K {
        sums[k][..HALF].copy_from_slice(&even[k]);
        sums[k][HALF..].copy_from_slice(&odd[k]);
    }
    for lane in 0..x[0].len() {
        let mut at = [T::ZERO; N];
        for n in 0..N {
            at[n] = x[n][lane];
        }
        let added = f(at);
        for k in 0..K {
            sums[k][HALF + lane] += added[k];
        }
    }
}

/// `sums[k] += f(..)[k]` over chunk `i`.
#[inline(always)]
fn step<T: Float, const N: usize, const K: usize>(
    sums: &mut [[T; HALF]; K],
    chunks: [&[[T; HALF]]; N],
    i: usize,
    f: impl Fn([T; N]) -> [T; K],
) {
    for lane in 0..HALF {
        let mut at = [T::ZERO; N];
        for n in 0..N {
            at[n] = chunks[n][i][lane];
        }
        let added = f(at);
        for k in 0..K {
            sums[k][lane] += added[k];
        }
    }
}

/// The sum of the lanes of each.
#[inline(always)]
pub fn totals<T: Float, const K: usize>(sums: [[T; LANES]; K]) -> [f64; K] {
    let mut totals = [0.0; K];
    for k in 0..K {
        totals[k] = sums[k].iter().map(|lane| lane.to_f64()).sum();
    }
    totals
}

/// Number, mean and sum of squared deviations of some elements.
#[derive(Clone, Copy)]
pub struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// The moments of no elements.
    pub const NONE: Moments = Moments { n: 0.0, mean: 0.0, squares: 0.0 };

    /// The moments of a block, in two passes: first the approximate mean, then the deviations from it, which also
    /// correct it. `at(s)` is a group's slice `s`.
    #[inline(always)]
    pub fn of<'a, T: Float>(block: GroupBlock, at: impl Fn(usize) -> &'a [T]) -> Moments {
        let n = block.len() as f64;
        let mut sums = [[T::ZERO; LANES]];
        for s in block.slices.clone() {
            fold(
                &mut sums,
                [&at(s)[block.part.clone()]],
                #[inline(always)]
                |[x]| [x],
            );
        }
        let centre = T::from_f64(totals(sums)[0] / n);
        let mut sums = [[T::ZERO; LANES]; 2];
        for s in block.slices {
            fold(
                &mut sums,
                [&at(s)[block.part.clone()]],
                #[inline(always)]
                |[x]| [x - centre, (x - centre) * (x - centre)],
            );
        }
        Moments::around(centre, n, totals(sums))
    }

    /// The moments of `n` elements, from the sum of their deviations from `centre` (about their mean) and the sum of
    /// the squared deviations.
    #[inline(always)]
    pub fn around<T: Float>(centre: T, n: f64, [d, squares]: [f64; 2]) -> Moments {
        if !centre.is_finite() {
            // The mean is infinite or NaN; the deviations from it are not defined.
            return Moments { n, mean: centre.to_f64(), squares: f64::NAN };
        }
        Moments { n, mean: centre.to_f64() + d / n, squares: squares - d * d / n }
    }

    /// The moments of both sets of elements together.
    #[inline(always)]
    pub fn merge(self, other: Moments) -> Moments {
        if self.n == 0.0 {
            return other;
        }
        let n = self.n + other.n;
        let apart = other.mean - self.mean;
        Moments {
            n,
            // The mean of infinity and other numbers is infinity.
            mean: if apart.is_finite() { self.mean + apart * (other.n / n) } else { self.mean + other.mean },
            squares: self.squares + other.squares + apart * apart * (self.n * other.n / n),
        }
    }

    /// Mean and biased variance.
    #[inline(always)]
    pub fn statistics(self) -> [f64; 2] {
        // If all elements are equal, rounding may give a variance below 0. NaN stays NaN.
        let variance = self.squares / self.n;
        [self.mean, if variance < 0.0 { 0.0 } else { variance }]
    }
}
