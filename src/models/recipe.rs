//! Default training settings of a network.

use crate::core::{Error, Named, Result};
use crate::data::{Augment, Normalization};
use crate::nn::Scheme;
use crate::optim::Schedule;
use std::borrow::Cow;
use std::str::FromStr;

/// The optimisers by their names on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    Sgd,
    Adam,
    Adamw,
}

impl Named for OptimizerKind {
    const WHAT: &'static str = "optimizer";
    const NAMES: &'static [(&'static str, OptimizerKind)] =
        &[("sgd", OptimizerKind::Sgd), ("adam", OptimizerKind::Adam), ("adamw", OptimizerKind::Adamw)];
}

impl FromStr for OptimizerKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<OptimizerKind> {
        Self::named(text)
    }
}

/// The notebook's training settings for a network. They are the defaults of `receptive train`.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    pub data: Cow<'static, str>,
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
    /// The side to which its images are resized; `None` keeps the set's own size.
    pub resize: Option<usize>,
    /// How its notebooks prepare a set's images, if they do not use the set's own way.
    pub prepare: &'static [Prepare],
}

/// How a set's images become a network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepare {
    /// The data set.
    pub data: &'static str,
    pub augment: Augment,
    pub normalize: Normalization,
}

impl Recipe {
    /// Plain SGD at a constant rate.
    pub fn sgd(data: &'static str, batch_size: usize, epochs: usize, lr: f64) -> Recipe {
        Recipe {
            data: Cow::Borrowed(data),
            batch_size,
            epochs,
            optimizer: OptimizerKind::Sgd,
            lr,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            schedule: Schedule::Constant,
            scheme: Scheme::Default,
            resize: None,
            prepare: &[],
        }
    }

    /// Adam at a constant rate.
    pub fn adam(data: &'static str, batch_size: usize, epochs: usize, lr: f64) -> Recipe {
        Recipe { optimizer: OptimizerKind::Adam, ..Recipe::sgd(data, batch_size, epochs, lr) }
    }

    /// Fashion-MNIST, as the rows F use it: plain SGD, and weights drawn by Xavier's rule.
    pub(super) fn fashion(batch_size: usize, epochs: usize, lr: f64) -> Recipe {
        Recipe { scheme: Scheme::Xavier, ..Recipe::sgd("fashion-mnist", batch_size, epochs, lr) }
    }

    /// The breeds of Oxford-IIIT Pets at 224x224, for torchvision's networks.
    pub(super) fn pets() -> Recipe {
        Recipe::sgd("pets", 32, 10, 0.01).momentum(0.9).resize(224)
    }

    /// The same recipe with weights drawn as torchvision draws them for residual networks.
    pub(super) fn kaiming(self) -> Recipe {
        Recipe { scheme: Scheme::Kaiming, ..self }
    }

    /// The same recipe with this momentum.
    pub fn momentum(self, momentum: f64) -> Recipe {
        Recipe { momentum, ..self }
    }

    /// The same recipe with images prepared in this way.
    pub(super) fn prepare(self, prepare: &'static [Prepare]) -> Recipe {
        Recipe { prepare, ..self }
    }

    /// The same recipe with images of this side.
    pub fn resize(self, side: usize) -> Recipe {
        Recipe { resize: Some(side), ..self }
    }
}
