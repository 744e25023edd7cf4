//! Layer normalisation: gives every sample mean 0 and standard deviation 1 over its last dimensions, then scales and
//! shifts each element.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \hat{x} \, w + b \\
//! \hat{x} &= (x - m) \, r \qquad r = \frac{1}{\sqrt{v + \varepsilon}} \\
//! \mathrm{dx} &= r \, \bigl( g - \operatorname{mean}(g) - \hat{x} \operatorname{mean}(g \hat{x}) \bigr)
//!   \qquad g = \mathrm{dy} \, w \\
//! \mathrm{dw} &= \textstyle\sum \mathrm{dy} \, \hat{x} \\
//! \mathrm{db} &= \textstyle\sum \mathrm{dy}
//! \end{aligned}
//! ```
//!
//! m and v are the mean and the biased variance of a row; the sums of dw and db go over the rows.
//!
//! A row consists of the last dimensions, `normalized_shape`. Each of its elements has its own weight and bias. Each
//! row is normalised by itself, so training and evaluation compute the same. The gradient is derived in `normalise.rs`.
//! PyTorch: `F.layer_norm`. Ba, Kiros, Hinton 2016.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[*, normalized_shape]` | |
//! | weight, bias | `normalized_shape` | optional |
//! | output | as input | |
//! | statistics | `[rows, 3]`, f64 | mean, variance, inverse deviation; hidden from callers, kept for backward |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_vec(&cpu, vec![1f32, 5.0, 20.0, 10.0], &[2, 2])?;
//! let bias = Tensor::from_vec(&cpu, vec![0f32, 10.0], &[2])?;
//! assert_eq!(x.layer_norm(&[2], None, Some(&bias), 1e-12)?.to_vec::<f32>()?, [-1.0, 11.0, 1.0, 9.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::batch_norm::affine;
use super::normalise::{InputPositions, Norm, Normalise, normalise};
use crate::core::{Error, Result, Shape};
use crate::cpu::norm::NormLayout;
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::Tensor;
use std::sync::Arc;

/// The dimensions that are normalised together.
#[derive(Debug, Clone, Copy)]
struct LayerNorm {
    normalized_shape: Shape,
}

impl Norm for LayerNorm {
    const NAME: &'static str = "layer_norm";
    const GRAD: &'static str = "layer_norm_grad";

    fn layout(&self, input: &Shape) -> Result<NormLayout> {
        let (dims, last) = (input.dims(), self.normalized_shape.dims());
        if last.is_empty() || !dims.ends_with(last) {
            return Err(Error::shape(Self::NAME, "the input's last dimensions are not normalized_shape")
                .with("input", input)
                .with("normalized_shape", self.normalized_shape)
                .expected("normalized_shape to be the input's last dimension or dimensions"));
        }
        let rows = dims[..dims.len() - last.len()].iter().product();
        Ok(NormLayout { groups: rows, slices: 1, len: self.normalized_shape.numel(), run: 1, cycle: 1 })
    }

    fn weight(&self, _input: &Shape) -> Result<Shape> {
        Ok(self.normalized_shape)
    }
}

impl Tensor {
    /// Normalises over the last dimensions, which must be `normalized_shape`. `weight` and `bias` also have this shape.
    /// PyTorch: `F.layer_norm`.
    ///
    /// # Errors
    /// Last dimensions that differ from `normalized_shape`; an empty `normalized_shape`; a weight or bias of another
    /// shape; a negative eps.
    pub fn layer_norm(
        &self,
        normalized_shape: &[usize],
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Result<Tensor> {
        let norm = LayerNorm { normalized_shape: Shape::new(normalized_shape)? };
        Ok(one(normalise(norm, eps, self, None, weight, bias, None)?))
    }
}

/// The inputs of a normalisation without running statistics.
pub(super) const INPUTS: &[Input] =
    &[Input::new("input"), Input::new("weight").optional(), Input::new("bias").optional()];

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "layer_norm",
    torch: "F.layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05)",
    inputs: INPUTS,
    outputs: &["output"],
    attrs: &["normalized_shape", "eps"],
    layer: None,
    build: |attrs| {
        let dims = attrs.list("normalized_shape")?.ok_or_else(|| attrs.missing("normalized_shape"))?;
        let norm = LayerNorm { normalized_shape: Shape::new(&dims)? };
        Ok(Arc::new(Normalise {
            norm,
            eps: attrs.or("eps", 1e-5)?,
            inputs: InputPositions::from_attrs(attrs),
        }))
    },
    cases,
};

fn cases() -> Vec<Case> {
    let bare = |label, attrs, input: &[usize]| Case::new(label, attrs).input("input", input);
    vec![
        affine(bare("rows", "normalized_shape=7", &[4, 7]), &[7]),
        affine(bare("images", "normalized_shape=3,2,4", &[3, 3, 2, 4]), &[3, 2, 4]),
        affine(bare("wide", "normalized_shape=70 eps=0.01", &[2, 3, 70]), &[70]),
        bare("no affine", "normalized_shape=2,5", &[3, 2, 5]),
        bare("weight only", "normalized_shape=5", &[3, 5]).input("weight", &[5]),
        bare("bias only", "normalized_shape=5", &[3, 5]).input("bias", &[5]),
        affine(bare("all of it", "normalized_shape=2,3", &[2, 3]), &[2, 3]).edge(),
        affine(bare("one element", "normalized_shape=1", &[4, 1]), &[1]).edge(),
        affine(bare("empty batch", "normalized_shape=3", &[0, 3]), &[3]).edge(),
        affine(bare("transformer", "normalized_shape=768", &[8, 128, 768]), &[768]).bench(),
    ]
}
