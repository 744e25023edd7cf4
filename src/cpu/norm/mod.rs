//! Normalisation: each group of elements is normalised by its mean and deviation, then scaled and shifted. The gradient
//! is here, too.
//!
//! Four ops are this one computation. They differ in which elements form a group with statistics of its own, and which
//! share a weight and a bias. A [`NormLayout`] describes both. For an input `[N, C, L]`:
//!
//! | op | groups | slices | len | run | cycle |
//! |---|---|---|---|---|---|
//! | batch_norm | C | N | L | L | C |
//! | instance_norm | N C | 1 | L | L | C |
//! | group_norm | N G | 1 | C/G L | L | G |
//! | layer_norm, rows of D | rows | 1 | D | 1 | 1 |
//!
//! A group is one task, forward and backward: first its statistics, then its elements. A group that the first loop
//! brought into the cache is still there for the second, so main memory is read once and written once. If groups are
//! columns (features, `[N, C]`), a task has 64 of them side by side.
//!
//! **Digits.** `E[x^2] - E[x]^2` loses all digits if the mean is large. Here each block of 1024 elements gets two
//! passes of its own (mean, then deviations from it) while it is in the first-level cache. Blocks are merged in f64
//! (Chan, Golub, LeVeque 1979). The error of rounding the mean to `T` is added to the bias.

mod backward;
mod columns;
mod sums;

pub use backward::{Gradients, NormBackward, backward};

use super::CpuCtx;
use super::chunks::StridedPieces;
use crate::core::Float;
use std::ops::Range;
use sums::{BLOCK, GroupBlock, Moments};

/// Numbers kept per group: mean, variance, inverse deviation.
pub const STATS: usize = 3;
/// Columns of a task, if neighbours belong to different groups or have different weights.
const COLUMNS: usize = 64;

/// Which elements share statistics and which share a weight. See the [module docs](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NormLayout {
    /// Sets of elements with a mean and a deviation of their own.
    pub groups: usize,
    /// Contiguous slices of a group: the tensor's slices `g`, `g + groups`, `g + 2 groups`, ...
    pub slices: usize,
    /// Elements of a slice.
    pub len: usize,
    /// Consecutive elements that share a weight; divides `len`.
    pub run: usize,
    /// The number of groups after which the weights repeat; divides `groups`.
    pub cycle: usize,
}

impl NormLayout {
    /// The number of elements of a group.
    pub fn count(&self) -> usize {
        self.slices * self.len
    }

    /// The number of elements of all groups.
    pub fn numel(&self) -> usize {
        self.groups * self.count()
    }

    /// The number of runs of a slice, which is the number of weights of a group.
    pub fn runs(&self) -> usize {
        self.len / self.run
    }

    /// True if groups are the columns of a matrix (features, `[N, C]`): neighbours belong to different groups.
    fn features(&self) -> bool {
        self.len == 1 && self.slices > 1
    }

    /// True if neighbours have different weights.
    pub fn elementwise(&self) -> bool {
        self.run == 1 && self.len > 1
    }

    /// The index of a group's first weight.
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
    fn blocks(&self, part: Range<usize>, mut f: impl FnMut(GroupBlock)) {
        let (together, width) = ((BLOCK / part.len()).max(1), part.len().min(BLOCK));
        for s in (0..self.slices).step_by(together) {
            for from in part.clone().step_by(width) {
                let slices = s..self.slices.min(s + together);
                f(GroupBlock { slices, part: from..part.end.min(from + width) });
            }
        }
    }
}

/// A group's mean as a `T`, the error of that rounding, and the inverse deviation: `xhat = (x - mean + lost) inverse`.
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

    /// `m`, `a` and `b` of `xhat weight + bias = (x - m) a + b`. m is the mean; but if a is not finite, m is 0 and
    /// `b = bias - mean a`. So the same outputs are NaN as in PyTorch.
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

    /// `x + lost d`, or x if d is not finite. In that case x is not finite either, and `lost`, which is often 0, times
    /// d would be NaN.
    #[inline(always)]
    fn corrected(self, x: f64, d: f64) -> f64 {
        if d.is_finite() { x + self.lost * d } else { x }
    }

    /// `b` and `c` of `mean(g) + xhat mean(g xhat) = (x - mean) b + c`. This is subtracted from `g` before the product
    /// with the inverse deviation: that may be large, and the difference 0.
    #[inline(always)]
    fn centring(self, [g, product]: [f64; 2]) -> [T; 2] {
        let slope = self.inverse * product;
        [T::from_f64(slope), T::from_f64(self.corrected(g, slope))]
    }
}

/// The rectifier after a normalisation.
#[derive(Clone, Copy)]
pub enum NormRelu<'a, T> {
    /// No rectifier.
    None,
    /// `max(0, y)`.
    Plain,
    /// `max(0, y + residual)`. Holds the residual in the forward pass, and the output in the backward pass.
    Added(&'a [T]),
}

/// `max(0, y)`; NaN stays.
#[inline(always)]
fn relu<T: Float>(y: T) -> T {
    if y <= T::ZERO { T::ZERO } else { y }
}

/// The inputs of [`forward`].
#[derive(Clone, Copy)]
pub struct NormForward<'a, T> {
    pub x: &'a [T],
    /// Mean and variance of each group. If `None`, they are computed from the group; the variance is biased.
    pub running: Option<[&'a [T]; 2]>,
    pub weight: Option<&'a [T]>,
    pub bias: Option<&'a [T]>,
    pub eps: f64,
    pub relu: NormRelu<'a, T>,
}

/// Weight or bias number `w`, or `otherwise` if there are none.
#[inline(always)]
fn number<T: Float>(values: Option<&[T]>, w: usize, otherwise: f64) -> f64 {
    values.map_or(otherwise, |values| values[w].to_f64())
}

/// `y = (x - mean) / sqrt(variance + eps) * weight + bias`, group by group, and then the rectifier. `stats` receives
/// the mean, variance and inverse deviation of each group.
pub fn forward<T: Float>(cx: &CpuCtx, l: NormLayout, from: NormForward<T>, y: &mut [T], stats: &mut [f64]) {
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
fn group<T: Float>(l: NormLayout, from: NormForward<T>, g: usize, y: StridedPieces<T>, stats: &mut [f64]) {
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
        NormRelu::None if l.elementwise() => elementwise(l, from, g, scale, y),
        NormRelu::None => runs(l, from, g, scale, y, from.x, |y, _| y),
        NormRelu::Plain => runs(l, from, g, scale, y, from.x, |y, _| relu(y)),
        NormRelu::Added(residual) => runs(l, from, g, scale, y, residual, |y, residual| relu(y + residual)),
    }
}

/// `y = finish(xhat weight + bias, other)`. The last slices come first: they are still in the cache.
#[inline(always)]
fn runs<T: Float>(
    l: NormLayout,
    from: NormForward<T>,
    g: usize,
    scale: Scale<T>,
    mut y: StridedPieces<T>,
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

/// The same, if neighbours have different weights.
#[inline(always)]
fn elementwise<T: Float>(
    l: NormLayout,
    from: NormForward<T>,
    g: usize,
    scale: Scale<T>,
    mut y: StridedPieces<T>,
) {
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
