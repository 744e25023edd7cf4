//! Builds the columns of one channel, and adds them back: the adjoint.
//!
//! Row `(kh, kw)` of the columns holds, for each output pixel, the input that this tap of the window reads:
//!
//! ```text
//!              output pixel (i, j) --->
//!   (kh, kw)   x[i*SH - PH + kh*DH, j*SW - PW + kw*DW], or 0 in the padding
//!      |
//!      v
//! ```
//!
//! Here S, P and D are the stride, padding and dilation. Along a row of output pixels a tap reads a run of the image's
//! row, so with stride 1 the copies are slice copies.

use super::ConvShape;
use crate::core::Float;
use std::ops::Range;

/// Writes the columns of the output rows `rows` of one input plane. Tap `t` starts at `columns[t * width]`.
pub fn unfold<T: Float>(g: &ConvShape, rows: &Range<usize>, plane: &[T], columns: &mut [T], width: usize) {
    runs(g, rows, width, |at, start, inside| {
        let row = &mut columns[at..at + g.ow];
        row[..inside.start].fill(T::ZERO);
        row[inside.end..].fill(T::ZERO);
        let run = &mut row[inside.clone()];
        match g.window.stride[1] {
            1 => run.copy_from_slice(&plane[start..start + inside.len()]),
            stride => {
                run.iter_mut().zip(plane[start..].iter().step_by(stride)).for_each(|(c, &x)| *c = x);
            }
        }
    });
}

/// Adds columns to the plane that [`unfold`] takes them from.
pub fn fold<T: Float>(g: &ConvShape, rows: &Range<usize>, columns: &[T], width: usize, plane: &mut [T]) {
    runs(g, rows, width, |at, start, inside| {
        let run = &columns[at..at + g.ow][inside.clone()];
        match g.window.stride[1] {
            1 => plane[start..start + run.len()].iter_mut().zip(run).for_each(|(x, &c)| *x += c),
            stride => {
                plane[start..].iter_mut().step_by(stride).zip(run).for_each(|(x, &c)| *x += c);
            }
        }
    });
}

/// Calls `f(position of the row of pixels in the columns, position of its first real pixel in the plane, range of real
/// pixels)` for every tap and every output row. A real pixel lies in the image; rows outside the image have none.
#[inline(always)]
fn runs(g: &ConvShape, rows: &Range<usize>, width: usize, mut f: impl FnMut(usize, usize, Range<usize>)) {
    let (window, [kh, kw]) = (g.window, g.window.kernel);
    for a in 0..kh {
        let real_rows = window.inside(0, a, g.h, g.oh);
        for b in 0..kw {
            let real = window.inside(1, b, g.w, g.ow);
            let first = if real.is_empty() { 0 } else { window.position(1, real.start, b) };
            for (i, at) in rows.clone().zip(((a * kw + b) * width..).step_by(g.ow)) {
                if real_rows.contains(&i) && !real.is_empty() {
                    f(at, window.position(0, i, a) * g.w + first, real.clone());
                } else {
                    f(at, 0, 0..0);
                }
            }
        }
    }
}
