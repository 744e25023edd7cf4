//! The networks, one row each in [`MODELS`]: the notebooks' layers, names and training settings.
//!
//! Each file reads as the notebook's own description; a network is built for an input shape, so the first fully
//! connected layer always fits.

mod lenet;
mod mlp;
mod network;
mod vgg;

pub use network::Network;

use crate::core::{Error, ErrorKind, Result};
use crate::nn::{Loss, Module, Scheme};
use crate::optim::Schedule;

/// What a network is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelConfig {
    /// Channels, height, width.
    pub input: [usize; 3],
    /// The number of classes, or of mask channels.
    pub classes: usize,
    /// Channels of the first stage, for networks whose row has a [`width`](ModelSpec::width); `None`: the row's.
    pub width: Option<usize>,
}

impl ModelConfig {
    /// For images `[C, H, W]` and this many outputs, at the network's own width.
    pub fn new(input: [usize; 3], classes: usize) -> ModelConfig {
        ModelConfig { input, classes, width: None }
    }
}

/// The optimisers by their names on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    Sgd,
    Adam,
    Adamw,
}

/// How the notebook trains a network: the defaults of `receptive train`.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    pub data: &'static str,
    pub batch_size: usize,
    pub epochs: usize,
    pub optimizer: OptimizerKind,
    pub lr: f64,
    pub momentum: f64,
    pub nesterov: bool,
    pub weight_decay: f64,
    pub schedule: Schedule,
    /// How the weights are drawn.
    pub scheme: Scheme,
    /// The side its images are resized to; `None`: the set's own size.
    pub resize: Option<usize>,
}

/// One row of the zoo.
pub struct ModelSpec {
    /// As on the command line.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// The input it is made for.
    pub input: [usize; 3],
    /// The outputs it is made for.
    pub classes: usize,
    /// Channels of its first stage, where a user may choose them.
    pub width: Option<usize>,
    /// What its output is trained against.
    pub loss: Loss,
    /// The notebook's settings.
    pub recipe: Recipe,
    /// Describes the layers; the result has no values until it is initialised.
    pub build: fn(&ModelConfig) -> Result<Box<dyn Module>>,
}

impl ModelSpec {
    /// A row with the settings most rows share: ten classes, trained by `nll_loss` on log-probabilities.
    const fn new(
        name: &'static str,
        about: &'static str,
        input: [usize; 3],
        recipe: Recipe,
        build: fn(&ModelConfig) -> Result<Box<dyn Module>>,
    ) -> ModelSpec {
        ModelSpec { name, about, input, classes: 10, width: None, loss: Loss::Nll, recipe, build }
    }
}

/// MNIST with plain SGD, as rows M3, M4, M7 and M8 of the notebooks.
const fn mnist(epochs: usize) -> Recipe {
    Recipe {
        data: "mnist",
        batch_size: 64,
        epochs,
        optimizer: OptimizerKind::Sgd,
        lr: 0.01,
        momentum: 0.5,
        nesterov: false,
        weight_decay: 0.0,
        schedule: Schedule::Constant,
        scheme: Scheme::Default,
        resize: None,
    }
}

const MNIST: [usize; 3] = [1, 28, 28];

/// Every network.
pub static MODELS: &[ModelSpec] = &[
    ModelSpec::new(
        "softmax",
        "a linear classifier: softmax regression on pixels",
        MNIST,
        mnist(10),
        mlp::softmax,
    ),
    ModelSpec::new(
        "mlp2",
        "two linear layers with nothing between: still a linear classifier",
        MNIST,
        mnist(10),
        mlp::mlp2,
    ),
    ModelSpec::new("mlp", "five linear layers with ReLU between", MNIST, mnist(10), mlp::mlp),
    ModelSpec::new(
        "lenet5",
        "LeCun's LeNet-5 (1998) with ReLU and max pooling",
        MNIST,
        mnist(5),
        lenet::lenet5,
    ),
    ModelSpec::new(
        "minivgg",
        "VGG's idea in small: pairs of 3x3 convolutions",
        MNIST,
        mnist(5),
        vgg::minivgg,
    ),
];

/// The names of all networks, for messages.
pub fn names() -> String {
    MODELS.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ")
}

/// The network with this name.
///
/// # Errors
/// No such network; the message lists all.
pub fn find(name: &str) -> Result<Network> {
    MODELS.iter().find(|spec| spec.name == name).map(Network::from).ok_or_else(|| {
        Error::new(ErrorKind::Missing, "model", format!("there is no model `{name}`"))
            .expected(format!("one of {}", names()))
    })
}

/// Follows the image's height and width through windows `(kernel, stride, padding)`.
fn image_after(model: &str, config: &ModelConfig, windows: &[(usize, usize, usize)]) -> Result<[usize; 2]> {
    let [_, h, w] = config.input;
    let mut sizes = [h, w];
    for &(kernel, stride, padding) in windows {
        for size in &mut sizes {
            let room = (*size + 2 * padding).checked_sub(kernel);
            *size = room.map_or(0, |room| room / stride + 1);
        }
    }
    if sizes.contains(&0) {
        return Err(Error::shape(
            model,
            "the image is too small: nothing is left of it after the convolutions",
        )
        .with("input", format_args!("{:?} [C, H, W]", config.input)));
    }
    Ok(sizes)
}
