//! Layers that run one after another.

use super::fuse::{NamedLayer, run_layers};
use super::{BeforeLoss, Ctx, Fusion, Module, Visitor};
use crate::core::Result;
use crate::tensor::Tensor;

/// Runs its layers one after another. A layer without a name is named by its position, as in PyTorch's `nn.Sequential`.
///
/// ```
/// use receptive::nn::{Flatten, Linear, ModuleExt, Relu, Sequential};
/// let net = Sequential::new().push(Flatten).push(Linear::new(784, 50)).push(Relu).push(Linear::new(50, 10));
/// let names: Vec<String> = net.params().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["1.weight", "1.bias", "3.weight", "3.bias"]);
/// ```
#[derive(Default)]
pub struct Sequential {
    layers: Vec<NamedLayer>,
}

impl Sequential {
    /// A sequence without layers, which returns its input.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// The number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there are no layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Its layers.
    pub(super) fn layers(&self) -> &[NamedLayer] {
        &self.layers
    }

    /// Adds a layer named by its position.
    pub fn push(self, layer: impl Module + 'static) -> Sequential {
        let name = self.len().to_string();
        self.named(&name, layer)
    }

    /// Adds a layer with a name. A dot in it separates two names, as in `linears.0`. An empty name is an error of
    /// [`init`](super::ModuleExt::init).
    pub fn named(mut self, name: &str, layer: impl Module + 'static) -> Sequential {
        self.layers.push((name.to_owned(), Box::new(layer)));
        self
    }
}

impl Module for Sequential {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        run_layers(cx, &self.layers, x)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        for (name, layer) in &self.layers {
            visitor.child(name, &**layer);
        }
    }

    fn kind(&self) -> &'static str {
        "Sequential"
    }

    fn fusion(&self) -> Fusion<'_> {
        match self.layers.last() {
            Some((_, last)) if matches!(last.fusion(), Fusion::LogSoftmax) => Fusion::BeforeLoss(self),
            _ => Fusion::None,
        }
    }
}

impl BeforeLoss for Sequential {
    fn scores(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        let body = self.layers.split_last().map_or(&[][..], |(_, body)| body);
        run_layers(cx, body, x)
    }
}
