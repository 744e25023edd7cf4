//! Sigmoid linear unit, also called swish.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= x \, s \qquad s = \frac{1}{1 + e^{-x}} \\
//! \mathrm{dx} &= \mathrm{dy} \, s \, (1 + x \, (1 - s))
//! \end{aligned}
//! ```
//!
//! The gradient follows from the product rule with `d s / d x = s (1 - s)`. Elfwing et al. 2017, Ramachandran et al.
//! 2017; PyTorch: `F.silu`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![0f32, 100.0, -1e9], &[3])?;
//! assert_eq!(x.silu()?.to_vec::<f32>()?, [0.0, 100.0, 0.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::unary::{Map, Reads, Unary, cases, plain_kernels};
use crate::core::{Float, Result};
use crate::ops::{Fill, Input, OpSpec};
use crate::tensor::Tensor;
use std::sync::Arc;

/// `x / (1 + e^-x)`.
#[derive(Debug, Clone, Copy)]
pub struct Silu;

impl Unary for Silu {
    const NAME: &'static str = "silu";
    const GRAD: &'static str = "silu_grad";
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        x * x.sigmoid()
    }

    #[inline(always)]
    fn dx<T: Float>(self, x: T, dy: T) -> T {
        let s = x.sigmoid();
        dy * s * (T::ONE + x * (T::ONE - s))
    }

    plain_kernels!(silu_fwd_f32, silu_bwd_f32);
}

impl Tensor {
    /// `x / (1 + e^-x)`, element by element. Any shape. PyTorch: `F.silu(input)`.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn silu(&self) -> Result<Tensor> {
        self.map(Silu)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "silu",
    torch: "F.silu(input)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &[],
    layer: Some("SiLU"),
    build: |_| Ok(Arc::new(Map(Silu))),
    cases: || cases("", Fill::Normal),
};
