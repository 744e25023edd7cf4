//! Normalisation: mean and deviation of groups of elements, taken out and put back, and the gradient of that.
//!
//! Four ops are this one computation. They differ in which elements form a group with statistics of its own, and which
//! share a weight and a bias. All is said by a [`Layout`], for an input `[N, C, L]`:
//!
//! | op | groups | slices | len | run | cycle |
//! |---|---|---|---|---|---|
//! | batch_norm | C | N | L | L | C |
//! | instance_norm | N C | 1 | L | L | C |
//! | group_norm | N G | 1 | C/G L | L | G |
//! | layer_norm, rows of D | rows | 1 | D | 1 | 1 |
//!
//! A group is one task, forward and backward: its statistics and then its elements. A channel of a batch that the first
//! loop brought into the cache is still there for the second, so main memory is read once and written once. Where a
//! group is a column (features, `[N, C]`), a task has 64 of them side by side.
//!
//! **Digits.** `E[x^2] - E[x]^2` loses all of them where the mean is large. Here every block of 1024 elements has
//! its own two passes (mean, then deviations from it) while it is in the first-level cache; blocks are merged in f64
//! (Chan, Golub, LeVeque 1979). What rounding the mean to `T` loses goes into the bias.

mod backward;
mod columns;
mod sums;

pub use backward::{Backward, Gradients, backward};

use super::CpuCtx;
use super::parallel::Strided;
use crate::core::Float;
use std::ops::Range;
use sums::{BLOCK, Block, Moments};

/// Numbers kept of each group: mean, variance, inverse deviation.
pub const STATS: usize = 3;
/// Columns of a task where neighbours belong to different groups, or have different weights.
const COLUMNS: usize = 64;

/// Which elements share statistics and which share a weight. See the [module docs](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Sets of elements with a mean and a deviation of their own.
    pub groups: usize,
    /// Contiguous slices of a group: the tensor's slices `g`, `g + groups`, `g + 2 groups`, ...
    pub slices: usize,
    /// Elements of a slice.
    pub len: usize,
    /// Neighbours that share a weight; divides `len`.
    pub run: usize,
    /// Groups after which the weights begin again; divides `groups`.
    pub cycle: usize,
}

impl Layout {
    /// Elements of a group.
    pub fn count(&self) -> usize {
        self.slices * self.len
    }

    /// Elements of all groups.
    pub fn numel(&self) -> usize {
        self.groups * self.count()
    }

    /// Runs of a slice: weights of a group.
    pub fn runs(&self) -> usize {
        self.len / self.run
    }

    /// Whether groups are the columns of a matrix (features, `[N, C]`): neighbours belong to different groups.
    fn features(&self) -> bool {
        self.len == 1 && self.slices > 1
    }

    /// Whether neighbours have different weights.
    pub fn elementwise(&self) -> bool {
        self.run == 1 && self.len > 1
    }

    /// The place of a group's first weight.
    fn first_weight(&self, g: usize) -> usize {
        (g % self.cycle) * self.runs()
    }

    /// Where slice `s` of group `g` begins.
    fn start(&self, g: usize, s: usize) -> usize {
        (s * self.groups + g) * self.len
    }

    /// Slice `s` of group `g`.
    #[inline(always)]
    fn slice<'a, T>(&self, x: &'a [T], g: usize, s: usize) -> &'a [T] {
        &x[self.start(g, s)..][..self.len]
    }

    /// Cuts a part of all slices of a group into blocks of about [`BLOCK`] elements.
    #[inline(always)]
    fn blocks(&self, part: Range<usize>, mut f: impl FnMut(Block)) {
        let (together, width) = ((BLOCK / part.len()).max(1), part.len().min(BLOCK));
        for s in (0..self.slices).step_by(together) {
            for from in part.clone().step_by(width) {
                let slices = s..self.slices.min(s + together);
                f(Block { slices, part: from..part.end.min(from + width) });
            }
        }
    }
}

/// A group's mean as a `T`, what that lost, and the inverse deviation: `xhat = (x - mean + lost) inverse`.
#[derive(Clone, Copy)]
struct Scale<T> {
    mean: T,
    lost: f64,
    inverse: f64,
}

impl<T: Float> Scale<T> {
    #[inline(always)]
    fn new(stats: &[f64]) -> Scale<T> {
        let mean = T::from_f64(stats[0]);
        let lost = if mean.is_finite() { mean.to_f64() - stats[0] } else { 0.0 };
        Scale { mean, lost, inverse: stats[2] }
    }

    /// `m`, `a` and `b` of `xhat weight + bias = (x - m) a + b`, where m is the mean. Where a is infinite it is 0 and
    /// `b = bias - mean a`, as in PyTorch: then the same outputs are NaN.
    #[inline(always)]
    fn line(self, weight: f64, bias: f64) -> [T; 3] {
        let factor = self.inverse * weight;
        let a = T::from_f64(factor);
        if a.is_finite() {
            [self.mean, a, T::from_f64(bias + self.lost * factor)]
        } else {
            [T::ZERO, a, T::from_f64(bias) - self.mean * a]
        }
    }

    /// `x + lost d`; where d is not finite x is it already, and what was lost of a mean is often 0.
    #[inline(always)]
    fn corrected(self, x: f64, d: f64) -> f64 {
        if d.is_finite() { x + self.lost * d } else { x }
    }

    /// The factors `b`, `c` of `mean(g) + xhat mean(g xhat) = (x - mean) b + c`. They are subtracted from `g` before it is
    /// multiplied by the inverse deviation, which may be large and nothing be left.
    #[inline(always)]
    fn centring(self, [g, product]: [f64; 2]) -> [T; 2] {
        let slope = self.inverse * product;
        [T::from_f64(slope), T::from_f64(self.corrected(g, slope))]
    }
}

/// The rectifier after a normalisation.
#[derive(Clone, Copy)]
pub enum Relu<'a, T> {
    /// There is none.
    None,
    /// `max(0, y)`.
    Plain,
    /// `max(0, y + residual)`: with the residual forward, with the output backward.
    Added(&'a [T]),
}

/// `max(0, y)`; NaN stays.
#[inline(always)]
fn relu<T: Float>(y: T) -> T {
    if y <= T::ZERO { T::ZERO } else { y }
}

/// What [`forward`] computes from.
#[derive(Clone, Copy)]
pub struct Forward<'a, T> {
    pub x: &'a [T],
    /// Mean and variance of each group; without them they are the group's own, the variance biased.
    pub running: Option<[&'a [T]; 2]>,
    pub weight: Option<&'a [T]>,
    pub bias: Option<&'a [T]>,
    pub eps: f64,
    pub relu: Relu<'a, T>,
}

/// Weight, or bias, number `w`.
#[inline(always)]
fn number<T: Float>(values: Option<&[T]>, w: usize, otherwise: f64) -> f64 {
    values.map_or(otherwise, |values| values[w].to_f64())
}

/// `y = (x - mean) / sqrt(variance + eps) * weight + bias`, group by group, and the rectifier; `stats` receives mean,
/// variance and inverse deviation of each.
pub fn forward<T: Float>(cx: &CpuCtx, l: Layout, from: Forward<T>, y: &mut [T], stats: &mut [f64]) {
    if l.numel() == 0 {
        return stats.fill(0.0);
    }
    if l.features() {
        return columns::forward(cx, l, from, y, stats);
    }
    cx.groups(l.groups, [y], l.len, stats, from.x.len(), |g, [y], stats| {
        cx.vectors::<T, _>(
            #[inline(always)]
            || group(l, from, g, y, stats),
        );
    });
}

#[inline(always)]
fn group<T: Float>(l: Layout, from: Forward<T>, g: usize, y: Strided<T>, stats: &mut [f64]) {
    let [mean, variance] = match from.running {
        Some(given) => given.map(|v| v[g].to_f64()),
        None => {
            let mut moments = Moments::NONE;
            l.blocks(
                0..l.len,
                #[inline(always)]
                |block| moments = moments.merge(Moments::of(block, |s| l.slice(from.x, g, s))),
            );
            moments.statistics()
        }
    };
    stats.copy_from_slice(&[mean, variance, 1.0 / (variance + from.eps).sqrt()]);
    let scale = Scale::new(stats);
    match from.relu {
        Relu::None if l.elementwise() => elementwise(l, from, g, scale, y),
        Relu::None => runs(l, from, g, scale, y, from.x, |y, _| y),
        Relu::Plain => runs(l, from, g, scale, y, from.x, |y, _| relu(y)),
        Relu::Added(residual) => runs(l, from, g, scale, y, residual, |y, residual| relu(y + residual)),
    }
}

/// `y = finish(xhat weight + bias, other)`. The last slices come first: they are still in the cache.
#[inline(always)]
fn runs<T: Float>(
    l: Layout,
    from: Forward<T>,
    g: usize,
    scale: Scale<T>,
    mut y: Strided<T>,
    other: &[T],
    finish: impl Fn(T, T) -> T,
) {
    for (s, j) in (0..l.slices).rev().flat_map(|s| (0..l.runs()).map(move |j| (s, j))) {
        let (part, w) = (j * l.run..(j + 1) * l.run, l.first_weight(g) + j);
        let [mean, a, b] = scale.line(number(from.weight, w, 1.0), number(from.bias, w, 0.0));
        let (x, other) = (&l.slice(from.x, g, s)[part.clone()], &l.slice(other, g, s)[part.clone()]);
        let y = &mut y.piece(s)[part];
        let (n, other) = (x.len(), &other[..x.len()]);
        let y = &mut y[..n];
        for i in 0..n {
            y[i] = finish((x[i] - mean) * a + b, other[i]);
        }
    }
}

/// The same where neighbours have different weights.
#[inline(always)]
fn elementwise<T: Float>(l: Layout, from: Forward<T>, g: usize, scale: Scale<T>, mut y: Strided<T>) {
    let ([mean, a, b], first) = (scale.line(1.0, 0.0), l.first_weight(g));
    for s in 0..l.slices {
        let y = y.piece(s);
        let x = &l.slice(from.x, g, s)[..y.len()];
        for i in 0..y.len() {
            y[i] = (x[i] - mean) * a + b;
        }
        if let Some(weight) = from.weight {
            let weight = &weight[first..][..y.len()];
            for i in 0..y.len() {
                y[i] *= weight[i];
            }
        }
        if let Some(bias) = from.bias {
            let bias = &bias[first..][..y.len()];
            for i in 0..y.len() {
                y[i] += bias[i];
            }
        }
    }
}
