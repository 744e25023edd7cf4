//! A network that can be built and trained: from a row of the table or from an arch file.

use super::{LayerChoice, ModelConfig, ModelSpec, Recipe, layer_choices};
use crate::core::{Error, Named, Result};
use crate::nn::{Loss, Module};
use std::fmt;
use std::sync::Arc;

type Build = dyn Fn(&ModelConfig) -> Result<Box<dyn Module>> + Send + Sync;

/// What the trainer, the benches and the inspection tools know about a network.
#[derive(Clone)]
pub struct Network {
    /// Its name in messages, and the root of the paths in errors.
    pub name: String,
    /// The input for which it was designed, `[C, H, W]`.
    pub input: [usize; 3],
    /// The number of outputs for which it was designed.
    pub classes: usize,
    /// The loss with which it is trained.
    pub loss: Loss,
    /// Its default training settings.
    pub recipe: Recipe,
    /// Channels of its first stage, if the user may choose them.
    pub width: Option<usize>,
    /// The sizes of its layers, if the user may choose them.
    pub layers: Option<LayerChoice>,
    /// The text of its arch file, if it has one. With it a run can be repeated without the file.
    pub arch: Option<String>,
    build: Arc<Build>,
}

impl From<&'static ModelSpec> for Network {
    fn from(spec: &'static ModelSpec) -> Network {
        let network = Network::new(spec.name, spec.input, spec.classes, (spec.recipe)(), spec.build);
        Network { loss: spec.loss, width: spec.width, layers: spec.layers, ..network }
    }
}

impl Network {
    /// A network that ends in logits and lets the user choose nothing about its layers.
    pub(super) fn new(
        name: &str,
        input: [usize; 3],
        classes: usize,
        recipe: Recipe,
        build: impl Fn(&ModelConfig) -> Result<Box<dyn Module>> + Send + Sync + 'static,
    ) -> Network {
        let (name, build) = (name.to_owned(), Arc::new(build));
        let loss = Loss::CrossEntropy;
        Network { name, input, classes, loss, recipe, width: None, layers: None, arch: None, build }
    }

    /// The same network with another loss. Cross entropy accepts log-probabilities as well as logits.
    ///
    /// # Errors
    /// A loss that does not fit the output: a loss for classes on masks, a loss for masks on classes, or `nll` on
    /// logits.
    pub fn with_loss(self, loss: Loss) -> Result<Network> {
        let name = &self.name;
        let (what, fitting) = match (self.loss, loss) {
            (own, loss) if own.takes_masks() != loss.takes_masks() => match own.takes_masks() {
                true => (
                    format!("is a loss for classes, and {name} predicts a mask"),
                    "bce_with_logits, dice or bce_dice",
                ),
                false => {
                    (format!("is a loss for masks, and {name} predicts classes"), "nll or cross_entropy")
                }
            },
            (Loss::CrossEntropy, Loss::Nll) => {
                (format!("needs log-probabilities, and the output of {name} is logits"), "cross_entropy")
            }
            _ => return Ok(Network { loss, ..self }),
        };
        Err(Error::argument("`config.loss`", format!("{} {what}", loss.name())).expected(fitting))
    }

    /// Describes the layers for `config`. The result has no values until it is initialised.
    ///
    /// # Errors
    /// An image that is too small for the network; a width or sizes of layers that are out of range, or that this
    /// network does not let the user choose.
    pub fn build(&self, config: &ModelConfig) -> Result<Box<dyn Module>> {
        if config.layers.is_some() && self.layers.is_none() {
            return Err(self.no_choice_of_layers());
        }
        match (config.width, self.width) {
            (Some(_), None) => {
                Err(Error::argument("`config.width`", format!("the width of {} cannot be chosen", self.name))
                    .help("omit it"))
            }
            (Some(0), _) => Err(Error::argument("`config.width`", "0 is out of range").expected("1 or more")),
            (width, own) => (self.build)(&ModelConfig { width: width.or(own), ..config.clone() }),
        }
    }

    fn no_choice_of_layers(&self) -> Error {
        let what = format!("the sizes of the layers of {} cannot be chosen", self.name);
        let names: Vec<&str> = layer_choices().map(|(name, _)| name).collect();
        let error = Error::argument("`config.layers`", what);
        match &self.arch {
            Some(_) => error.help("change the sizes in the arch file"),
            None => error.expected(format!("one of the networks {}", names.join(", "))).help("omit it"),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("name", &self.name)
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}
