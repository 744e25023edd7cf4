//! Exponential.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= e^x \\
//! \mathrm{dx} &= \mathrm{dy} \, y
//! \end{aligned}
//! ```
//!
//! The function is its own derivative, so backward reads the output. PyTorch: `torch.exp`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![0f32, f32::NEG_INFINITY], &[2])?;
//! assert_eq!(x.exp()?.to_vec::<f32>()?, [1.0, 0.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::unary::{Map, Reads, Unary, cases, plain_kernels};
use crate::core::{Float, Result};
use crate::ops::{Fill, Input, OpSpec};
use crate::tensor::Tensor;
use std::sync::Arc;

/// `e^x`.
#[derive(Debug, Clone, Copy)]
pub struct Exp;

impl Unary for Exp {
    const NAME: &'static str = "exp";
    const GRAD: &'static str = "exp_grad";
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        x.exp()
    }

    #[inline(always)]
    fn dx<T: Float>(self, y: T, dy: T) -> T {
        dy * y
    }

    plain_kernels!(exp_fwd_f32, exp_bwd_f32);
}

impl Tensor {
    /// `e^x`, element by element. Any shape. PyTorch: `torch.exp(input)`.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn exp(&self) -> Result<Tensor> {
        self.map(Exp)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "exp",
    torch: "torch.exp(input)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &[],
    layer: None,
    build: |_| Ok(Arc::new(Map(Exp))),
    cases: || cases("", Fill::Normal),
};
