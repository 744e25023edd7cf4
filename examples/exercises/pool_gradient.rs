//! Exercise: a gradient through windows that overlap.
//!
//! Average pooling along a line, without padding. A window of k = `kernel` numbers moves by s = `stride`:
//!
//! ```text
//! y[i] = (x[i s] + x[i s + 1] + ... + x[i s + k - 1]) / k
//!
//!   x   0 1 2 3 4 5 6        kernel 3, stride 2: x[2] is in the windows of y[0] and y[1].
//!       [ y0] [ y2]          What is the loss's gradient for x[2], given those for y[0] and y[1]?
//!           [ y1]
//! ```
//!
//! Hints: the derivative with respect to a number that is used twice is the sum over its uses. There are two ways to
//! write the loop: for each x find its windows (gather), or let each window add its share to its numbers (scatter).
//! Which of the two could many threads run without writing to the same number?

use super::Wrong;
use receptive::ops::avg_pool2d::AvgPool2dOptions;
use receptive::{Device, Key, Tensor};

/// The gradient by each of the `n` numbers x, given the gradients `dy` by y. For you to write.
pub fn gradient(_dy: &[f64], n: usize, _kernel: usize, _stride: usize) -> Vec<f64> {
    vec![0.0; n]
}

// What follows compares with the engine's own avg_pool2d, which is checked against finite differences and PyTorch.

/// `(n, kernel, stride)`: apart, overlapping, with gaps, one window, numbers that no window reaches.
const CASES: [(usize, usize, usize); 6] =
    [(8, 2, 2), (7, 3, 2), (9, 3, 1), (11, 2, 4), (5, 5, 1), (10, 3, 3)];

/// Compares an answer with the engine's gradient.
pub fn check(gradient: fn(&[f64], usize, usize, usize) -> Vec<f64>) -> Result<String, Wrong> {
    let cpu = Device::cpu()?;
    for (n, kernel, stride) in CASES {
        let x = Tensor::zeros(&cpu, &[1, 1, 1, n], receptive::DType::F64)?.requires_grad();
        let y =
            x.avg_pool2d(&AvgPool2dOptions { stride: [1, stride], ..AvgPool2dOptions::new([1, kernel]) })?;
        let dy: Vec<f64> = (0..y.numel() as u64).map(|i| Key::new(0).normal(i)).collect();
        y.backward_with(&Tensor::from_slice(&cpu, &dy, y.dims())?)?;
        let want = x.grad().expect("x asks for a gradient").to_f64()?;
        let got = gradient(&dy, n, kernel, stride);
        let wrong = |(got, want): (&f64, &f64)| {
            let near = (got - want).abs() <= 1e-12;
            !near
        };
        if got.len() != n || got.iter().zip(&want).any(wrong) {
            let text = format!("  {n} numbers, kernel {kernel}, stride {stride}, dy {dy:.3?}");
            return Err(format!("{text}\n  yours {got:.3?}\n  it is {want:.3?}").into());
        }
    }
    Ok("Gathering needs no order between threads: each x is written by one of them.".into())
}
