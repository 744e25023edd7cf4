//! The networks, one row each in [`MODELS`]: the notebooks' layers, names and training settings.
//!
//! Each file reads as the notebook's own description; a network is built for an input shape, so the first fully
//! connected layer always fits.

mod lenet;
mod mlp;
mod vgg;

use crate::core::{Error, ErrorKind, Result};
use crate::nn::{Loss, Module};
use crate::optim::Schedule;

/// What a network is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelConfig {
    /// Channels, height, width.
    pub input: [usize; 3],
    /// The number of classes.
    pub classes: usize,
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
    pub schedule: Schedule,
}

/// One row of the zoo.
pub struct ModelSpec {
    /// As on the command line.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// The input it is made for.
    pub input: [usize; 3],
    /// What its output is trained against.
    pub loss: Loss,
    /// The notebook's settings.
    pub recipe: Recipe,
    /// Describes the layers; the result has no values until it is initialised.
    pub build: fn(&ModelConfig) -> Result<Box<dyn Module>>,
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
        schedule: Schedule::Constant,
    }
}

/// Every network.
pub static MODELS: &[ModelSpec] = &[
    ModelSpec {
        name: "softmax",
        about: "a linear classifier: softmax regression on pixels",
        input: [1, 28, 28],
        loss: Loss::Nll,
        recipe: mnist(10),
        build: mlp::softmax,
    },
    ModelSpec {
        name: "mlp2",
        about: "two linear layers with nothing between: still a linear classifier",
        input: [1, 28, 28],
        loss: Loss::Nll,
        recipe: mnist(10),
        build: mlp::mlp2,
    },
    ModelSpec {
        name: "mlp",
        about: "five linear layers with ReLU between",
        input: [1, 28, 28],
        loss: Loss::Nll,
        recipe: mnist(10),
        build: mlp::mlp,
    },
    ModelSpec {
        name: "lenet5",
        about: "LeCun's LeNet-5 (1998) with ReLU and max pooling",
        input: [1, 28, 28],
        loss: Loss::Nll,
        recipe: mnist(5),
        build: lenet::lenet5,
    },
    ModelSpec {
        name: "minivgg",
        about: "VGG's idea in small: pairs of 3x3 convolutions",
        input: [1, 28, 28],
        loss: Loss::Nll,
        recipe: mnist(5),
        build: vgg::minivgg,
    },
];

/// The names of all networks, for messages.
pub fn names() -> String {
    MODELS.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ")
}

/// The row with this name.
///
/// # Errors
/// No such network; the message lists all.
pub fn find(name: &str) -> Result<&'static ModelSpec> {
    MODELS.iter().find(|spec| spec.name == name).ok_or_else(|| {
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
