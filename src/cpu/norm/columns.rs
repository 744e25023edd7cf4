//! Normalisation if groups are the columns of a matrix (features, `[N, C]`). A task has some columns side by side. So
//! it reads rows as they lie in memory, and every column has a lane of its own.

use super::backward::{Needs, NormBackward};
use super::sums::Moments;
use super::{COLUMNS, NormForward, NormLayout, NormRelu, STATS, Scale, number, relu};
use crate::core::Float;
use crate::cpu::CpuCtx;
use crate::cpu::chunks::Columns;
use std::ops::Range;

/// Rows that are summed in `T` before the sums are added in f64.
const ROWS: usize = 128;

/// One number per column of a task.
type Strip<T> = [T; COLUMNS];

/// Some columns of a matrix with `row` elements per row.
#[derive(Clone)]
struct ColumnSlice<'a, T> {
    x: &'a [T],
    row: usize,
    columns: Range<usize>,
}

impl<'a, T> ColumnSlice<'a, T> {
    #[inline(always)]
    fn row(&self, r: usize) -> &'a [T] {
        &self.x[r * self.row..][self.columns.clone()]
    }
}

/// As [`super::forward`].
pub(super) fn forward<T: Float>(
    cx: &CpuCtx,
    l: NormLayout,
    from: NormForward<T>,
    y: &mut [T],
    stats: &mut [f64],
) {
    cx.columns([y], l.groups, COLUMNS, stats, from.x.len(), |columns, [y], stats| {
        cx.vectors::<T, _>(
            #[inline(always)]
            || strip(l, from, columns, y, stats),
        );
    });
}

#[inline(always)]
fn strip<T: Float>(
    l: NormLayout,
    from: NormForward<T>,
    columns: Range<usize>,
    y: Columns<T>,
    stats: &mut [f64],
) {
    let x = ColumnSlice { x: from.x, row: l.groups, columns };
    match from.running {
        Some(running) => {
            for (stats, c) in stats.chunks_exact_mut(STATS).zip(x.columns.clone()) {
                (0..2).for_each(|k| stats[k] = running[k][c].to_f64());
            }
        }
        None => statistics(l, &x, stats),
    }
    for stats in stats.chunks_exact_mut(STATS) {
        stats[2] = 1.0 / (stats[1] + from.eps).sqrt();
    }
    match from.relu {
        NormRelu::None => normalise(l, from, &x, stats, y, from.x, |y, _| y),
        NormRelu::Plain => normalise(l, from, &x, stats, y, from.x, |y, _| relu(y)),
        NormRelu::Added(residual) => normalise(l, from, &x, stats, y, residual, |y, other| relu(y + other)),
    }
}

/// Mean and variance of each column, computed as in [`Moments::of`].
#[inline(always)]
fn statistics<T: Float>(l: NormLayout, x: &ColumnSlice<T>, stats: &mut [f64]) {
    let mut moments = [Moments::NONE; COLUMNS];
    for first in (0..l.slices).step_by(ROWS) {
        let (rows, n) = (first..l.slices.min(first + ROWS), (l.slices - first).min(ROWS) as f64);
        let [mut sum, mut squares]: [Strip<T>; 2] = [[T::ZERO; COLUMNS]; 2];
        for r in rows.clone() {
            let x = x.row(r);
            for c in 0..x.len().min(COLUMNS) {
                sum[c] += x[c];
            }
        }
        let centre = sum.map(|sum| T::from_f64(sum.to_f64() / n));
        sum = [T::ZERO; COLUMNS];
        for r in rows {
            let x = x.row(r);
            for c in 0..x.len().min(COLUMNS) {
                let d = x[c] - centre[c];
                sum[c] += d;
                squares[c] += d * d;
            }
        }
        for (c, moments) in moments[..x.columns.len()].iter_mut().enumerate() {
            *moments = moments.merge(Moments::around(centre[c], n, [sum[c], squares[c]].map(T::to_f64)));
        }
    }
    for (stats, moments) in stats.chunks_exact_mut(STATS).zip(moments) {
        stats[..2].copy_from_slice(&moments.statistics());
    }
}

/// `m`, `a` and `b` of each column's `(x - m) a + b = xhat weight + bias`.
#[inline(always)]
fn lines<T: Float>(
    columns: &Range<usize>,
    stats: &[f64],
    weight: Option<&[T]>,
    bias: Option<&[T]>,
) -> [Strip<T>; 3] {
    let mut lines = [[T::ZERO; COLUMNS]; 3];
    for (i, (stats, c)) in stats.chunks_exact(STATS).zip(columns.clone()).enumerate() {
        let scale = Scale::<T>::new(stats);
        let line = scale.line(number(weight, c, 1.0), number(bias, c, 0.0));
        (0..3).for_each(|k| lines[k][i] = line[k]);
    }
    lines
}

#[inline(always)]
fn normalise<T: Float>(
    l: NormLayout,
    from: NormForward<T>,
    x: &ColumnSlice<T>,
    stats: &[f64],
    mut y: Columns<T>,
    other: &[T],
    finish: impl Fn(T, T) -> T,
) {
    let [mean, a, b] = lines(&x.columns, stats, from.weight, from.bias);
    let other = ColumnSlice { x: other, ..x.clone() };
    for r in 0..l.slices {
        let y = y.row(r);
        let n = y.len().min(COLUMNS);
        let (y, x, other) = (&mut y[..n], &x.row(r)[..n], &other.row(r)[..n]);
        for c in 0..n {
            y[c] = finish((x[c] - mean[c]) * a[c] + b[c], other[c]);
        }
    }
}

/// Stores the numbers of the columns that exist. This is a loop, because a call that takes the address of `from` would
/// keep it in memory instead of registers.
#[inline(always)]
#[allow(clippy::manual_memcpy)] // explained above
fn store<T: Copy>(from: &Strip<T>, to: &mut [T]) {
    for c in 0..to.len().min(COLUMNS) {
        to[c] = from[c];
    }
}

/// Like [`super::backward()`]. `sums` receives `sum d` and `sum d xhat` of each column.
pub(super) fn backward<T: Float>(
    cx: &CpuCtx,
    l: NormLayout,
    from: NormBackward<T>,
    needs: Needs,
    outputs: [&mut [T]; 2],
    sums: &mut [f64],
) {
    cx.columns(outputs, l.groups, COLUMNS, sums, 2 * from.x.len(), |columns, outputs, sums| {
        cx.vectors::<T, _>(
            #[inline(always)]
            || {
                let stats = &from.stats[STATS * columns.start..STATS * columns.end];
                let lines = lines(&columns, stats, from.weight, from.bias);
                let x = ColumnSlice { x: from.x, row: l.groups, columns };
                let strip = Strips { l, from, needs, stats, lines, x };
                match from.relu {
                    NormRelu::None => strip.passes(outputs, sums, from.x, |dy, _, _| dy),
                    NormRelu::Plain => {
                        strip.passes(
                            outputs,
                            sums,
                            from.x,
                            |dy, y, _| if y <= T::ZERO { T::ZERO } else { dy },
                        );
                    }
                    NormRelu::Added(y) => {
                        strip.passes(outputs, sums, y, |dy, _, y| if y <= T::ZERO { T::ZERO } else { dy });
                    }
                }
            },
        );
    });
}

/// The data from which a task computes the gradients of its columns.
struct Strips<'a, T> {
    l: NormLayout,
    from: NormBackward<'a, T>,
    needs: Needs,
    stats: &'a [f64],
    lines: [Strip<T>; 3],
    x: ColumnSlice<'a, T>,
}

impl<T: Float> Strips<'_, T> {
    /// Computes the sums, then the gradients. `d = pass(dy, normalised x, other)`.
    #[inline(always)]
    fn passes(
        self,
        [mut dx, mut dresidual]: [Columns<T>; 2],
        sums: &mut [f64],
        other: &[T],
        pass: impl Fn(T, T, T) -> T,
    ) {
        let (rows, columns) = (self.l.slices, self.x.columns.clone());
        let (dy, other) =
            (ColumnSlice { x: self.from.dy, ..self.x.clone() }, ColumnSlice { x: other, ..self.x.clone() });
        let scales = || self.stats.chunks_exact(STATS).map(Scale::<T>::new);
        let mut mean: Strip<T> = [T::ZERO; COLUMNS];
        mean.iter_mut().zip(scales()).for_each(|(mean, scale)| *mean = scale.mean);
        // `d` and `x - mean` of a row.
        let row = |r: usize, d: &mut Strip<T>, centred: &mut Strip<T>| {
            let n = columns.len();
            let (dy, x, other) = (&dy.row(r)[..n], &self.x.row(r)[..n], &other.row(r)[..n]);
            let [m, a, b] = &self.lines;
            for c in 0..n.min(COLUMNS) {
                centred[c] = x[c] - mean[c];
                d[c] = pass(dy[c], (x[c] - m[c]) * a[c] + b[c], other[c]);
            }
        };
        let [mut d, mut centred]: [Strip<T>; 2] = [[T::ZERO; COLUMNS]; 2];
        if self.needs.sums {
            sums.fill(0.0);
            for first in (0..rows).step_by(ROWS) {
                let [mut sum, mut product]: [Strip<T>; 2] = [[T::ZERO; COLUMNS]; 2];
                for r in first..rows.min(first + ROWS) {
                    row(r, &mut d, &mut centred);
                    for c in 0..COLUMNS {
                        sum[c] += d[c];
                        product[c] += d[c] * centred[c];
                    }
                }
                for ((sums, scale), (d, product)) in
                    sums.chunks_exact_mut(2).zip(scales()).zip(sum.iter().zip(&product))
                {
                    sums[0] += d.to_f64();
                    sums[1] += scale.inverse * scale.corrected(product.to_f64(), d.to_f64());
                }
            }
        }
        // dx = (d w - f - (x - mean) e) inverse
        let [mut w, mut e, mut f, mut inverse]: [Strip<T>; 4] = [[T::ZERO; COLUMNS]; 4];
        for (c, scale) in scales().enumerate() {
            let weight = number(self.from.weight, columns.start + c, 1.0);
            // As in `backward.rs`: a weight that is not finite is multiplied last.
            let (weight, last) = if weight.is_finite() { (weight, 1.0) } else { (1.0, weight) };
            if self.from.own {
                let mean = |k: usize| weight * sums[2 * c + k] / rows as f64;
                [e[c], f[c]] = scale.centring([mean(0), mean(1)]);
            }
            (w[c], inverse[c]) = (T::from_f64(weight), T::from_f64(scale.inverse * last));
        }
        for r in 0..rows {
            row(r, &mut d, &mut centred);
            if self.needs.dresidual {
                store(&d, dresidual.row(r));
            }
            if self.needs.dx {
                for c in 0..COLUMNS {
                    let g = d[c] * w[c];
                    let left = if self.from.own { g - f[c] - centred[c] * e[c] } else { g };
                    d[c] = left * inverse[c];
                }
                store(&d, dx.row(r));
            }
        }
    }
}
