//! Batch normalisation: gives every channel mean 0 and standard deviation 1 over the batch, then scales and shifts it.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \hat{x} \, w_c + b_c \\
//! \hat{x} &= (x - m_c) \, r_c \qquad r_c = \frac{1}{\sqrt{v_c + \varepsilon}} \\
//! \mathrm{dw}_c &= \textstyle\sum \mathrm{dy} \, \hat{x} \\
//! \mathrm{db}_c &= \textstyle\sum \mathrm{dy}
//! \end{aligned}
//! ```
//!
//! The sums go over batch and pixels; w and b are `weight` and `bias` (gamma and beta in the paper). In training m and
//! v are the mean and the biased variance of the channel's n values in batch and pixels:
//!
//! ```math
//! \begin{aligned}
//! \mathrm{running} &\leftarrow (1 - \mathrm{momentum}) \, \mathrm{running}
//!   + \mathrm{momentum} \cdot \bigl( m_c, \; v_c \, n / (n - 1) \bigr) \\
//! \mathrm{dx} &= r_c \, \bigl( g - \operatorname{mean}(g) - \hat{x} \operatorname{mean}(g \hat{x}) \bigr)
//!   \qquad g = \mathrm{dy} \, w_c
//! \end{aligned}
//! ```
//!
//! Outside training m and v are the running statistics, and `dx = r g`. In training m and v depend on x. The two
//! subtracted terms are the chain rule through m and v (derived in `normalise.rs`). Shifting or scaling a whole channel
//! does not change y. So dx must have no component in these two directions, and the two terms remove it. The factor
//! `n / (n - 1)` makes the running variance unbiased. The running statistics get no gradient. The op returns the new
//! ones, and the layer stores them.
//!
//! As in PyTorch (`F.batch_norm`), training is an error if a channel has a single value: its deviation would be 0.
//! Ioffe and Szegedy 2015.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, *]` | rank 2 and up |
//! | running_mean, running_var | `[C]` | optional in training |
//! | weight, bias | `[C]` | optional |
//! | output | as input | |
//! | running_mean, running_var | `[C]` | present if given as inputs; unchanged unless training |
//! | statistics | `[C, 3]`, f64 | mean, variance, inverse deviation; hidden from callers, kept for backward |
//!
//! ```
//! use receptive::ops::batch_norm::BatchNormOptions;
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_vec(&cpu, vec![1f32, 5.0], &[2, 1])?; // mean 3, biased variance 4, unbiased 8
//! let [mean, var] = [Tensor::from_vec(&cpu, vec![0f32], &[1])?, Tensor::from_vec(&cpu, vec![1f32], &[1])?];
//! let settings = BatchNormOptions { training: true, momentum: 0.5, eps: 1e-12 };
//! let (y, running) = x.batch_norm(Some([&mean, &var]), None, None, settings)?;
//! let [mean, var] = running.unwrap();
//! assert_eq!(y.to_vec::<f32>()?, [-1.0, 1.0]);
//! assert_eq!((mean.item()?, var.item()?), (1.5, 4.5));
//! # Ok::<(), receptive::Error>(())
//! ```

use super::normalise::{InputPositions, Norm, Normalise, normalise};
use crate::core::{Error, Result, Shape};
use crate::cpu::norm::NormLayout;
use crate::ops::images::batch_of_channels;
use crate::ops::{Attrs, Case, Fill, Input, OpSpec};
use crate::tensor::{Dependence, Tensor};
use std::sync::Arc;

/// The settings of `F.batch_norm`, with its defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNormOptions {
    /// Use the batch's statistics, and update the running ones.
    pub training: bool,
    /// How much of the batch's statistics goes into the running ones.
    pub momentum: f64,
    /// Added to the variance.
    pub eps: f64,
}

impl Default for BatchNormOptions {
    fn default() -> Self {
        BatchNormOptions { training: false, momentum: 0.1, eps: 1e-5 }
    }
}

impl BatchNormOptions {
    /// Reads the settings from attributes in text form.
    ///
    /// # Errors
    /// Text of the wrong form.
    pub fn from_attrs(attrs: &Attrs) -> Result<Self> {
        let default = BatchNormOptions::default();
        Ok(BatchNormOptions {
            training: attrs.flag("training", default.training)?,
            momentum: attrs.or("momentum", default.momentum)?,
            eps: attrs.or("eps", default.eps)?,
        })
    }
}

impl Norm for BatchNormOptions {
    const NAME: &'static str = "batch_norm";
    const GRAD: &'static str = "batch_norm_grad";

    fn layout(&self, input: &Shape) -> Result<NormLayout> {
        let [n, c, len] = batch_of_channels(Self::NAME, input)?;
        if self.training && n * len == 1 {
            return Err(Error::shape(Self::NAME, "training needs more than one value per channel")
                .with("input", input)
                .expected("more than 1 value per channel when training")
                .help("use a larger batch or larger images, and leave no last batch of one image"));
        }
        if self.training && self.eps <= 0.0 {
            return Err(Error::argument(Self::NAME, format!("eps {} is not above 0", self.eps)));
        }
        Ok(NormLayout { groups: c, slices: n, len, run: len, cycle: c })
    }

    fn own(&self) -> bool {
        self.training
    }

    fn momentum(&self) -> f64 {
        self.momentum
    }

    /// By the usual convention, receptive fields ignore the dependence through the statistics.
    fn dependence(&self) -> Dependence {
        Dependence::Pointwise
    }
}

/// The output, and the new running mean and variance if the call had running statistics.
pub type Normalised = (Tensor, Option<[Tensor; 2]>);

impl Tensor {
    /// Normalises every channel of `[N, C, *]`: by the batch's statistics in training, else by the `running` mean and
    /// variance, `[C]` each. `weight` and `bias` are `[C]`. Also returns the new running statistics; nothing is changed
    /// in place. PyTorch: `F.batch_norm`.
    ///
    /// # Errors
    /// Shapes that disagree with the channels; a single value per channel in training; no running statistics outside
    /// training; a negative eps; dtypes that differ or are not f32 or f64.
    pub fn batch_norm(
        &self,
        running: Option<[&Tensor; 2]>,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        settings: BatchNormOptions,
    ) -> Result<Normalised> {
        Ok(with_running(normalise(settings, settings.eps, self, running, weight, bias, None)?))
    }
}

/// Splits an op's outputs into the output and the running statistics.
pub(super) fn with_running(outputs: crate::tensor::Outputs) -> Normalised {
    let mut outputs = outputs.into_iter();
    let output = outputs.next().expect("every op has a first output");
    (output, outputs.next().zip(outputs.next()).map(|(mean, var)| [mean, var]))
}

/// The inputs of an op with running statistics.
pub(super) const INPUTS: &[Input] = &[
    Input::new("input"),
    Input::new("running_mean").optional().constant(),
    Input::new("running_var").optional().constant(),
    Input::new("weight").optional(),
    Input::new("bias").optional(),
];

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "batch_norm",
    torch: "F.batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05)",
    inputs: INPUTS,
    outputs: &["output", "running_mean", "running_var"],
    attrs: &["training", "momentum", "eps"],
    layer: None,
    build: |attrs| {
        let norm = BatchNormOptions::from_attrs(attrs)?;
        Ok(Arc::new(Normalise { norm, eps: norm.eps, inputs: InputPositions::from_attrs(attrs) }))
    },
    cases,
};

/// Adds running statistics of `c` channels to a case.
pub(super) fn tracked(case: Case, c: usize) -> Case {
    case.input("running_mean", &[c]).filled("running_var", &[c], Fill::Uniform(0.5, 2.0))
}

/// Adds a weight and a bias to a case.
pub(super) fn affine(case: Case, dims: &[usize]) -> Case {
    case.input("weight", dims).input("bias", dims)
}

fn cases() -> Vec<Case> {
    let full = |label, attrs, input: &[usize]| {
        affine(tracked(Case::new(label, attrs).input("input", input), input[1]), &input[1..2])
    };
    let bare = |label, input: &[usize]| Case::new(label, "training=true").input("input", input);
    vec![
        full("training", "training=true", &[3, 2, 4, 5]),
        full("evaluating", "training=false", &[3, 2, 4, 5]),
        full("settings", "training=true momentum=0.3 eps=0.01", &[2, 3, 3, 3]),
        full("features", "training=true", &[7, 5]),
        full("features, evaluating", "eps=0.1", &[7, 5]),
        full("sequences", "training=true", &[4, 3, 6]),
        full("volumes", "training=true", &[2, 3, 2, 3, 2]),
        tracked(Case::new("no affine", "training=true").input("input", &[4, 3, 2, 2]), 3),
        tracked(Case::new("no affine, evaluating", "").input("input", &[4, 3, 2, 2]), 3),
        affine(bare("nothing tracked", &[3, 2, 4, 3]), &[2]),
        bare("bias only", &[3, 2, 4, 3]).input("bias", &[2]),
        bare("weight only", &[3, 2, 4, 3]).input("weight", &[2]),
        full("two values a channel", "training=true", &[2, 3, 1, 1]).edge(),
        full("one image", "training=true", &[1, 3, 2, 2]).edge(),
        full("one value, evaluating", "", &[1, 3, 1, 1]).edge(),
        full("empty batch", "training=true", &[0, 3, 2, 2]).edge(),
        full("empty batch, evaluating", "", &[0, 3, 2, 2]).edge(),
        full("resnet stage 1", "training=true", &[64, 64, 32, 32]).bench(),
        full("resnet stage 4", "training=true", &[64, 512, 4, 4]).bench(),
        full("resnet stage 1, evaluating", "", &[64, 64, 32, 32]).bench(),
        full("fully connected", "training=true", &[128, 512]).bench(),
    ]
}
