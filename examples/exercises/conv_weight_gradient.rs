//! Exercise: the gradient of a convolution's weights.
//!
//! ```text
//! y[n,o,i,j]  = sum over c,p,q of  w[o,c,p,q] * x[n, c, i*s - pad + p, j*s - pad + q]
//! dw[o,c,p,q] = ?
//! ```
//!
//! A weight is used at every output pixel of every image. Pixels beyond the image count as zero.
//!
//! Hints: write down the derivative of one y with respect to one w. Then sum it, times dy, over all y that use this
//! weight. You need seven loops. The three innermost are not those of the forward pass. `examples/03_conv_by_hand.rs`
//! has the forward pass.

use super::Wrong;
use receptive::core::window::Padding;
use receptive::ops::conv2d::Conv2dOptions;
use receptive::{Device, Key, Tensor};

/// Sizes of a convolution of square images by square kernels.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code)] // until you read them
pub struct Sizes {
    /// Images.
    pub n: usize,
    /// Channels in and out.
    pub c: usize,
    pub o: usize,
    /// Rows and columns of an image, of a kernel, of an output.
    pub image: usize,
    pub kernel: usize,
    pub out: usize,
    pub stride: usize,
    pub padding: usize,
}

/// `dw [O, C, K, K]` from `x [N, C, H, H]` and `dy [N, O, H', H']`, all row-major. For you to write.
pub fn gradient(s: Sizes, _x: &[f64], _dy: &[f64]) -> Vec<f64> {
    vec![0.0; s.o * s.c * s.kernel * s.kernel]
}

// What follows compares with the engine.

/// `[n, c, o, image, kernel, stride, padding]`.
const CASES: [[usize; 7]; 4] =
    [[1, 1, 1, 4, 3, 1, 0], [2, 3, 4, 6, 3, 1, 1], [3, 2, 2, 9, 5, 2, 2], [2, 4, 3, 5, 1, 1, 0]];

/// Compares an answer with the engine's gradient.
pub fn check(gradient: fn(Sizes, &[f64], &[f64]) -> Vec<f64>) -> Result<String, Wrong> {
    let cpu = Device::cpu()?;
    for [n, c, o, image, kernel, stride, padding] in CASES {
        let numbers = |name: &str, count: usize| -> Vec<f64> {
            (0..count as u64).map(|i| Key::new(0).child(name).normal(i)).collect()
        };
        let (x, w) = (numbers("x", n * c * image * image), numbers("w", o * c * kernel * kernel));
        let weight = Tensor::from_slice(&cpu, &w, &[o, c, kernel, kernel])?.requires_grad();
        let options = Conv2dOptions {
            stride: [stride; 2],
            padding: Padding::Explicit([padding; 2]),
            ..Conv2dOptions::default()
        };
        let y = Tensor::from_slice(&cpu, &x, &[n, c, image, image])?.conv2d(&weight, None, &options)?;
        let dy = numbers("dy", y.numel());
        y.backward_with(&Tensor::from_slice(&cpu, &dy, y.dims())?)?;
        let want = weight.grad().expect("the weight asks for a gradient").to_f64()?;
        let sizes = Sizes { n, c, o, image, kernel, out: y.dims()[2], stride, padding };
        let got = gradient(sizes, &x, &dy);
        if got.len() != want.len() {
            return Err(format!("  {sizes:?}\n  {} numbers, not {}", got.len(), want.len()).into());
        }
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let near = (got - want).abs() <= 1e-10;
            if !near {
                let at = receptive::testing::close::index(weight.dims(), i);
                return Err(format!("  {sizes:?}\n  dw{at:?}: yours {got:.6}, it is {want:.6}").into());
            }
        }
    }
    Ok("The same sums, thousands of times faster: src/cpu/conv2d/implicit/grad_weight.rs.".into())
}
