//! Resizing images of bytes: bilinear with antialias for pixels, nearest for masks.
//!
//! Bilinear weighs source pixel `p` for target pixel `i` by a triangle around the target's centre, as wide as the image
//! shrinks, so that no pixel is skipped (antialias):
//!
//! ```text
//!   scale = from / to    centre = (i + 1/2) scale    w(p) ~ 1 - |p + 1/2 - centre| / max(scale, 1), no less than 0
//! ```
//!
//! Rows first, then columns, each rounded to bytes; weights have 22 binary places. That is Pillow's arithmetic
//! (`Image.resize(BILINEAR)`, which torchvision's `Resize` calls), bit for bit.

use super::Image;

const PLACES: u32 = 22;
const HALF: i32 = 1 << (PLACES - 1);

/// Weights of one axis: target `i` is the sum of `weights[i * width ..]` times the sources from `first[i]` on.
#[derive(Debug, Default)]
struct Axis {
    from: usize,
    to: usize,
    /// The first source and how many there are, for each target.
    spans: Vec<(usize, usize)>,
    weights: Vec<i32>,
    width: usize,
}

impl Axis {
    /// Sets it up for these sizes, unless it is.
    fn prepare(&mut self, from: usize, to: usize) {
        if (self.from, self.to) == (from, to) {
            return;
        }
        let scale = from as f64 / to as f64;
        let reach = scale.max(1.0);
        (self.from, self.to, self.width) = (from, to, 2 * reach.ceil() as usize + 1);
        self.spans.clear();
        self.weights.clear();
        self.weights.resize(to * self.width, 0);
        for (i, row) in self.weights.chunks_exact_mut(self.width).enumerate() {
            let centre = (i as f64 + 0.5) * scale;
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let end = ((centre + reach + 0.5) as usize).min(from);
            let triangle = |p: usize| (1.0 - ((p as f64 - centre + 0.5) / reach).abs()).max(0.0);
            let total: f64 = (first..end).map(triangle).sum();
            for (weight, p) in row.iter_mut().zip(first..end) {
                *weight = (triangle(p) / total * f64::from(1 << PLACES) + 0.5) as i32;
            }
            self.spans.push((first, end - first));
        }
    }

    fn targets(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let rows = self.weights.chunks_exact(self.width);
        self.spans.iter().zip(rows).map(|(&(first, n), row)| (first, &row[..n]))
    }
}

impl Image {
    /// Stretched to `[height, width]`, bilinearly with antialias.
    pub fn resized(&self, size: [usize; 2]) -> Image {
        let mut out = Image::default();
        Resizer::default().bilinear(self, size, &mut out);
        out
    }
}

fn byte(sum: i32) -> u8 {
    (sum >> PLACES).clamp(0, 255) as u8
}

/// The buffers of [`bilinear`](Resizer::bilinear), and the weights of the last sizes: a set's images mostly share theirs.
#[derive(Debug, Default)]
pub(super) struct Resizer {
    across: Axis,
    down: Axis,
    rows: Vec<u8>,
    sums: Vec<i32>,
}

impl Resizer {
    /// Writes `image`, resized to `[height, width]`, to `out`. No side is 0.
    pub(super) fn bilinear(&mut self, image: &Image, [height, width]: [usize; 2], out: &mut Image) {
        let [channels, h, w] = image.size;
        self.across.prepare(w, width);
        self.down.prepare(h, height);
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

/// Every row of the plane at its new width.
fn rows<'a>(across: &Axis, plane: &[u8], rows: &'a mut Vec<u8>) -> &'a [u8] {
    rows.resize(plane.len() / across.from * across.to, 0);
    for (row, target) in plane.chunks_exact(across.from).zip(rows.chunks_exact_mut(across.to)) {
        for (out, (first, weights)) in target.iter_mut().zip(across.targets()) {
            let products = row[first..].iter().zip(weights).map(|(&p, &w)| i32::from(p) * w);
            *out = byte(products.sum::<i32>() + HALF);
        }
    }
    rows
}

/// Weighted sums of whole rows, which the compiler turns into vector instructions.
fn columns(down: &Axis, rows: &[u8], sums: &mut Vec<i32>, target: &mut [u8]) {
    let width = target.len() / down.to;
    for (out, (first, weights)) in target.chunks_exact_mut(width).zip(down.targets()) {
        sums.clear();
        sums.resize(width, HALF);
        for (row, &weight) in rows[first * width..].chunks_exact(width).zip(weights) {
            sums.iter_mut().zip(row).for_each(|(sum, &p)| *sum += i32::from(p) * weight);
        }
        out.iter_mut().zip(&*sums).for_each(|(out, &sum)| *out = byte(sum));
    }
}

/// Writes `image`, resized to `[height, width]` by taking the pixel under each target's centre, to `out`.
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
