//! Fully connected layer followed by ReLU, in one op.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \max(0, \operatorname{linear}(x, w, b)) \\
//! g &= \mathrm{dy} \, [y > 0] \\
//! \mathrm{dx}, \mathrm{dw}, \mathrm{db} &= \text{those of linear, given } g \text{ for its dy}
//! \end{aligned}
//! ```
//!
//! ReLU is applied before the output is written (`fused_relu.rs`), and backward does not need the value before ReLU.
//! [`linear`](super::linear) has the other formulas. PyTorch: `F.relu(F.linear(..))`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[*, I]` | any leading dimensions, also none |
//! | weight | `[O, I]` | |
//! | bias | `[O]` | optional |
//! | output | `[*, O]` | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_vec(&cpu, vec![1f32, 2.0], &[1, 2])?;
//! let weight = Tensor::from_vec(&cpu, vec![1f32, 1.0, 1.0, -1.0], &[2, 2])?;
//! assert_eq!(x.linear_relu(&weight, None)?.to_vec::<f32>()?, [3.0, 0.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::fused_relu::{OpBeforeRelu, WithRelu, rectify};
use super::linear::{Linear, SPEC as PLAIN};
use crate::core::Result;
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView};
use crate::ops::{Case, OpSpec, one};
use crate::tensor::{Op, Plan, Tensor, apply};
use smallvec::SmallVec;
use std::sync::Arc;

impl OpBeforeRelu for Linear {
    const WITH_RELU: &'static str = "linear_relu";
    const AFTER: usize = 0;

    fn cpu_relu(&self, cx: &CpuCtx, plan: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        self.cpu(cx, plan, x, y)?;
        rectify(self.name(), cx, x[0].dtype, &mut y[0])
    }

    fn cuda_relu(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        self.launch(cx, x, y, true)
    }
}

impl Tensor {
    /// [`linear`](Self::linear) with negative outputs set to 0. PyTorch: `F.relu(F.linear(..))`.
    ///
    /// # Errors
    /// As `linear`.
    pub fn linear_relu(&self, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let inputs: SmallVec<[&Tensor; 3]> = [self, weight].into_iter().chain(bias).collect();
        Ok(one(apply(WithRelu(Linear), &inputs)?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "linear_relu",
    torch: "F.relu(F.linear(input, weight, bias))",
    inputs: PLAIN.inputs,
    outputs: PLAIN.outputs,
    attrs: PLAIN.attrs,
    layer: None,
    build: |_| Ok(Arc::new(WithRelu(Linear))),
    cases,
};

fn cases() -> Vec<Case> {
    let case = |label, input: &[usize], weight: [usize; 2]| {
        Case::new(label, "").input("input", input).input("weight", &weight).input("bias", &weight[..1])
    };
    vec![
        case("plain", &[4, 7], [5, 7]),
        Case::new("no bias", "").input("input", &[4, 7]).input("weight", &[5, 7]),
        case("leading dimensions", &[2, 3, 6], [4, 6]),
        case("one row", &[6], [4, 6]).edge(),
        case("empty batch", &[0, 6], [4, 6]).edge(),
        case("lenet5 fc1", &[64, 400], [120, 400]).bench(),
    ]
}
