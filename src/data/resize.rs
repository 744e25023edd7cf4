//! Resizing images of bytes: bilinear with antialias for pixels, nearest for masks.
//!
//! For bilinear resizing, each output pixel is a weighted mean of input pixels. The weights form a triangle around its
//! centre. If the image shrinks, the triangle is wider by the same factor, so that no pixel is skipped (antialias). The
//! weights come from [`crate::core::resample`], as those of `interpolate`.
//!
//! Rows are resized first, then columns; each result is rounded to bytes. Weights have 22 binary places. This is the
//! arithmetic of Pillow (`Image.resize(BILINEAR)`, which torchvision's `Resize` calls), bit for bit.

use super::Image;
use crate::core::resample::{Filter, ResampleWeights};

const PLACES: u32 = 22;
const HALF: i32 = 1 << (PLACES - 1);

/// Computes the fixed-point weights of one axis, if the sizes have changed.
fn prepare(axis: &mut ResampleWeights<i32>, from: usize, to: usize) {
    if (axis.inputs(), axis.outputs()) != (from, to) {
        let smooth = Filter::Bilinear { align_corners: false, antialias: true };
        let fixed = |weight: f64| (weight * f64::from(1 << PLACES) + 0.5) as i32;
        *axis = ResampleWeights::new(from, to, smooth, None).map(fixed);
    }
}

impl Image {
    /// The image stretched to `[height, width]`, bilinearly with antialias.
    pub fn resized(&self, size: [usize; 2]) -> Image {
        let mut out = Image::default();
        Resizer::default().bilinear(self, size, &mut out);
        out
    }
}

fn byte(sum: i32) -> u8 {
    (sum >> PLACES).clamp(0, 255) as u8
}

/// The buffers of [`bilinear`](Resizer::bilinear), and the weights for the last sizes, because most images of a set
/// have the same size.
#[derive(Debug, Default)]
pub(super) struct Resizer {
    across: ResampleWeights<i32>,
    down: ResampleWeights<i32>,
    rows: Vec<u8>,
    sums: Vec<i32>,
}

impl Resizer {
    /// Writes `image`, resized to `[height, width]`, to `out`. No side may be 0.
    pub(super) fn bilinear(&mut self, image: &Image, [height, width]: [usize; 2], out: &mut Image) {
        let [channels, h, w] = image.size;
        prepare(&mut self.across, w, width);
        prepare(&mut self.down, h, height);
        out.reset([channels, height, width]);
        for (plane, target) in image.planes().zip(out.pixels.chunks_exact_mut(height * width)) {
            let rows = if w == width { plane } else { rows(&self.across, plane, &mut self.rows) };
            if h == height {
                target.copy_from_slice(rows);
            } else {
                columns(&self.down, rows, &mut self.sums, target);
            }
        }
    }
}

/// Resizes every row of the plane to the new width.
fn rows<'a>(across: &ResampleWeights<i32>, plane: &[u8], rows: &'a mut Vec<u8>) -> &'a [u8] {
    rows.resize(plane.len() / across.inputs() * across.outputs(), 0);
    for (row, target) in plane.chunks_exact(across.inputs()).zip(rows.chunks_exact_mut(across.outputs())) {
        for (out, (first, weights)) in target.iter_mut().zip(across.iter()) {
            let products = row[first..].iter().zip(weights).map(|(&p, &w)| i32::from(p) * w);
            *out = byte(products.sum::<i32>() + HALF);
        }
    }
    rows
}

/// Adds weighted rows. The compiler turns this into vector instructions.
fn columns(down: &ResampleWeights<i32>, rows: &[u8], sums: &mut Vec<i32>, target: &mut [u8]) {
    let width = target.len() / down.outputs();
    for (out, (first, weights)) in target.chunks_exact_mut(width).zip(down.iter()) {
        sums.clear();
        sums.resize(width, HALF);
        for (row, &weight) in rows[first * width..].chunks_exact(width).zip(weights) {
            sums.iter_mut().zip(row).for_each(|(sum, &p)| *sum += i32::from(p) * weight);
        }
        out.iter_mut().zip(&*sums).for_each(|(out, &sum)| *out = byte(sum));
    }
}

/// Writes `image`, resized to `[height, width]`, to `out`. Each output pixel is the input pixel under its centre.
pub(super) fn nearest(image: &Image, [height, width]: [usize; 2], out: &mut Image) {
    let [channels, h, w] = image.size;
    // (2 i + 1) / 2 * from / to, rounded down, in integers.
    let source = |i: usize, from: usize, to: usize| (2 * i + 1) * from / (2 * to);
    out.reset([channels, height, width]);
    for (plane, target) in image.planes().zip(out.pixels.chunks_exact_mut(height * width)) {
        for (i, row) in target.chunks_exact_mut(width).enumerate() {
            let from = &plane[source(i, h, height) * w..][..w];
            row.iter_mut().enumerate().for_each(|(j, out)| *out = from[source(j, w, width)]);
        }
    }
}
