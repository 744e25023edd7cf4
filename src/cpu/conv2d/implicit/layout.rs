//! Where the images lie in memory while they are convolved: padded and side by side, so that a tap is one offset.
//!
//! ```text
//!   a padded plane: rows of `pitch` floats; the zeros after a row also serve as those before the next one
//!
//!   left |  top rows above the first output's
//!   ---> |  x x x x x x x 0 |    output (i, j) is the flat pixel  f = i * pitch + j
//!      0 |  x x x x x x x 0 |    and its tap (c, kh, kw) reads    f + offset[c, kh, kw]
//!      0 |  x x x x x x x 0 |
//!      0 |  0 0 0 0 0 0 0 0 |    pixels with j beyond the last output are computed, but not stored
//! ```
//!
//! **Strides.** With stride s, padding p and dilation d, tap k of output i reads position `i s + k d - p`. This can be
//! written as `s (i + shift) + phase` with `0 <= phase < s`. The positions of one phase, every s-th, are copied side by
//! side into a plane of their own. There the tap reads position `i + shift`. So a convolution with a stride becomes one
//! without a stride, over more planes: one for each phase that a tap reads.
//!
//! **The gradient of the input** reads dy in the same way: position `s t + r` of dx was read by tap k of output
//! `t + (r + p - k d) / s`, if s divides `r + p - k d`. For each phase r of dx, only some of the taps remain, and each
//! has a shift of its own. dy is not split into phases.

use super::super::ConvShape;
use crate::cpu::vector::Vector;
use smallvec::SmallVec;
use std::ops::Range;

/// One tap along one axis. For output i it reads position `i + shift` of the source's phase `phase`.
#[derive(Debug, Clone, Copy)]
pub struct Tap {
    /// The tap's number in the kernel.
    pub k: usize,
    pub phase: usize,
    pub shift: isize,
}

/// The taps of one axis and the number of outputs along it.
#[derive(Debug, Clone)]
pub struct Taps {
    pub taps: SmallVec<[Tap; 8]>,
    pub outputs: usize,
}

impl Taps {
    /// The taps with which y reads x.
    pub fn forward(g: &ConvShape, axis: usize) -> Taps {
        let (window, stride) = (&g.window, g.window.stride[axis] as isize);
        let taps = (0..window.kernel[axis]).map(|k| {
            let from = (k * window.dilation[axis]) as isize - window.padding[axis][0] as isize;
            Tap { k, phase: from.rem_euclid(stride) as usize, shift: from.div_euclid(stride) }
        });
        Taps { taps: taps.collect(), outputs: [g.oh, g.ow][axis] }
    }

    /// The taps with which the positions `phase`, `phase + stride`, ... of dx read dy.
    pub fn grad_input(g: &ConvShape, axis: usize, phase: usize) -> Taps {
        let (window, stride) = (&g.window, g.window.stride[axis] as isize);
        let taps = (0..window.kernel[axis]).filter_map(|k| {
            let from = (phase + window.padding[axis][0]) as isize - (k * window.dilation[axis]) as isize;
            (from.rem_euclid(stride) == 0).then_some(Tap { k, phase: 0, shift: from.div_euclid(stride) })
        });
        let size = [g.h, g.w][axis];
        Taps { taps: taps.collect(), outputs: size.saturating_sub(phase).div_ceil(stride as usize) }
    }
}

/// The planes that outputs of a few images read: which pixels are copied, and where they lie.
#[derive(Debug, Clone)]
pub struct PlaneLayout {
    /// Channels of the source: of one group (`channels`) and of all groups (`all_channels`).
    channels: usize,
    all_channels: usize,
    /// The source's height and width (`size`), and the distance between positions of one phase (`stride`).
    size: [usize; 2],
    stride: [usize; 2],
    /// The phases that some tap reads.
    phases: SmallVec<[[usize; 2]; 4]>,
    /// Rows and columns read before an output's own position, and after it.
    before: [usize; 2],
    after: [usize; 2],
    /// Floats from row to row of a plane.
    pub pitch: usize,
    /// True if the source can be read where it lies, without a copy.
    pub in_place: bool,
}

impl PlaneLayout {
    /// The layout for outputs that read with the taps `[rows, columns]` of any of `passes`, from a source with
    /// `[channels of a group, groups]` and this size.
    pub fn new(
        passes: &[[Taps; 2]],
        [channels, groups]: [usize; 2],
        size: [usize; 2],
        stride: [usize; 2],
    ) -> PlaneLayout {
        let [rows, columns] = [0, 1].map(|axis| TapReach::new(passes.iter().map(|pass| &pass[axis])));
        let mut phases = SmallVec::new();
        for [rows, columns] in passes {
            for phase in rows.taps.iter().flat_map(|r| columns.taps.iter().map(|c| [r.phase, c.phase])) {
                if !phases.contains(&phase) {
                    phases.push(phase);
                }
            }
        }
        let width = phases.iter().map(|&[_, b]| positions(size[1], stride[1], b)).max().unwrap_or(0);
        let pitch = (width.min(columns.end) + columns.before).max(columns.end).max(1);
        let whole = stride == [1, 1] && rows.before + columns.before == 0;
        PlaneLayout {
            channels,
            all_channels: channels * groups,
            size,
            stride,
            phases,
            before: [rows.before, columns.before],
            after: [rows.after, columns.after],
            pitch: if whole && columns.end <= size[1] { size[1] } else { pitch },
            in_place: whole && rows.end <= size[0] && columns.end <= size[1],
        }
    }

    /// Planes of one group.
    pub fn planes(&self) -> usize {
        self.channels * self.phases.len()
    }

    /// Channels of one group.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// If in place: the part of the source that the outputs of an image and group, from row `first` on, read.
    pub fn place<'a>(&self, source: &'a [f32], image: usize, group: usize, first: usize) -> &'a [f32] {
        let [h, w] = self.size;
        &source[(image * self.all_channels + group * self.channels) * h * w + first * w..]
    }

    /// Rows that an output reads besides its own.
    pub fn halo(&self) -> usize {
        self.before[0] + self.after[0]
    }

    /// The offsets of all taps of a pass, channel by channel, for the planes of `block`.
    pub fn offsets(&self, [rows, columns]: &[Taps; 2], block: &BlockLayout) -> Vec<u32> {
        let mut offsets = Vec::with_capacity(self.channels * rows.taps.len() * columns.taps.len());
        for c in 0..self.channels {
            for row in &rows.taps {
                for column in &columns.taps {
                    let phase = [row.phase, column.phase];
                    let phase = self.phases.iter().position(|&p| p == phase).expect("a phase is listed");
                    let plane = (c * self.phases.len() + phase) * block.plane;
                    let shift = row.shift * self.pitch as isize + column.shift;
                    offsets.push((plane + block.origin).wrapping_add_signed(shift) as u32);
                }
            }
        }
        offsets
    }

    /// A block of `images`, with `rows` of outputs each.
    pub fn block(&self, images: usize, rows: usize) -> BlockLayout {
        if self.in_place {
            let (image, plane) =
                (self.all_channels * self.size[0] * self.size[1], self.size[0] * self.size[1]);
            return BlockLayout { rows, origin: 0, image, plane, floats: 0 };
        }
        let height = if images == 1 { rows + self.after[0] } else { self.height(rows) };
        let image = height * self.pitch;
        let area = (self.before[0] * self.pitch + images * image).next_multiple_of(LINE);
        // An odd number of cache lines, so that planes do not fall into the same cache sets.
        let plane = area + (1 - area / LINE % 2) * LINE;
        let floats = self.before[1] + self.planes() * plane + LINE;
        BlockLayout { rows, origin: self.before[1] + self.before[0] * self.pitch, image, plane, floats }
    }

    /// Rows from one image of a block to the next. Below an image's last real row there are enough rows of zeros for
    /// its own outputs and for the next image's first outputs, which read above their image.
    fn height(&self, rows: usize) -> usize {
        (self.used(rows) + self.before[0]).max(rows + self.after[0])
    }

    /// The real rows of a plane that `rows` rows of outputs, from the first on, read.
    fn used(&self, rows: usize) -> usize {
        let real = self.phases.iter().map(|&[a, _]| positions(self.size[0], self.stride[0], a)).max();
        real.unwrap_or(0).min(rows + self.after[0])
    }

    /// Copies the pixels that outputs from row `first` on read, from some images' channels of a group.
    ///
    /// # Safety
    /// `to` has room for `block.floats` floats.
    #[inline(always)]
    pub unsafe fn fill<V: Vector>(
        &self,
        block: &BlockLayout,
        source: &[f32],
        images: Range<usize>,
        group: usize,
        first: usize,
        to: *mut f32,
    ) {
        let [h, w] = self.size;
        // Rows are written in memory order, each in whole vectors. The next row overwrites the excess of the last
        // vector. After the last plane there is a cache line of room for it.
        // SAFETY: so all writes are within `block.floats`, here and below.
        unsafe { zeros::<V>(to, self.before[1]) };
        let mut plane = to.wrapping_add(self.before[1]);
        for c in 0..self.channels {
            for &[a, b] in &self.phases {
                let [rows, columns] = [positions(h, self.stride[0], a), positions(w, self.stride[1], b)];
                let columns = columns.min(self.pitch - self.before[1]);
                let mut row = plane;
                for image in images.clone() {
                    let from = &source[(image * self.all_channels + group * self.channels + c) * h * w..];
                    let above = if image == images.start { self.before[0] } else { 0 };
                    for r in 0..above + block.image / self.pitch {
                        // Row of the phase's plane: `first + r`, less the rows that are read above.
                        let read = r < above + block.rows + self.after[0];
                        let at = (first + r).checked_sub(above).filter(|&at| read && at < rows);
                        let real = at.map_or(0, |_| columns);
                        let at = (at.unwrap_or(0) * self.stride[0] + a) * w + b;
                        // SAFETY: the row and one vector behind it lie within `block.floats`.
                        unsafe {
                            copy::<V>(&from[at.min(from.len())..], self.stride[1], real, self.pitch, row);
                        }
                        row = row.wrapping_add(self.pitch);
                    }
                }
                plane = plane.wrapping_add(block.plane);
                // SAFETY: the floats up to the next plane, and one vector more, are within `block.floats`. Both
                // pointers point into `to`.
                unsafe { zeros::<V>(row, plane.offset_from_unsigned(row)) };
            }
        }
    }
}

/// Where a few images, or a band of rows of one image, lie.
#[derive(Debug, Clone, Copy)]
pub struct BlockLayout {
    /// Rows of outputs.
    pub rows: usize,
    /// The index in a plane of the first output's own position.
    origin: usize,
    /// Floats from one image to the next (`image`), and from one plane to the next (`plane`).
    pub image: usize,
    plane: usize,
    /// Floats of the copy; 0 if the source is read in place.
    pub floats: usize,
}

/// Floats of a cache line, and of the longest vector.
const LINE: usize = 16;

/// How far the taps of one axis reach.
struct TapReach {
    before: usize,
    after: usize,
    /// Positions from the first output's own to the last one that is read.
    end: usize,
}

impl TapReach {
    fn new<'a>(passes: impl Iterator<Item = &'a Taps>) -> TapReach {
        let mut reach = TapReach { before: 0, after: 0, end: 0 };
        for Taps { taps, outputs } in passes {
            let shifts = taps.iter().map(|tap| tap.shift);
            let after = shifts.clone().max().unwrap_or(0).max(0) as usize;
            reach.before = reach.before.max((-shifts.min().unwrap_or(0)).max(0) as usize);
            reach.after = reach.after.max(after);
            reach.end = reach.end.max(outputs + after);
        }
        reach
    }
}

/// The number of positions `phase`, `phase + stride`, ... below `size`.
fn positions(size: usize, stride: usize, phase: usize) -> usize {
    size.saturating_sub(phase).div_ceil(stride)
}

/// Writes `n` zeros, and up to one vector more.
///
/// # Safety
/// `n` floats and a vector more can be written.
#[inline(always)]
pub unsafe fn zeros<V: Vector>(to: *mut f32, n: usize) {
    for j in (0..n).step_by(V::LANES) {
        // SAFETY: j < n, and up to a vector more than n floats can be written: promised by the caller.
        unsafe { V::splat(0.0).store(to.add(j)) };
    }
}

/// Writes a row: `n` floats of `from` that are `step` apart, zeros up to `pitch`, and up to one vector more.
///
/// # Safety
/// `pitch` floats and a vector more can be written; `n <= pitch`.
#[inline(always)]
pub unsafe fn copy<V: Vector>(from: &[f32], step: usize, n: usize, pitch: usize, to: *mut f32) {
    if step > 1 {
        let mut j = 0;
        // SAFETY: `pitch` floats and a vector more can be written: promised by the caller. Reads end within `from`.
        unsafe {
            while step == 2 && j < n && 2 * (j + V::LANES) <= from.len() {
                V::load_second(from.as_ptr().add(2 * j)).store(to.add(j));
                j += V::LANES;
            }
            for j in j..n {
                *to.add(j) = from[j * step];
            }
            zeros::<V>(to.add(n), pitch - n);
        }
        return;
    }
    let from = &from[..n];
    for j in (0..pitch).step_by(V::LANES) {
        // SAFETY: j < pitch, and a vector more than `pitch` can be written: promised by the caller. Reads end at n.
        unsafe {
            let part = match n.saturating_sub(j) {
                0 => V::splat(0.0),
                left if left >= V::LANES => V::load(from.as_ptr().add(j)),
                left => V::load_part(from.as_ptr().add(j), V::first(left)),
            };
            part.store(to.add(j));
        }
    }
}
