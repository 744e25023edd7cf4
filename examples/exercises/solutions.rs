//! One answer to each exercise. Do not read on before you have tried.

use super::conv_weight_gradient::Sizes;
use super::gemm_tile::{COLUMNS, ROWS};
use super::receptive_field::{Layer, Sees};
use super::softplus::{self, Softplus};
use receptive::ops::OpSpec;
use receptive::{Result, Tensor};
use std::sync::Arc;

/// The taps of a window reach `dilation (kernel - 1)` jumps from the first to the last.
pub fn receptive_field(below: Sees, layer: Layer) -> Sees {
    Sees {
        size: below.size + layer.dilation * (layer.kernel - 1) * below.jump,
        jump: below.jump * layer.stride,
        start: below.start - (layer.padding * below.jump) as isize,
    }
}

/// `d ln(1 + e^x) / dx = e^x / (1 + e^x)`: the sigmoid, which does not overflow.
fn softplus_gradient(x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    dy.mul(&x.sigmoid()?)
}

/// Softplus with that gradient.
pub static SOFTPLUS: OpSpec = softplus::spec(|_| Ok(Arc::new(Softplus(softplus_gradient))));

/// Every window adds its share to its numbers.
pub fn pool_gradient(dy: &[f64], n: usize, kernel: usize, stride: usize) -> Vec<f64> {
    let mut dx = vec![0.0; n];
    for (i, dy) in dy.iter().enumerate() {
        for dx in &mut dx[i * stride..][..kernel] {
            *dx += dy / kernel as f64;
        }
    }
    dx
}

/// Every weight sums `x * dy` over the outputs that use it.
pub fn conv_weight_gradient(s: Sizes, x: &[f64], dy: &[f64]) -> Vec<f64> {
    let mut dw = Vec::new();
    // The pixel under a tap, if it lies in the image.
    let pixel = |out: usize, tap: usize| {
        (out * s.stride + tap).checked_sub(s.padding).filter(|&pixel| pixel < s.image)
    };
    for o in 0..s.o {
        for c in 0..s.c {
            for (p, q) in (0..s.kernel).flat_map(|p| (0..s.kernel).map(move |q| (p, q))) {
                let mut sum = 0.0;
                for (n, i, j) in outputs(s) {
                    if let (Some(row), Some(column)) = (pixel(i, p), pixel(j, q)) {
                        sum += x[((n * s.c + c) * s.image + row) * s.image + column]
                            * dy[((n * s.o + o) * s.out + i) * s.out + j];
                    }
                }
                dw.push(sum);
            }
        }
    }
    dw
}

/// Image, row and column of every output of a channel.
fn outputs(s: Sizes) -> impl Iterator<Item = (usize, usize, usize)> {
    let places = move |n| (0..s.out).flat_map(move |i| (0..s.out).map(move |j| (n, i, j)));
    (0..s.n).flat_map(places)
}

/// The sums of a tile stay in registers: four per column, and columns are neighbours in memory.
#[inline(always)]
pub fn gemm_tile(a: &[f32], b: &[f32]) -> [[f32; COLUMNS]; ROWS] {
    let mut sums = [[0.0; COLUMNS]; ROWS];
    for (a, b) in a.chunks_exact(ROWS).zip(b.chunks_exact(COLUMNS)) {
        for r in 0..ROWS {
            for j in 0..COLUMNS {
                sums[r][j] += a[r] * b[j];
            }
        }
    }
    sums
}
