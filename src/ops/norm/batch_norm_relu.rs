//! Batch normalisation, addition of a residual, and ReLU in one op: the end of a residual block.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \max(0, \operatorname{batch\_norm}(x, w, b) + \mathrm{residual}) \\
//! g &= \mathrm{dy} \, [y > 0] \\
//! \mathrm{dx}, \mathrm{dw}, \mathrm{db} &= \text{those of batch\_norm, given } g \text{ for its dy} \\
//! \mathrm{d\,residual} &= g
//! \end{aligned}
//! ```
//!
//! Three separate ops would write and read two intermediate tensors. On a GPU, and for large images on a CPU, memory
//! bandwidth limits them. The gradient of the sum is the same for both operands, and it is 0 where y is 0. So backward
//! needs the output but neither of the intermediate tensors. The results equal those of the three ops, bit for bit on
//! the CPU. [`batch_norm`](super::batch_norm) has the formulas.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, *]` | rank 2 and up |
//! | running_mean, running_var | `[C]` | optional in training |
//! | weight, bias | `[C]` | optional |
//! | residual | as input | optional |
//! | output | as input | |
//! | running_mean, running_var | `[C]` | present if given as inputs; unchanged unless training |
//! | statistics | `[C, 3]`, f64 | mean, variance, inverse deviation; hidden from callers, kept for backward |
//!
//! ```
//! use receptive::ops::batch_norm::BatchNormOptions;
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_vec(&cpu, vec![1f32, 5.0], &[2, 1])?; // normalised: -1 and 1
//! let residual = Tensor::from_vec(&cpu, vec![0.5f32, 0.5], &[2, 1])?;
//! let settings = BatchNormOptions { training: true, eps: 1e-12, ..Default::default() };
//! let (y, _) = x.batch_norm_relu(None, None, None, Some(&residual), settings)?;
//! assert_eq!(y.to_vec::<f32>()?, [0.0, 1.5]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::batch_norm::{BatchNormOptions, INPUTS as PLAIN, Normalised, affine, tracked, with_running};
use super::normalise::{InputPositions, Norm, Normalise, normalise};
use crate::core::{Result, Shape};
use crate::cpu::norm::NormLayout;
use crate::ops::{Case, Input, OpSpec};
use crate::tensor::{Dependence, Tensor};
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
struct BatchNormRelu(BatchNormOptions);

impl Norm for BatchNormRelu {
    const NAME: &'static str = "batch_norm_relu";
    const GRAD: &'static str = "batch_norm_relu_grad";

    fn layout(&self, input: &Shape) -> Result<NormLayout> {
        self.0.layout(input)
    }

    fn own(&self) -> bool {
        self.0.own()
    }

    fn momentum(&self) -> f64 {
        self.0.momentum()
    }

    fn relu(&self) -> bool {
        true
    }

    fn dependence(&self) -> Dependence {
        self.0.dependence()
    }
}

impl Tensor {
    /// [`batch_norm`](Self::batch_norm) plus `residual`, with negative sums set to 0. PyTorch:
    /// `F.relu(F.batch_norm(..) + residual)`.
    ///
    /// # Errors
    /// As `batch_norm`; a residual of another shape.
    pub fn batch_norm_relu(
        &self,
        running: Option<[&Tensor; 2]>,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        residual: Option<&Tensor>,
        settings: BatchNormOptions,
    ) -> Result<Normalised> {
        let norm = BatchNormRelu(settings);
        Ok(with_running(normalise(norm, settings.eps, self, running, weight, bias, residual)?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "batch_norm_relu",
    torch: "F.relu(F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps) + residual)",
    inputs: &[PLAIN[0], PLAIN[1], PLAIN[2], PLAIN[3], PLAIN[4], Input::new("residual").optional()],
    outputs: &["output", "running_mean", "running_var"],
    attrs: &["training", "momentum", "eps"],
    layer: None,
    build: |attrs| {
        let norm = BatchNormRelu(BatchNormOptions::from_attrs(attrs)?);
        Ok(Arc::new(Normalise { norm, eps: norm.0.eps, inputs: InputPositions::from_attrs(attrs) }))
    },
    cases,
};

fn cases() -> Vec<Case> {
    let full = |label, attrs, input: &[usize]| {
        affine(tracked(Case::new(label, attrs).input("input", input), input[1]), &input[1..2])
    };
    let added = |label, attrs, input: &[usize]| full(label, attrs, input).input("residual", input);
    vec![
        full("training", "training=true", &[3, 2, 4, 5]),
        full("evaluating", "", &[3, 2, 4, 5]),
        added("residual", "training=true momentum=0.3 eps=0.01", &[3, 2, 4, 3]),
        added("residual, evaluating", "eps=0.1", &[2, 3, 3, 4]),
        added("features", "training=true", &[7, 5]),
        Case::new("bare", "training=true").input("input", &[3, 2, 4, 3]).input("residual", &[3, 2, 4, 3]),
        added("two values a channel", "training=true", &[2, 3, 1, 1]).edge(),
        added("empty batch", "training=true", &[0, 3, 2, 2]).edge(),
        full("resnet stage 1", "training=true", &[64, 64, 32, 32]).bench(),
        added("resnet stage 1, residual", "training=true", &[64, 64, 32, 32]).bench(),
    ]
}
