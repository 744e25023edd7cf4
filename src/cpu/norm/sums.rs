//! Sums, means and deviations over blocks of elements.

use crate::core::Float;
use std::ops::Range;

/// Elements whose sums are formed in `T`, in lanes, before they are added in f64.
pub const BLOCK: usize = 1024;
/// Independent running sums within a block.
pub const LANES: usize = 16;

/// Some equally long ranges of a group, at equal distances.
#[derive(Clone, Copy)]
pub struct Block {
    pub start: usize,
    pub count: usize,
    pub stride: usize,
    pub len: usize,
}

impl Block {
    /// The ranges, in order.
    #[inline(always)]
    pub fn ranges(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.count).map(move |i| self.start + i * self.stride..self.start + i * self.stride + self.len)
    }
}

/// `sums[k] += f(x[0][i], x[1][i], ..)[k]` over all i, in lanes. The inputs are equally long.
#[inline(always)]
pub fn fold<T: Float, const N: usize, const K: usize>(
    sums: &mut [[T; LANES]; K],
    x: [&[T]; N],
    f: impl Fn([T; N]) -> [T; K],
) {
    let chunks = x.map(|x| x.as_chunks::<LANES>());
    for i in 0..chunks[0].0.len() {
        let at: [&[T; LANES]; N] = std::array::from_fn(|n| &chunks[n].0[i]);
        for lane in 0..LANES {
            let added = f(at.map(|x| x[lane]));
            (0..K).for_each(|k| sums[k][lane] += added[k]);
        }
    }
    let rest = chunks.map(|x| x.1);
    for (lane, _) in rest[0].iter().enumerate() {
        let added = f(rest.map(|x| x[lane]));
        (0..K).for_each(|k| sums[k][lane] += added[k]);
    }
}

/// The lanes added up.
pub fn totals<T: Float, const K: usize>(sums: [[T; LANES]; K]) -> [f64; K] {
    sums.map(|lanes| lanes.iter().map(|lane| lane.to_f64()).sum())
}

/// Number, mean and sum of squared deviations of elements.
#[derive(Clone, Copy)]
pub struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Of no elements.
    pub const NONE: Moments = Moments { n: 0.0, mean: 0.0, squares: 0.0 };

    /// Two passes over a block: the mean, roughly, and the deviations from it, which also correct it.
    pub fn of<T: Float>(x: &[T], block: Block) -> Moments {
        let n = (block.count * block.len) as f64;
        let mut sums = [[T::ZERO; LANES]];
        block.ranges().for_each(|r| fold(&mut sums, [&x[r]], |[x]| [x]));
        let centre = T::from_f64(totals(sums)[0] / n);
        let mut sums = [[T::ZERO; LANES]; 2];
        for r in block.ranges() {
            fold(&mut sums, [&x[r]], |[x]| {
                let d = x - centre;
                [d, d * d]
            });
        }
        let [d, squares] = totals(sums);
        Moments { n, mean: centre.to_f64() + d / n, squares: squares - d * d / n }
    }

    /// Both together.
    pub fn merge(self, other: Moments) -> Moments {
        if self.n == 0.0 {
            return other;
        }
        let n = self.n + other.n;
        let apart = other.mean - self.mean;
        Moments {
            n,
            mean: self.mean + apart * (other.n / n),
            squares: self.squares + other.squares + apart * apart * (self.n * other.n / n),
        }
    }

    /// Mean and biased variance.
    pub fn statistics(self) -> [f64; 2] {
        // Equal elements may leave a rounding error below 0; NaN stays.
        let variance = self.squares / self.n;
        [self.mean, if variance < 0.0 { 0.0 } else { variance }]
    }
}
