//! Convolution followed by ReLU, in one op.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \max(0, \operatorname{conv2d}(x, w, b)) \\
//! g &= \mathrm{dy} \, [y > 0] \\
//! \mathrm{dx}, \mathrm{dw}, \mathrm{db} &= \text{those of conv2d, given } g \text{ for its dy}
//! \end{aligned}
//! ```
//!
//! Two separate ops would write the convolution's output, read it, and write it again. This op applies ReLU before it
//! writes (`fused_relu.rs`), and backward does not need the value before ReLU. `[y > 0]` is the derivative of ReLU. The
//! other gradients are those of [`conv2d`](super::conv2d), which has the formulas. PyTorch: `F.relu(F.conv2d(..))`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, H, W]` or `[C, H, W]` | |
//! | weight | `[O, C / G, KH, KW]` | |
//! | bias | `[O]` | optional |
//! | output | `[N, O, H', W']` or `[O, H', W']` | as in `conv2d` |
//!
//! ```
//! use receptive::ops::conv2d::Conv2dOptions;
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let image = Tensor::from_vec(&cpu, vec![1f32, 3.0, 2.0], &[1, 1, 1, 3])?;
//! let difference = Tensor::from_vec(&cpu, vec![-1f32, 1.0], &[1, 1, 1, 2])?;
//! let y = image.conv2d_relu(&difference, None, &Conv2dOptions::default())?;
//! assert_eq!(y.to_vec::<f32>()?, [2.0, 0.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::conv2d::{Conv2d, Conv2dOptions, SPEC as PLAIN};
use super::loops::{on_cpu, on_cuda};
use crate::core::{Loop, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView};
use crate::ops::product::fused_relu::{OpBeforeRelu, WithRelu};
use crate::ops::{Case, OpSpec, one};
use crate::tensor::{Op, Plan, Tensor, apply};
use smallvec::SmallVec;
use std::sync::Arc;

impl OpBeforeRelu for Conv2d {
    const WITH_RELU: &'static str = "conv2d_relu";
    const AFTER: usize = 2;

    fn cpu_relu(&self, cx: &CpuCtx, plan: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        on_cpu(self.name(), cx, plan.conv_shape(), Loop::Forward, x, true, &mut y[0])
    }

    fn cuda_relu(&self, cx: &CudaCtx, plan: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        on_cuda(cx, plan.conv_shape(), Loop::Forward, x, true, &y[0])
    }
}

impl Tensor {
    /// [`conv2d`](Self::conv2d) with negative outputs set to 0. PyTorch: `F.relu(F.conv2d(..))`.
    ///
    /// # Errors
    /// As `conv2d`.
    pub fn conv2d_relu(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &Conv2dOptions,
    ) -> Result<Tensor> {
        let inputs: SmallVec<[&Tensor; 3]> = [self, weight].into_iter().chain(bias).collect();
        Ok(one(apply(WithRelu(Conv2d(*options)), &inputs)?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "conv2d_relu",
    torch: "F.relu(F.conv2d(input, weight, bias, stride, padding, dilation, groups))",
    inputs: PLAIN.inputs,
    outputs: PLAIN.outputs,
    attrs: PLAIN.attrs,
    layer: None,
    build: |attrs| Ok(Arc::new(WithRelu(Conv2d(Conv2dOptions::from_attrs(attrs)?)))),
    cases,
};

fn cases() -> Vec<Case> {
    let case = |label, attrs, input: &[usize], weight: [usize; 4]| {
        Case::new(label, attrs).input("input", input).input("weight", &weight).input("bias", &weight[..1])
    };
    vec![
        case("plain", "", &[2, 3, 6, 5], [4, 3, 3, 3]),
        Case::new("no bias", "").input("input", &[2, 2, 5, 4]).input("weight", &[3, 2, 2, 3]),
        case("all settings", "stride=2,1 padding=1,2 dilation=1,2 groups=2", &[2, 4, 7, 6], [6, 2, 3, 2]),
        case("pointwise", "", &[2, 5, 4, 3], [3, 5, 1, 1]),
        case("one image", "padding=1", &[3, 5, 4], [2, 3, 3, 3]).edge(),
        case("empty batch", "padding=1", &[0, 3, 4, 4], [2, 3, 3, 3]).edge(),
        case("minivgg conv2", "", &[64, 16, 26, 26], [16, 16, 3, 3]).bench(),
    ]
}
