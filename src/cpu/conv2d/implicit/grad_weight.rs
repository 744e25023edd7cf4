//! The gradient of the weights: dot products along the flat pixels.
//!
//! ```text
//!                flat pixels f --->                                  dw[o, k] = sum over f of dy[o, f] image[offset[k] + f]
//!   dy[o]        d d d d 0 d d d d 0 ...
//!                                             times
//!   image[k]     x x x x x x x x x x ...  from offset[k] on          4 channels o and 6 taps k at a time, in registers
//! ```
//!
//! dy is laid out like the flat pixels of the outputs. It has zeros at flat pixels that are no outputs, so the image's
//! numbers there add nothing. Both factors are read as they lie: neither is transposed, and no column is written.
//! Limited by: the multiply-adds, and for small planes by adding the lanes of each sum.
//!
//! A task is a chunk of the batch and some of the output channels. Each chunk has sums of its own, which are added in a
//! fixed order. Tasks are cut by sizes alone.

use super::super::non_finite::mend_weight_gradient;
use super::super::{ConvShape, add_in_order};
use super::layout::{BlockLayout, PlaneLayout, Taps, copy, zeros};
use crate::cpu::CpuCtx;
use crate::cpu::disjoint::Disjoint;
use crate::cpu::dot_products::{add_dot_products, by_dots, next_dots};
use crate::cpu::outer_product::{Rows, RowsOf, StridedRows, TableRows};
use crate::cpu::vector::{Kernel, Vector};
use std::ops::Range;

/// About the multiply-adds of a task, and the most tasks.
const TASK: usize = 1 << 20;
const MOST_TASKS: usize = 8;
/// The most floats of image and dy in a block: 512 KiB, half of a second-level cache.
const BLOCK: usize = 1 << 17;
/// Flat pixels of a block. With fewer, adding the lanes would take most of the time; with more, the block would not fit
/// in the first-level cache.
const PIXELS: Range<usize> = 2048..8192;
/// The most elements of all partial sums together: 2 MiB.
const PARTIALS: usize = 1 << 19;
/// Rows are read one by one if they have at least `LONG` outputs and each output has at most `FEW` terms.
const LONG: usize = 96;
const FEW: usize = 32;
/// Output channels of a part are a multiple of this.
const ROWS: usize = 8;

/// How the sum is cut.
struct GradWeightPlan<'a> {
    g: &'a ConvShape,
    x: &'a [f32],
    dy: &'a [f32],
    layout: PlaneLayout,
    block: BlockLayout,
    offsets: Vec<u32>,
    /// Images and output rows of a block.
    images: usize,
    rows: usize,
    /// True if each row of outputs is a stretch of its own. Then dy need not be copied, which pays if rows are long.
    by_row: bool,
}

/// `dw` from `(dy, x)`.
pub fn grad_weight(cx: &CpuCtx, g: &ConvShape, dy: &[f32], x: &[f32], dw: &mut [f32]) {
    if g.n == 0 || dw.is_empty() {
        return dw.fill(0.0);
    }
    let taps = [0, 1].map(|axis| Taps::forward(g, axis));
    let layout =
        PlaneLayout::new(std::slice::from_ref(&taps), [g.cg(), g.groups], [g.h, g.w], g.window.stride);
    let tasks = (g.work() / TASK).clamp(1, MOST_TASKS);
    let pixels = (BLOCK / (layout.planes() + g.og())).clamp(PIXELS.start, PIXELS.end);
    let rows = (pixels / layout.pitch).clamp(1, g.oh);
    let rows = g.oh.div_ceil(g.oh.div_ceil(rows));
    let enough = 2 * g.n * g.oh * layout.pitch / PIXELS.start;
    let most = (PARTIALS / dw.len()).min(enough).clamp(1, tasks);
    let by_row = g.ow >= LONG && g.k() <= FEW;
    let images =
        if by_row || rows < g.oh { 1 } else { (pixels / (g.oh * layout.pitch)).clamp(1, g.n.div_ceil(most)) };
    let blocks = g.n.div_ceil(images) * g.oh.div_ceil(rows);
    let chunk = blocks.div_ceil(most);
    let chunks = blocks.div_ceil(chunk);
    // Each part copies the image for itself. With a stride, few taps read each copied number, so there are fewer parts.
    let most = if layout.planes() > g.cg() { MOST_TASKS / 2 } else { MOST_TASKS };
    let channels = g.og().div_ceil(tasks.min(most).div_ceil(chunks)).next_multiple_of(ROWS);
    let parts = g.og().div_ceil(channels);
    let block = layout.block(images, rows);
    let offsets = layout.offsets(&taps, &block);
    let plan = GradWeightPlan { g, x, dy, layout, block, offsets, images, rows, by_row };
    let run = |partials: &mut [f32]| {
        let size = partials.len() / chunks;
        let sums = Disjoint::new(partials);
        cx.tasks(chunks * parts, g.work() / 16, &|task| {
            let (chunk_number, part) = (task / parts, task % parts);
            let first = chunk_number * chunk;
            let channels = part * channels..g.og().min((part + 1) * channels);
            // SAFETY: `sums` has `chunks` times `size` elements.
            let dw = unsafe { sums.at(chunk_number * size) };
            let mut scratch =
                cx.scratch((plan.block.floats + plan.dy_floats(channels.len())) * size_of::<f32>());
            cx.simd().dispatch(GradWeightTask {
                plan: &plan,
                blocks: first..blocks.min(first + chunk),
                channels,
                scratch: scratch.slice_mut::<f32>(),
                dw,
            });
        });
    };
    if chunks == 1 {
        run(dw);
        return mend_weight_gradient(cx, g, dy, x, dw);
    }
    let mut partials = cx.scratch(chunks * size_of_val(dw));
    run(partials.slice_mut::<f32>());
    add_in_order(cx, partials.slice_mut::<f32>(), dw);
    mend_weight_gradient(cx, g, dy, x, dw);
}

impl GradWeightPlan<'_> {
    /// True if dy is read where it lies: its rows lie like the flat pixels of the outputs, or are read one by one.
    fn dy_in_place(&self) -> bool {
        self.by_row || self.layout.in_place && self.layout.pitch == self.g.ow
    }

    /// Floats from one image of a copy of dy to the next, and from one channel to the next.
    fn dy_strides(&self) -> [usize; 2] {
        let image = if self.layout.in_place { self.rows * self.layout.pitch } else { self.block.image };
        [image, self.images * image + 16]
    }

    /// Floats of a copy of dy.
    fn dy_floats(&self, channels: usize) -> usize {
        if self.dy_in_place() { 0 } else { channels * self.dy_strides()[1] + 16 }
    }
}

/// A task: some blocks, and some output channels of every group.
struct GradWeightTask<'a> {
    plan: &'a GradWeightPlan<'a>,
    blocks: Range<usize>,
    channels: Range<usize>,
    scratch: &'a mut [f32],
    /// The sums of this task's chunk, for all channels.
    dw: *mut f32,
}

impl Kernel for GradWeightTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let GradWeightTask { plan, blocks, channels, scratch, dw } = self;
        let GradWeightPlan { g, layout, block, offsets, .. } = plan;
        let (copied, copied_dy) = scratch.split_at_mut(block.floats);
        let bands = g.oh.div_ceil(plan.rows);
        for (i, number) in blocks.enumerate() {
            let (image, row) = (number / bands * plan.images, number % bands * plan.rows);
            let images = image..g.n.min(image + plan.images);
            let rows = plan.rows.min(g.oh - row);
            for group in 0..g.groups {
                let first = group * g.og() + channels.start;
                let image = if layout.in_place {
                    layout.place(plan.x, images.start, group, row)
                } else {
                    // SAFETY: the copy has the block's size.
                    unsafe {
                        layout.fill::<V>(block, plan.x, images.clone(), group, row, copied.as_mut_ptr())
                    };
                    &*copied
                };
                let (dy, [dy_image, dy_row]) = if plan.dy_in_place() {
                    let strides = [g.o * g.out_plane(), g.out_plane()];
                    (&plan.dy[images.start * strides[0] + first * strides[1] + row * g.ow..], strides)
                } else {
                    // SAFETY: `copied_dy` has `dy_floats` floats.
                    unsafe {
                        plan.fill_dy::<V>(images.clone(), row..row + rows, first, channels.len(), copied_dy)
                    };
                    (&*copied_dy, plan.dy_strides())
                };
                let each = (rows - 1) * layout.pitch + g.ow;
                let all = (images.len() - 1) * block.image + each;
                let together =
                    !layout.in_place && all.div_ceil(V::LANES) <= images.len() * each.div_ceil(V::LANES);
                let ([stretches, pixels], apart) = match (plan.by_row, together) {
                    (true, _) => ([rows, g.ow], [g.ow, layout.pitch]),
                    (_, true) => ([1, all], [0, 0]),
                    (_, false) => ([images.len(), each], [dy_image, block.image]),
                };
                let sums = Sums {
                    stretches,
                    pixels,
                    apart,
                    dy: RowsOf { start: dy.as_ptr(), rows: StridedRows(dy_row) },
                    image: image.as_ptr(),
                    offsets,
                    rows: channels.len(),
                    more: i > 0,
                };
                // SAFETY: the image and dy have these sizes; the sums of a task's channels are its own.
                unsafe { sums.all::<V>(dw.add(first * g.k())) };
            }
        }
    }
}

impl GradWeightPlan<'_> {
    /// Copies some rows of some channels of dy, with zeros wherever there is no output.
    ///
    /// # Safety
    /// `to` has `dy_floats` floats.
    #[inline(always)]
    unsafe fn fill_dy<V: Vector>(
        &self,
        images: Range<usize>,
        rows: Range<usize>,
        first: usize,
        channels: usize,
        to: &mut [f32],
    ) {
        let (g, pitch) = (self.g, self.layout.pitch);
        let [image_stride, stride] = self.dy_strides();
        for c in 0..channels {
            for (i, image) in images.clone().enumerate() {
                let plane = &self.dy[(image * g.o + first + c) * g.out_plane()..][..g.out_plane()];
                // SAFETY: rows are written in memory order, each in whole vectors. The next row overwrites the excess
                // of the last vector. After the last row there is room for it.
                unsafe {
                    let mut row = to.as_mut_ptr().add(c * stride + i * image_stride);
                    for from in plane[rows.start * g.ow..rows.end * g.ow].chunks_exact(g.ow) {
                        copy::<V>(from, 1, g.ow, pitch, row);
                        row = row.add(pitch);
                    }
                    zeros::<V>(row, image_stride - rows.len() * pitch);
                }
            }
        }
    }
}

/// Sums over some flat pixels.
struct Sums<'a> {
    /// The number of stretches of flat pixels, and the length of each.
    stretches: usize,
    pixels: usize,
    /// Floats of dy and of the image from stretch to stretch.
    apart: [usize; 2],
    /// One row per output channel.
    dy: RowsOf<StridedRows>,
    image: *const f32,
    offsets: &'a [u32],
    /// Output channels.
    rows: usize,
    /// True if the sums are added to those in dw; else they replace them.
    more: bool,
}

impl Sums<'_> {
    /// Computes all `rows x offsets` sums.
    ///
    /// # Safety
    /// Image, dy and dw have these sizes.
    #[inline(always)]
    unsafe fn all<V: Vector>(&self, dw: *mut f32) {
        let mut o = 0;
        while o < self.rows {
            let (rows, mut k) = (next_dots::<V>(0, self.rows - o), 0);
            while k < self.offsets.len() {
                let columns = next_dots::<V>(1, self.offsets.len() - k);
                // SAFETY: rows o .. o + rows and offsets k .. k + columns exist: promised by the caller.
                unsafe { by_dots!(rows, columns, V, block(self, o, k, dw)) };
                k += columns;
            }
            o += rows;
        }
    }
}

/// The sums of R channels from o on and C taps from k on.
///
/// # Safety
/// As [`Sums::all`].
#[inline(always)]
unsafe fn block<V: Vector, const R: usize, const C: usize>(s: &Sums, o: usize, k: usize, dw: *mut f32) {
    let mut sums = [[V::splat(0.0); C]; R];
    for i in 0..s.stretches {
        // SAFETY: for each stretch, dy has R rows from o on and the image holds the floats at the C offsets: promised
        // by the caller.
        unsafe {
            let start = s.dy.start.add(i * s.apart[0] + s.dy.rows.at(o));
            let dy = RowsOf { start, ..s.dy };
            let image = RowsOf { start: s.image.add(i * s.apart[1]), rows: TableRows(&s.offsets[k..k + C]) };
            sums = add_dot_products::<V, R, C>(sums, s.pixels, dy, image);
        }
    }
    for r in 0..R {
        for c in 0..C {
            let sum = sums[r][c].sum();
            // SAFETY: dw has `rows x offsets` sums, of which these are R rows and C columns: promised by the caller.
            unsafe {
                let to = dw.add((o + r) * s.offsets.len() + k + c);
                *to = if s.more { *to + sum } else { sum };
            }
        }
    }
}
