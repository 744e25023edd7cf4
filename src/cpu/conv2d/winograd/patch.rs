//! The ways between channels apart and channels together.
//!
//! Images lie with their channels apart; everything between the transforms lies with channels together, so that a
//! register holds one pixel of `LANES` channels. Every tile is the same for it then: narrow images, odd sizes and
//! padding leave no lane empty. Blocks of `LANES` channels by `LANES` pixels are transposed on the way in and out, which
//! costs a quarter of transposing the four times larger V.

use crate::cpu::vector::Vector;
use std::ops::Range;

/// A rectangle of pixels of one image and `LANES` channels, channels together. It may hang over the image.
#[derive(Clone, Copy)]
pub struct Patch {
    /// Its first pixel in the image.
    pub row: isize,
    pub col: isize,
    pub height: usize,
    pub width: usize,
}

/// Some pixels of a patch: where they begin in the plane and in the patch, and how many there are.
struct Run {
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
    /// Its rows or columns that lie in the image, counted in the patch.
    #[inline]
    fn inside(first: isize, len: usize, size: usize) -> Range<usize> {
        let start = (-first).clamp(0, len as isize);
        let end = (size as isize - first).clamp(start, len as isize);
        start as usize..end as usize
    }

    /// Runs of its pixels that are contiguous in the plane: all of its rows where it takes all columns, else each row.
    #[inline(always)]
    fn runs(&self, plane: Plane) -> impl Iterator<Item = Run> {
        let rows = Self::inside(self.row, self.height, plane.h);
        let cols = Self::inside(self.col, self.width, plane.w);
        let (count, height) = if cols.len() == plane.w { (1, rows.len()) } else { (rows.len(), 1) };
        let count = if rows.is_empty() || cols.is_empty() { 0 } else { count };
        let (at, first) = (*self, rows.start);
        (0..count).map(move |i| Run {
            start: (at.row + (first + i) as isize) as usize * plane.w
                + (at.col + cols.start as isize) as usize,
            place: (first + i) * at.width + cols.start,
            columns: cols.len(),
            rows: height,
        })
    }

    /// Gathers `channels <= LANES` planes: pixel (i, j) goes to register `i * width + j`, zeros outside the image.
    ///
    /// # Safety
    /// `from` begins `channels` planes, `to` has room for the patch.
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
        for Run { start, place, columns, rows } in self.runs(plane) {
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

    /// The way back: writes what lies in the image to `channels <= LANES` planes.
    ///
    /// # Safety
    /// `from` holds the patch, `to` begins `channels` planes of which nobody else uses these pixels.
    #[inline(always)]
    pub unsafe fn scatter<V: Vector>(&self, from: *const f32, channels: usize, plane: Plane, to: *mut f32) {
        let size = plane.h * plane.w;
        for Run { start, place, columns, rows } in self.runs(plane) {
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
