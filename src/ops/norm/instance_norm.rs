//! Instance normalisation: gives every channel of every sample mean 0 and standard deviation 1, then scales and shifts
//! it.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \hat{x} \, w_c + b_c \\
//! \hat{x} &= (x - m) \, r \qquad r = \frac{1}{\sqrt{v + \varepsilon}} \\
//! \mathrm{dw}_c &= \textstyle\sum \mathrm{dy} \, \hat{x} \\
//! \mathrm{db}_c &= \textstyle\sum \mathrm{dy}
//! \end{aligned}
//! ```
//!
//! The sums go over batch and pixels. With `use_input_stats` m and v are the mean and the biased variance over the n
//! pixels of one channel of one sample:
//!
//! ```math
//! \begin{aligned}
//! \mathrm{running} &\leftarrow (1 - \mathrm{momentum}) \, \mathrm{running}
//!   + \mathrm{momentum} \operatorname{mean}_{\mathrm{samples}} \bigl( m, \; v \, n / (n - 1) \bigr) \\
//! \mathrm{dx} &= r \, \bigl( g - \operatorname{mean}(g) - \hat{x} \operatorname{mean}(g \hat{x}) \bigr)
//!   \qquad g = \mathrm{dy} \, w_c
//! \end{aligned}
//! ```
//!
//! Else m and v are the running statistics, and `dx = r g`. Instance normalisation is
//! [batch normalisation](super::batch_norm) with each sample as a batch of its own. The gradient is derived in
//! `normalise.rs`. PyTorch: `F.instance_norm`; with `use_input_stats` a single pixel per channel is an error. Ulyanov,
//! Vedaldi, Lempitsky 2016.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, *]` | rank 2 and up |
//! | running_mean, running_var | `[C]` | optional with `use_input_stats` |
//! | weight, bias | `[C]` | optional |
//! | output | as input | |
//! | running_mean, running_var | `[C]` | present if given as inputs; unchanged unless `use_input_stats` |
//! | statistics | `[N C, 3]` or `[C, 3]`, f64 | mean, variance, inverse deviation; hidden, kept for backward |
//!
//! ```
//! use receptive::ops::instance_norm::InstanceNormOptions;
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 5.0, 20.0, 10.0], &[2, 1, 2])?;
//! let settings = InstanceNormOptions { eps: 1e-12, ..Default::default() };
//! let (y, _) = x.instance_norm(None, None, None, settings)?;
//! assert_eq!(y.to_vec::<f32>()?, [-1.0, 1.0, 1.0, -1.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::batch_norm::{INPUTS, Normalised, affine, tracked, with_running};
use super::normalise::{InputPositions, Norm, Normalise, normalise};
use crate::core::{Error, Result, Shape};
use crate::cpu::norm::NormLayout;
use crate::ops::images::batch_of_channels;
use crate::ops::{Case, OpSpec};
use crate::tensor::{Dependence, Tensor};
use std::sync::Arc;

/// The settings of `F.instance_norm`, with its defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstanceNormOptions {
    /// Use each sample's own statistics, and update the running ones.
    pub use_input_stats: bool,
    /// How much of the input's statistics goes into the running ones.
    pub momentum: f64,
    /// Added to the variance.
    pub eps: f64,
}

impl Default for InstanceNormOptions {
    fn default() -> Self {
        InstanceNormOptions { use_input_stats: true, momentum: 0.1, eps: 1e-5 }
    }
}

impl Norm for InstanceNormOptions {
    const NAME: &'static str = "instance_norm";
    const GRAD: &'static str = "instance_norm_grad";

    fn layout(&self, input: &Shape) -> Result<NormLayout> {
        let [n, c, len] = batch_of_channels(Self::NAME, input)?;
        if !self.use_input_stats {
            return Ok(NormLayout { groups: c, slices: n, len, run: len, cycle: c });
        }
        if len == 1 {
            return Err(Error::shape(
                Self::NAME,
                "a channel needs more than one pixel to compute a variance",
            )
            .with("input", input)
            .expected("more than 1 value per sample and channel")
            .help("use a larger image, or use_input_stats=false with running statistics"));
        }
        Ok(NormLayout { groups: n * c, slices: 1, len, run: len, cycle: c })
    }

    fn own(&self) -> bool {
        self.use_input_stats
    }

    fn momentum(&self) -> f64 {
        self.momentum
    }

    fn dependence(&self) -> Dependence {
        if self.use_input_stats { Dependence::Global } else { Dependence::Pointwise }
    }
}

impl Tensor {
    /// Normalises every channel of every sample of `[N, C, *]`: by its own statistics, or without `use_input_stats` by
    /// the `running` mean and variance, `[C]` each. `weight` and `bias` are `[C]`. Also returns the new running
    /// statistics; nothing is changed in place. PyTorch: `F.instance_norm`.
    ///
    /// # Errors
    /// Shapes that disagree with the channels; with `use_input_stats`, a single pixel per channel; without it, no
    /// running statistics; a negative eps.
    pub fn instance_norm(
        &self,
        running: Option<[&Tensor; 2]>,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        settings: InstanceNormOptions,
    ) -> Result<Normalised> {
        Ok(with_running(normalise(settings, settings.eps, self, running, weight, bias, None)?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "instance_norm",
    torch: "F.instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-05)",
    inputs: INPUTS,
    outputs: &["output", "running_mean", "running_var"],
    attrs: &["use_input_stats", "momentum", "eps"],
    layer: None,
    build: |attrs| {
        let default = InstanceNormOptions::default();
        let norm = InstanceNormOptions {
            use_input_stats: attrs.flag("use_input_stats", default.use_input_stats)?,
            momentum: attrs.or("momentum", default.momentum)?,
            eps: attrs.or("eps", default.eps)?,
        };
        Ok(Arc::new(Normalise { norm, eps: norm.eps, inputs: InputPositions::from_attrs(attrs) }))
    },
    cases,
};

fn cases() -> Vec<Case> {
    let bare = |label, attrs, input: &[usize]| Case::new(label, attrs).input("input", input);
    let full =
        |label, attrs, input: &[usize]| affine(tracked(bare(label, attrs, input), input[1]), &input[1..2]);
    vec![
        full("tracked", "momentum=0.3", &[3, 2, 4, 5]),
        full("running statistics", "use_input_stats=false", &[3, 2, 4, 5]),
        affine(bare("plain", "eps=0.01", &[2, 3, 3, 3]), &[3]),
        bare("no affine", "", &[4, 3, 6]),
        bare("weight only", "", &[2, 3, 5]).input("weight", &[3]),
        full("one sample", "", &[1, 3, 2, 2]).edge(),
        full("one pixel, running statistics", "use_input_stats=false", &[2, 3, 1, 1]).edge(),
        affine(bare("style transfer", "", &[4, 32, 64, 64]), &[32]).bench(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Device};

    /// An empty batch has no statistics: their average would be 0 / 0.
    #[test]
    fn an_empty_batch_leaves_the_running_statistics() {
        let cpu = Device::cpu().unwrap();
        let full = |value, dims: &[usize]| Tensor::full(&cpu, value, dims, DType::F32).unwrap();
        let (mean, var) = (full(3.0, &[2]), full(4.0, &[2]));
        let x = full(0.0, &[0, 2, 5]);
        let (y, running) = x.instance_norm(Some([&mean, &var]), None, None, Default::default()).unwrap();
        let [mean, var] = running.unwrap();
        assert_eq!(y.dims(), [0, 2, 5]);
        assert_eq!((mean.to_f64().unwrap(), var.to_f64().unwrap()), (vec![3.0; 2], vec![4.0; 2]));
    }
}
