//! Rectified linear unit.
//!
//! Compared with lesson 0: the loop runs on several threads and with SIMD instructions, and there is a CUDA kernel.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \max(0, x) \\
//! \mathrm{dx} &= \mathrm{dy} \, [y > 0]
//! \end{aligned}
//! ```
//!
//! The derivative at 0 is taken as 0, as in PyTorch (`F.relu`). Backward reads the output and not the input, because
//! the next layer keeps the output in memory anyway.
//!
//! If x is NaN, y is NaN. For such a y, `[y > 0]` counts as 1, so dx is dy, as in PyTorch.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![-1f32, 0.0, 2.0], &[3])?;
//! assert_eq!(x.relu()?.to_vec::<f32>()?, [0.0, 0.0, 2.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::unary::{Map, Reads, Unary, cases, plain_kernels};
use crate::core::{Float, Result};
use crate::ops::{Fill, Input, OpSpec};
use crate::tensor::Tensor;
use std::sync::Arc;

/// `max(0, x)`.
#[derive(Debug, Clone, Copy)]
pub struct Relu;

impl Unary for Relu {
    const NAME: &'static str = "relu";
    const GRAD: &'static str = "relu_grad";
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        if x <= T::ZERO { T::ZERO } else { x }
    }

    #[inline(always)]
    fn dx<T: Float>(self, y: T, dy: T) -> T {
        if y <= T::ZERO { T::ZERO } else { dy }
    }

    plain_kernels!(relu_fwd_f32, relu_bwd_f32);
}

impl Tensor {
    /// `max(0, x)`, element by element. Any shape. PyTorch: `F.relu(input)`.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn relu(&self) -> Result<Tensor> {
        self.map(Relu)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "relu",
    torch: "F.relu(input)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &[],
    layer: Some("ReLU"),
    build: |_| Ok(Arc::new(Map(Relu))),
    cases: || cases("", Fill::Normal),
};

#[cfg(test)]
mod tests {
    use crate::{Device, Tensor};

    /// PyTorch 2: `torch.relu(x).backward(dy)` gives these numbers.
    #[test]
    fn the_gradient_of_nan_is_dy() {
        let cpu = Device::cpu().unwrap();
        let x = Tensor::from_slice(&cpu, &[f32::NAN, 1.0, -1.0], &[3]).unwrap().requires_grad();
        let y = x.relu().unwrap();
        y.backward_with(&Tensor::from_slice(&cpu, &[2f32, 3.0, 4.0], &[3]).unwrap()).unwrap();
        assert!(y.to_vec::<f32>().unwrap()[0].is_nan());
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), [2.0, 3.0, 0.0]);
    }
}
