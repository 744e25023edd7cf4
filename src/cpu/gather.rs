//! Copies whose source position is a sum of one offset per dimension: slices, permutations, padding.
//!
//! ```text
//! y[i, j, k] = x[a[i] + b[j] + c[k]]          an offset OUTSIDE gives `fill` instead
//! ```
//!
//! One table of offsets per dimension describes the whole copy. So all these ops share two loops: this gather, and the
//! scatter that is its gradient. Along the last dimension, neighbours in the source are copied as one run.

use super::CpuCtx;
use super::context::CHUNK;
use crate::core::shape::MAX_RANK;
use crate::core::{Element, Float};
use smallvec::SmallVec;

/// The offset of an index that has no source.
pub const OUTSIDE: usize = usize::MAX;

/// For each index of one output dimension, its share of the source position, or [`OUTSIDE`].
pub type AxisOffsets = Vec<usize>;

/// The axis of a dimension that is copied whole: index times stride.
pub fn whole(size: usize, stride: usize) -> AxisOffsets {
    (0..size).map(|i| i * stride).collect()
}

/// Neighbours along the last dimension: their number, and the offset of the first one.
type SourceRun = (usize, usize);

/// `y[i, j, ..] = x[axes[0][i] + axes[1][j] + ..]`, or `fill`.
pub fn gather<T: Element>(cx: &CpuCtx, x: &[T], axes: &[AxisOffsets], fill: T, y: &mut [T]) {
    let Some((last, outer)) = axes.split_last() else {
        return y.copy_from_slice(x);
    };
    let runs = runs(last);
    let width = last.len();
    let piece = (CHUNK / width.max(1)).max(1) * width;
    let work = y.len();
    cx.pieces(y, piece, work, |p, y| {
        for (row, y) in (p * piece / width..).zip(y.chunks_mut(width)) {
            let Some(base) = row_base(outer, row) else {
                y.fill(fill);
                continue;
            };
            if let Some(runs) = &runs {
                let mut rest = y;
                for &(len, from) in runs {
                    let (run, tail) = rest.split_at_mut(len);
                    match from {
                        OUTSIDE => run.fill(fill),
                        _ => run.copy_from_slice(&x[base + from..][..len]),
                    }
                    rest = tail;
                }
            } else {
                for (y, &offset) in y.iter_mut().zip(last) {
                    *y = if offset == OUTSIDE { fill } else { x[base + offset] };
                }
            }
        }
    });
}

/// `dx[axes[0][i] + axes[1][j] + ..] += dy[i, j, ..]`, the adjoint of [`gather`], for each of the planes of `dx` and
/// `dy`. Planes are independent. Within a plane, elements are added in the order of `dy`.
pub fn scatter_add<T: Float>(cx: &CpuCtx, planes: usize, dy: &[T], axes: &[AxisOffsets], dx: &mut [T]) {
    let size = dx.len() / planes.max(1);
    let dy_size = dy.len() / planes.max(1);
    cx.pieces(dx, size, dy.len(), |plane, dx| {
        dx.fill(T::ZERO);
        let dy = &dy[plane * dy_size..][..dy_size];
        let Some((last, outer)) = axes.split_last() else {
            return dx.copy_from_slice(dy);
        };
        for (row, dy) in dy.chunks(last.len().max(1)).enumerate() {
            let Some(base) = row_base(outer, row) else { continue };
            for (&dy, &offset) in dy.iter().zip(last).filter(|(_, offset)| **offset != OUTSIDE) {
                dx[base + offset] += dy;
            }
        }
    });
}

/// The position in the source at which output row `row` begins; `None` if the row lies outside.
fn row_base(outer: &[AxisOffsets], mut row: usize) -> Option<usize> {
    let mut base = 0;
    for axis in outer.iter().rev() {
        let offset = axis[row % axis.len()];
        if offset == OUTSIDE {
            return None;
        }
        base += offset;
        row /= axis.len();
    }
    Some(base)
}

/// The runs of an axis, if they are at most 2 or have at least 4 elements on average; else `None`.
fn runs(axis: &[usize]) -> Option<Vec<SourceRun>> {
    let mut runs: Vec<SourceRun> = Vec::new();
    for &offset in axis {
        match runs.last_mut() {
            Some((len, OUTSIDE)) if offset == OUTSIDE => *len += 1,
            Some((len, from)) if *from != OUTSIDE && offset == *from + *len => *len += 1,
            _ => runs.push((1, offset)),
        }
    }
    (runs.len() <= 2 || runs.len() * 4 <= axis.len()).then_some(runs)
}

/// Rows and columns of a transpose's tiles: a tile's source and destination stay in the first-level cache.
const TILE: usize = 16;

/// `y = x` with its dimensions in another order: dimension `d` of `y` is dimension `order[d]` of `x`.
pub fn permute<T: Element>(
    cx: &CpuCtx,
    dims: &[usize],
    strides: &[usize],
    order: &[usize],
    x: &[T],
    y: &mut [T],
) {
    let axes = merged(dims, strides, order);
    match axes.iter().position(|&(_, stride)| stride == 1) {
        Some(inner) if inner + 1 < axes.len() => transpose(cx, &axes, inner, x, y),
        _ => {
            let axes: Vec<AxisOffsets> = axes.iter().map(|&(size, stride)| whole(size, stride)).collect();
            gather(cx, x, &axes, T::POISON, y);
        }
    }
}

/// The output's dimensions as (size, source stride). Dimensions of size 1 are dropped, and dimensions that are
/// neighbours in both source and output are merged.
pub fn merged(dims: &[usize], strides: &[usize], order: &[usize]) -> SmallVec<[(usize, usize); MAX_RANK]> {
    let mut axes: SmallVec<[(usize, usize); MAX_RANK]> = SmallVec::new();
    for (size, stride) in order.iter().map(|&d| (dims[d], strides[d])).filter(|&(size, _)| size != 1) {
        match axes.last_mut() {
            Some(outer) if outer.1 == size * stride => *outer = (outer.0 * size, stride),
            _ => axes.push((size, stride)),
        }
    }
    axes
}

/// A permutation that moves the source's innermost dimension to place `inner`. It transposes planes of (that dimension,
/// the output's last dimension) tile by tile.
fn transpose<T: Element>(cx: &CpuCtx, axes: &[(usize, usize)], inner: usize, x: &[T], y: &mut [T]) {
    let outer: Vec<AxisOffsets> = axes[..inner].iter().map(|&(size, stride)| whole(size, stride)).collect();
    let between: Vec<AxisOffsets> =
        axes[inner + 1..axes.len() - 1].iter().map(|&(size, stride)| whole(size, stride)).collect();
    let (columns, step) = axes[axes.len() - 1];
    let planes: usize = between.iter().map(Vec::len).product();
    let row = planes * columns;
    let rows = axes[inner].0;
    // The rows are cut into blocks only if there are no outer dimensions; else a block could span two outer indices.
    let block = if outer.is_empty() { (CHUNK / row.max(1)).max(1).next_multiple_of(TILE) } else { rows };
    let work = y.len();
    cx.pieces(y, block * row, work, |p, y| {
        let (start, first) =
            if outer.is_empty() { (0, p * block) } else { (row_base(&outer, p).unwrap_or(0), 0) };
        let rows = y.len() / row;
        for plane in 0..planes {
            let x = &x[start + first + row_base(&between, plane).unwrap_or(0)..];
            for r0 in (0..rows).step_by(TILE) {
                for c0 in (0..columns).step_by(TILE) {
                    let c1 = columns.min(c0 + TILE);
                    for r in r0..rows.min(r0 + TILE) {
                        let y = &mut y[r * row + plane * columns..][c0..c1];
                        for (y, c) in y.iter_mut().zip(c0..) {
                            *y = x[r + c * step];
                        }
                    }
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuOptions;

    /// Large enough for two pieces; smaller under Miri, which takes a thousand times as long.
    const WIDTH: usize = if cfg!(miri) { 60 } else { 6000 };

    /// Compares each element with the definition.
    #[test]
    fn copies_come_from_where_the_offsets_say() {
        let cx = CpuCtx::new(&CpuOptions::with_threads(3)).unwrap();
        let x: Vec<f32> = (0..7 * WIDTH).map(|i| i as f32).collect();
        let rows = [0, OUTSIDE, 2 * WIDTH, 6 * WIDTH];
        for columns in
            [whole(WIDTH, 1), (0..WIDTH).rev().collect(), [vec![OUTSIDE; 20], whole(WIDTH - 20, 1)].concat()]
        {
            let mut y = vec![-2.0; rows.len() * columns.len()];
            gather(&cx, &x, &[rows.to_vec(), columns.clone()], -1.0, &mut y);
            for (i, &y) in y.iter().enumerate() {
                let [row, column] = [rows[i / columns.len()], columns[i % columns.len()]];
                let outside = row == OUTSIDE || column == OUTSIDE;
                assert_eq!(y, if outside { -1.0 } else { x[row + column] }, "element {i}");
            }
        }
    }

    /// Whole and partial tiles, with and without dimensions before and between.
    #[test]
    fn a_permutation_moves_every_element() {
        let cx = CpuCtx::new(&CpuOptions::with_threads(3)).unwrap();
        let dims = if cfg!(miri) { [2, 2, 17, 18] } else { [3, 25, 18, 35] };
        let strides = [1, 2, 3, 4].map(|after| dims[after..].iter().product());
        let x: Vec<i64> = (0..dims.iter().product::<usize>() as i64).collect();
        for order in [[0, 1, 3, 2], [3, 2, 1, 0], [1, 0, 2, 3], [2, 3, 0, 1]] {
            let mut y = vec![-1; x.len()];
            permute(&cx, &dims, &strides, &order, &x, &mut y);
            for (i, &y) in y.iter().enumerate() {
                let (mut rest, mut place) = (i, 0);
                for d in order.into_iter().rev() {
                    place += rest % dims[d] * strides[d];
                    rest /= dims[d];
                }
                assert_eq!(y, x[place], "{order:?}, element {i}");
            }
        }
    }
}
