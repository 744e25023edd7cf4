//! conv2d / 03 implicit GEMM: the columns are never written.
//!
//! What changed since 02: im2col wrote each pixel KH*KW times and read it back. A row of those columns is the image itself,
//! moved by as much as its tap is away, so the micro-kernel reads it from the image: row k of the GEMM's right factor
//! starts at `image + offset[k]`, and `offset` is a table of one number for each (c, kh, kw).
//!
//! ```text
//!      k = (c, kh, kw) --->                flat pixels f --->
//!   O +-----------------+            k  +-------------------+         a tile of y: 8 channels x 48 flat pixels,
//!   | | weight [O, K]   |     x         | image[offset[k]+f]|         24 registers, for the whole of k
//!   v +-----------------+               +-------------------+
//! ```
//!
//! **Flat pixels.** Rows of the image lie `pitch` apart, with zeros between them for the padding, so a tile of consecutive
//! numbers may run over the ends of rows: a few sums there are no outputs, and are left out when the tile is stored. How
//! strides, dilation and gradients come to the same form is told in `layout.rs`.
//!
//! Bytes moved: the image once into its padded copy (not even that without padding), then from the second-level cache, KH*KW
//! times through the first. Arithmetic intensity: a step of k loads 3 registers and 8 weights for 24 multiply-adds of
//! registers. What limits it: the multiply-adds themselves, times the share of flat pixels that are outputs. Next: 04 needs
//! fewer of them.
//!
//! A task is a block of images, or a band of rows of one, and some of the output channels, as much as keeps the padded
//! block in the second-level cache. Blocks are cut by sizes alone, so the bits do not depend on the number of threads.

use super::{Geometry, Loop};

mod forward;
mod grad_weight;
mod layout;
mod tile;
mod weights;

pub use forward::{forward, grad_input};
pub use grad_weight::grad_weight;

/// Whether padded planes make sense: a kernel may reach so far beyond the image, by padding and dilation, that its zeros
/// would be many times the image, and their places beyond the table's numbers.
pub fn supports(g: &Geometry) -> bool {
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

/// Whether this rung would do little but copy rows of zeros, or prepare phases, for the few numbers that meet a weight. Each
/// band of output rows copies all that lies between the first row and the last that it reads, which by a large padding or
/// dilation is far more than what is computed; each phase of a stride is a pass of its own.
pub fn copies_too_much(g: &Geometry, which: Loop) -> bool {
    let (w, backwards) = (&g.window, which == Loop::GradInput);
    let passes = |axis: usize, size: usize| w.stride[axis].min(size);
    if backwards && passes(0, g.h).saturating_mul(passes(1, g.w)) > MOST_PASSES {
        return true;
    }
    if !backwards && w.stride == [1, 1] && w.padding == [[0; 2]; 2] {
        return false; // Read where it lies.
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

/// Phases that are passes of their own.
const MOST_PASSES: usize = 1024;
/// Numbers that are copied for each multiply-add. Usual layers need less than one.
const COPIES: usize = 4;

/// Pixels of an image that counts as small, however large its padding.
const KILO: usize = 1024;

/// Output channels of a task are a multiple of every level's tile.
const ROWS: usize = 24;
