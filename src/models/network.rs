//! A network that can be built and trained: from a row of the table or from an arch file.

use super::{ModelConfig, ModelSpec, Recipe};
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
    /// The text of its arch file, if it has one. With it a run can be repeated without the file.
    pub arch: Option<String>,
    build: Arc<Build>,
}

impl From<&'static ModelSpec> for Network {
    fn from(spec: &'static ModelSpec) -> Network {
        let network = Network::new(spec.name, spec.input, spec.classes, (spec.recipe)(), spec.build);
        Network { loss: spec.loss, width: spec.width, ..network }
    }
}

impl Network {
    /// A network that ends in logits and has no choice of width.
    pub(super) fn new(
        name: &str,
        input: [usize; 3],
        classes: usize,
        recipe: Recipe,
        build: impl Fn(&ModelConfig) -> Result<Box<dyn Module>> + Send + Sync + 'static,
    ) -> Network {
        let (name, build) = (name.to_owned(), Arc::new(build));
        Network { name, input, classes, loss: Loss::CrossEntropy, recipe, width: None, arch: None, build }
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
    /// An image that is too small for the network; a width of 0; a width for a network that has no choice of width.
    pub fn build(&self, config: &ModelConfig) -> Result<Box<dyn Module>> {
        match (config.width, self.width) {
            (Some(_), None) => {
                Err(Error::argument("`config.width`", format!("the width of {} cannot be chosen", self.name))
                    .help("omit it"))
            }
            (Some(0), _) => Err(Error::argument("`config.width`", "0 is out of range").expected("1 or more")),
            (width, own) => (self.build)(&ModelConfig { width: width.or(own), ..*config }),
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
