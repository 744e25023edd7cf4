//! Resizing of images: every plane is multiplied by a matrix for its rows and one for its columns, `Y = R X C^T`.

use super::CpuCtx;
use super::context::CHUNK;
use crate::core::Float;
use crate::core::resample::ResampleWeights;

/// Resizes planes of `width` columns. For each output row, it first sums input rows by their weights, then columns of
/// the result.
pub fn resample<T: Float>(
    cx: &CpuCtx,
    [height, width]: [usize; 2],
    [rows, columns]: [&ResampleWeights<T>; 2],
    x: &[T],
    y: &mut [T],
) {
    let (oh, ow) = (rows.outputs(), columns.outputs());
    let lines = (CHUNK / width.max(ow)).max(1);
    let work = x.len().max(y.len());
    cx.pieces(y, lines * ow, work, |task, y| {
        let mut scratch = cx.scratch(width * size_of::<T>());
        let mixed = scratch.slice_mut::<T>();
        for (line, y) in (task * lines..).zip(y.chunks_exact_mut(ow)) {
            let (plane, (start, weights)) = (line / oh, rows.of(line % oh));
            mixed.fill(T::ZERO);
            let below = x[(plane * height + start) * width..].chunks_exact(width);
            for (&w, x) in weights.iter().zip(below) {
                mixed.iter_mut().zip(x).for_each(|(sum, &x)| *sum += w * x);
            }
            for (j, y) in y.iter_mut().enumerate() {
                let (start, weights) = columns.of(j);
                let pairs = weights.iter().zip(&mixed[start..]);
                *y = pairs.fold(T::ZERO, |sum, (&w, &x)| sum + w * x);
            }
        }
    });
}
