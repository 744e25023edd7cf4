//! The forward pass and the gradient of the input. The gradient is also a convolution: of dy with the taps turned by
//! 180 degrees, and with input and output channels exchanged. How it is cut depends on whether there are many tiles or
//! many weights:
//!
//! | many | tasks | |
//! |---|---|---|
//! | tiles | all of U, then blocks of tiles | V and M of a block stay in the second-level cache; U is read per block |
//! | weights | all of V, then some output channels | U is never whole: 128 input channels of it are made at a time |
//!
//! **inf and NaN.** V and M of a tile add and subtract its pixels. So one inf would become NaN in outputs that do not
//! read it, and large numbers may overflow in V or M although the outputs would not. An inf or NaN never becomes finite
//! again: if one occurs, some output is inf or NaN. Two multiply-adds of registers per tile detect that. If it happens,
//! another rung computes the whole convolution again.

use super::patch::Plane;
use super::transforms::{TileStrides, WeightStrides, outputs, pixels, taps};
use super::{MACS, TileBlock, WinogradTiling, pitch};
use crate::cpu::CpuCtx;
use crate::cpu::conv2d::{ConvShape, Finish, GradInput, im2col, implicit};
use crate::cpu::disjoint::Disjoint;
use crate::cpu::outer_product::{Left, RowsOf, StridedRows, by_tile, next_rows, outer_product};
use crate::cpu::vector::{Kernel, Vector};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Output channels whose sums M are computed before they are transformed back: they fit in the second-level cache. A
/// multiple of every level's panels.
const TOGETHER: usize = 96;
/// The work is split by output channels if U has at least `LARGE` floats (2 MiB) and there are at most `FEW` tiles.
const LARGE: usize = 1 << 19;
const FEW: usize = 192;
/// If split by output channels: registers of output channels per task, and input channels whose part of U is made at a
/// time.
const PANEL: usize = 2;
const DEPTH: usize = 128;

/// A convolution in the form that both loops use.
#[derive(Clone, Copy)]
struct WinogradConv<'a> {
    /// Channels and planes that are read (`c`, `from`) and written (`o`, `to`).
    c: usize,
    o: usize,
    from: Plane,
    to: Plane,
    /// Padding, which may be negative.
    before: [isize; 2],
    x: &'a [f32],
    weight: &'a [f32],
    taps: WeightStrides,
    finish: Finish<'a, f32>,
    y: Disjoint<'a, f32>,
    tiling: WinogradTiling,
    lanes: usize,
    /// Set to true if an output is not finite.
    spread: &'a AtomicBool,
}

pub fn forward(cx: &CpuCtx, g: &ConvShape, x: &[f32], weight: &[f32], finish: Finish<f32>, y: &mut [f32]) {
    let spread = AtomicBool::new(false);
    let layer = WinogradConv {
        c: g.c,
        o: g.o,
        from: Plane { h: g.h, w: g.w },
        to: Plane { h: g.oh, w: g.ow },
        before: g.window.padding.map(|p| p[0] as isize),
        x,
        weight,
        taps: WeightStrides { output: g.c * 9, input: 9, turned: false },
        finish,
        y: Disjoint::new(&mut *y),
        tiling: WinogradTiling::new(g.n, [g.oh, g.ow]),
        lanes: cx.simd().lanes(),
        spread: &spread,
    };
    layer.run(cx);
    if spread.into_inner() {
        let run = if implicit::supports(g) { implicit::forward } else { im2col::forward };
        run(cx, g, x, weight, finish, y);
    }
}

pub fn grad_input(cx: &CpuCtx, g: &ConvShape, of: GradInput<f32>, dx: &mut [f32]) {
    let GradInput { dy, weight, bias } = of;
    let spread = AtomicBool::new(false);
    let layer = WinogradConv {
        c: g.o,
        o: g.c,
        from: Plane { h: g.oh, w: g.ow },
        to: Plane { h: g.h, w: g.w },
        before: g.window.padding.map(|p| 2 - p[0] as isize),
        x: dy,
        weight,
        taps: WeightStrides { output: 9, input: g.c * 9, turned: true },
        finish: Finish { bias, relu: false },
        y: Disjoint::new(&mut *dx),
        tiling: WinogradTiling::new(g.n, [g.h, g.w]),
        lanes: cx.simd().lanes(),
        spread: &spread,
    };
    layer.run(cx);
    if spread.into_inner() {
        let run = if implicit::supports(g) { implicit::grad_input } else { im2col::grad_input };
        run(cx, g, of, dx);
    }
}

impl WinogradConv<'_> {
    fn run(&self, cx: &CpuCtx) {
        if self.tiling.tiles() <= FEW && self.u_place().len() >= LARGE {
            self.by_channels(cx);
        } else {
            self.by_blocks(cx);
        }
    }

    fn by_blocks(&self, cx: &CpuCtx) {
        let mut u = cx.scratch(self.u_place().len() * 4);
        let all = Disjoint::new(u.slice_mut::<f32>());
        cx.tasks(self.o.div_ceil(self.lanes), self.u_place().len(), &|group| {
            cx.simd().dispatch(WeightTransform { layer: self, group, u: all });
        });
        let u = u.slice::<f32>();
        cx.tasks(self.tiling.len(), self.work(self.tiling.tiles()), &|number| {
            let block = self.tiling.block(number);
            cx.simd().dispatch(BlockTask { cx, layer: self, block: &block, u });
        });
    }

    fn by_channels(&self, cx: &CpuCtx) {
        let tiling = self.tiling;
        let (blocks, tiles) = tiling.blocks(0, tiling.len());
        let place = TileStrides::new(tiles, pitch(self.c, self.lanes), self.lanes);
        let mut buffer = cx.scratch(place.len() * 4);
        let v = Disjoint::new(buffer.slice_mut::<f32>());
        cx.tasks(blocks.len(), place.len(), &|i| {
            let mut patch = cx.scratch(tiling.patch(self.lanes) * 4);
            let (patch, block) = (patch.slice_mut::<f32>(), &blocks[i]);
            cx.simd().dispatch(InputTransform { layer: self, block, place, patch, v });
        });
        let v = buffer.slice::<f32>();
        cx.tasks(self.o.div_ceil(PANEL * self.lanes), self.work(tiles), &|panel| {
            cx.simd().dispatch(Panel { cx, layer: self, panel, blocks: &blocks, tiles, place, v });
        });
    }

    /// The work of some tiles, by which the context decides whether to run in parallel.
    fn work(&self, tiles: usize) -> usize {
        16 * tiles * self.c * self.o / MACS
    }

    /// Positions of a whole U: `[16][panel][C][channels of the panel]`.
    fn u_place(&self) -> TileStrides {
        TileStrides::new(self.c, self.o.next_multiple_of(self.lanes), self.lanes)
    }

    /// The position in U at which a register of output channels begins, and the number of channels of its panel.
    fn panel<V: Vector>(&self, group: usize) -> (usize, usize) {
        let first = group / V::TILE[1] * V::TILE[1];
        let width = (self.o.div_ceil(V::LANES) - first).min(V::TILE[1]);
        (first * V::LANES * self.c + (group - first) * V::LANES, width * V::LANES)
    }

    /// Computes one register of output channels of U, for the input channels `inputs`.
    ///
    /// # Safety
    /// U has room for `inputs.len()` registers from `u` on.
    #[inline(always)]
    unsafe fn taps<V: Vector>(&self, group: usize, inputs: Range<usize>, u: *mut f32, place: TileStrides) {
        let first = group * V::LANES;
        // SAFETY: the weights of these channels exist; U has room for `inputs.len()` registers: promised by the caller.
        unsafe {
            let weight = self.weight.as_ptr().add(first * self.taps.output + inputs.start * self.taps.input);
            taps::<V>(weight, self.taps, [V::LANES.min(self.o - first), inputs.len()], u, place);
        }
    }

    /// Computes V of a block.
    ///
    /// # Safety
    /// V has room for the block's tiles at their positions.
    #[inline(always)]
    unsafe fn pixels<V: Vector>(
        &self,
        block: &TileBlock,
        place: TileStrides,
        patch: &mut [f32],
        v: *mut f32,
    ) {
        let read = block.read(self.before);
        let size = self.from.h * self.from.w;
        for (image, tile) in block.images() {
            for first in (0..self.c).step_by(V::LANES) {
                // SAFETY: the planes exist, the patch has room, and tile and channels lie in V.
                unsafe {
                    let planes = self.x.as_ptr().add((image * self.c + first) * size);
                    read.gather::<V>(planes, V::LANES.min(self.c - first), self.from, patch.as_mut_ptr());
                    pixels::<V>(block.size(), patch.as_ptr(), v.add(tile * place.tile + first), place);
                }
            }
        }
    }

    /// Computes y of a block, for the output channels `channels`, from their sums in M.
    ///
    /// # Safety
    /// M has the block's tiles at their positions. No other task writes these channels of y in this block.
    #[inline(always)]
    unsafe fn outputs<V: Vector>(
        &self,
        block: &TileBlock,
        channels: Range<usize>,
        m: *const f32,
        place: TileStrides,
        patch: &mut [f32],
    ) {
        let written = block.written();
        let size = self.to.h * self.to.w;
        let mut products = V::splat(0.0);
        for (image, tile) in block.images() {
            for first in channels.clone().step_by(V::LANES) {
                let count = V::LANES.min(channels.end - first);
                // SAFETY: the bias and the planes exist, and the patch has room. M has the block's tiles, and no other
                // task writes these channels of y in this block: promised by the caller.
                unsafe {
                    let bias = match self.finish.bias {
                        Some(bias) => V::load_part(bias.as_ptr().add(first), V::first(count)),
                        None => V::splat(0.0),
                    };
                    let m = m.add(tile * place.tile + first - channels.start);
                    let relu = self.finish.relu;
                    let found = outputs::<V>(block.size(), m, place, bias, relu, patch.as_mut_ptr());
                    products = products.add(found);
                    let planes = self.y.at((image * self.o + first) * size);
                    written.scatter::<V>(patch.as_ptr(), count, self.to, planes);
                }
            }
        }
        if !products.sum().is_finite() {
            self.spread.store(true, Ordering::Relaxed);
        }
    }
}

/// Computes one register of output channels of the whole U.
struct WeightTransform<'a> {
    layer: &'a WinogradConv<'a>,
    group: usize,
    u: Disjoint<'a, f32>,
}

impl Kernel for WeightTransform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let WeightTransform { layer, group, u } = self;
        let (start, width) = layer.panel::<V>(group);
        let place = TileStrides { tile: width, ..layer.u_place() };
        // SAFETY: U is that large, and its registers of this group belong to this task.
        unsafe { layer.taps::<V>(group, 0..layer.c, u.at(start), place) };
    }
}

/// Computes one block of tiles with the whole U.
struct BlockTask<'a> {
    cx: &'a CpuCtx,
    layer: &'a WinogradConv<'a>,
    block: &'a TileBlock,
    u: &'a [f32],
}

impl Kernel for BlockTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let BlockTask { cx, layer, block, u } = self;
        let (c, o, tiles) = (layer.c, layer.o, block.len());
        let v_place = TileStrides::new(tiles, pitch(c, V::LANES), V::LANES);
        let m_place = TileStrides::new(tiles, o.next_multiple_of(V::LANES).min(TOGETHER), V::LANES);
        let patch = layer.tiling.patch(V::LANES);
        let mut scratch = cx.scratch((patch + v_place.len() + m_place.len()) * 4);
        let (patch, rest) = scratch.slice_mut::<f32>().split_at_mut(patch);
        let (v, m) = rest.split_at_mut(v_place.len());
        // SAFETY: V and M have room for `tiles` tiles, U for c rows of each panel.
        unsafe {
            layer.pixels::<V>(block, v_place, patch, v.as_mut_ptr());
            for start in (0..o).step_by(m_place.tile) {
                let end = o.min(start + m_place.tile);
                for position in 0..16 {
                    let v = v.as_ptr().add(position * v_place.position);
                    for first in (start..end).step_by(V::LANES * V::TILE[1]) {
                        let (place, width) = layer.panel::<V>(first / V::LANES);
                        let u = u.as_ptr().add(position * layer.u_place().position + place);
                        let m = m.as_mut_ptr().add(position * m_place.position + first - start);
                        let v = Left { data: v, row: v_place.tile, col: 1 };
                        let u = RowsOf { start: u, rows: StridedRows(width) };
                        product::<V>(tiles, c, v, u, m, m_place.tile, false);
                    }
                }
                layer.outputs::<V>(block, start..end, m.as_ptr(), m_place, patch);
            }
        }
    }
}

/// Computes V of one of several blocks.
struct InputTransform<'a> {
    layer: &'a WinogradConv<'a>,
    block: &'a TileBlock,
    place: TileStrides,
    patch: &'a mut [f32],
    v: Disjoint<'a, f32>,
}

impl Kernel for InputTransform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let InputTransform { layer, block, place, patch, v } = self;
        // SAFETY: V has room for all blocks, and only this task writes this block.
        unsafe { layer.pixels::<V>(block, place, patch, v.at(0)) };
    }
}

/// Computes some registers of output channels for some blocks, from their V.
struct Panel<'a> {
    cx: &'a CpuCtx,
    layer: &'a WinogradConv<'a>,
    panel: usize,
    blocks: &'a [TileBlock],
    tiles: usize,
    place: TileStrides,
    v: &'a [f32],
}

impl Kernel for Panel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Panel { cx, layer, panel, blocks, tiles, place, v } = self;
        let first = panel * PANEL * V::LANES;
        let end = layer.o.min(first + PANEL * V::LANES);
        let width = (end - first).next_multiple_of(V::LANES);
        let (u_place, m_place) =
            (TileStrides::new(DEPTH, width, V::LANES), TileStrides::new(tiles, width, V::LANES));
        let patch = layer.tiling.patch(V::LANES);
        let mut scratch = cx.scratch((patch + u_place.len() + m_place.len()) * 4);
        let (patch, rest) = scratch.slice_mut::<f32>().split_at_mut(patch);
        let (u, m) = rest.split_at_mut(u_place.len());
        let (u, m) = (u.as_mut_ptr(), m.as_mut_ptr());
        // SAFETY: V and M have room for `tiles` tiles, U for DEPTH rows.
        unsafe {
            for k in (0..layer.c).step_by(DEPTH) {
                let depth = DEPTH.min(layer.c - k);
                for group in 0..width / V::LANES {
                    let u = u.add(group * V::LANES);
                    layer.taps::<V>(first / V::LANES + group, k..k + depth, u, u_place);
                }
                for position in 0..16 {
                    let v = v.as_ptr().add(position * place.position + k);
                    let u = u.add(position * u_place.position);
                    let m = m.add(position * m_place.position);
                    let v = Left { data: v, row: place.tile, col: 1 };
                    let u = RowsOf { start: u, rows: StridedRows(width) };
                    product::<V>(tiles, depth, v, u, m, width, k > 0);
                }
            }
            for block in blocks {
                layer.outputs::<V>(block, first..end, m, m_place, patch);
            }
        }
    }
}

/// `M = V U`, or `M += V U` if `more`, for one position: `rows` tiles, k input channels, and as many output channels as
/// U has floats from row to row. Rows of M are `pitch` floats apart.
///
/// # Safety
/// `rows` rows of V and M and k rows of U can be accessed. No other task accesses these rows of M.
#[inline(always)]
unsafe fn product<V: Vector>(
    rows: usize,
    k: usize,
    v: Left,
    u: RowsOf<StridedRows>,
    m: *mut f32,
    pitch: usize,
    more: bool,
) {
    let mut i = 0;
    while i < rows {
        let r = next_rows::<V>(rows - i);
        // SAFETY: rows i .. i + r of V and M can be accessed: promised by the caller.
        unsafe {
            let v = Left { data: v.data.add(i * v.row), ..v };
            let m = m.add(i * pitch);
            by_tile!(r, u.rows.0 / V::LANES, V, rows_of(k, v, u, m, pitch, more));
        }
        i += r;
    }
}

/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn rows_of<V: Vector, const R: usize, const N: usize>(
    k: usize,
    v: Left,
    u: RowsOf<StridedRows>,
    m: *mut f32,
    pitch: usize,
    more: bool,
) {
    // SAFETY: R rows of V and M and k rows of U, N registers each, can be accessed: promised by the caller.
    unsafe {
        let sums = outer_product::<V, R, N>(k, v, u, V::first(V::LANES));
        for r in 0..R {
            for n in 0..N {
                let (to, sum) = (m.add(r * pitch + n * V::LANES), sums[r][n]);
                if more { sum.add(V::load(to)) } else { sum }.store(to);
            }
        }
    }
}
