//! Hyperbolic tangent.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \frac{e^x - e^{-x}}{e^x + e^{-x}} \\
//! \mathrm{dx} &= \mathrm{dy} \, (1 - y^2)
//! \end{aligned}
//! ```
//!
//! The gradient follows from the quotient rule: the derivative of the numerator is the denominator, and the other way
//! round. PyTorch: `torch.tanh`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![0f32, 1e9, -1e9], &[3])?;
//! assert_eq!(x.tanh()?.to_vec::<f32>()?, [0.0, 1.0, -1.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::unary::{Map, Reads, Unary, cases, plain_kernels};
use crate::core::{Float, Result};
use crate::ops::{Fill, Input, OpSpec};
use crate::tensor::Tensor;
use std::sync::Arc;

/// `tanh(x)`.
#[derive(Debug, Clone, Copy)]
pub struct Tanh;

impl Unary for Tanh {
    const NAME: &'static str = "tanh";
    const GRAD: &'static str = "tanh_grad";
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        x.tanh()
    }

    #[inline(always)]
    fn dx<T: Float>(self, y: T, dy: T) -> T {
        dy * (T::ONE - y * y)
    }

    plain_kernels!(tanh_fwd_f32, tanh_bwd_f32);
}

impl Tensor {
    /// `tanh(x)`, element by element. Any shape. PyTorch: `torch.tanh(input)`.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn tanh(&self) -> Result<Tensor> {
        self.map(Tanh)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "tanh",
    torch: "torch.tanh(input)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &[],
    layer: Some("Tanh"),
    build: |_| Ok(Arc::new(Map(Tanh))),
    cases: || cases("", Fill::Normal),
};
