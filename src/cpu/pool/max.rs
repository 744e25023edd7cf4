//! The largest element of each window, and who won.
//!
//! Backward needs the winner of every window, and reads it once: a tap's number within the window is a byte, a place in
//! the plane would be eight.

use super::Planes;
use crate::core::{Element, Float, Window};
use crate::cpu::CpuCtx;
use smallvec::SmallVec;
use std::iter::StepBy;
use std::ops::Range;

/// The number of a tap within its window, row by row.
pub trait Tap: Element {
    /// As this type.
    fn new(number: u32) -> Self;

    /// The number; [`NONE`] for none.
    fn number(self) -> u32;
}

/// The number of no tap: of a window that sees only padding.
const NONE: u32 = u32::MAX;

/// For windows of less than 255 taps.
impl Tap for u8 {
    #[inline(always)]
    fn new(number: u32) -> u8 {
        number as u8
    }

    #[inline(always)]
    fn number(self) -> u32 {
        if self == u8::MAX { NONE } else { u32::from(self) }
    }
}

/// For larger ones.
impl Tap for i64 {
    #[inline(always)]
    fn new(number: u32) -> i64 {
        if number == NONE { -1 } else { i64::from(number) }
    }

    #[inline(always)]
    fn number(self) -> u32 {
        self as u32
    }
}

/// Outputs that are worked on at once.
const STRIP: usize = 32;
/// Their places.
const PLACES: [u32; STRIP] = {
    let mut places = [0; STRIP];
    let mut i = 0;
    while i < STRIP {
        places[i] = i as u32;
        i += 1;
    }
    places
};

/// Windows of four neighbours side by side, none at a border: the commonest.
fn is_halving(planes: &Planes, window: &Window) -> bool {
    let Window { kernel, stride, padding, dilation } = *window;
    let whole = planes.oh * 2 <= planes.h && planes.ow * 2 <= planes.w;
    (kernel, stride, padding, dilation) == ([2, 2], [2, 2], [[0; 2]; 2], [1, 1]) && whole
}

/// Whether `x` takes the place of `best`: NaN wins over every number, and a later NaN over an earlier one, as in
/// PyTorch.
#[inline(always)]
fn wins<T: Float>(x: T, best: T) -> bool {
    x > best || x.is_nan()
}

/// The largest element of each window, and its tap.
pub fn max<T: Float, K: Tap>(
    cx: &CpuCtx,
    planes: &Planes,
    window: &Window,
    x: &[T],
    y: &mut [T],
    taps: &mut [K],
) {
    let halving = is_halving(planes, window);
    let rows = if halving { 0 } else { window.kernel[0] * window.stride[1] * phase_len(planes, window) };
    winners(cx, planes, x, y, taps, |x, y, taps| {
        let mut rows = cx.scratch(rows * size_of::<T>());
        let rows = rows.slice_mut();
        cx.simd().run(
            #[inline(always)]
            || match halving {
                true => halve(planes, x, y, taps),
                false => slide(planes, window, rows, x, y, taps),
            },
        );
    });
}

#[inline(always)]
fn halve<T: Float, K: Tap>(planes: &Planes, x: &[T], y: &mut [T], taps: &mut [K]) {
    let outputs = y.chunks_exact_mut(planes.ow).zip(taps.chunks_exact_mut(planes.ow));
    for (x, (y, taps)) in x.chunks_exact(2 * planes.w).zip(outputs) {
        let (upper, lower) = x.split_at(planes.w);
        let windows = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
        for ((&[a, b], &[c, d]), (y, tap)) in windows.zip(y.iter_mut().zip(taps)) {
            let (mut best, mut winner) = (a, 0);
            (best, winner) = if wins(b, best) { (b, 1) } else { (best, winner) };
            (best, winner) = if wins(c, best) { (c, 2) } else { (best, winner) };
            (best, winner) = if wins(d, best) { (d, 3) } else { (best, winner) };
            (*y, *tap) = (best, K::new(winner));
        }
    }
}

/// Any window: tap by tap over a strip of a row of outputs, neighbours side by side.
#[inline(always)]
fn slide<T: Float, K: Tap>(
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
    // For each tap of a row of them: which outputs it is inside for, and where its first input is.
    let across: SmallVec<[(Range<usize>, usize); 8]> = (0..kw)
        .map(|k| (window.inside(1, k, w, ow), k * dilation % stride * phase + k * dilation / stride))
        .collect();
    let outputs = y.chunks_exact_mut(ow).zip(taps.chunks_exact_mut(ow));
    for (i, (y, taps)) in outputs.enumerate() {
        let heights = window.taps(0, i, h);
        for (kh, rows) in heights.clone().zip(rows.chunks_exact_mut(stride * phase)) {
            let x = &x[window.position(0, i, kh) * w..][..w];
            rows.chunks_exact_mut(phase).enumerate().for_each(|(s, row)| pick(window, s, x, row));
        }
        let strips = y.chunks_mut(STRIP).zip(taps.chunks_mut(STRIP));
        for (first, (y, taps)) in (0..).step_by(STRIP).zip(strips) {
            let (mut best, mut winner) = ([T::NEG_INFINITY; STRIP], [NONE; STRIP]);
            for (kh, rows) in heights.clone().zip(rows.chunks_exact(stride * phase)) {
                for (tap, (inside, at)) in (kh * kw..).zip(&across) {
                    let [from, to] = [inside.start, inside.end].map(|end| end.saturating_sub(first) as u32);
                    let x: &[T; STRIP] = rows[at + first..].first_chunk().expect("rows end in a strip");
                    // New arrays: written in place they would be written only where something changed.
                    let (old, before) = (best, winner);
                    for j in 0..STRIP {
                        let real = (PLACES[j] >= from) & (PLACES[j] < to);
                        let better = real & (wins(x[j], old[j]) | (before[j] == NONE));
                        best[j] = if better { x[j] } else { old[j] };
                        winner[j] = if better { tap as u32 } else { before[j] };
                    }
                }
            }
            y.copy_from_slice(&best[..y.len()]);
            taps.iter_mut().zip(winner).for_each(|(tap, winner)| *tap = K::new(winner));
        }
    }
}

/// The elements that some tap reads of every `stride`-th place of a padded row, and a strip more.
fn phase_len(planes: &Planes, window: &Window) -> usize {
    planes.ow + (window.extent(1) - 1) / window.stride[1] + STRIP
}

/// `row[q] = x[q * stride + s - padding]`, where there is such an element: the inputs of one tap lie side by side then.
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
        // A distance that the compiler knows is a shuffle.
        2 => {
            let (pairs, rest) = x.as_chunks::<2>();
            for (y, x) in row.iter_mut().zip(pairs) {
                *y = x[0];
            }
            if let ([x], Some(y)) = (rest, row.get_mut(pairs.len())) {
                *y = *x;
            }
        }
        _ => row.iter_mut().zip(x.iter().step_by(stride)).for_each(|(y, &x)| *y = x),
    }
}

/// `dx` from `dy` and the taps that won: every dy is added to its winner.
pub fn max_grad<T: Float, K: Tap>(
    cx: &CpuCtx,
    planes: &Planes,
    window: &Window,
    dy: &[T],
    taps: &[K],
    dx: &mut [T],
) {
    let Window { kernel: [kh, kw], dilation, .. } = *window;
    let halving = is_halving(planes, window);
    // From a window's first tap to the others, in the plane.
    let steps: Vec<usize> = (0..if halving { 0 } else { kh * kw })
        .map(|tap| tap / kw * dilation[0] * planes.w + tap % kw * dilation[1])
        .collect();
    planes.scatter(cx, dy.len(), dx, |out, dx| {
        let (dy, taps) = (&dy[out.clone()], &taps[out]);
        if halving {
            return cx.simd().run(
                #[inline(always)]
                || halve_grad(planes, dy, taps, dx),
            );
        }
        dx.fill(T::ZERO);
        for (i, (dy, taps)) in dy.chunks_exact(planes.ow).zip(taps.chunks_exact(planes.ow)).enumerate() {
            for (j, (&dy, &tap)) in dy.iter().zip(taps).enumerate() {
                let Some(&step) = steps.get(tap.number() as usize) else { continue };
                // A first tap in the padding is at a place below 0; the winner is not.
                if let Some(dx) = dx.get_mut(corner(planes, window, i, j).wrapping_add(step)) {
                    *dx += dy;
                }
            }
        }
    });
}

/// The place of the first tap of a window in its plane, modulo 2^64: it may lie in the padding.
fn corner(planes: &Planes, window: &Window, i: usize, j: usize) -> usize {
    let [p, q] =
        [(0, i), (1, j)].map(|(axis, at)| (at * window.stride[axis]).wrapping_sub(window.padding[axis][0]));
    p.wrapping_mul(planes.w).wrapping_add(q)
}

#[inline(always)]
fn halve_grad<T: Float, K: Tap>(planes: &Planes, dy: &[T], taps: &[K], dx: &mut [T]) {
    let (rows, rest) = dx.split_at_mut(2 * planes.w * planes.oh);
    rest.fill(T::ZERO);
    let outputs = dy.chunks_exact(planes.ow).zip(taps.chunks_exact(planes.ow));
    for (dx, (dy, taps)) in rows.chunks_exact_mut(2 * planes.w).zip(outputs) {
        let (upper, lower) = dx.split_at_mut(planes.w);
        upper[2 * planes.ow..].fill(T::ZERO);
        lower[2 * planes.ow..].fill(T::ZERO);
        let pairs = upper.chunks_mut(2 * STRIP).zip(lower.chunks_mut(2 * STRIP));
        for ((upper, lower), (dy, taps)) in pairs.zip(dy.chunks(STRIP).zip(taps.chunks(STRIP))) {
            // What each of the four taps gets, side by side; then in pairs.
            let mut shares = [[T::ZERO; STRIP]; 4];
            for (t, share) in (0..).zip(&mut shares) {
                for ((share, &dy), tap) in share.iter_mut().zip(dy).zip(taps) {
                    *share = if tap.number() == t { dy } else { T::ZERO };
                }
            }
            let [a, b, c, d] = shares;
            upper.as_chunks_mut().0.iter_mut().zip(a.iter().zip(&b)).for_each(|(y, (&a, &b))| *y = [a, b]);
            lower.as_chunks_mut().0.iter_mut().zip(c.iter().zip(&d)).for_each(|(y, (&c, &d))| *y = [c, d]);
        }
    }
}

/// The places in the plane that taps stand for; -1 for none.
pub fn places<K: Tap>(cx: &CpuCtx, planes: &Planes, window: &Window, taps: &[K], places: &mut [i64]) {
    let (kw, dilation) = (window.kernel[1], window.dilation);
    cx.fill_with(places, |o| {
        let (j, i) = (o % planes.ow, o / planes.ow % planes.oh);
        match taps[o].number() as usize {
            tap if tap == NONE as usize => -1,
            tap => {
                let step = tap / kw * dilation[0] * planes.w + tap % kw * dilation[1];
                corner(planes, window, i, j).wrapping_add(step) as i64
            }
        }
    });
}

/// The largest element of each of any windows, and its place in the plane: `under(axis, i)` are the rows, or columns,
/// of output row, or column, i.
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

/// `dx` from `dy` and the places of the winners.
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
    cx.pieces2((y, per_task * plane), (winners, per_task * plane), x.len(), |task, y, winners| {
        let pairs = y.chunks_exact_mut(plane).zip(winners.chunks_exact_mut(plane));
        for (i, (y, winners)) in pairs.enumerate() {
            f(&x[planes.input(task * per_task + i)], y, winners);
        }
    });
}
