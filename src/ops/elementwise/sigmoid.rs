//! Logistic sigmoid.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \frac{1}{1 + e^{-x}} \\
//! \mathrm{dx} &= \mathrm{dy} \, y \, (1 - y)
//! \end{aligned}
//! ```
//!
//! With `u = e^-x`, the derivative is `u / (1 + u)^2 = y (1 - y)`. For very negative x, `e^-x` is infinite and y is 0,
//! which is correct, so the code needs no special case. PyTorch: `torch.sigmoid`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![0f32, 1e9, -1e9], &[3])?;
//! assert_eq!(x.sigmoid()?.to_vec::<f32>()?, [0.5, 1.0, 0.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::unary::{Map, Reads, Unary, cases, plain_kernels};
use crate::core::{Float, Result};
use crate::ops::{Fill, Input, OpSpec};
use crate::tensor::Tensor;
use std::sync::Arc;

/// `1 / (1 + e^-x)`.
#[derive(Debug, Clone, Copy)]
pub struct Sigmoid;

impl Unary for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const GRAD: &'static str = "sigmoid_grad";
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        x.sigmoid()
    }

    #[inline(always)]
    fn dx<T: Float>(self, y: T, dy: T) -> T {
        dy * (T::ONE - y) * y
    }

    plain_kernels!(sigmoid_fwd_f32, sigmoid_bwd_f32);
}

impl Tensor {
    /// `1 / (1 + e^-x)`, element by element. Any shape. PyTorch: `torch.sigmoid(input)`.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn sigmoid(&self) -> Result<Tensor> {
        self.map(Sigmoid)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "sigmoid",
    torch: "torch.sigmoid(input)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &[],
    layer: Some("Sigmoid"),
    build: |_| Ok(Arc::new(Map(Sigmoid))),
    cases: || cases("", Fill::Normal),
};
