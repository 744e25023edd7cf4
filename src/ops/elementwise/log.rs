//! Natural logarithm.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \ln x \\
//! \mathrm{dx} &= \mathrm{dy} / x
//! \end{aligned}
//! ```
//!
//! The logarithm is minus infinity at 0 and NaN below 0. PyTorch: `torch.log`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 0.0], &[2])?;
//! assert_eq!(x.log()?.to_vec::<f32>()?, [0.0, f32::NEG_INFINITY]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::unary::{Map, Reads, Unary, cases, plain_kernels};
use crate::core::{Float, Result};
use crate::ops::{Fill, Input, OpSpec};
use crate::tensor::Tensor;
use std::sync::Arc;

/// `ln x`.
#[derive(Debug, Clone, Copy)]
pub struct Log;

impl Unary for Log {
    const NAME: &'static str = "log";
    const GRAD: &'static str = "log_grad";
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        x.ln()
    }

    #[inline(always)]
    fn dx<T: Float>(self, x: T, dy: T) -> T {
        dy / x
    }

    plain_kernels!(log_fwd_f32, log_bwd_f32);
}

impl Tensor {
    /// `ln x`, element by element. Any shape. PyTorch: `torch.log(input)`.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn log(&self) -> Result<Tensor> {
        self.map(Log)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "log",
    torch: "torch.log(input)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &[],
    layer: None,
    build: |_| Ok(Arc::new(Map(Log))),
    cases: || cases("", Fill::Uniform(0.25, 4.0)),
};
