//! Square root.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \sqrt{x} \\
//! \mathrm{dx} &= \frac{\mathrm{dy}}{2 y}
//! \end{aligned}
//! ```
//!
//! The derivative of `y^2 = x` gives `2 y (d y / d x) = 1`. The slope at 0 is infinite. Below 0 the root is NaN.
//! PyTorch: `torch.sqrt`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![4f32, 0.25], &[2])?;
//! assert_eq!(x.sqrt()?.to_vec::<f32>()?, [2.0, 0.5]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::unary::{Map, Reads, Unary, cases, plain_kernels};
use crate::core::{Float, Result};
use crate::ops::{Fill, Input, OpSpec};
use crate::tensor::Tensor;
use std::sync::Arc;

/// `sqrt(x)`.
#[derive(Debug, Clone, Copy)]
pub struct Sqrt;

impl Unary for Sqrt {
    const NAME: &'static str = "sqrt";
    const GRAD: &'static str = "sqrt_grad";
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        x.sqrt()
    }

    #[inline(always)]
    fn dx<T: Float>(self, y: T, dy: T) -> T {
        dy / (y + y)
    }

    plain_kernels!(sqrt_fwd_f32, sqrt_bwd_f32);
}

impl Tensor {
    /// `sqrt(x)`, element by element. Any shape. PyTorch: `torch.sqrt(input)`.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn sqrt(&self) -> Result<Tensor> {
        self.map(Sqrt)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "sqrt",
    torch: "torch.sqrt(input)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &[],
    layer: None,
    build: |_| Ok(Arc::new(Map(Sqrt))),
    cases: || cases("", Fill::Uniform(0.25, 4.0)),
};
