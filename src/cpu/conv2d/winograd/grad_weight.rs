//! The gradient of the weights. y is bilinear in U and V, so the adjoints of the transforms give it:
//!
//! ```math
//! \begin{aligned}
//! Y &= A \, \mathrm{dy} \, A^T \\
//! \mathrm{dU}_\xi &= \sum_{\mathrm{tiles}} Y_\xi V_\xi^T \\
//! \mathrm{dw} &= G^T \, \mathrm{dU} \, G
//! \end{aligned}
//! ```
//!
//! At each of the 16 positions, `dU [O, C]` is a sum of outer products, one per tile. They read Y and V in the layout
//! in which the transforms wrote them. How the sum is cut depends on the size of dU:
//!
//! | dU | tasks | |
//! |---|---|---|
//! | small | chunks of the batch, each with a dU of its own | V and Y stay in the second-level cache; dUs are added |
//! | large | transforms of some blocks of tiles, then 16 positions x outputs | one dU; V and Y in the third level |

use super::patch::Plane;
use super::transforms::{TileStrides, grads, pixels, weights};
use super::{MACS, TileBlock, WinogradTiling, pitch};
use crate::cpu::CpuCtx;
use crate::cpu::conv2d::non_finite::all_finite;
use crate::cpu::conv2d::{ConvShape, im2col, implicit};
use crate::cpu::disjoint::Disjoint;
use crate::cpu::outer_product::{Left, RowsOf, StridedRows, by_tile, next_rows, outer_product};
use crate::cpu::vector::{Kernel, Vector};
use std::ops::Range;

/// dU is small up to this many floats (512 KiB): then each chunk has a dU of its own.
const SMALL: usize = 1 << 17;
/// The most chunks.
const CHUNKS: usize = 16;
/// For a large dU: the most floats of V and Y that are transformed before the products use them (16 MiB).
const BETWEEN: usize = 1 << 22;
/// For a large dU: the most tiles that are transformed at a time. Longer sums gain nothing, and more tiles would not
/// stay in the third-level cache.
const DEEP: usize = 256;
/// Rows of dU that are one task.
const ROWS: usize = 64;

/// The data that all tasks share.
#[derive(Clone, Copy)]
struct GradWeightSum<'a> {
    g: &'a ConvShape,
    dy: &'a [f32],
    x: &'a [f32],
    tiling: WinogradTiling,
    /// Channels rounded up to whole registers: the number of rows of dU (`o`) and their length (`c`).
    o: usize,
    c: usize,
    /// Floats from tile to tile in Y and V.
    pitch: [usize; 2],
    lanes: usize,
}

pub fn grad_weight(cx: &CpuCtx, g: &ConvShape, dy: &[f32], x: &[f32], dw: &mut [f32]) {
    if g.n == 0 {
        return dw.fill(0.0);
    }
    let (simd, lanes) = (cx.simd(), cx.simd().lanes());
    let tiling = WinogradTiling::new(g.n, [g.oh, g.ow]);
    let sum = GradWeightSum {
        g,
        dy,
        x,
        tiling,
        o: g.o.next_multiple_of(lanes),
        c: g.c.next_multiple_of(lanes),
        pitch: [g.o, g.c].map(|channels| pitch(channels, lanes)),
        lanes,
    };
    let small = 16 * sum.o * sum.c <= SMALL;
    let chunk = tiling.len().div_ceil(if small { CHUNKS } else { 1 });
    let chunks = tiling.len().div_ceil(chunk);
    let mut du = cx.scratch(chunks * sum.size() * 4);
    let to = Disjoint::new(du.slice_mut::<f32>());
    if small {
        cx.tasks(chunks, g.work() / MACS, &|i| {
            let blocks = i * chunk..tiling.len().min((i + 1) * chunk);
            // SAFETY: there are `chunks` dUs, and only this task writes number i.
            let du = unsafe { to.at(i * sum.size()) };
            simd.dispatch(GradWeightChunk { cx, sum: &sum, blocks, du });
        });
    } else {
        sum.by_phases(cx, to);
    }
    let du = du.slice::<f32>();
    cx.pieces(dw, 9 * g.c, du.len(), |o, dw| simd.dispatch(Back { sum: &sum, du, o, dw }));
    // As in `forward.rs`: one inf in x or dy spreads over its tile, so another rung computes the gradient again.
    if !all_finite(cx, dw) {
        let run = if implicit::supports(g) { implicit::grad_weight } else { im2col::grad_weight };
        run(cx, g, dy, x, dw);
    }
}

impl GradWeightSum<'_> {
    /// Where Y and V of `tiles` tiles lie.
    fn places(&self, tiles: usize) -> [TileStrides; 2] {
        self.pitch.map(|pitch| TileStrides::new(tiles, pitch, self.lanes))
    }

    /// The number of floats of dU.
    fn size(&self) -> usize {
        16 * self.o * self.c
    }

    /// Computes all of dU, some blocks of tiles at a time.
    fn by_phases(&self, cx: &CpuCtx, du: Disjoint<f32>) {
        let (tiling, simd) = (self.tiling, cx.simd());
        let together = tiling.together((BETWEEN / (16 * (self.pitch[0] + self.pitch[1]))).min(DEEP));
        let most = self.places(together * tiling.largest());
        let mut buffers = most.map(|place| cx.scratch(place.len() * 4));
        let [y, v] = buffers.each_mut().map(|b| Disjoint::new(b.slice_mut::<f32>()));
        for first in (0..tiling.len()).step_by(together) {
            let (blocks, tiles) = tiling.blocks(first, together);
            let places = self.places(tiles);
            let work = tiles * 16 * (self.o + self.c);
            cx.tasks(blocks.len(), work, &|i| {
                let mut patch = cx.scratch(tiling.patch(self.lanes) * 4);
                let (block, patch) = (&blocks[i], patch.slice_mut::<f32>());
                // SAFETY: pointers to the first elements; each task writes only the tiles of its block.
                let [y, v] = unsafe { [y.at(0), v.at(0)] };
                simd.dispatch(OperandTransform { sum: self, block, places, patch, y, v });
            });
            let parts = self.o.div_ceil(ROWS);
            cx.tasks(16 * parts, tiles * self.o * self.c, &|task| {
                let (position, part) = (task / parts, task % parts);
                let rows = part * ROWS..self.o.min((part + 1) * ROWS);
                // SAFETY: pointers to the first elements; each task writes only its own rows of dU.
                let (more, [y, v, du]) = (first > 0, unsafe { [y.at(0), v.at(0), du.at(0)] });
                simd.dispatch(Products { sum: self, tiles, position, rows, more, y, v, du });
            });
        }
    }
}

/// Computes Y and V of one block.
struct OperandTransform<'a> {
    sum: &'a GradWeightSum<'a>,
    block: &'a TileBlock,
    places: [TileStrides; 2],
    patch: &'a mut [f32],
    y: *mut f32,
    v: *mut f32,
}

impl Kernel for OperandTransform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let OperandTransform { sum, block, places: [y_place, v_place], patch, y, v } = self;
        let GradWeightSum { g, dy, x, .. } = *sum;
        let patch = patch.as_mut_ptr();
        let (read, written) = (block.read(g.window.padding.map(|p| p[0] as isize)), block.written());
        let (x_plane, y_plane) = (Plane { h: g.h, w: g.w }, Plane { h: g.oh, w: g.ow });
        for (image, tile) in block.images() {
            for first in (0..g.c).step_by(V::LANES) {
                // SAFETY: the planes exist, the patch has room, and tile and channels lie in V.
                unsafe {
                    let planes = x.as_ptr().add((image * g.c + first) * g.plane());
                    read.gather::<V>(planes, V::LANES.min(g.c - first), x_plane, patch);
                    pixels::<V>(block.size(), patch, v.add(tile * v_place.tile + first), v_place);
                }
            }
            for first in (0..g.o).step_by(V::LANES) {
                // SAFETY: the planes exist, the patch has room, and tile and channels lie in Y.
                unsafe {
                    let planes = dy.as_ptr().add((image * g.o + first) * g.out_plane());
                    written.gather::<V>(planes, V::LANES.min(g.o - first), y_plane, patch);
                    grads::<V>(block.size(), patch, y.add(tile * y_place.tile + first), y_place);
                }
            }
        }
    }
}

/// `dU += Y^T V` for some rows of one position.
struct Products<'a> {
    sum: &'a GradWeightSum<'a>,
    tiles: usize,
    position: usize,
    rows: Range<usize>,
    /// True if the sums are added to dU; else they replace it.
    more: bool,
    y: *const f32,
    v: *const f32,
    du: *mut f32,
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Products { sum, tiles, position, rows, more, y, v, du } = self;
        let width = V::LANES * V::TILE[1];
        let [y_place, v_place] = sum.places(tiles);
        // SAFETY: all have 16 positions.
        let (y, v, du) = unsafe {
            let du = du.add(position * sum.o * sum.c);
            (y.add(position * y_place.position), v.add(position * v_place.position), du)
        };
        for first in (0..sum.c).step_by(width) {
            let vectors = (sum.c - first).min(width) / V::LANES;
            let mut o = rows.start;
            while o < rows.end {
                let r = next_rows::<V>(rows.end - o);
                // SAFETY: Y and V have `tiles` rows of whole registers, dU o rows.
                unsafe {
                    let left = Left { data: y.add(o), row: 1, col: sum.pitch[0] };
                    let v = RowsOf { start: v.add(first), rows: StridedRows(sum.pitch[1]) };
                    by_tile!(r, vectors, V, products(tiles, left, v, more, du.add(o * sum.c + first), sum.c));
                }
                o += r;
            }
        }
    }
}

/// One tile of dU.
///
/// # Safety
/// `tiles` rows of Y and V and R rows of dU can be accessed. No other task accesses these rows of dU.
#[inline(always)]
unsafe fn products<V: Vector, const R: usize, const N: usize>(
    tiles: usize,
    y: Left,
    v: RowsOf<StridedRows>,
    more: bool,
    du: *mut f32,
    row: usize,
) {
    // SAFETY: `tiles` rows of Y and V and R rows of dU, N registers each, can be accessed: promised by the caller.
    unsafe {
        let sums = outer_product::<V, R, N>(tiles, y, v, V::first(V::LANES));
        for r in 0..R {
            for n in 0..N {
                let (to, sum) = (du.add(r * row + n * V::LANES), sums[r][n]);
                if more { sum.add(V::load(to)) } else { sum }.store(to);
            }
        }
    }
}

/// Computes dU of some blocks, one after the other.
struct GradWeightChunk<'a> {
    cx: &'a CpuCtx,
    sum: &'a GradWeightSum<'a>,
    blocks: Range<usize>,
    du: *mut f32,
}

impl Kernel for GradWeightChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let GradWeightChunk { cx, sum, blocks, du } = self;
        let patch = sum.tiling.patch(V::LANES);
        let [y_len, v_len] = sum.places(sum.tiling.largest()).map(TileStrides::len);
        let mut scratch = cx.scratch((patch + y_len + v_len) * 4);
        let (patch, rest) = scratch.slice_mut::<f32>().split_at_mut(patch);
        let (y, v) = rest.split_at_mut(y_len);
        let (y, v) = (y.as_mut_ptr(), v.as_mut_ptr());
        let first = blocks.start;
        for number in blocks {
            let block = sum.tiling.block(number);
            let tiles = block.len();
            OperandTransform { sum, block: &block, places: sum.places(tiles), patch, y, v }.run::<V>();
            for position in 0..16 {
                Products { sum, tiles, position, rows: 0..sum.o, more: number > first, y, v, du }.run::<V>();
            }
        }
    }
}

/// Computes the weights' gradient of one output channel from all dUs, added in order.
struct Back<'a> {
    sum: &'a GradWeightSum<'a>,
    du: &'a [f32],
    o: usize,
    dw: &'a mut [f32],
}

impl Kernel for Back<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Back { sum, du, o, dw } = self;
        let count = du.len() / sum.size();
        for (group, dw) in dw.chunks_mut(9 * V::LANES).enumerate() {
            // SAFETY: row o of `count` dUs, and 9 weights for each channel.
            unsafe {
                let du = du.as_ptr().add(o * sum.c + group * V::LANES);
                weights::<V>(du, count, sum.size(), sum.o * sum.c, dw.len() / 9, dw.as_mut_ptr());
            }
        }
    }
}
