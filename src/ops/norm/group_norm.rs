//! Group normalisation: splits each sample's channels into groups, gives each group mean 0 and standard deviation 1,
//! then scales and shifts each channel.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \hat{x} \, w_c + b_c \\
//! \hat{x} &= (x - m) \, r \qquad r = \frac{1}{\sqrt{v + \varepsilon}} \\
//! \mathrm{dx} &= r \, \bigl( g - \operatorname{mean}(g) - \hat{x} \operatorname{mean}(g \hat{x}) \bigr)
//!   \qquad g = \mathrm{dy} \, w_c \\
//! \mathrm{dw}_c &= \textstyle\sum \mathrm{dy} \, \hat{x} \\
//! \mathrm{db}_c &= \textstyle\sum \mathrm{dy}
//! \end{aligned}
//! ```
//!
//! m and v are the mean and the biased variance over the `C / num_groups` channels of the group and their pixels. The
//! sums of dw and db go over batch and pixels.
//!
//! A group of neighbouring channels shares its statistics. The pixels of one channel share a weight and a bias. Each
//! sample is normalised by itself, so small batches work too. With one group this is layer normalisation with one
//! weight per channel. With as many groups as channels it is instance normalisation. The gradient is derived in
//! `normalise.rs`. PyTorch: `F.group_norm`; one sample with a single value per group is an error. Wu and He 2018.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, *]` | num_groups divides C |
//! | weight, bias | `[C]` | optional |
//! | output | as input | |
//! | statistics | `[N num_groups, 3]`, f64 | mean, variance, inverse deviation; hidden, kept for backward |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 5.0, 20.0, 10.0], &[1, 4, 1])?;
//! assert_eq!(x.group_norm(2, None, None, 1e-12)?.to_vec::<f32>()?, [-1.0, 1.0, 1.0, -1.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::batch_norm::affine;
use super::layer_norm::INPUTS;
use super::normalise::{InputPositions, Norm, Normalise, normalise};
use crate::core::{Error, Result, Shape};
use crate::cpu::norm::NormLayout;
use crate::ops::images::batch_of_channels;
use crate::ops::{Case, OpSpec, one};
use crate::tensor::Tensor;
use std::sync::Arc;

/// How many groups the channels form.
#[derive(Debug, Clone, Copy)]
struct GroupNorm {
    num_groups: usize,
}

impl Norm for GroupNorm {
    const NAME: &'static str = "group_norm";
    const GRAD: &'static str = "group_norm_grad";

    fn layout(&self, input: &Shape) -> Result<NormLayout> {
        let [n, c, run] = batch_of_channels(Self::NAME, input)?;
        if self.num_groups == 0 || c % self.num_groups != 0 {
            return Err(Error::shape(
                Self::NAME,
                "the channels cannot be divided into num_groups equal groups",
            )
            .with("input", input)
            .with("num_groups", self.num_groups)
            .expected("num_groups that divides C"));
        }
        let len = c / self.num_groups * run;
        if n * len == 1 {
            return Err(Error::shape(Self::NAME, "a group needs more than one value to compute a variance")
                .with("input", input)
                .with("num_groups", self.num_groups)
                .expected("more than 1 value per group"));
        }
        Ok(NormLayout { groups: n * self.num_groups, slices: 1, len, run, cycle: self.num_groups })
    }
}

impl Tensor {
    /// Normalises each sample of `[N, C, *]` in `num_groups` groups of channels; `weight` and `bias` are `[C]`.
    /// PyTorch: `F.group_norm`.
    ///
    /// # Errors
    /// Channels that `num_groups` does not divide; one sample with a single value per group; a weight or bias that is
    /// not `[C]`; a negative eps.
    pub fn group_norm(
        &self,
        num_groups: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Result<Tensor> {
        Ok(one(normalise(GroupNorm { num_groups }, eps, self, None, weight, bias, None)?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "group_norm",
    torch: "F.group_norm(input, num_groups, weight=None, bias=None, eps=1e-05)",
    inputs: INPUTS,
    outputs: &["output"],
    attrs: &["num_groups", "eps"],
    layer: None,
    build: |attrs| {
        let norm = GroupNorm { num_groups: attrs.need("num_groups")? };
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
    let full = |label, attrs, input: &[usize]| affine(bare(label, attrs, input), &input[1..2]);
    vec![
        full("images", "num_groups=2", &[2, 6, 3, 4]),
        full("one group", "num_groups=1 eps=0.01", &[3, 4, 5]),
        full("a group a channel", "num_groups=3", &[2, 3, 2, 2]),
        full("features", "num_groups=2", &[3, 6]),
        full("one channel a group and no pixels", "num_groups=3", &[4, 3]),
        bare("no affine", "num_groups=2", &[2, 4, 3]),
        bare("weight only", "num_groups=2", &[2, 4, 3]).input("weight", &[4]),
        bare("bias only", "num_groups=2", &[2, 4, 3]).input("bias", &[4]),
        full("one channel", "num_groups=1", &[2, 1, 3]).edge(),
        full("empty batch", "num_groups=2", &[0, 4, 3]).edge(),
        full("resnet stage 1", "num_groups=32", &[32, 64, 32, 32]).bench(),
    ]
}
