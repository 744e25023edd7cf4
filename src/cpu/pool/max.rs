//! The largest element of each window (the winner), and where it is.
//!
//! Backward needs the winner of every window and reads it once. The number of its tap within the window takes one byte;
//! its position in the plane would take eight.

use super::Planes;
use crate::core::{Element, Float, Window};
use crate::cpu::{CpuCtx, Pieces};
use smallvec::SmallVec;
use std::iter::StepBy;
use std::ops::Range;

/// The number of a tap within its window, row by row.
pub trait TapIndex: Element {
    /// The number as this type.
    fn new(number: u32) -> Self;

    /// The number; [`u32::MAX`] for none.
    fn number(self) -> u32;

    /// The row of a tap, in windows that are `kw` wide.
    fn row(number: u32, kw: u32) -> u32;
}

/// Stands for no tap: the window contains only padding.
const NONE: u32 = u32::MAX;

/// For windows of fewer than 255 taps.
impl TapIndex for u8 {
    #[inline(always)]
    fn new(number: u32) -> u8 {
        number as u8
    }

    #[inline(always)]
    fn number(self) -> u32 {
        if self == u8::MAX { NONE } else { u32::from(self) }
    }

    /// Divides by a multiplication, because vectors have no integer division. Exact if both numbers fit in a byte.
    #[inline(always)]
    fn row(number: u32, kw: u32) -> u32 {
        number.wrapping_mul((1 << 16) / kw + 1) >> 16
    }
}

/// For larger windows.
impl TapIndex for i64 {
    #[inline(always)]
    fn new(number: u32) -> i64 {
        if number == NONE { -1 } else { i64::from(number) }
    }

    #[inline(always)]
    fn number(self) -> u32 {
        self as u32
    }

    #[inline(always)]
    fn row(number: u32, kw: u32) -> u32 {
        number / kw
    }
}

/// Outputs that are computed at once.
const STRIP: usize = 32;
/// The indices 0, 1, 2, ... of the outputs in a strip.
const PLACES: [u32; STRIP] = {
    let mut places = [0; STRIP];
    let mut i = 0;
    while i < STRIP {
        places[i] = i as u32;
        i += 1;
    }
    places
};

/// True for 2x2 windows with stride 2 that all lie in the image: the most common case.
fn is_halving(planes: &Planes, window: &Window) -> bool {
    let Window { kernel, stride, padding, dilation } = *window;
    let whole = planes.oh * 2 <= planes.h && planes.ow * 2 <= planes.w;
    (kernel, stride, padding, dilation) == ([2, 2], [2, 2], [[0; 2]; 2], [1, 1]) && whole
}

/// True if `x` replaces `best`. NaN wins over every number, and a later NaN over an earlier one, as in PyTorch.
#[inline(always)]
pub fn wins<T: Float>(x: T, best: T) -> bool {
    x > best || x.is_nan()
}

/// The largest element of each window, and its tap.
pub fn max<T: Float, K: TapIndex>(
    cx: &CpuCtx,
    planes: &Planes,
    window: &Window,
    x: &[T],
    y: &mut [T],
    taps: &mut [K],
) {
    let halving = is_halving(planes, window);
    let rows = if halving { 0 } else { planes.h * window.stride[1] * phase_len(planes, window) };
    winners(cx, planes, x, y, taps, |x, y, taps| {
        let mut rows = cx.scratch(rows * size_of::<T>());
        let rows = rows.slice_mut();
        cx.vectors::<T, _>(
            #[inline(always)]
            || match halving {
                true => halve(planes, x, y, taps),
                false => slide(planes, window, rows, x, y, taps),
            },
        );
    });
}

#[inline(always)]
fn halve<T: Float, K: TapIndex>(planes: &Planes, x: &[T], y: &mut [T], taps: &mut [K]) {
    let (w, ow) = (planes.w, planes.ow);
    for i in 0..planes.oh {
        // Two rows of inputs; each output reads one pair from each row.
        let upper = &x[2 * i * w..][..w].as_chunks::<2>().0[..ow];
        let lower = &x[(2 * i + 1) * w..][..w].as_chunks::<2>().0[..ow];
        let (y, taps) = (&mut y[i * ow..][..ow], &mut taps[i * ow..][..ow]);
        for j in 0..ow {
            let ([a, b], [c, d]) = (upper[j], lower[j]);
            let (mut best, mut winner) = (a, 0);
            (best, winner) = if wins(b, best) { (b, 1) } else { (best, winner) };
            (best, winner) = if wins(c, best) { (c, 2) } else { (best, winner) };
            (best, winner) = if wins(d, best) { (d, 3) } else { (best, winner) };
            (y[j], taps[j]) = (best, K::new(winner));
        }
    }
}

/// Any window: goes through the taps, each for a strip of neighbouring outputs at once.
#[inline(always)]
fn slide<T: Float, K: TapIndex>(
    planes: &Planes,
    window: &Window,
    rows: &mut [T],
    x: &[T],
    y: &mut [T],
    taps: &mut [K],
) {
    let &Planes { h, w, ow, .. } = planes;
    let Window { kernel: [_, kw], stride: [_, stride], dilation: [_, dilation], .. } = *window;
    let phase = phase_len(planes, window);
    // For each tap along a row: the outputs for which it lies inside the image, and the index of its first input.
    let across: SmallVec<[(Range<usize>, usize); 8]> = (0..kw)
        .map(|k| (window.inside(1, k, w, ow), k * dilation % stride * phase + k * dilation / stride))
        .collect();
    // All rows are copied first: a vector that was just written in smaller parts is slow to read.
    for i in 0..h {
        for s in 0..stride {
            pick(window, s, &x[i * w..][..w], &mut rows[(i * stride + s) * phase..][..phase]);
        }
    }
    for i in 0..planes.oh {
        let (y, taps) = (&mut y[i * ow..][..ow], &mut taps[i * ow..][..ow]);
        for first in (0..ow).step_by(STRIP) {
            let n = STRIP.min(ow - first);
            let (y, taps) = (&mut y[first..][..n], &mut taps[first..][..n]);
            let (mut best, mut winner) = ([T::NEG_INFINITY; STRIP], [NONE; STRIP]);
            for kh in window.taps(0, i, h) {
                let row = &rows[window.position(0, i, kh) * stride * phase..][..stride * phase];
                for (tap, (inside, at)) in (kh * kw..).zip(&across) {
                    let [from, to] = [inside.start, inside.end].map(|end| end.saturating_sub(first) as u32);
                    let x: &[T; STRIP] = row[at + first..].first_chunk().expect("rows end in a strip");
                    // Compare with copies: if updated in place, the compiler would write only the lanes that changed.
                    let (old, before) = (best, winner);
                    for j in 0..STRIP {
                        let real = (PLACES[j] >= from) & (PLACES[j] < to);
                        let better = real & (wins(x[j], old[j]) | (before[j] == NONE));
                        best[j] = if better { x[j] } else { old[j] };
                        winner[j] = if better { tap as u32 } else { before[j] };
                    }
                }
            }
            for j in 0..n {
                (y[j], taps[j]) = (best[j], K::new(winner[j]));
            }
        }
    }
}

/// The number of elements that taps read from every `stride`-th position of a padded row, plus a strip.
fn phase_len(planes: &Planes, window: &Window) -> usize {
    planes.ow + (window.extent(1) - 1) / window.stride[1] + STRIP
}

/// `row[q] = x[q * stride + s - padding]`, if there is such an element. The inputs of one tap then lie side by side.
#[inline(always)]
fn pick<T: Float>(window: &Window, s: usize, x: &[T], row: &mut [T]) {
    let (stride, padding) = (window.stride[1], window.padding[1][0]);
    let first = padding.saturating_sub(s).div_ceil(stride);
    let Some(x) = x.get(first * stride + s - padding..) else { return };
    let row = &mut row[first..];
    match stride {
        1 => {
            let n = x.len().min(row.len());
            row[..n].copy_from_slice(&x[..n]);
        }
        // The compiler turns a distance that it knows into a shuffle.
        2 => {
            let (pairs, rest) = x.as_chunks::<2>();
            for i in 0..pairs.len().min(row.len()) {
                row[i] = pairs[i][0];
            }
            if let ([x], Some(y)) = (rest, row.get_mut(pairs.len())) {
                *y = *x;
            }
        }
        _ => row.iter_mut().zip(x.iter().step_by(stride)).for_each(|(y, &x)| *y = x),
    }
}

/// `dx` from `dy` and the winning taps: every dy is added to its winner.
pub fn max_grad<T: Float, K: TapIndex>(
    cx: &CpuCtx,
    planes: &Planes,
    window: &Window,
    dy: &[T],
    taps: &[K],
    dx: &mut [T],
) {
    let corners = corners(planes, window);
    planes.scatter(cx, dy.len(), dx, |out, dx| {
        cx.vectors::<T, _>(
            #[inline(always)]
            || {
                dx.fill(T::ZERO);
                let (dy, taps) = (&dy[out.clone()], &taps[out]);
                for first in (0..dy.len()).step_by(STRIP) {
                    let n = STRIP.min(dy.len() - first);
                    let (dy, taps, corners) =
                        (&dy[first..][..n], &taps[first..][..n], &corners[first..][..n]);
                    // Positions are computed in vectors. The additions then go one by one, because windows may overlap.
                    let mut places = [NONE; STRIP];
                    for i in 0..n {
                        places[i] = place_of(planes, window, taps[i], corners[i]);
                    }
                    for i in 0..n {
                        if let Some(dx) = dx.get_mut(places[i] as usize) {
                            *dx += dy[i];
                        }
                    }
                }
            },
        );
    });
}

/// The position in its plane of each window's first tap, modulo 2^32, because it may lie in the padding.
fn corners(planes: &Planes, window: &Window) -> Vec<u32> {
    let first =
        |axis: usize, i: usize| (i * window.stride[axis]).wrapping_sub(window.padding[axis][0]) as u32;
    let rows = (0..planes.oh).map(|i| first(0, i).wrapping_mul(planes.w as u32));
    rows.flat_map(|row| (0..planes.ow).map(move |j| row.wrapping_add(first(1, j)))).collect()
}

/// The position of a tap of the window at `corner`; [`NONE`] if there is no tap.
#[inline(always)]
fn place_of<K: TapIndex>(planes: &Planes, window: &Window, tap: K, corner: u32) -> u32 {
    let (kw, number) = (window.kernel[1] as u32, tap.number());
    let row = K::row(number, kw);
    let column = number.wrapping_sub(row.wrapping_mul(kw));
    let down = row.wrapping_mul((window.dilation[0] * planes.w) as u32);
    let place = corner.wrapping_add(down).wrapping_add(column.wrapping_mul(window.dilation[1] as u32));
    if number == NONE { NONE } else { place }
}

/// The taps' positions in the plane; -1 for no tap.
pub fn places<K: TapIndex>(cx: &CpuCtx, planes: &Planes, window: &Window, taps: &[K], places: &mut [i64]) {
    let corners = corners(planes, window);
    cx.fill_with(places, |o| match place_of(planes, window, taps[o], corners[o % corners.len()]) {
        NONE => -1,
        place => i64::from(place),
    });
}

/// The largest element of each window, and its position in the plane, for windows of any sizes. `under(0, i)` are the
/// rows under output row i, and `under(1, j)` the columns under output column j.
pub fn adaptive_max<T: Float>(
    cx: &CpuCtx,
    planes: &Planes,
    under: impl Fn(usize, usize) -> StepBy<Range<usize>> + Sync + Send,
    x: &[T],
    y: &mut [T],
    places: &mut [i64],
) {
    winners(cx, planes, x, y, places, |x, y, places| {
        for (o, (y, place)) in y.iter_mut().zip(places).enumerate() {
            let columns = under(1, o % planes.ow);
            (*y, *place) = (T::NEG_INFINITY, -1);
            for row in under(0, o / planes.ow) {
                for at in columns.clone().map(|column| row * planes.w + column) {
                    if wins(x[at], *y) || *place < 0 {
                        (*y, *place) = (x[at], at as i64);
                    }
                }
            }
        }
    });
}

/// `dx` from `dy` and the positions of the winners.
pub fn adaptive_max_grad<T: Float>(cx: &CpuCtx, planes: &Planes, dy: &[T], places: &[i64], dx: &mut [T]) {
    planes.scatter(cx, dy.len(), dx, |out, dx| {
        dx.fill(T::ZERO);
        for (&dy, &place) in dy[out.clone()].iter().zip(&places[out]) {
            if let Some(dx) = usize::try_from(place).ok().and_then(|i| dx.get_mut(i)) {
                *dx += dy;
            }
        }
    });
}

/// Calls `f(a plane's inputs, its outputs, their winners)` for every plane.
fn winners<T: Float, K: Send>(
    cx: &CpuCtx,
    planes: &Planes,
    x: &[T],
    y: &mut [T],
    winners: &mut [K],
    f: impl Fn(&[T], &mut [T], &mut [K]) + Sync + Send,
) {
    let (plane, per_task) = (planes.oh * planes.ow, planes.per_task());
    let (y, winners) = (Pieces::new(y, per_task * plane), Pieces::new(winners, per_task * plane));
    cx.pieces2(y, winners, x.len(), |task, y, winners| {
        for i in 0..y.len() / plane.max(1) {
            let part = i * plane..(i + 1) * plane;
            f(&x[planes.input(task * per_task + i)], &mut y[part.clone()], &mut winners[part]);
        }
    });
}
