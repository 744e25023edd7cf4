//! Copies on a GPU between tensors with different strides.

use crate::core::Result;
use crate::core::shape::MAX_RANK;
use crate::cpu::gather;
use crate::cuda::kernels::{self, Transpose, Walk};
use crate::cuda::{CudaCtx, Launch, Ptr};
use smallvec::SmallVec;

/// One dimension of a copy: its size, its stride in the source, and its stride in the target. Lists of dimensions start
/// with the outermost.
type CopyDim = (usize, usize, usize);

/// Copies elements of `bytes` bytes each from `x` to `y`.
pub(in crate::ops) fn copy(
    cx: &CudaCtx,
    x: Ptr<u8>,
    y: Ptr<u8>,
    bytes: usize,
    dims: &[CopyDim],
) -> Result<()> {
    let mut dims = merged(dims);
    if let [(size, 1, 1)] = dims[..] {
        return cx.copy(y, x, size * bytes);
    }
    let mut bytes = bytes;
    // If neighbouring elements stay together on both sides, they are copied as one larger unit.
    while bytes < 16 && doubles(&dims, x.address() | y.address(), bytes) {
        let (inner, outer) = dims.split_last_mut().expect("merged dims are never empty");
        inner.0 /= 2;
        outer.iter_mut().for_each(|(_, from, to)| (*from, *to) = (*from / 2, *to / 2));
        bytes *= 2;
    }
    let n = dims.iter().map(|&(size, ..)| size).product::<usize>();
    let mut walk = Walk { n: n as i64, rank: dims.len() as i32, ..Walk::default() };
    for (d, &(size, from, to)) in dims.iter().rev().enumerate() {
        (walk.size[d], walk.a[d], walk.b[d]) = (size as i64, from as i64, to as i64);
    }
    kernels::copy_strided(cx, Launch::over(n), x, y, bytes as i32, walk)
}

/// Drops dimensions of size 1, and merges neighbouring dimensions that are contiguous in both source and target.
fn merged(dims: &[CopyDim]) -> SmallVec<[CopyDim; MAX_RANK]> {
    let mut merged: SmallVec<[CopyDim; MAX_RANK]> = SmallVec::new();
    for &(size, from, to) in dims.iter().filter(|(size, ..)| *size != 1) {
        match merged.last_mut() {
            Some(outer) if (outer.1, outer.2) == (size * from, size * to) => {
                *outer = (outer.0 * size, from, to)
            }
            _ => merged.push((size, from, to)),
        }
    }
    if merged.is_empty() {
        merged.push((1, 1, 1));
    }
    merged
}

/// Whether pairs of neighbouring elements can be copied as one element of twice the size: on both sides they must be
/// adjacent, and aligned to that size.
fn doubles(dims: &[CopyDim], addresses: u64, bytes: usize) -> bool {
    let (&(size, from, to), outer) = dims.split_last().expect("merged dims are never empty");
    let even = outer.iter().all(|(_, from, to)| from % 2 == 0 && to % 2 == 0);
    size % 2 == 0 && from == 1 && to == 1 && even && addresses.is_multiple_of(2 * bytes as u64)
}

/// With fewer rows or columns than this, most of each tile would be empty.
const TILE: usize = 16;

/// `y = x` with its dimensions in another order: dimension `d` of `y` is dimension `order[d]` of `x`.
pub(in crate::ops) fn permute(
    cx: &CudaCtx,
    dims: &[usize],
    strides: &[usize],
    order: &[usize],
    bytes: usize,
    x: Ptr<u8>,
    y: Ptr<u8>,
) -> Result<()> {
    let mut step = 1;
    let mut axes: SmallVec<[CopyDim; MAX_RANK]> = SmallVec::new();
    for (size, from) in gather::merged(dims, strides, order).into_iter().rev() {
        axes.insert(0, (size, from, step));
        step *= size;
    }
    let inner = axes.iter().position(|&(_, from, _)| from == 1);
    let (Some(inner), Some(&(columns, column_step, _))) = (inner, axes.last()) else {
        return copy(cx, x, y, bytes, &axes);
    };
    let (rows, _, row_step) = axes[inner];
    if inner + 1 == axes.len() || rows.min(columns) < TILE {
        return copy(cx, x, y, bytes, &axes);
    }
    axes.pop();
    axes.remove(inner);
    let planes: usize = axes.iter().map(|&(size, ..)| size).product();
    let mut t = Transpose {
        rows: rows as i64,
        columns: columns as i64,
        row_step: row_step as i64,
        column_step: column_step as i64,
        planes: planes as i64,
        size: [1; 4],
        ..Transpose::default()
    };
    for (d, &(size, from, to)) in axes.iter().rev().enumerate() {
        (t.size[d], t.from[d], t.to[d]) = (size as i64, from as i64, to as i64);
    }
    let tiles = rows.div_ceil(32) * columns.div_ceil(32) * planes;
    kernels::transpose(cx, Launch::blocks([tiles.min(65_535), 1, 1], 256), x, y, bytes as i32, t)
}
