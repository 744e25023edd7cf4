//! How parameters are drawn.
//!
//! PyTorch's default for conv and linear layers is `kaiming_uniform_(a = sqrt 5)`, which works out to
//! `U(-1/sqrt(fan_in), 1/sqrt(fan_in))` for weight and bias alike. Xavier (Glorot & Bengio 2010) keeps the variance of
//! activations and of gradients: `U(-b, b)` with `b = sqrt(6 / (fan_in + fan_out))`.

use crate::core::Key;

/// The rule one parameter is drawn by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Every element this value.
    Constant(f64),
    /// Uniform in `[-bound, bound)`.
    Uniform(f64),
}

/// A rule for a whole model, over the layers' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// Each layer's own: PyTorch's defaults.
    #[default]
    Default,
    /// Xavier-uniform for every `weight` of two or more dimensions; the rest keep their own.
    Xavier,
}

impl Init {
    /// PyTorch's default for a layer with `fan_in` inputs to each output.
    pub fn fan_in(fan_in: usize) -> Init {
        // A layer without inputs has nothing to draw.
        Init::Uniform(1.0 / (fan_in.max(1) as f64).sqrt())
    }

    /// Xavier-uniform for a weight `[out, in, ...]`; trailing dimensions are the receptive field.
    pub fn xavier(dims: &[usize]) -> Init {
        let field: usize = dims[2..].iter().product();
        let fans = (dims[0] + dims[1]) * field;
        Init::Uniform((6.0 / fans.max(1) as f64).sqrt())
    }

    /// `count` values.
    pub(crate) fn draw(self, count: usize, key: Key) -> Vec<f64> {
        let n = count as u64;
        match self {
            Init::Constant(value) => vec![value; count],
            Init::Uniform(bound) => (0..n).map(|i| (2.0 * key.uniform(i) - 1.0) * bound).collect(),
        }
    }
}

impl Scheme {
    /// What this scheme draws the parameter `path` by, when it overrides the layer.
    pub(crate) fn rule(self, path: &str, dims: &[usize]) -> Option<Init> {
        let weight = path.rsplit('.').next() == Some("weight");
        (self == Scheme::Xavier && weight && dims.len() >= 2).then(|| Init::xavier(dims))
    }
}
