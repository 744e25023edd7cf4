//! Chooses the part of a layer that is stored exactly in the page, so that single outputs can be computed again.
//!
//! To compute one output of a convolution, the page needs its whole patch of the input, in every channel, and its
//! filter. With 512 channels these are 36 kB. So only a few outputs in the middle of the image, and a few channels, are
//! stored for a large layer: as many as the bytes allow, but at least one.

use crate::tensor::Dependence;
use serde::Serialize;
use std::ops::Range;

/// The sides of the square of outputs and the numbers of channels, in the order they are tried.
const CHOICES: [(usize, usize); 13] = [
    (usize::MAX, usize::MAX),
    (usize::MAX, 8),
    (16, 8),
    (12, 6),
    (10, 4),
    (8, 4),
    (8, 2),
    (6, 2),
    (5, 2),
    (4, 1),
    (3, 1),
    (2, 1),
    (1, 1),
];

/// Shapes of a layer without the batch, `[C, H, W]`, and how its outputs depend on places of the input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shapes {
    pub input: [usize; 3],
    pub output: [usize; 3],
    pub op: Dependence,
    /// Number of weights that each output channel reads; 0 if output channel i reads only input channel i.
    pub weights: usize,
}

/// A part of a layer: some outputs, and everything that they read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Crop {
    /// Number of output channels, counted from the first.
    pub channels: usize,
    pub output: [Range<usize>; 2],
    /// Rows and columns of the input that those outputs read, without the padding.
    pub input: [Range<usize>; 2],
}

impl Crop {
    /// The largest part in `CHOICES` that fits into `budget` bytes. If none fits, a single output.
    pub fn within(shapes: &Shapes, budget: usize) -> Crop {
        let crops = CHOICES.iter().map(|&(side, channels)| Crop::of(shapes, side, channels));
        let smallest = Crop::of(shapes, 1, 1);
        crops.into_iter().find(|crop| crop.bytes(shapes) <= budget).unwrap_or(smallest)
    }

    fn of(shapes: &Shapes, side: usize, channels: usize) -> Crop {
        let [all, h, w] = shapes.output;
        let middle = |n: usize| {
            let length = side.min(n);
            let start = (n - length) / 2;
            start..start + length
        };
        let output = [middle(h), middle(w)];
        let input = [0, 1].map(|axis| reads(shapes.op, axis, &output[axis], shapes.input[axis + 1]));
        Crop { channels: channels.min(all), output, input }
    }

    /// Number of input channels in the part.
    pub fn input_channels(&self, shapes: &Shapes) -> usize {
        if shapes.weights == 0 { self.channels.min(shapes.input[0]) } else { shapes.input[0] }
    }

    fn bytes(&self, shapes: &Shapes) -> usize {
        let area = |sides: &[Range<usize>; 2]| sides[0].len() * sides[1].len();
        let input = self.input_channels(shapes) * area(&self.input);
        size_of::<f32>() * (input + self.channels * (area(&self.output) + shapes.weights))
    }
}

/// The places along one axis of length `n` that these outputs read.
fn reads(op: Dependence, axis: usize, outputs: &Range<usize>, n: usize) -> Range<usize> {
    let (first, last) = (outputs.start as isize, outputs.end as isize - 1);
    let (start, end) = match op {
        Dependence::Pointwise => (first, last + 1),
        Dependence::Global => (0, n as isize),
        Dependence::Strided { start, step } => {
            let read = |output: isize| start[axis] + output * step[axis] as isize;
            (read(first), read(last) + 1)
        }
        Dependence::Window(window) => {
            let (stride, padding) = (window.stride[axis] as isize, window.padding[axis][0] as isize);
            (first * stride - padding, last * stride - padding + window.extent(axis) as isize)
        }
        Dependence::Transposed(window) => {
            let (stride, padding) = (window.stride[axis] as isize, window.padding[axis][0] as isize);
            let reach = window.extent(axis) as isize - 1;
            ((first + padding - reach).div_euclid(stride), (last + padding).div_euclid(stride) + 1)
        }
    };
    let inside = |at: isize| at.clamp(0, n as isize) as usize;
    inside(start)..inside(end).max(inside(start))
}

/// A part of `[C, H, W]` values. Its channels are counted from the first.
pub fn crop_values(
    values: &[f32],
    [_, h, w]: [usize; 3],
    channels: usize,
    [rows, columns]: &[Range<usize>; 2],
) -> Vec<f32> {
    let planes = values.chunks_exact((h * w).max(1)).take(channels);
    let row = |plane: &[f32], r: usize| plane[r * w..(r + 1) * w][columns.clone()].to_vec();
    planes.flat_map(|plane| rows.clone().flat_map(move |r| row(plane, r))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Window;

    fn window(kernel: usize, stride: usize, padding: usize) -> Window {
        Window { kernel: [kernel; 2], stride: [stride; 2], padding: [[padding; 2]; 2], dilation: [1; 2] }
    }

    #[test]
    fn a_small_layer_is_taken_whole() {
        let op = Dependence::Window(window(5, 1, 2));
        let shapes = Shapes { input: [1, 28, 28], output: [6, 28, 28], op, weights: 25 };
        let crop = Crop::within(&shapes, 30_000);
        assert_eq!(crop, Crop { channels: 6, output: [0..28, 0..28], input: [0..28, 0..28] });
        assert_eq!(crop.bytes(&shapes), 4 * (784 + 6 * (784 + 25)));
    }

    /// 512 channels, 3x3: one output takes 4 * (512 * 9 + 512 * 9 + 1) bytes. It is stored even if the budget is
    /// smaller.
    #[test]
    fn of_a_large_layer_what_fits_and_at_least_one_output() {
        let op = Dependence::Window(window(3, 1, 1));
        let shapes = Shapes { input: [512, 14, 14], output: [512, 14, 14], op, weights: 512 * 9 };
        let one = Crop::within(&shapes, 0);
        assert_eq!(one, Crop { channels: 1, output: [6..7, 6..7], input: [5..8, 5..8] });
        assert_eq!(one.bytes(&shapes), 4 * (2 * 512 * 9 + 1));
        let some = Crop::within(&shapes, 100_000);
        assert!(some.bytes(&shapes) <= 100_000 && some.output[0].len() >= 3, "{some:?}");
    }

    /// At the border, the padding is not part of the input. A transposed window reads every input that covers an
    /// output.
    #[test]
    fn what_outputs_read() {
        let conv = Dependence::Window(window(3, 2, 1));
        assert_eq!([reads(conv, 0, &(0..1), 9), reads(conv, 0, &(4..5), 9)], [0..2, 7..9]);
        let up = Dependence::Transposed(window(2, 2, 0));
        assert_eq!([reads(up, 0, &(0..1), 4), reads(up, 0, &(3..6), 4)], [0..1, 1..3]);
        let wide = Dependence::Transposed(window(3, 2, 1));
        // Output 1 of stride 2, padding 1 lies under inputs 0 (tap 2) and 1 (tap 0).
        assert_eq!(reads(wide, 0, &(1..2), 4), 0..2);
        assert_eq!(reads(Dependence::Global, 0, &(0..1), 4), 0..4);
        let every_second = Dependence::Strided { start: [-1, 1], step: [1, 2] };
        assert_eq!([0, 1].map(|axis| reads(every_second, axis, &(0..3), 9)), [0..2, 1..6]);
    }

    #[test]
    fn cutting_keeps_rows_and_channels_in_order() {
        let values: Vec<f32> = (0..18).map(|i| i as f32).collect();
        assert_eq!(
            crop_values(&values, [2, 3, 3], 2, &[1..3, 0..2]),
            [3.0, 4.0, 6.0, 7.0, 12.0, 13.0, 15.0, 16.0]
        );
        assert_eq!(crop_values(&values, [2, 3, 3], 1, &[0..1, 2..3]), [2.0]);
    }
}
