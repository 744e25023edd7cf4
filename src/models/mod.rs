//! The networks, one row per network in [`MODELS`], with the notebooks' layers, names and training settings.
//!
//! Each file is one family of networks. It reads like the notebook: a row with the settings, then the layers. A network
//! is built for an input shape, so the first fully connected layer always fits.

mod alexnet;
mod arch;
mod googlenet;
mod layers;
mod lenet;
mod mlp;
mod network;
mod recipe;
mod resnet;
mod resnet9;
mod unet;
mod vgg;

pub use arch::from_arch;
pub use layers::{LayerChoice, LayerSize, LayerSizes, layer_choices};
pub use network::Network;
pub use recipe::{OptimizerKind, Prepare, Recipe};

use crate::core::{DType, Error, ErrorKind, Result};
use crate::nn::{Ctx, Loss, Module, ModuleExt, Sequential};
use crate::tensor::{Device, Tensor};

/// The sizes for which a network is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelConfig {
    /// Channels, height, width.
    pub input: [usize; 3],
    /// The number of classes, or of mask channels.
    pub classes: usize,
    /// Channels of the first stage, for networks whose row has a [`width`](ModelSpec::width). `None` means the row's
    /// width.
    pub width: Option<usize>,
    /// Sizes of the layers, for networks whose row lets you choose them. `None` means the row's sizes.
    pub layers: Option<LayerSizes>,
}

impl ModelConfig {
    /// For images `[C, H, W]` and this many outputs, with the network's own layers.
    pub fn new(input: [usize; 3], classes: usize) -> ModelConfig {
        ModelConfig { input, classes, width: None, layers: None }
    }

    /// The same with these sizes of the layers.
    pub fn with_layers(self, layers: impl Into<LayerSizes>) -> ModelConfig {
        ModelConfig { layers: Some(layers.into()), ..self }
    }
}

/// One row of the table of networks.
pub struct ModelSpec {
    /// The name on the command line.
    pub name: &'static str,
    /// A description in one line.
    pub about: &'static str,
    /// The input for which it was designed.
    pub input: [usize; 3],
    /// The number of outputs for which it was designed.
    pub classes: usize,
    /// Channels of its first stage, if the user may choose them.
    pub width: Option<usize>,
    /// The sizes of its layers, if the user may choose them.
    pub layers: Option<LayerChoice>,
    /// The loss with which it is trained.
    pub loss: Loss,
    /// The notebook's settings.
    pub recipe: fn() -> Recipe,
    /// Describes the layers. The result has no values until it is initialised.
    pub build: fn(&ModelConfig) -> Result<Box<dyn Module>>,
}

impl ModelSpec {
    /// A row with the most common values: ten classes, trained by `nll_loss` on log-probabilities.
    const fn new(
        name: &'static str,
        about: &'static str,
        input: [usize; 3],
        recipe: fn() -> Recipe,
        build: fn(&ModelConfig) -> Result<Box<dyn Module>>,
    ) -> ModelSpec {
        ModelSpec {
            name,
            about,
            input,
            classes: 10,
            width: None,
            layers: None,
            loss: Loss::Nll,
            recipe,
            build,
        }
    }

    /// The same row for a network that ends in logits.
    const fn logits(self) -> ModelSpec {
        ModelSpec { loss: Loss::CrossEntropy, ..self }
    }

    /// The same row for a network whose layers' sizes can be chosen.
    const fn layers(self, layers: LayerChoice) -> ModelSpec {
        ModelSpec { layers: Some(layers), ..self }
    }

    /// The same row with this number of outputs.
    const fn classes(self, classes: usize) -> ModelSpec {
        ModelSpec { classes, ..self }
    }
}

const MNIST: [usize; 3] = [1, 28, 28];
const CIFAR: [usize; 3] = [3, 32, 32];
const IMAGENET: [usize; 3] = [3, 224, 224];

/// Every network.
pub static MODELS: &[&ModelSpec] = &[
    &mlp::SOFTMAX,
    &mlp::MLP2,
    &mlp::MLP,
    &lenet::LENET5,
    &lenet::LENET5_TANH,
    &lenet::LENET5_BN,
    &vgg::MINIVGG,
    &alexnet::ALEXNET,
    &vgg::VGG11,
    &vgg::VGG11_SMALL,
    &googlenet::GOOGLENET,
    &resnet::RESNET_CIFAR,
    &resnet9::RESNET9,
    &resnet::RESNET18,
    &unet::UNET,
    &unet::UNET_RESNET34,
    &alexnet::TV_ALEXNET,
    &vgg::TV_VGG11,
    &vgg::TV_VGG13,
    &vgg::TV_VGG16,
    &vgg::TV_VGG19,
    &resnet::TV_RESNET18,
    &resnet::TV_RESNET34,
    &resnet::TV_RESNET50,
    &resnet::TV_RESNET101,
    &resnet::TV_RESNET152,
    &googlenet::TV_GOOGLENET,
];

/// The names of all networks, for messages.
pub fn names() -> String {
    MODELS.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ")
}

/// The network with this name.
///
/// # Errors
/// No network has this name. The message lists all names.
pub fn find(name: &str) -> Result<Network> {
    MODELS.iter().find(|spec| spec.name == name).map(|&spec| Network::from(spec)).ok_or_else(|| {
        let known: Vec<&str> = MODELS.iter().map(|spec| spec.name).collect();
        Error::new(ErrorKind::Missing, "model", format!("there is no model `{name}`"))
            .expected(format!("one of {}", names()))
            .like(name, &known)
    })
}

/// The convolutional part of a network, and the number of features that its first fully connected layer takes. To find
/// that number, a second copy is run on the meta device.
fn with_features(
    model: &str,
    config: &ModelConfig,
    convolutions: impl Fn(&ModelConfig) -> Sequential,
) -> Result<(Sequential, usize)> {
    let (meta, probe, [c, h, w]) = (Device::meta(), convolutions(config), config.input);
    probe.init(&meta, DType::F32, 0)?;
    let x = Tensor::zeros(&meta, &[1, c, h, w], DType::F32)?;
    match probe.forward(&Ctx::eval(model), &x) {
        Ok(y) => Ok((convolutions(config), y.numel())),
        Err(_) => Err(Error::shape(model, "the image is too small: the convolutions reduce it to nothing")
            .with("input", format_args!("{:?} [C, H, W]", config.input))),
    }
}
