//! Conversion between planes of single channels and registers of many channels.
//!
//! In an image, each channel is a plane of its own. Between the transforms, the channels of a pixel lie side by side,
//! so that a register holds one pixel of `LANES` channels. Then narrow images, odd sizes and padding leave no lane
//! empty. Blocks of `LANES` channels by `LANES` pixels are transposed when they are gathered and scattered. Transposing
//! V instead would cost four times as much, because it is four times larger.

use crate::cpu::vector::Vector;
use std::ops::Range;

/// A rectangle of pixels of one image with the `LANES` channels of a pixel side by side. It may extend beyond the
/// image.
#[derive(Clone, Copy)]
pub struct Patch {
    /// Row and column of its first pixel in the image.
    pub row: isize,
    pub col: isize,
    pub height: usize,
    pub width: usize,
}

/// Some pixels of a patch: their first position in the plane (`start`) and in the patch (`place`), and their number.
struct PatchPart {
    start: usize,
    place: usize,
    columns: usize,
    rows: usize,
}

/// Pixels of one channel in memory: height and width.
#[derive(Clone, Copy)]
pub struct Plane {
    pub h: usize,
    pub w: usize,
}

impl Patch {
    /// The patch's rows or columns that lie in the image, as indices in the patch.
    #[inline]
    fn inside(first: isize, len: usize, size: usize) -> Range<usize> {
        let start = (-first).clamp(0, len as isize);
        let end = (size as isize - first).clamp(start, len as isize);
        start as usize..end as usize
    }

    /// Runs of its pixels that are contiguous in the plane: one run for all rows if the patch covers all columns, else
    /// one run per row.
    #[inline(always)]
    fn runs(&self, plane: Plane) -> impl Iterator<Item = PatchPart> {
        let rows = Self::inside(self.row, self.height, plane.h);
        let cols = Self::inside(self.col, self.width, plane.w);
        let (count, height) = if cols.len() == plane.w { (1, rows.len()) } else { (rows.len(), 1) };
        let count = if rows.is_empty() || cols.is_empty() { 0 } else { count };
        let (at, first) = (*self, rows.start);
        (0..count).map(move |i| PatchPart {
            start: (at.row + (first + i) as isize) as usize * plane.w
                + (at.col + cols.start as isize) as usize,
            place: (first + i) * at.width + cols.start,
            columns: cols.len(),
            rows: height,
        })
    }

    /// Gathers `channels <= LANES` planes. Pixel (i, j) goes to register `i * width + j`; pixels outside the image are
    /// 0.
    ///
    /// # Safety
    /// `from` points to `channels` planes, and `to` has room for the patch.
    #[inline(always)]
    pub unsafe fn gather<V: Vector>(&self, from: *const f32, channels: usize, plane: Plane, to: *mut f32) {
        let (size, zero) = (plane.h * plane.w, V::splat(0.0));
        let rows = Self::inside(self.row, self.height, plane.h);
        let cols = Self::inside(self.col, self.width, plane.w);
        for row in 0..self.height {
            let real = if rows.contains(&row) { cols.clone() } else { 0..0 };
            for col in (0..real.start).chain(real.end..self.width) {
                // SAFETY: within the patch.
                unsafe { zero.store(to.add((row * self.width + col) * V::LANES)) };
            }
        }
        for PatchPart { start, place, columns, rows } in self.runs(plane) {
            let (mut col, mut at) = (0, place);
            for first in (0..columns * rows).step_by(V::LANES) {
                let pixels = V::LANES.min(columns * rows - first);
                let mut block = V::block();
                // SAFETY: pixels of the run, in planes that exist.
                unsafe {
                    let from = from.add(start + first);
                    if pixels == V::LANES && channels == V::LANES {
                        for (c, row) in block.as_mut().iter_mut().enumerate() {
                            *row = V::load(from.add(c * size));
                        }
                    } else {
                        let mask = V::first(pixels);
                        for (c, row) in block.as_mut().iter_mut().enumerate().take(channels) {
                            *row = V::load_part(from.add(c * size), mask);
                        }
                    }
                }
                let block = V::transpose(block);
                for pixel in &block.as_ref()[..pixels] {
                    // SAFETY: within the patch.
                    unsafe { pixel.store(to.add(at * V::LANES)) };
                    (col, at) = (col + 1, at + 1);
                    if col == columns {
                        (col, at) = (0, at + self.width - columns);
                    }
                }
            }
        }
    }

    /// The reverse of [`gather`](Self::gather): writes the patch's pixels that lie in the image to `channels <= LANES`
    /// planes.
    ///
    /// # Safety
    /// `from` holds the patch. `to` points to `channels` planes, and no other task uses these pixels of them.
    #[inline(always)]
    pub unsafe fn scatter<V: Vector>(&self, from: *const f32, channels: usize, plane: Plane, to: *mut f32) {
        let size = plane.h * plane.w;
        for PatchPart { start, place, columns, rows } in self.runs(plane) {
            let (mut col, mut at) = (0, place);
            for first in (0..columns * rows).step_by(V::LANES) {
                let pixels = V::LANES.min(columns * rows - first);
                let mut block = V::block();
                for pixel in &mut block.as_mut()[..pixels] {
                    // SAFETY: within the patch.
                    *pixel = unsafe { V::load(from.add(at * V::LANES)) };
                    (col, at) = (col + 1, at + 1);
                    if col == columns {
                        (col, at) = (0, at + self.width - columns);
                    }
                }
                let block = V::transpose(block);
                // SAFETY: pixels of the run, in planes that exist.
                unsafe {
                    let to = to.add(start + first);
                    if pixels == V::LANES && channels == V::LANES {
                        for (c, row) in block.as_ref().iter().enumerate() {
                            row.store(to.add(c * size));
                        }
                    } else {
                        let mask = V::first(pixels);
                        for (c, row) in block.as_ref().iter().enumerate().take(channels) {
                            row.store_part(to.add(c * size), mask);
                        }
                    }
                }
            }
        }
    }
}
