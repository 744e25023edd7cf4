//! Outputs from flat pixels: the forward loop, and the gradient of the input, which runs the same loop over dy.

use super::super::non_finite::mend_input_gradient;
use super::super::{ConvShape, Finish, GradInput};
use super::ROWS;
use super::layout::{BlockLayout, PlaneLayout, Taps};
use super::tile::{PixelRuns, Spot, TileOperands};
use super::weights::{WeightPanels, kernel_numbers, turn};
use crate::cpu::CpuCtx;
use crate::cpu::disjoint::Disjoint;
use crate::cpu::outer_product::next_rows;
use crate::cpu::vector::{Kernel, Vector};
use std::ops::Range;

/// Floats of a block's padded copy: 512 KiB, half of a second-level cache.
pub(super) const COPY: usize = 1 << 17;
/// About the multiply-adds of a task, and the most tasks.
const TASK: usize = 1 << 20;
const MOST_TASKS: usize = 16;
/// The fewest flat pixels of a band of rows.
const BAND: usize = 192;
/// `y` from `(x, weight)`.
pub fn forward(cx: &CpuCtx, g: &ConvShape, x: &[f32], weight: &[f32], finish: Finish<f32>, y: &mut [f32]) {
    let taps = [0, 1].map(|axis| Taps::forward(g, axis));
    let layout =
        PlaneLayout::new(std::slice::from_ref(&taps), [g.cg(), g.groups], [g.h, g.w], g.window.stride);
    let to = OutputTensor::new(y, g.n, [g.og(), g.groups], [g.oh, g.ow]);
    let pass = Pass { taps, first: 0, weights: WeightPanels::Rows(weight) };
    convolve(cx, x, layout, &[pass], to, finish, [1, 1]);
}

/// `dx` from `(dy, weight)`: for each phase of the stride, a convolution of dy with the taps that read this phase.
pub fn grad_input(cx: &CpuCtx, g: &ConvShape, of: GradInput<f32>, dx: &mut [f32]) {
    let GradInput { dy, weight, bias } = of;
    let [sh, sw] = g.window.stride;
    let phases = [sh.min(g.h), sw.min(g.w)];
    let phases = (0..phases[0]).flat_map(|a| (0..phases[1]).map(move |b| [a, b]));
    let taps = phases.map(|phase| [0, 1].map(|axis| Taps::grad_input(g, axis, phase[axis])));
    let taps: Vec<[Taps; 2]> = taps.collect();
    let layout = PlaneLayout::new(&taps, [g.og(), g.groups], [g.oh, g.ow], [1, 1]);
    let numbers: Vec<Vec<usize>> = taps.iter().map(|taps| kernel_numbers(g, taps)).collect();
    let mut buffer = cx.scratch(size_of_val(weight));
    let turned = turn(cx, g, &numbers, weight, buffer.slice_mut::<f32>());
    let passes: Vec<Pass> = taps
        .into_iter()
        .zip(turned)
        .enumerate()
        .map(|(i, (taps, turned))| {
            let phase = [i / sw.min(g.w), i % sw.min(g.w)];
            Pass { taps, first: phase[0] * g.w + phase[1], weights: WeightPanels::Panels(turned) }
        })
        .collect();
    let to = OutputTensor::new(dx, g.n, [g.cg(), g.groups], [g.h, g.w]);
    convolve(cx, dy, layout, &passes, to, Finish { bias, relu: false }, g.window.stride);
    mend_input_gradient(cx, g, of, dx);
}

/// The outputs of one phase: all of them for a forward loop.
struct Pass<'a> {
    taps: [Taps; 2],
    /// The position of its first output in a plane.
    first: usize,
    weights: WeightPanels<'a>,
}

impl Pass<'_> {
    fn height(&self) -> usize {
        self.taps[0].outputs
    }

    fn width(&self) -> usize {
        self.taps[1].outputs
    }
}

/// The tensor that is written, `[images, groups * channels, height, width]`.
struct OutputTensor<'a> {
    data: Disjoint<'a, f32>,
    images: usize,
    channels: usize,
    groups: usize,
    size: [usize; 2],
}

impl<'a> OutputTensor<'a> {
    fn new(y: &'a mut [f32], images: usize, [channels, groups]: [usize; 2], size: [usize; 2]) -> Self {
        assert_eq!(y.len(), images * channels * groups * size[0] * size[1], "the output's size");
        OutputTensor { data: Disjoint::new(y), images, channels, groups, size }
    }

    fn plane(&self) -> usize {
        self.size[0] * self.size[1]
    }

    fn image(&self) -> usize {
        self.channels * self.groups * self.plane()
    }
}

/// How a convolution is cut into tasks. It depends only on the sizes.
struct ConvTiling {
    /// Images of a block; more than one only if a block has all of their rows.
    images: usize,
    rows: usize,
    /// Output channels of a task.
    channels: usize,
}

impl ConvTiling {
    fn new(layout: &PlaneLayout, to: &OutputTensor, rows: usize, work: usize) -> ConvTiling {
        let wanted = (work / TASK).clamp(1, MOST_TASKS);
        let row = layout.planes() * layout.pitch;
        let fits = (COPY / row.max(1)).saturating_sub(layout.halo()).max(1);
        let (images, height) = if fits >= rows && to.images >= wanted {
            let fits = COPY / (row * (rows + layout.halo())).max(1);
            (to.images.div_ceil(wanted).min(fits).max(1), rows)
        } else {
            // Bands of equal height: enough for the wanted tasks, but not too narrow.
            let least = BAND.div_ceil(layout.pitch);
            let band = rows.div_ceil(wanted.div_ceil(to.images)).max(least).min(fits).min(rows);
            (1, rows.div_ceil(rows.div_ceil(band)))
        };
        let blocks = to.images.div_ceil(images) * rows.div_ceil(height);
        let parts = wanted.div_ceil(blocks);
        ConvTiling { images, rows: height, channels: to.channels.div_ceil(parts).next_multiple_of(ROWS) }
    }
}

/// The data that all tasks of a convolution share.
struct ImplicitConv<'a> {
    source: &'a [f32],
    layout: PlaneLayout,
    block: BlockLayout,
    passes: &'a [Pass<'a>],
    offsets: Vec<Vec<u32>>,
    to: OutputTensor<'a>,
    finish: Finish<'a, f32>,
    /// Rows and columns from one output of a pass to the next.
    stride: [usize; 2],
}

fn convolve(
    cx: &CpuCtx,
    source: &[f32],
    layout: PlaneLayout,
    passes: &[Pass],
    to: OutputTensor,
    finish: Finish<f32>,
    stride: [usize; 2],
) {
    if to.image() * to.images == 0 {
        return;
    }
    let rows = passes.iter().map(Pass::height).max().unwrap_or(0);
    let terms = passes.iter().map(|pass| pass.taps[0].taps.len() * pass.taps[1].taps.len()).sum::<usize>();
    let pixels = rows * passes.iter().map(Pass::width).max().unwrap_or(0);
    let work = to.images * to.channels * to.groups * pixels * layout.channels() * terms;
    let cut = ConvTiling::new(&layout, &to, rows, work);
    let block = layout.block(cut.images, cut.rows);
    let offsets = passes.iter().map(|pass| layout.offsets(&pass.taps, &block)).collect();
    let all = ImplicitConv { source, layout, block, passes, offsets, to, finish, stride };
    let bands = rows.div_ceil(cut.rows);
    let parts = all.to.channels.div_ceil(cut.channels);
    let blocks = all.to.images.div_ceil(cut.images);
    cx.tasks(blocks * bands * parts, work / 16, &|task| {
        let (place, part) = (task / parts, task % parts);
        let (first, row) = (place / bands * cut.images, place % bands * cut.rows);
        let mut scratch = cx.scratch(all.block.floats * size_of::<f32>());
        cx.simd().dispatch(ForwardTask {
            all: &all,
            images: first..all.to.images.min(first + cut.images),
            row,
            channels: part * cut.channels..all.to.channels.min((part + 1) * cut.channels),
            scratch: scratch.slice_mut::<f32>(),
        });
    });
}

/// A task: a block of images, or rows of one image, and some output channels of every group.
struct ForwardTask<'a> {
    all: &'a ImplicitConv<'a>,
    images: Range<usize>,
    row: usize,
    channels: Range<usize>,
    scratch: &'a mut [f32],
}

impl Kernel for ForwardTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let ForwardTask { all, images, row, channels, scratch } = self;
        let ImplicitConv { source, layout, block, passes, to, .. } = all;
        let runs: Vec<PixelRuns> = passes.iter().map(|pass| all.runs::<V>(pass, images.len(), row)).collect();
        for group in 0..to.groups {
            let image = if layout.in_place {
                layout.place(source, images.start, group, row)
            } else {
                // SAFETY: the scratch has the block's size.
                unsafe { layout.fill::<V>(block, source, images.clone(), group, row, scratch.as_mut_ptr()) };
                &*scratch
            };
            for (pass, (offsets, runs)) in passes.iter().zip(all.offsets.iter().zip(&runs)) {
                let mut o = channels.start;
                while o < channels.end {
                    let rows = next_rows::<V>(channels.end - o);
                    let channel = group * to.channels + o;
                    let tile = TileOperands {
                        weights: pass.weights.tile(channel, rows, offsets.len()),
                        offsets,
                        bias: all.finish.bias.map(|b| b[channel..][..rows].as_ptr()),
                        relu: all.finish.relu,
                        plane: to.plane(),
                        step: all.stride[1],
                    };
                    for run in 0..runs.count {
                        // If a pass has no taps, the image is empty, too.
                        let image = &image[(run * block.image).min(image.len())..];
                        let place = (images.start + run) * to.image() + channel * to.plane() + runs.start;
                        // SAFETY: the image holds the floats at a stretch's offsets. The spots lie in y, in the planes
                        // of this task's channels.
                        unsafe {
                            let y = to.data.at(place);
                            runs.go::<V>(&tile, rows, image, y);
                        }
                    }
                    o += rows;
                }
            }
        }
    }
}

impl ImplicitConv<'_> {
    /// The flat pixels of `images` images, or of a band of rows from `row` on.
    #[inline(always)]
    fn runs<V: Vector>(&self, pass: &Pass, images: usize, row: usize) -> PixelRuns {
        let rows = self.block.rows.min(pass.height().saturating_sub(row));
        let (pitch, image) = (self.layout.pitch, self.block.image);
        let each = rows.saturating_sub(1) * pitch + pass.width();
        let all = (images - 1) * image + each;
        // One stretch over all images also computes the gaps between them. One stretch per image wastes part of its
        // last vector. The cheaper one is used.
        let together = !self.layout.in_place && all.div_ceil(V::LANES) <= images * each.div_ceil(V::LANES);
        let (count, images, pixels) = if together { (1, images, all) } else { (images, 1, each) };
        let pixels = if rows * pass.width() == 0 { 0 } else { pixels };
        let step = [self.stride[0] * self.to.size[1], self.stride[1]];
        let dense = step == [pass.width(), 1];
        let start = pass.first + row * step[0];
        let mut runs = PixelRuns { count, pixels, vectors: vec![0], spots: Vec::new(), start };
        if pixels == 0 {
            // There is no first output, and its position may lie beyond the tensor.
            return PixelRuns { count: 0, ..runs };
        }
        let mut joined = false;
        for b in 0..images {
            for i in 0..rows {
                let from = b * image + i * pitch;
                let mut j = 0;
                while j < pass.width() {
                    let (vector, lane) = ((from + j) / V::LANES, (from + j) % V::LANES);
                    let n = (V::LANES - lane).min(pass.width() - j);
                    let lanes = ((1u32 << n) - 1) << lane;
                    let fresh = vector + 1 >= runs.vectors.len();
                    while runs.vectors.len() <= vector + 1 {
                        runs.vectors.push(runs.spots.len() as u32);
                    }
                    match runs.spots.last_mut() {
                        Some(last) if joined && !fresh => last.lanes |= lanes,
                        _ => runs
                            .spots
                            .push(Spot { lanes, at: b * self.to.image() + i * step[0] + j * step[1] }),
                    }
                    *runs.vectors.last_mut().expect("pushed") = runs.spots.len() as u32;
                    joined = dense;
                    j += n;
                }
            }
            joined = false;
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Key, Window};
    use crate::cpu::CpuOptions;
    use crate::cpu::conv2d::direct;

    /// dx has 13 rows: 7 of the first phase and 6 of the second, in bands of 3. In the last band the second phase has
    /// no rows, and their position would be behind the last channel.
    #[test]
    fn a_band_may_have_no_rows_of_a_phase() {
        let window = Window { kernel: [3; 2], stride: [2; 2], padding: [[1; 2]; 2], dilation: [1; 2] };
        let g = ConvShape { n: 1, c: 33, h: 13, w: 160, o: 32, oh: 7, ow: 80, groups: 1, window };
        let numbers = |key: u64, n: usize| -> Vec<f32> {
            (0..n as u64).map(|i| Key::new(key).uniform(i) as f32 - 0.5).collect()
        };
        let (dy, weight) = (numbers(1, g.n * g.o * g.out_plane()), numbers(2, g.o * g.k()));
        let [mut dx, mut want] = [0, 1].map(|_| vec![0f32; g.n * g.c * g.plane()]);
        let cx = CpuCtx::new(&CpuOptions::with_threads(2)).unwrap();
        let of = GradInput { dy: &dy, weight: &weight, bias: None };
        grad_input(&cx, &g, of, &mut dx);
        direct::grad_input(&cx, &g, of, &mut want);
        let largest = dx.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest < 1e-4, "off by {largest}");
    }
}
