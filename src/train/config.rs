//! Everything a run depends on, as `config.toml` holds it. It is written before data are loaded, so that any run folder
//! can be resumed or repeated.

use crate::core::{Error, ErrorKind, Result};
use crate::models::{Network, OptimizerKind};
use crate::optim::Schedule;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The layout of run folders; raised when an older program could not resume a newer run or the other way round.
pub const FORMAT: u32 = 1;

/// The settings of a run. Field names are the command line's flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// [`FORMAT`] of the program that made the run.
    pub format: u32,
    /// Its version, for people.
    pub receptive: String,
    pub model: String,
    pub data: String,
    pub data_dir: Option<PathBuf>,
    pub epochs: usize,
    pub batch_size: usize,
    pub val_batch_size: usize,
    pub optimizer: OptimizerKind,
    pub lr: f64,
    pub momentum: f64,
    pub nesterov: bool,
    pub weight_decay: f64,
    /// As [`Schedule`] prints it.
    pub scheduler: String,
    pub clip_norm: Option<f64>,
    pub subset: Option<usize>,
    pub augment: String,
    /// `None`: as the set's notebook does.
    pub normalize: Option<bool>,
    pub classes: Option<usize>,
    pub seed: u64,
    pub device: String,
    /// 0: one for each core.
    pub threads: usize,
    pub precision: String,
    pub init: Option<PathBuf>,
    pub init_partial: bool,
    pub shuffle: bool,
    pub max_steps: Option<u64>,
    pub log_steps: bool,
    pub log_interval: usize,
}

impl RunConfig {
    /// The settings of the model's notebook. The sample has no notebook: every classifier learns it with Adam in a minute.
    pub fn new(model: &Network, data: &str) -> RunConfig {
        let recipe = &model.recipe;
        let sample = data == "sample";
        let mut config = RunConfig {
            format: FORMAT,
            receptive: env!("CARGO_PKG_VERSION").to_owned(),
            model: model.name.clone(),
            data: data.to_owned(),
            data_dir: None,
            epochs: if sample { 15 } else { recipe.epochs },
            batch_size: if sample { 64 } else { recipe.batch_size },
            val_batch_size: 250,
            optimizer: recipe.optimizer,
            lr: recipe.lr,
            momentum: recipe.momentum,
            nesterov: false,
            weight_decay: 0.0,
            scheduler: recipe.schedule.to_string(),
            clip_norm: None,
            subset: None,
            augment: "none".to_owned(),
            normalize: None,
            classes: None,
            seed: 0,
            device: "auto".to_owned(),
            threads: 0,
            precision: "f32".to_owned(),
            init: None,
            init_partial: false,
            shuffle: true,
            max_steps: None,
            log_steps: false,
            log_interval: 1,
        };
        if sample {
            config.set_optimizer(OptimizerKind::Adam);
        }
        config
    }

    /// Changes the optimiser, and the learning rate to its usual one when it differs from the notebook's.
    pub fn set_optimizer(&mut self, optimizer: OptimizerKind) {
        if optimizer != self.optimizer {
            self.lr = if optimizer == OptimizerKind::Sgd { 0.01 } else { 0.001 };
        }
        self.optimizer = optimizer;
    }

    /// Refuses settings that cannot train.
    ///
    /// # Errors
    /// The first setting out of range, by its flag.
    pub fn check(&self) -> Result<()> {
        let positive = [
            ("epochs", self.epochs),
            ("batch-size", self.batch_size),
            ("val-batch-size", self.val_batch_size),
            ("log-interval", self.log_interval),
        ];
        if let Some((flag, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(out_of_range(flag, 0, "1 or more"));
        }
        for (flag, value) in [("subset", self.subset.map(|n| n as u64)), ("max-steps", self.max_steps)] {
            if value == Some(0) {
                return Err(out_of_range(flag, 0, "1 or more"));
            }
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return Err(out_of_range("lr", self.lr, "a number above 0"));
        }
        for (flag, value) in [("momentum", self.momentum), ("weight-decay", self.weight_decay)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(out_of_range(flag, value, "a number from 0 up"));
            }
        }
        if self.clip_norm.is_some_and(|norm| !(norm > 0.0 && norm.is_finite())) {
            return Err(out_of_range("clip-norm", self.clip_norm.unwrap_or_default(), "a number above 0"));
        }
        one_of("augment", &self.augment, &["none"])?;
        one_of("precision", &self.precision, &["f32"])?;
        self.schedule().map(|_| ())
    }

    /// The schedule.
    ///
    /// # Errors
    /// Text that is not a schedule.
    pub fn schedule(&self) -> Result<Schedule> {
        self.scheduler.parse()
    }

    /// As `config.toml` holds it.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field has a TOML form")
    }

    /// Reads `config.toml`'s text. `file` is its name, for errors.
    ///
    /// # Errors
    /// Not a run's configuration, or one of another format.
    pub fn from_toml(text: &str, file: &str) -> Result<RunConfig> {
        let broken = |e: toml::de::Error| {
            Error::format(file, format!("is not a run's configuration: {}", e.message()))
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
                .help("resume it with the version that made it, or start a new run with --out"));
        }
        toml::from_str(text).map_err(broken)
    }
}

fn out_of_range(flag: &str, value: impl std::fmt::Display, expected: &str) -> Error {
    Error::argument(format!("--{flag}"), format!("{value} is out of range")).expected(expected)
}

fn one_of(flag: &str, value: &str, known: &[&str]) -> Result<()> {
    if known.contains(&value) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Argument,
        format!("--{flag}"),
        format!("`{value}` is not available in this version"),
    )
    .expected(known.join(", ")))
}
