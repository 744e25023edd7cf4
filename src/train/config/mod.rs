//! Everything a run depends on: one struct for the library, for `config.toml` and for the flags of `receptive train`.
//!
//! To add a setting, add a field to [`RunConfig`] (its comment is the flag's help), a default in [`RunConfig::plain`],
//! and the code that acts on it. Old runs lack the field; `#[serde(default)]` lets them be read.
//!
//! | file | what |
//! |---|---|
//! | `check.rs` | refuses settings that cannot train |
//! | `file.rs` | `config.toml`, written and read |

mod check;
mod file;

use super::{GraphMode, Keep};
use crate::core::{Precision, Result};
use crate::data::{Augment, Masks, Normalization, catalog};

use crate::models::{self, LayerSizes, Network, OptimizerKind};
use crate::nn::{Loss, Scheme};
use crate::optim::{ADAMW_DECAY, Decay, Schedule};
#[cfg(feature = "cli")]
use clap::ArgAction;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The layout of run folders. It is raised when this program cannot resume the runs of older ones; it then refuses them.
pub const FORMAT: u32 = 2;

/// Default number of steps from one sample of the layers' health to the next.
const HEALTH_EVERY: u64 = 100;

/// The settings of a run. A field's comment is the help of its flag, unless the flag has its own help text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// [`FORMAT`] of the program that made the run.
    #[cfg_attr(feature = "cli", arg(skip))]
    pub format: u32,
    /// That program's version, for people.
    #[cfg_attr(feature = "cli", arg(skip))]
    pub receptive: String,
    #[cfg_attr(feature = "cli", arg(skip))]
    pub model: String,
    /// The arch file's text, for a network that has one.
    #[cfg_attr(feature = "cli", arg(skip))]
    pub arch: Option<String>,
    /// Channels of the first stage; `None`: the network's own.
    #[cfg_attr(feature = "cli", arg(skip))]
    pub width: Option<usize>,
    /// Sizes of the layers; `None`: the network's own.
    #[cfg_attr(feature = "cli", arg(skip))]
    #[serde(default)]
    pub layers: Option<LayerSizes>,
    /// A set's name, or a folder of images
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            help = format!("{}, or a folder of images [default: the notebook's, else the sample]", catalog::names())
        )
    )]
    pub data: String,
    /// Folder that holds mnist/, cifar-10-batches-bin/, pets/, ...
    #[cfg_attr(feature = "cli", arg(long, value_name = "DIR"))]
    pub data_dir: Option<PathBuf>,
    /// Number of passes over the training images [default: the notebook's]; with --resume, a larger number trains
    /// longer
    #[cfg_attr(feature = "cli", arg(long))]
    pub epochs: usize,
    /// Images per training batch [default: the notebook's]
    #[cfg_attr(feature = "cli", arg(long))]
    pub batch_size: usize,
    /// Images per validation batch [default: 250]
    #[cfg_attr(feature = "cli", arg(long))]
    pub val_batch_size: usize,
    /// nll, cross_entropy, bce_with_logits, dice or bce_dice [default: the network's own]
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default)]
    pub loss: Option<Loss>,
    /// For cross_entropy: spread this part of each target over all classes
    #[cfg_attr(feature = "cli", arg(long, value_name = "PART", default_value_t = 0.0))]
    #[serde(default)]
    pub label_smoothing: f64,
    /// Weights of the classes in the loss, in the classes' order, for example 1,2.5,1
    #[cfg_attr(feature = "cli", arg(long, value_name = "W,W,..", value_delimiter = ','))]
    #[serde(default)]
    pub class_weights: Option<Vec<f64>>,
    /// sgd, adam or adamw [default: the network's own]
    #[cfg_attr(feature = "cli", arg(long))]
    pub optimizer: OptimizerKind,
    /// Learning rate
    #[cfg_attr(feature = "cli", arg(long))]
    pub lr: f64,
    /// Momentum, for sgd
    #[cfg_attr(feature = "cli", arg(long))]
    pub momentum: f64,
    /// Use Nesterov momentum, for sgd
    #[cfg_attr(feature = "cli", arg(long))]
    pub nesterov: bool,
    /// L2 penalty; for adamw, the decoupled decay
    #[cfg_attr(feature = "cli", arg(long))]
    pub weight_decay: f64,
    /// What decays
    #[cfg_attr(
        feature = "cli",
        arg(
            long = "decay-weights-only",
            action = ArgAction::SetTrue,
            value_parser = decay(),
            help = "Apply the decay only to weights, not to biases or the scales of norms"
        )
    )]
    pub decay: Decay,
    /// Learning rate schedule: constant, step:EVERY:GAMMA, multistep:E1,E2:GAMMA, exponential:GAMMA, cosine, onecycle,
    /// triangle:EPOCH or plateau:PATIENCE:FACTOR; for a warm-up, put warmup:STEPS/ or warmup:EPOCHSep/ before it, for
    /// example warmup:2ep/cosine
    #[cfg_attr(feature = "cli", arg(long))]
    pub scheduler: String,
    /// Whether `onecycle` cycles momentum, too; runs from before this setting did not
    #[cfg_attr(
        feature = "cli",
        arg(
            long = "no-cycle-momentum",
            action = ArgAction::SetFalse,
            requires = "scheduler",
            help = "For onecycle: do not change the momentum (for adam: beta1); without this flag it goes from 0.95 to 0.85 and back"
        )
    )]
    #[serde(default)]
    pub cycle_momentum: bool,
    /// Scale gradients so that the norm of all of them together is at most NORM
    #[cfg_attr(feature = "cli", arg(long, value_name = "NORM"))]
    pub clip_norm: Option<f64>,
    /// Number of batches whose gradients are added up for one step
    #[cfg_attr(feature = "cli", arg(long, default_value_t = 1, value_name = "K"))]
    pub accumulate: usize,
    /// End after N epochs without a better validation score
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub early_stop: Option<usize>,
    /// Weights to test at the end: best or last
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t = Keep::Best))]
    pub keep: Keep,
    /// Train on N images, the same number of each class
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub subset: Option<usize>,
    /// Use this fraction of the images, the same for every class
    #[cfg_attr(feature = "cli", arg(long, value_name = "F"))]
    pub fraction: Option<f64>,
    /// Augmentation: none, standard (pad, flip, crop) or cutout (standard, and a hole) [default: as in the notebook]
    #[cfg_attr(feature = "cli", arg(long))]
    pub augment: Augment,
    /// Normalisation: on (the data set's statistics), off (only / 255), half ((x - 0.5) / 0.5) or pixels (statistics of
    /// each pixel) [default: as in the notebook]
    #[cfg_attr(feature = "cli", arg(long))]
    pub normalize: Normalization,
    /// Resize images to NxN [default: as in the notebook]
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub resize: Option<usize>,
    /// Targets of a network that predicts masks: binary (object 1, background 0) or raw (trimap / 255, as in the
    /// notebook)
    #[cfg_attr(feature = "cli", arg(long, default_value_t = Masks::Binary))]
    #[serde(default)]
    pub masks: Masks,
    /// Number of outputs [default: the data set's number of classes]
    #[cfg_attr(feature = "cli", arg(long))]
    pub classes: Option<usize>,
    /// Seed of all random numbers
    #[cfg_attr(feature = "cli", arg(long, default_value_t = 0))]
    pub seed: u64,
    /// auto, cpu, cuda or cuda:N
    #[cfg_attr(feature = "cli", arg(long, default_value = "auto"))]
    pub device: String,
    /// Worker threads [default: one per core]
    #[cfg_attr(feature = "cli", arg(long, default_value_t = 0, hide_default_value = true))]
    pub threads: usize,
    /// Type to which a GPU may round the factors of matrix products: f32 (no rounding), tf32 or bf16
    #[cfg_attr(feature = "cli", arg(long, default_value_t = Precision::F32))]
    pub precision: Precision,
    /// Rung of the device's GEMM ladder [default: the fastest]
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub gemm_rung: Option<u32>,
    /// Rung of the device's convolution ladder, for shapes that it supports [default: by shape]
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub conv_rung: Option<u32>,
    /// Capture a step as a CUDA graph and replay it: auto, on or off
    #[cfg_attr(feature = "cli", arg(long, default_value = "auto"))]
    #[serde(default)]
    pub graph: GraphMode,
    /// Threads that read and prepare images
    #[cfg_attr(feature = "cli", arg(long, default_value_t = 1))]
    pub workers: usize,
    /// Initialisation of the weights: default, xavier, ... [default: as in the notebook]
    #[cfg_attr(feature = "cli", arg(long = "init-scheme", value_name = "INIT_SCHEME"))]
    pub scheme: Scheme,
    /// Start from these weights (safetensors, PyTorch's names)
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub init: Option<PathBuf>,
    /// With --init: load the tensors that match, and list the others
    #[cfg_attr(feature = "cli", arg(long, requires = "init"))]
    pub init_partial: bool,
    /// Layers that are not trained, each with all layers inside it, for example encoder, conv1 or layer1.0
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", value_delimiter = ','))]
    pub freeze: Vec<String>,
    /// Whether running statistics in frozen layers stay unchanged, too. Runs from before this setting updated them.
    #[cfg_attr(feature = "cli", arg(skip))]
    #[serde(default)]
    pub freeze_statistics: bool,
    /// Whether each epoch takes the images in an order of its own
    #[cfg_attr(
        feature = "cli",
        arg(long = "no-shuffle", action = ArgAction::SetFalse, help = "Take the images in file order")
    )]
    pub shuffle: bool,
    /// End after this many optimiser steps
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub max_steps: Option<u64>,
    /// Write every step's loss to metrics.jsonl
    #[cfg_attr(feature = "cli", arg(long))]
    pub log_steps: bool,
    /// Print results every LOG_INTERVAL epochs
    #[cfg_attr(feature = "cli", arg(long, default_value_t = 1))]
    pub log_interval: usize,
    /// Print the mean loss of every N training steps, and write it to metrics.jsonl; 0: never
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = 0))]
    #[serde(default)]
    pub loss_every: usize,
    /// Write statistics of every layer (gradient norm, update size, dead units) to health.jsonl every EVERY steps; 0:
    /// never [default: 100]
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "EVERY", num_args = 0..=1, default_missing_value = "100")
    )]
    #[serde(default)]
    pub health: u64,
}

/// Parser for `--decay-weights-only`: true becomes [`Decay::WeightsOnly`], false becomes [`Decay::All`].
#[cfg(feature = "cli")]
fn decay() -> impl clap::builder::TypedValueParser<Value = Decay> {
    use clap::builder::{BoolValueParser, TypedValueParser};
    BoolValueParser::new().map(|only| if only { Decay::WeightsOnly } else { Decay::All })
}

impl RunConfig {
    /// Settings for a network of this name: `epochs` epochs at a constant rate, and every other setting at its default.
    /// Loaders and optimisers that you build by hand have their own settings.
    pub fn plain(model: impl Into<String>, epochs: usize, lr: f64) -> RunConfig {
        RunConfig {
            format: FORMAT,
            receptive: env!("CARGO_PKG_VERSION").to_owned(),
            model: model.into(),
            arch: None,
            width: None,
            layers: None,
            data: "sample".to_owned(),
            data_dir: None,
            epochs,
            batch_size: 64,
            val_batch_size: 250,
            loss: None,
            label_smoothing: 0.0,
            class_weights: None,
            optimizer: OptimizerKind::Sgd,
            lr,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            decay: Decay::All,
            scheduler: Schedule::Constant.to_string(),
            cycle_momentum: true,
            clip_norm: None,
            accumulate: 1,
            early_stop: None,
            keep: Keep::Best,
            subset: None,
            fraction: None,
            augment: Augment::None,
            normalize: Normalization::Unit,
            resize: None,
            masks: Masks::Binary,
            classes: None,
            seed: 0,
            device: "auto".to_owned(),
            threads: 0,
            precision: Precision::F32,
            gemm_rung: None,
            conv_rung: None,
            graph: GraphMode::Auto,
            workers: 1,
            scheme: Scheme::Default,
            init: None,
            init_partial: false,
            freeze: Vec::new(),
            freeze_statistics: true,
            shuffle: true,
            max_steps: None,
            log_steps: false,
            log_interval: 1,
            loss_every: 0,
            health: HEALTH_EVERY,
        }
    }

    /// The settings of the network's notebook. The `sample` data set has no notebook: every classifier learns it with
    /// Adam in minutes.
    pub fn new(network: &Network, data: &str) -> RunConfig {
        let recipe = &network.recipe;
        let set = catalog::known(data);
        let prepare = recipe.prepare.iter().find(|prepare| prepare.data == data);
        let augment = prepare.map(|p| p.augment).or(set.map(|set| set.augment));
        let normalize = prepare.map(|p| p.normalize).or(set.map(|set| set.normalization));
        let config = RunConfig {
            arch: network.arch.clone(),
            data: data.to_owned(),
            momentum: recipe.momentum,
            augment: augment.unwrap_or(Augment::None),
            normalize: normalize.unwrap_or(Normalization::Unit),
            resize: recipe.resize,
            ..RunConfig::plain(&*network.name, recipe.epochs, recipe.lr)
        };
        if data == "sample" {
            return RunConfig { epochs: 15, optimizer: OptimizerKind::Adam, lr: 0.001, ..config };
        }
        RunConfig {
            batch_size: recipe.batch_size,
            optimizer: recipe.optimizer,
            nesterov: recipe.nesterov,
            weight_decay: recipe.weight_decay,
            scheduler: recipe.schedule.to_string(),
            scheme: recipe.scheme,
            ..config
        }
    }

    /// Changes the optimiser. If it differs from the notebook's, the learning rate becomes the optimiser's usual one.
    pub fn set_optimizer(&mut self, optimizer: OptimizerKind) {
        if optimizer != self.optimizer {
            self.lr = if optimizer == OptimizerKind::Sgd { 0.01 } else { 0.001 };
            if optimizer == OptimizerKind::Adamw {
                self.weight_decay = ADAMW_DECAY;
            }
        }
        self.optimizer = optimizer;
    }

    /// Whether a run with the settings `other` would end with the same bits. Settings that only affect what is recorded
    /// may differ, and so may settings that have no effect in this run.
    pub fn trains_like(&self, other: &RunConfig) -> bool {
        let cycles = |config: &RunConfig| config.schedule().is_ok_and(|schedule| schedule.cycles_momentum());
        let same = RunConfig {
            receptive: other.receptive.clone(),
            health: other.health,
            loss_every: other.loss_every,
            freeze_statistics: if self.freeze.is_empty() {
                other.freeze_statistics
            } else {
                self.freeze_statistics
            },
            cycle_momentum: if cycles(self) { self.cycle_momentum } else { other.cycle_momentum },
            ..self.clone()
        };
        same == *other
    }

    /// The network.
    ///
    /// # Errors
    /// An unknown name; an arch text that cannot be built; a loss that does not fit the network's output.
    pub fn network(&self) -> Result<Network> {
        let network = match &self.arch {
            None => models::find(&self.model)?,
            Some(text) => models::from_arch(text, &format!("{}.toml", self.model))?,
        };
        match self.loss {
            Some(loss) => network.with_loss(loss),
            None => Ok(network),
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// Text that is not a schedule.
    pub fn schedule(&self) -> Result<Schedule> {
        self.scheduler.parse()
    }
}
