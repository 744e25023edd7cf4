//! conv2d / 03 implicit GEMM: the columns are never written.
//!
//! What changed since 02: im2col wrote each pixel KH*KW times and read it back. But a row of those columns is the image
//! itself, shifted by the position of its tap. So the micro-kernel reads the row from the image: row k of the GEMM's
//! right factor starts at `image + offset[k]`, and `offset` is a table with one number per (c, kh, kw).
//!
//! ```text
//!      k = (c, kh, kw) --->                flat pixels f --->
//!   O +-----------------+            k  +-------------------+         a tile of y: 8 channels x 48 flat pixels,
//!   | | weight [O, K]   |     x         | image[offset[k]+f]|         24 registers, for the whole of k
//!   v +-----------------+               +-------------------+
//! ```
//!
//! **Flat pixels.** Rows of the image lie `pitch` apart, with zeros between them for the padding. So a tile of
//! consecutive numbers may run over the ends of rows. A few of its sums are then no outputs, and are not stored.
//! `layout.rs` explains how strides, dilation and gradients take the same form.
//!
//! Bytes moved: the image is copied once into its padded form (without padding it is read in place). It is then read
//! from the second-level cache, and KH*KW times from the first-level cache. Arithmetic intensity: a step of k loads 3
//! registers and 8 weights for 24 multiply-adds of registers. Limited by: the multiply-adds. Those for flat pixels that
//! are no outputs are wasted. Next: 04 needs fewer multiply-adds.
//!
//! A task is a block of images, or a band of rows of one image, and some output channels. The block is as large as the
//! second-level cache allows. Blocks are cut by sizes alone, so the bits do not depend on the number of threads.

use super::{ConvShape, Loop};

mod forward;
mod grad_weight;
mod layout;
mod tile;
mod weights;

pub use forward::{forward, grad_input};
pub use grad_weight::grad_weight;

/// True if padded planes are of reasonable size. With large padding or dilation a kernel may reach so far beyond the
/// image that the zeros would be many times the image, and their offsets too large for the table.
pub fn supports(g: &ConvShape) -> bool {
    let padded = |axis: usize, size: usize| {
        size + g.window.padding[axis][0]
            + g.window.padding[axis][1]
            + g.window.extent(axis)
            + g.window.stride[axis]
    };
    let plane = padded(0, g.h.max(g.oh)).saturating_mul(padded(1, g.w.max(g.ow)));
    let image = g.plane().max(g.out_plane()).max(KILO);
    plane / 64 <= image && plane.saturating_mul(g.cg().max(g.og())) <= u32::MAX as usize
}

/// True if this rung would spend most of its time copying rows of zeros or preparing phases, not multiplying. Each band
/// of output rows copies all rows between the first and the last that it reads. With large padding or dilation, that is
/// far more than what is computed. Each phase of a stride is a pass of its own.
pub fn copies_too_much(g: &ConvShape, which: Loop) -> bool {
    let (w, backwards) = (&g.window, which == Loop::GradInput);
    let passes = |axis: usize, size: usize| w.stride[axis].min(size);
    if backwards && passes(0, g.h).saturating_mul(passes(1, g.w)) > MOST_PASSES {
        return true;
    }
    if !backwards && w.stride == [1, 1] && w.padding == [[0; 2]; 2] {
        return false; // The image is read in place.
    }
    let halo = |axis: usize| {
        let (padding, reach) = (w.padding[axis][0], (w.kernel[axis] - 1).saturating_mul(w.dilation[axis]));
        padding.div_ceil(w.stride[axis]) + reach.saturating_sub(padding) / w.stride[axis]
    };
    let phases = |axis: usize| if backwards { 1 } else { w.kernel[axis].min(w.stride[axis]) };
    let channels = if backwards { g.og() } else { g.cg() };
    let outputs = |axis: usize| {
        if backwards { [g.h, g.w][axis].div_ceil(w.stride[axis]) } else { [g.oh, g.ow][axis] }
    };
    let (rows, pitch) = (outputs(0), outputs(1).saturating_add(halo(1)).max(1));
    let row = channels.saturating_mul(phases(0) * phases(1)).saturating_mul(pitch).max(1);
    let band = (forward::COPY / row).saturating_sub(halo(0)).clamp(1, rows.max(1));
    let copied = (g.n * g.groups * rows.div_ceil(band)).saturating_mul((band + halo(0)).saturating_mul(row));
    copied / COPIES > g.work()
}

/// The most phases, each of which is a pass of its own.
const MOST_PASSES: usize = 1024;
/// The most numbers copied per multiply-add. Usual layers need less than one.
const COPIES: usize = 4;

/// An image with fewer pixels than this counts as having this many when its padding is judged.
const KILO: usize = 1024;

/// The output channels of a task are a multiple of this, which is a multiple of the rows of every level's tile.
const ROWS: usize = 24;
