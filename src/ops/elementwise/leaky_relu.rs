//! Leaky rectified linear unit.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \begin{cases} x & x > 0 \\ s \, x & \text{else} \end{cases} \\
//! \mathrm{dx} &= \begin{cases} \mathrm{dy} & x > 0 \\ s \, \mathrm{dy} & \text{else} \end{cases}
//! \end{aligned}
//! ```
//!
//! s is the attribute `negative_slope`, 0.01 by default. With it, a unit whose input is always negative still learns.
//! PyTorch: `F.leaky_relu`. Backward reads the input, because with a negative slope the output's sign does not tell the
//! input's sign.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![-2f32, 0.0, 3.0], &[3])?;
//! assert_eq!(x.leaky_relu(0.5)?.to_vec::<f32>()?, [-1.0, 0.0, 3.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::unary::{Map, Reads, Unary, cases};
use crate::core::{Float, Result};
use crate::cuda::{CudaCtx, Launch, Ptr, kernels};
use crate::ops::{Case, Fill, Input, OpSpec};
use crate::tensor::Tensor;
use std::sync::Arc;

/// `x` if positive, else `negative_slope * x`.
#[derive(Debug, Clone, Copy)]
pub struct LeakyRelu {
    negative_slope: f64,
}

impl Unary for LeakyRelu {
    const NAME: &'static str = "leaky_relu";
    const GRAD: &'static str = "leaky_relu_grad";
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        if x > T::ZERO { x } else { x * T::from_f64(self.negative_slope) }
    }

    #[inline(always)]
    fn dx<T: Float>(self, x: T, dy: T) -> T {
        if x > T::ZERO { dy } else { dy * T::from_f64(self.negative_slope) }
    }

    fn y_cuda(self, cx: &CudaCtx, grid: Launch, x: Ptr<f32>, y: Ptr<f32>, n: i64) -> Result<()> {
        kernels::leaky_relu_fwd_f32(cx, grid, x, y, self.negative_slope as f32, n)
    }

    fn dx_cuda(self, cx: &CudaCtx, grid: Launch, [x, dy]: [Ptr<f32>; 2], dx: Ptr<f32>, n: i64) -> Result<()> {
        kernels::leaky_relu_bwd_f32(cx, grid, x, dy, dx, self.negative_slope as f32, n)
    }
}

impl Tensor {
    /// `x` if positive, else `negative_slope * x`. Any shape. PyTorch: `F.leaky_relu`, whose default slope is 0.01.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn leaky_relu(&self, negative_slope: f64) -> Result<Tensor> {
        self.map(LeakyRelu { negative_slope })
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "leaky_relu",
    torch: "F.leaky_relu(input, negative_slope=0.01)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["negative_slope"],
    layer: Some("LeakyReLU"),
    build: |attrs| Ok(Arc::new(Map(LeakyRelu { negative_slope: attrs.or("negative_slope", 0.01)? }))),
    cases: || {
        let mut cases = cases("", Fill::Normal);
        cases.push(Case::new("steep", "negative_slope=-1.5").input("input", &[3, 7]));
        cases
    },
};
