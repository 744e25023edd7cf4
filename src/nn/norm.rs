//! Normalisation layers that treat each sample separately.

use super::norm_parts::{AffineParams, RunningStats, flag, python};
use super::{Ctx, Module, Visitor};
use crate::core::Result;
use crate::ops::instance_norm::InstanceNormOptions;
use crate::ops::local_response_norm::LocalResponseNormOptions;
use crate::tensor::Tensor;

/// PyTorch's default eps for all normalisations.
const EPS: f64 = 1e-5;

/// Normalises every sample over its last dimensions. `weight` and `bias` have the shape of these dimensions. PyTorch:
/// `nn.LayerNorm`.
///
/// ```
/// use receptive::nn::{LayerNorm, Module};
/// let text = "LayerNorm((5,), eps=1e-05, elementwise_affine=True, bias=True)";
/// assert_eq!(LayerNorm::new(&[5]).describe(), text);
/// ```
#[derive(Debug)]
pub struct LayerNorm {
    normalized_shape: Vec<usize>,
    affine: Option<AffineParams>,
    eps: f64,
}

impl LayerNorm {
    /// eps 1e-5, with one weight and one bias per element.
    pub fn new(normalized_shape: &[usize]) -> LayerNorm {
        let affine = Some(AffineParams::new(normalized_shape));
        LayerNorm { normalized_shape: normalized_shape.to_vec(), affine, eps: EPS }
    }

    /// Sets the number that is added to the variance.
    pub fn eps(self, eps: f64) -> LayerNorm {
        LayerNorm { eps, ..self }
    }

    /// The same layer without weight and bias.
    pub fn no_affine(self) -> LayerNorm {
        LayerNorm { affine: None, ..self }
    }
}

impl Module for LayerNorm {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        let [weight, bias] = AffineParams::values(&self.affine, cx)?;
        x.layer_norm(&self.normalized_shape, weight.as_ref(), bias.as_ref(), self.eps)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        AffineParams::visit(&self.affine, visitor);
    }

    fn kind(&self) -> &'static str {
        "LayerNorm"
    }

    fn describe(&self) -> String {
        let dims: Vec<String> = self.normalized_shape.iter().map(usize::to_string).collect();
        let comma = if dims.len() == 1 { "," } else { "" };
        let (shape, eps, affine) = (dims.join(", "), python(self.eps), flag(self.affine.is_some()));
        format!("LayerNorm(({shape}{comma}), eps={eps}, elementwise_affine={affine}, bias={affine})")
    }
}

/// Normalises groups of channels, separately for every sample. `weight [C]`, `bias [C]`. PyTorch: `nn.GroupNorm`.
///
/// ```
/// use receptive::nn::{GroupNorm, Module};
/// assert_eq!(GroupNorm::new(2, 6).describe(), "GroupNorm(2, 6, eps=1e-05, affine=True, bias=True)");
/// ```
#[derive(Debug)]
pub struct GroupNorm {
    groups: usize,
    channels: usize,
    affine: Option<AffineParams>,
    eps: f64,
}

impl GroupNorm {
    /// eps 1e-5, with one weight and one bias per channel. `groups` must divide `channels`.
    pub fn new(groups: usize, channels: usize) -> GroupNorm {
        GroupNorm { groups, channels, affine: Some(AffineParams::new(&[channels])), eps: EPS }
    }

    /// Sets the number that is added to the variance.
    pub fn eps(self, eps: f64) -> GroupNorm {
        GroupNorm { eps, ..self }
    }

    /// The same layer without weight and bias.
    pub fn no_affine(self) -> GroupNorm {
        GroupNorm { affine: None, ..self }
    }
}

impl Module for GroupNorm {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        let [weight, bias] = AffineParams::values(&self.affine, cx)?;
        x.group_norm(self.groups, weight.as_ref(), bias.as_ref(), self.eps)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        AffineParams::visit(&self.affine, visitor);
    }

    fn kind(&self) -> &'static str {
        "GroupNorm"
    }

    fn describe(&self) -> String {
        let GroupNorm { groups, channels, .. } = self;
        let (eps, affine) = (python(self.eps), flag(self.affine.is_some()));
        format!("GroupNorm({groups}, {channels}, eps={eps}, affine={affine}, bias={affine})")
    }
}

/// Normalises every channel of every image, `[N, C, H, W]` or `[C, H, W]`. PyTorch: `nn.InstanceNorm2d`. As there, by
/// default it has no parameters and keeps no statistics, and it never counts `num_batches_tracked`.
///
/// ```
/// use receptive::nn::{InstanceNorm2d, Module};
/// let text = "InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=False)";
/// assert_eq!(InstanceNorm2d::new(3).describe(), text);
/// ```
#[derive(Debug)]
pub struct InstanceNorm2d {
    channels: usize,
    affine: Option<AffineParams>,
    running: Option<RunningStats>,
    eps: f64,
    momentum: f64,
}

impl InstanceNorm2d {
    /// eps 1e-5, momentum 0.1, without parameters.
    pub fn new(channels: usize) -> InstanceNorm2d {
        let InstanceNormOptions { momentum, eps, .. } = InstanceNormOptions::default();
        InstanceNorm2d { channels, affine: None, running: None, eps, momentum }
    }

    /// Sets the number that is added to the variance.
    pub fn eps(self, eps: f64) -> InstanceNorm2d {
        InstanceNorm2d { eps, ..self }
    }

    /// Sets the weight of a batch in the running statistics.
    pub fn momentum(self, momentum: f64) -> InstanceNorm2d {
        InstanceNorm2d { momentum, ..self }
    }

    /// The same layer with weight and bias.
    pub fn affine(self) -> InstanceNorm2d {
        InstanceNorm2d { affine: Some(AffineParams::new(&[self.channels])), ..self }
    }

    /// The same layer with running statistics, which evaluation uses.
    pub fn track_running_stats(self) -> InstanceNorm2d {
        InstanceNorm2d { running: Some(RunningStats::new(self.channels)), ..self }
    }
}

impl Module for InstanceNorm2d {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        let single = if let &[c, h, w] = x.dims() { Some(x.reshape(&[1, c, h, w])?) } else { None };
        let [weight, bias] = AffineParams::values(&self.affine, cx)?;
        let running = self.running.as_ref().map(RunningStats::values).transpose()?;
        let tracks = cx.is_training() && !self.running.as_ref().is_some_and(RunningStats::is_frozen);
        let use_input_stats = tracks || running.is_none();
        let settings = InstanceNormOptions { use_input_stats, momentum: self.momentum, eps: self.eps };
        let (y, tracked) =
            single.as_ref().unwrap_or(x).instance_norm(running, weight.as_ref(), bias.as_ref(), settings)?;
        if let (true, Some(running), Some(tracked)) = (tracks, &self.running, tracked) {
            running.store(&tracked)?;
        }
        if single.is_some() { y.reshape(x.dims()) } else { Ok(y) }
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        AffineParams::visit(&self.affine, visitor);
        if let Some(running) = &self.running {
            running.visit(visitor);
        }
    }

    fn kind(&self) -> &'static str {
        "InstanceNorm2d"
    }

    fn describe(&self) -> String {
        let (eps, momentum, affine) = (python(self.eps), python(self.momentum), flag(self.affine.is_some()));
        let tracks = flag(self.running.is_some());
        format!(
            "InstanceNorm2d({}, eps={eps}, momentum={momentum}, affine={affine}, bias={affine}, track_running_stats={tracks})",
            self.channels
        )
    }
}

/// Divides every value by `(k + alpha * m)^beta`, where m is the mean square over the neighbouring channels. PyTorch:
/// `nn.LocalResponseNorm`.
///
/// ```
/// use receptive::nn::{LocalResponseNorm, Module};
/// let text = "LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=1.0)";
/// assert_eq!(LocalResponseNorm::new(5).describe(), text);
/// ```
#[derive(Debug)]
pub struct LocalResponseNorm(LocalResponseNormOptions);

impl LocalResponseNorm {
    /// Windows of `size` channels; alpha 1e-4, beta 0.75, k 1.
    pub fn new(size: usize) -> LocalResponseNorm {
        LocalResponseNorm(LocalResponseNormOptions::new(size))
    }

    /// Sets alpha, the factor of the mean square.
    pub fn alpha(self, alpha: f64) -> LocalResponseNorm {
        LocalResponseNorm(LocalResponseNormOptions { alpha, ..self.0 })
    }

    /// Sets beta, the power.
    pub fn beta(self, beta: f64) -> LocalResponseNorm {
        LocalResponseNorm(LocalResponseNormOptions { beta, ..self.0 })
    }

    /// Sets k, the number that is added to the mean square.
    pub fn k(self, k: f64) -> LocalResponseNorm {
        LocalResponseNorm(LocalResponseNormOptions { k, ..self.0 })
    }
}

impl Module for LocalResponseNorm {
    fn forward(&self, _cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        x.local_response_norm(self.0)
    }

    fn kind(&self) -> &'static str {
        "LocalResponseNorm"
    }

    fn describe(&self) -> String {
        let LocalResponseNormOptions { size, alpha, beta, k } = self.0;
        format!("LocalResponseNorm({size}, alpha={}, beta={}, k={})", python(alpha), python(beta), python(k))
    }
}
