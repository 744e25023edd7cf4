//! Everything a run depends on, as `config.toml` holds it. It is written before data are loaded, so that any run folder
//! can be resumed or repeated.

use super::{GraphMode, Keep};
use crate::core::Precision;
use crate::core::{Error, Result};
use crate::data::{Augment, Normalization, catalog};
use crate::models::{self, Network, OptimizerKind};
use crate::nn::{Loss, Scheme};
use crate::optim::{ADAMW_DECAY, Decay, Schedule};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The layout of run folders; raised when an older program could not resume a newer run or the other way round.
pub const FORMAT: u32 = 2;

/// More threads than any machine prepares images with.
const MOST_WORKERS: usize = 1024;
/// More outputs than any classifier has.
const MOST_CLASSES: usize = 1_000_000;

/// What stands above the settings.
const REMARK: &str = "# The settings of this run. This file is not for sharing: it may say where your data lie, which \
                      resuming the run needs to know.\n# The other files of this folder hold names only.\n\n";

/// Steps from one sample of the layers' health to the next, unless told otherwise.
pub const HEALTH_EVERY: u64 = 100;

/// The settings of a run. Field names are the command line's flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// [`FORMAT`] of the program that made the run.
    pub format: u32,
    /// Its version, for people.
    pub receptive: String,
    pub model: String,
    /// The arch file's text, for a network that has one.
    pub arch: Option<String>,
    /// Channels of the first stage; `None`: the network's own.
    pub width: Option<usize>,
    pub data: String,
    pub data_dir: Option<PathBuf>,
    pub epochs: usize,
    pub batch_size: usize,
    pub val_batch_size: usize,
    /// What the output is trained against; `None`: the network's own loss.
    #[serde(default)]
    pub loss: Option<Loss>,
    /// Of cross entropy: the part of each target that is spread over all classes.
    #[serde(default)]
    pub label_smoothing: f64,
    /// What a sample of each class weighs in the loss; `None`: all the same.
    #[serde(default)]
    pub class_weights: Option<Vec<f64>>,
    pub optimizer: OptimizerKind,
    pub lr: f64,
    pub momentum: f64,
    pub nesterov: bool,
    pub weight_decay: f64,
    /// What decays.
    pub decay: Decay,
    /// As [`Schedule`] prints it.
    pub scheduler: String,
    /// Whether `onecycle` cycles momentum, too. Runs from before this setting did not.
    #[serde(default)]
    pub cycle_momentum: bool,
    pub clip_norm: Option<f64>,
    /// Batches whose gradients make one step.
    pub accumulate: usize,
    /// End after this many epochs without a better validation score.
    pub early_stop: Option<usize>,
    /// Which weights the run ends with.
    pub keep: Keep,
    pub subset: Option<usize>,
    /// The share of every split that is used.
    pub fraction: Option<f64>,
    pub augment: Augment,
    pub normalize: Normalization,
    /// The side images are resized to.
    pub resize: Option<usize>,
    pub classes: Option<usize>,
    pub seed: u64,
    pub device: String,
    /// 0: one for each core.
    pub threads: usize,
    /// What matrix products may round their factors to.
    pub precision: Precision,
    /// The rungs of the ladders to run; `None`: the device's own choice.
    pub gemm_rung: Option<u32>,
    pub conv_rung: Option<u32>,
    /// Whether a GPU's steps are captured and replayed.
    #[serde(default)]
    pub graph: GraphMode,
    /// Threads that read and prepare images.
    pub workers: usize,
    /// How weights are drawn.
    pub scheme: Scheme,
    pub init: Option<PathBuf>,
    pub init_partial: bool,
    /// Paths, or beginnings of paths, of layers whose weights stay as they are.
    pub freeze: Vec<String>,
    /// Whether running statistics below them stay, too. Runs from before this setting updated them.
    #[serde(default)]
    pub freeze_statistics: bool,
    pub shuffle: bool,
    pub max_steps: Option<u64>,
    pub log_steps: bool,
    pub log_interval: usize,
    /// Steps from one sample of the layers' health to the next; 0: none are taken.
    #[serde(default)]
    pub health: u64,
}

impl RunConfig {
    /// The settings of the network's notebook. The sample has no notebook: every classifier learns it with Adam in minutes.
    pub fn new(model: &Network, data: &str) -> RunConfig {
        let recipe = &model.recipe;
        let sample = data == "sample";
        let set = catalog::known(data);
        let prepare = recipe.prepare.iter().find(|prepare| prepare.data == data);
        let config = RunConfig {
            format: FORMAT,
            receptive: env!("CARGO_PKG_VERSION").to_owned(),
            model: model.name.clone(),
            arch: model.arch.clone(),
            width: None,
            data: data.to_owned(),
            data_dir: None,
            epochs: if sample { 15 } else { recipe.epochs },
            batch_size: if sample { 64 } else { recipe.batch_size },
            val_batch_size: 250,
            loss: None,
            label_smoothing: 0.0,
            class_weights: None,
            optimizer: recipe.optimizer,
            lr: recipe.lr,
            momentum: recipe.momentum,
            nesterov: recipe.nesterov,
            weight_decay: recipe.weight_decay,
            decay: Decay::All,
            scheduler: recipe.schedule.to_string(),
            cycle_momentum: true,
            clip_norm: None,
            accumulate: 1,
            early_stop: None,
            keep: Keep::Best,
            subset: None,
            fraction: None,
            augment: prepare.map(|p| p.augment).or(set.map(|set| set.augment)).unwrap_or(Augment::None),
            normalize: prepare
                .map(|p| p.normalize)
                .or(set.map(|set| set.normalization))
                .unwrap_or(Normalization::Unit),
            resize: recipe.resize,
            classes: None,
            seed: 0,
            device: "auto".to_owned(),
            threads: 0,
            precision: Precision::F32,
            gemm_rung: None,
            conv_rung: None,
            graph: GraphMode::Auto,
            workers: 1,
            scheme: recipe.scheme,
            init: None,
            init_partial: false,
            freeze: Vec::new(),
            freeze_statistics: true,
            shuffle: true,
            max_steps: None,
            log_steps: false,
            log_interval: 1,
            health: HEALTH_EVERY,
        };
        if sample {
            let plain = RunConfig {
                nesterov: false,
                weight_decay: 0.0,
                scheduler: Schedule::Constant.to_string(),
                scheme: Scheme::Default,
                optimizer: OptimizerKind::Adam,
                lr: 0.001,
                ..config
            };
            return plain;
        }
        config
    }

    /// Changes the optimiser, and the learning rate to its usual one when it differs from the notebook's.
    pub fn set_optimizer(&mut self, optimizer: OptimizerKind) {
        if optimizer != self.optimizer {
            self.lr = if optimizer == OptimizerKind::Sgd { 0.01 } else { 0.001 };
            if optimizer == OptimizerKind::Adamw {
                self.weight_decay = ADAMW_DECAY;
            }
        }
        self.optimizer = optimizer;
    }

    /// Whether a run of `other` would end with the same bits: what is only recorded may differ, and so may a setting that
    /// has nothing to act on.
    pub fn trains_like(&self, other: &RunConfig) -> bool {
        let cycles = |config: &RunConfig| config.schedule().is_ok_and(|schedule| schedule.cycles_momentum());
        let same = RunConfig {
            receptive: other.receptive.clone(),
            health: other.health,
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

    /// Refuses settings that cannot train.
    ///
    /// # Errors
    /// The first setting out of range, by its name.
    pub fn check(&self) -> Result<()> {
        let positive = [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("val_batch_size", self.val_batch_size),
            ("log_interval", self.log_interval),
            ("accumulate", self.accumulate),
            ("workers", self.workers),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(out_of_range(name, 0, "1 or more"));
        }
        for (name, value, most) in
            [("workers", self.workers, MOST_WORKERS), ("classes", self.classes.unwrap_or(0), MOST_CLASSES)]
        {
            if value > most {
                return Err(out_of_range(name, value, &format!("at most {most}")));
            }
        }
        for (name, value) in [
            ("subset", self.subset.map(|n| n as u64)),
            ("max_steps", self.max_steps),
            ("resize", self.resize.map(|n| n as u64)),
            ("early_stop", self.early_stop.map(|n| n as u64)),
        ] {
            if value == Some(0) {
                return Err(out_of_range(name, 0, "1 or more"));
            }
        }
        // Weights are f32: a larger rate would be infinite there.
        if !(self.lr > 0.0 && (self.lr as f32).is_finite()) {
            return Err(out_of_range("lr", self.lr, "a number above 0, at most 3.4e38"));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return Err(out_of_range("weight_decay", self.weight_decay, "a number from 0 up"));
        }
        if self.clip_norm.is_some_and(|norm| !(norm > 0.0 && norm.is_finite())) {
            return Err(out_of_range("clip_norm", self.clip_norm.unwrap_or_default(), "a number above 0"));
        }
        if self.fraction.is_some_and(|fraction| !(fraction > 0.0 && fraction <= 1.0)) {
            let fraction = self.fraction.unwrap_or_default();
            return Err(out_of_range("fraction", fraction, "a number above 0, at most 1"));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(out_of_range("momentum", self.momentum, "0 up to, but not, 1"));
        }
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            return Err(out_of_range("label_smoothing", self.label_smoothing, "0 to 1"));
        }
        let weights = self.class_weights.as_deref().unwrap_or(&[1.0]);
        if let Some(weight) = weights.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
            return Err(out_of_range("class_weights", weight, "numbers from 0 up"));
        }
        if weights.iter().all(|&w| w == 0.0) {
            let what = "all classes weigh 0: there is nothing to learn";
            return Err(Error::argument("`config.class_weights`", what).expected("a weight above 0"));
        }
        if self.nesterov && self.optimizer != OptimizerKind::Sgd {
            return Err(Error::argument("`config.nesterov`", "is a momentum of sgd, not of this optimiser")
                .help("leave it away, or add `config.optimizer = sgd`"));
        }
        self.schedule().map(|_| ())
    }

    /// The network.
    ///
    /// # Errors
    /// An unknown name; an arch text that cannot be built; a loss that its output is not for.
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

    /// As `config.toml` holds it, below a remark.
    pub fn to_toml(&self) -> String {
        format!("{REMARK}{}", toml::to_string(self).expect("every field has a TOML form"))
    }

    /// Reads `config.toml`'s text. `file` is its name, for errors.
    ///
    /// # Errors
    /// Not a run's configuration, or one of another format; a setting out of range.
    pub fn from_toml(text: &str, file: &str) -> Result<RunConfig> {
        let broken = |e: toml::de::Error| {
            let before = e.span().and_then(|span| text.get(..span.start));
            let line =
                before.map_or(String::new(), |text| format!("line {}: ", 1 + text.matches('\n').count()));
            Error::format(file, format!("is not a run's configuration: {line}{}", e.message()))
                .help("is this folder a run of `receptive train`?")
        };
        // The format first: another version's fields would only confuse.
        let table: toml::Table = text.parse().map_err(broken)?;
        let format = table.get("format").and_then(toml::Value::as_integer);
        if format.is_some_and(|format| format != FORMAT as i64) {
            let made_by =
                table.get("receptive").and_then(toml::Value::as_str).unwrap_or("an unknown version");
            return Err(Error::format(file, "this run was made by another version of receptive")
                .with("made by", made_by)
                .with("run format", format.unwrap_or_default())
                .expected(format!("run format {FORMAT}"))
                .help("resume it with the version that made it, or start a new run with `RunDir::create`"));
        }
        let config: RunConfig = toml::from_str(text).map_err(broken)?;
        config.check().map_err(|e| e.with("in", file))?;
        Ok(config)
    }
}

fn out_of_range(name: &str, value: impl std::fmt::Display, expected: &str) -> Error {
    Error::argument(format!("`config.{name}`"), format!("{value} is out of range")).expected(expected)
}
