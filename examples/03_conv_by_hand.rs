//! Lesson 3: a convolution three ways: by hand, by the library, and as a matrix product.
//!
//!     cargo run --release --example 03_conv_by_hand

use receptive::ops::conv2d::Conv2dOptions;
use receptive::{Device, Result, Tensor};

const H: usize = 6;
const K: usize = 3;
const OUT: usize = H - K + 1;

fn main() -> Result<()> {
    let cpu = Device::cpu()?;

    // A bright rectangle on a dark ground, and a kernel that detects vertical edges.
    let bright = |i: usize, j: usize| f32::from((1..5).contains(&i) && (2..5).contains(&j));
    let image: Vec<f32> = (0..H * H).map(|p| bright(p / H, p % H)).collect();
    let kernel = [-1f32, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0]; // Sobel

    // By hand: at each position (i, j) of the kernel on the image, multiply each element (p, q) of the kernel by the
    // pixel under it, and add up the products.
    let mut by_hand = vec![0f32; OUT * OUT];
    for i in 0..OUT {
        for j in 0..OUT {
            for p in 0..K {
                for q in 0..K {
                    by_hand[i * OUT + j] += image[(i + p) * H + j + q] * kernel[p * K + q];
                }
            }
        }
    }

    // By the library. Images are [N, C, H, W], kernels [out channels, in channels, KH, KW].
    let x = Tensor::from_slice(&cpu, &image, &[1, 1, H, H])?;
    let w = Tensor::from_slice(&cpu, &kernel, &[1, 1, K, K])?;
    let y = x.conv2d(&w, None, &Conv2dOptions::default())?;
    println!("edges:\n{}\n", y.reshape(&[OUT, OUT])?);
    assert_eq!(y.to_vec::<f32>()?, by_hand);

    // As a matrix product (im2col): for each position, the pixels under the kernel become one column. The kernel is
    // one row. The row times all columns gives all outputs at once.
    let mut columns = vec![0f32; K * K * OUT * OUT];
    for (row, chunk) in columns.chunks_mut(OUT * OUT).enumerate() {
        let (p, q) = (row / K, row % K);
        for (place, value) in chunk.iter_mut().enumerate() {
            *value = image[(place / OUT + p) * H + place % OUT + q];
        }
    }
    let columns = Tensor::from_vec(&cpu, columns, &[K * K, OUT * OUT])?;
    let product = w.reshape(&[1, K * K])?.matmul(&columns)?;
    assert_eq!(product.to_vec::<f32>()?, by_hand);
    println!("by hand, by conv2d and as a {}x{} matrix product: the same", K * K, OUT * OUT);
    Ok(())
}
