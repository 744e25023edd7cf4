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
//! loop brought into the cache is still there for the second, so main memory is read once and written once.
//!
//! **Digits.** `E[x^2] - E[x]^2` loses all of them where the mean is large. Here every block of 1024 elements has
//! its own two passes (mean, then deviations from it) while it is in the first-level cache; blocks are merged in f64
//! (Chan, Golub, LeVeque 1979). What rounding the mean to `T` loses goes into the bias.

mod sums;

use super::CpuCtx;
use super::context::CHUNK;
use crate::core::Float;
use sums::{BLOCK, Block, LANES, Moments, fold, totals};

/// Numbers kept of each group: mean, variance, inverse deviation.
pub const STATS: usize = 3;
/// Columns of a task where weights differ from element to element.
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

    /// Groups of single elements far apart (features, `[N, C]`) are quicker worked on as rows: the layout of the
    /// transposed matrix.
    fn turned(&self) -> Option<Layout> {
        let rows = Layout { slices: 1, len: self.slices, run: self.slices, ..*self };
        (self.len == 1 && self.slices > 1).then_some(rows)
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

    /// Cuts the `len` elements from `start` on, in each slice of a group, into blocks of about [`BLOCK`].
    #[inline(always)]
    fn blocks(&self, start: usize, len: usize, mut f: impl FnMut(Block)) {
        let stride = self.groups * self.len;
        let (ranges, width) = ((BLOCK / len).max(1), len.min(BLOCK));
        for s in (0..self.slices).step_by(ranges) {
            for offset in (0..len).step_by(width) {
                f(Block {
                    start: start + s * stride + offset,
                    count: ranges.min(self.slices - s),
                    stride,
                    len: width.min(len - offset),
                });
            }
        }
    }
}

/// `y[c, r] = x[r, c]` for rows of `columns` elements.
fn transpose<T: Float>(cx: &CpuCtx, columns: usize, x: &[T], y: &mut [T]) {
    let (rows, work) = (x.len() / columns, y.len());
    cx.pieces(y, LANES * rows, work, |piece, y| {
        for (r, x) in x.chunks_exact(columns).enumerate() {
            let x = &x[piece * LANES..];
            y[r..].iter_mut().step_by(rows).zip(x).for_each(|(y, &x)| *y = x);
        }
    });
}

/// A group's mean as a `T`, what that lost, and the inverse deviation: `xhat = (x - mean + lost) inverse`.
#[derive(Clone, Copy)]
struct Scale<T> {
    mean: T,
    lost: f64,
    inverse: f64,
}

impl<T: Float> Scale<T> {
    fn new(stats: &[f64]) -> Scale<T> {
        let mean = T::from_f64(stats[0]);
        Scale { mean, lost: mean.to_f64() - stats[0], inverse: stats[2] }
    }
}

/// What follows a normalisation in residual nets: `y = max(0, y + residual)`, or a part of that.
#[derive(Clone, Copy)]
pub struct Finish<'a, T> {
    pub residual: Option<&'a [T]>,
    pub relu: bool,
}

impl<T: Float> Finish<'_, T> {
    /// Nothing follows.
    const NONE: Self = Finish { residual: None, relu: false };

    /// Finishes the outputs from `start` on.
    fn apply(self, start: usize, y: &mut [T]) {
        if let Some(residual) = self.residual {
            y.iter_mut().zip(&residual[start..]).for_each(|(y, &r)| *y += r);
        }
        if self.relu {
            y.iter_mut().for_each(|y| *y = if *y <= T::ZERO { T::ZERO } else { *y });
        }
    }
}

/// `y = (x - mean) / sqrt(variance + eps) * weight + bias`, group by group, and the finish; `stats` receives mean,
/// variance and inverse deviation of each. Without `given` mean and variance of each group they are the group's own, the
/// variance biased.
#[allow(clippy::too_many_arguments)] // the formula's own
pub fn forward<T: Float>(
    cx: &CpuCtx,
    l: Layout,
    eps: f64,
    x: &[T],
    given: Option<[&[T]; 2]>,
    [weight, bias]: [Option<&[T]>; 2],
    finish: Finish<T>,
    y: &mut [T],
    stats: &mut [f64],
) {
    if l.numel() == 0 {
        return stats.fill(0.0);
    }
    if let Some(turned) = l.turned() {
        let mut buffer = cx.scratch(2 * size_of_val(x));
        let (xt, yt) = buffer.slice_mut().split_at_mut(x.len());
        transpose(cx, l.groups, x, xt);
        forward(cx, turned, eps, xt, given, [weight, bias], Finish::NONE, yt, stats);
        transpose(cx, l.slices, yt, y);
        return cx.pieces(y, CHUNK, x.len(), |piece, y| finish.apply(piece * CHUNK, y));
    }
    cx.groups(l.groups, (y, l.len), stats, x.len(), |g, y, stats| {
        let [mean, variance] = match given {
            Some(given) => given.map(|v| v[g].to_f64()),
            None => {
                let mut moments = Moments::NONE;
                l.blocks(l.start(g, 0), l.len, |block| moments = moments.merge(Moments::of(x, block)));
                moments.statistics()
            }
        };
        stats.copy_from_slice(&[mean, variance, 1.0 / (variance + eps).sqrt()]);
        let (scale, first) = (Scale::new(stats), l.first_weight(g));
        for s in 0..l.slices {
            let (x, y) = (&x[l.start(g, s)..][..l.len], y.piece(s));
            if l.elementwise() {
                normalise(scale, x, 1.0, 0.0, y);
                if let Some(weight) = weight {
                    y.iter_mut().zip(&weight[first..]).for_each(|(y, &w)| *y *= w);
                }
                if let Some(bias) = bias {
                    y.iter_mut().zip(&bias[first..]).for_each(|(y, &b)| *y += b);
                }
            } else {
                for (j, (x, y)) in x.chunks_exact(l.run).zip(y.chunks_exact_mut(l.run)).enumerate() {
                    let w = weight.map_or(1.0, |w| w[first + j].to_f64());
                    normalise(scale, x, w, bias.map_or(0.0, |b| b[first + j].to_f64()), y);
                }
            }
            finish.apply(l.start(g, s), y);
        }
    });
}

/// `y = xhat * weight + bias`.
#[inline(always)]
fn normalise<T: Float>(scale: Scale<T>, x: &[T], weight: f64, bias: f64, y: &mut [T]) {
    let factor = scale.inverse * weight;
    let (mean, a, b) = (scale.mean, T::from_f64(factor), T::from_f64(bias + scale.lost * factor));
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - mean) * a + b);
}

/// What backward starts from.
#[derive(Clone, Copy)]
pub struct Tape<'a, T> {
    pub dy: &'a [T],
    pub x: &'a [T],
    /// Of each group, from [`forward`].
    pub stats: &'a [f64],
    pub weight: Option<&'a [T]>,
    /// Whether the statistics were the groups' own, so that they depend on `x`.
    pub own: bool,
}

/// The gradients that are asked for; an empty slice is not.
pub struct Gradients<'a, T> {
    pub dx: &'a mut [T],
    pub dweight: &'a mut [T],
    pub dbias: &'a mut [T],
}

/// With `g = dy * weight` and means over the group,
/// `dx = (g - mean(g) - xhat mean(g xhat)) * inverse deviation`, or `g * inverse deviation` for given statistics;
/// `dweight = sum dy xhat`, `dbias = sum dy` over the elements that share them.
pub fn backward<T: Float>(cx: &CpuCtx, l: Layout, tape: Tape<T>, out: Gradients<T>) {
    if l.numel() == 0 {
        out.dweight.fill(T::ZERO);
        return out.dbias.fill(T::ZERO);
    }
    if let Some(turned) = l.turned() {
        let mut buffer = cx.scratch(3 * size_of_val(tape.x));
        let (x, rest) = buffer.slice_mut().split_at_mut(tape.x.len());
        let (dy, dx) = rest.split_at_mut(x.len());
        transpose(cx, l.groups, tape.x, x);
        transpose(cx, l.groups, tape.dy, dy);
        let dx = if out.dx.is_empty() { &mut [] } else { dx };
        backward(cx, turned, Tape { x, dy, ..tape }, Gradients { dx: &mut *dx, ..out });
        return transpose(cx, l.slices, dx, out.dx);
    }
    if l.elementwise() {
        return elementwise_backward(cx, l, tape, out);
    }
    let Tape { dy, x, .. } = tape;
    let (runs, asked) = (l.runs(), !out.dx.is_empty());
    let summed = tape.own || !out.dweight.is_empty() || !out.dbias.is_empty();
    let mut sums = cx.scratch(l.groups * runs * 2 * size_of::<f64>());
    let sums = sums.slice_mut::<f64>();
    cx.groups(l.groups, (&mut *out.dx, l.len), sums, 2 * x.len(), |g, dx, sums| {
        let scale = Scale::<T>::new(&tape.stats[STATS * g..]);
        let weight = |j: usize| tape.weight.map_or(1.0, |w| w[l.first_weight(g) + j].to_f64());
        if summed {
            for (j, sums) in sums.chunks_exact_mut(2).enumerate() {
                sums.copy_from_slice(&run_sums(l, tape, scale, l.start(g, 0) + j * l.run));
            }
        }
        if !asked {
            return;
        }
        let mut means = [0.0; 2];
        if tape.own {
            for (j, sums) in sums.chunks_exact(2).enumerate() {
                (0..2).for_each(|k| means[k] += weight(j) * sums[k] / l.count() as f64);
            }
        }
        for (s, j) in (0..l.slices).flat_map(|s| (0..runs).map(move |j| (s, j))) {
            let (from, part) = (l.start(g, s) + j * l.run, j * l.run..(j + 1) * l.run);
            let (dy, x) = (&dy[from..][..l.run], &x[from..][..l.run]);
            input_gradient(scale, tape.own.then_some(means), weight(j), dy, x, &mut dx.piece(s)[part]);
        }
    });
    // Weight k belongs to run k % runs of the groups k / runs, k / runs + cycle, ...
    let each = l.cycle * runs;
    for (k, gradient) in [out.dbias, out.dweight].into_iter().enumerate() {
        for (w, d) in gradient.iter_mut().enumerate() {
            *d = T::from_f64(sums[2 * w + k..].iter().step_by(2 * each).sum());
        }
    }
}

/// `sum dy` and `sum dy xhat` over the run at `start` in all slices of a group.
fn run_sums<T: Float>(l: Layout, tape: Tape<T>, scale: Scale<T>, start: usize) -> [f64; 2] {
    let mut both = [0.0; 2];
    l.blocks(start, l.run, |block| {
        let mut sums = [[T::ZERO; LANES]; 2];
        for r in block.ranges() {
            fold(&mut sums, [&tape.dy[r.clone()], &tape.x[r]], |[dy, x]| [dy, dy * (x - scale.mean)]);
        }
        let [dy, product] = totals(sums);
        both[0] += dy;
        both[1] += scale.inverse * (product + scale.lost * dy);
    });
    both
}

/// `dx` where all elements have one weight; `means` of `g` and `g xhat`, unless the statistics were given.
#[inline(always)]
fn input_gradient<T: Float>(
    scale: Scale<T>,
    means: Option<[f64; 2]>,
    weight: f64,
    dy: &[T],
    x: &[T],
    dx: &mut [T],
) {
    let Some(means) = means else {
        let factor = T::from_f64(scale.inverse * weight);
        return dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx = dy * factor);
    };
    let (mean, inverse, w) = (scale.mean, T::from_f64(scale.inverse), T::from_f64(weight));
    let [b, c] = centring(scale, means);
    dx.iter_mut().zip(dy).zip(x).for_each(|((dx, &dy), &x)| *dx = (dy * w - c - (x - mean) * b) * inverse);
}

/// The factors `b`, `c` of `mean(g) + xhat mean(g xhat) = (x - mean) b + c`. They are subtracted from `g` before it is
/// multiplied by the inverse deviation, which may be large and nothing be left.
fn centring<T: Float>(scale: Scale<T>, [g, product]: [f64; 2]) -> [T; 2] {
    let slope = scale.inverse * product;
    [slope, g + scale.lost * slope].map(T::from_f64)
}

/// The same where every element of a slice has its own weight; a group is one slice then.
fn elementwise_backward<T: Float>(cx: &CpuCtx, l: Layout, tape: Tape<T>, out: Gradients<T>) {
    if !out.dx.is_empty() {
        let mut means = cx.scratch(l.groups * 2 * size_of::<f64>());
        let means = means.slice_mut::<f64>();
        cx.groups(l.groups, (&mut *out.dx, l.len), means, 2 * tape.x.len(), |g, dx, means| {
            let scale = Scale::<T>::new(&tape.stats[STATS * g..]);
            let start = l.start(g, 0);
            let (dx, x, dy) = (dx.piece(0), &tape.x[start..][..l.len], &tape.dy[start..][..l.len]);
            match tape.weight {
                Some(w) => {
                    let w = &w[l.first_weight(g)..][..l.len];
                    dx.iter_mut().zip(dy).zip(w).for_each(|((dx, &dy), &w)| *dx = dy * w);
                }
                None => dx.copy_from_slice(dy),
            }
            means.fill(0.0);
            for (g, x) in dx.chunks(BLOCK).zip(x.chunks(BLOCK)) {
                let mut sums = [[T::ZERO; LANES]; 2];
                fold(&mut sums, [g, x], |[g, x]| [g, g * (x - scale.mean)]);
                let [g, product] = totals(sums);
                means[0] += g / l.len as f64;
                means[1] += scale.inverse * (product + scale.lost * g) / l.len as f64;
            }
            let (inverse, [b, c]) = (T::from_f64(scale.inverse), centring(scale, [means[0], means[1]]));
            dx.iter_mut().zip(x).for_each(|(dx, &x)| *dx = (*dx - c - (x - scale.mean) * b) * inverse);
        });
    }
    if out.dweight.is_empty() && out.dbias.is_empty() {
        return;
    }
    let mut sums = cx.scratch(l.cycle * l.len * 2 * size_of::<f64>());
    let sums = sums.slice_mut::<f64>();
    for (first, sums) in sums.chunks_exact_mut(2 * l.len).enumerate() {
        cx.pieces(sums, 2 * COLUMNS, 2 * tape.x.len(), |piece, sums| {
            sums.fill(0.0);
            for g in (first..l.groups).step_by(l.cycle) {
                let &[mean, _, inverse] = &tape.stats[STATS * g..][..STATS] else { unreachable!() };
                let at = l.start(g, 0) + piece * COLUMNS;
                for ((sums, dy), x) in sums.chunks_exact_mut(2).zip(&tape.dy[at..]).zip(&tape.x[at..]) {
                    sums[0] += dy.to_f64();
                    sums[1] += dy.to_f64() * (x.to_f64() - mean) * inverse;
                }
            }
        });
    }
    for (k, gradient) in [out.dbias, out.dweight].into_iter().enumerate() {
        gradient.iter_mut().zip(sums.chunks_exact(2)).for_each(|(d, sums)| *d = T::from_f64(sums[k]));
    }
}
