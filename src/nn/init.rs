//! How the initial values of parameters are drawn.

use crate::core::{Error, Key, Named, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The rule by which one parameter's values are drawn.
///
/// ```math
/// \begin{aligned}
/// \text{default:} \quad w &\sim U(-b, b) & b &= \frac{1}{\sqrt{\text{fan\_in}}} \\
/// \text{Xavier:} \quad w &\sim U(-b, b) & b &= \sqrt{\frac{6}{\text{fan\_in} + \text{fan\_out}}} \\
/// \text{Kaiming:} \quad w &\sim N(0, \sigma^2) & \sigma &= \sqrt{\frac{2}{\text{fan\_out}}}
/// \end{aligned}
/// ```
///
/// PyTorch's default for weight and bias of conv and linear layers is `kaiming_uniform_(a = sqrt 5)`, which equals the
/// first line. Xavier (Glorot & Bengio 2010) keeps the variance of activations and of gradients. Kaiming's rule (He et
/// al. 2015) allows for ReLU, which sets half of the values to 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Every element has this value.
    Constant(f64),
    /// Uniform in `[-bound, bound)`.
    Uniform(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

/// A rule for a whole model, instead of the layers' own: `default`, `xavier`, `glorot` or `kaiming`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Each layer's own rule: PyTorch's defaults.
    #[default]
    Default,
    /// Xavier-uniform for every `weight` of two or more dimensions. All others keep the layer's own rule. PyTorch:
    /// `xavier_uniform_`.
    Xavier,
    /// As Xavier, and each bias is drawn with the bound of its weight. scikit-learn: `MLPClassifier` (with ReLU).
    Glorot,
    /// Kaiming-normal by `fan_out` for the weights of convolutions, and 0 for their biases. All others keep the layer's
    /// own rule, as in torchvision's ResNet. PyTorch: `kaiming_normal_(mode="fan_out", nonlinearity="relu")`.
    Kaiming,
}

impl Init {
    /// PyTorch's default for a layer with `fan_in` inputs per output.
    pub fn fan_in(fan_in: usize) -> Init {
        // A layer without inputs has no weights to draw, but must not divide by 0.
        Init::Uniform(1.0 / (fan_in.max(1) as f64).sqrt())
    }

    /// Xavier-uniform for a weight `[out, in, ...]`; trailing dimensions are the receptive field.
    pub fn xavier(dims: &[usize]) -> Init {
        let fans = (dims[0] + dims[1]) * field(dims);
        Init::Uniform((6.0 / fans.max(1) as f64).sqrt())
    }

    /// Kaiming-normal for a weight `[out, in, ...]` before ReLU, by the number of outputs that each input reaches.
    pub fn kaiming(dims: &[usize]) -> Init {
        let fan_out = dims[0] * field(dims);
        Init::Normal((2.0 / fan_out.max(1) as f64).sqrt())
    }

    /// `count` values, or `None` if there is no memory for them.
    pub(crate) fn draw(self, count: usize, key: Key) -> Option<Vec<f64>> {
        let mut values = Vec::new();
        values.try_reserve_exact(count).ok()?;
        let n = 0..count as u64;
        match self {
            Init::Constant(value) => values.resize(count, value),
            Init::Uniform(bound) => values.extend(n.map(|i| (2.0 * key.uniform(i) - 1.0) * bound)),
            Init::Normal(deviation) => values.extend(n.map(|i| key.normal(i) * deviation)),
        }
        Some(values)
    }
}

/// Elements of the receptive field of a weight `[out, in, ...]`.
fn field(dims: &[usize]) -> usize {
    dims[2..].iter().product()
}

impl Named for Scheme {
    const WHAT: &'static str = "scheme";
    const NAMES: &'static [(&'static str, Scheme)] = &[
        ("default", Scheme::Default),
        ("xavier", Scheme::Xavier),
        ("glorot", Scheme::Glorot),
        ("kaiming", Scheme::Kaiming),
    ];
}

impl Scheme {
    /// The rule with which this scheme overrides the layer's for the parameter `path`, or `None`. `dims` are the
    /// parameter's dimensions, `weight` those of the `weight` in the same layer.
    pub(crate) fn rule(self, path: &str, dims: &[usize], weight: Option<&[usize]>) -> Option<Init> {
        let of = weight.filter(|weight| weight.len() >= 2)?;
        match (self, path.rsplit('.').next()?) {
            (Scheme::Xavier | Scheme::Glorot, "weight") => Some(Init::xavier(dims)),
            (Scheme::Glorot, "bias") => Some(Init::xavier(of)),
            (Scheme::Kaiming, "weight") if of.len() == 4 => Some(Init::kaiming(dims)),
            (Scheme::Kaiming, "bias") if of.len() == 4 => Some(Init::Constant(0.0)),
            _ => None,
        }
    }
}

impl FromStr for Scheme {
    type Err = Error;

    fn from_str(text: &str) -> Result<Scheme> {
        Self::named(text)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_convert_both_ways() {
        for &(name, scheme) in Scheme::NAMES {
            assert_eq!(name.parse::<Scheme>().unwrap(), scheme);
            assert_eq!(scheme.to_string(), name);
            assert_eq!(serde_json::to_value(scheme).unwrap(), name);
            assert_eq!(serde_json::from_value::<Scheme>(name.into()).unwrap(), scheme);
        }
        assert!("he".parse::<Scheme>().unwrap_err().to_string().contains("`he`"));
    }

    /// The bounds and deviations are those of scikit-learn and PyTorch. Norms and buffers keep their own rules.
    #[test]
    fn every_scheme_knows_its_parameters() {
        let (linear, conv, norm) = ([100, 784], [64, 3, 7, 7], [64]);
        let glorot = Init::Uniform((6.0f64 / 884.0).sqrt());
        assert_eq!(Scheme::Glorot.rule("fc.weight", &linear, Some(&linear)), Some(glorot));
        assert_eq!(Scheme::Glorot.rule("fc.bias", &[100], Some(&linear)), Some(glorot));
        assert_eq!(Scheme::Xavier.rule("fc.weight", &linear, Some(&linear)), Some(glorot));
        assert_eq!(Scheme::Xavier.rule("fc.bias", &[100], Some(&linear)), None);
        let kaiming = Init::Normal((2.0f64 / (64.0 * 49.0)).sqrt());
        assert_eq!(Scheme::Kaiming.rule("conv1.weight", &conv, Some(&conv)), Some(kaiming));
        assert_eq!(Scheme::Kaiming.rule("conv1.bias", &[64], Some(&conv)), Some(Init::Constant(0.0)));
        assert_eq!(Scheme::Kaiming.rule("fc.weight", &linear, Some(&linear)), None);
        for &(_, scheme) in Scheme::NAMES {
            assert_eq!(scheme.rule("bn1.weight", &norm, Some(&norm)), None);
            assert_eq!(scheme.rule("bn1.bias", &norm, Some(&norm)), None);
            assert_eq!(scheme.rule("bn1.running_mean", &norm, Some(&norm)), None);
        }
    }

    #[test]
    fn normal_has_its_deviation() {
        let drawn = Init::Normal(0.25).draw(20_000, Key::new(1)).unwrap();
        let mean = drawn.iter().sum::<f64>() / 20_000.0;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.01 && (variance.sqrt() - 0.25).abs() < 0.005, "{mean} {variance}");
    }
}
