//! What one seed of an experiment gave: the file `result.json` in its folder. The project's own results, and PyTorch's
//! on the same machine, are files of the same form in `docs/results/`.

use crate::core::{Error, Result};
use crate::data::Masks;
use crate::io::read_json_lines;
use crate::train::{Phase, PhaseReport};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The result of one seed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeedResult {
    pub id: String,
    pub seed: u64,
    /// In percent, in the order of the experiment's figures.
    pub figures: Vec<f64>,
    /// Seconds of training and validation.
    pub seconds: f64,
    /// Epochs of the first run.
    pub epochs: usize,
    pub fraction: Option<f64>,
    pub width: Option<usize>,
    /// Results from before this setting had binary masks.
    pub masks: Masks,
    /// Training images per second, over all phases.
    pub images_per_second: f64,
    /// The processor and its cores.
    pub machine: String,
    /// The SIMD level of the loops.
    pub simd: String,
    pub device: String,
    pub threads: usize,
    /// The version of `receptive` that measured it, and the commit it was built from.
    pub receptive: String,
    pub commit: String,
    /// PyTorch's version, if PyTorch was measured and not `receptive`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torch: Option<String>,
    /// The settings of the (first) run, without paths.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub config: Value,
    /// One entry per run.
    pub curves: Vec<Curves>,
    /// The mean loss of every [`loss_every`](crate::train::RunConfig::loss_every) batches, for experiments whose
    /// notebook prints it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batch_loss: Vec<f64>,
    /// The loss of each epoch's last batch, for experiments whose notebook prints it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_batch_loss: Vec<f64>,
    /// The experiment's folder, from which this was read or to which it was written.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// What a run measured in each epoch. Accuracies are in percent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Curves {
    pub train_loss: Vec<f64>,
    pub train_accuracy: Vec<f64>,
    pub val_loss: Vec<f64>,
    pub val_accuracy: Vec<f64>,
    /// Seconds of training and validation.
    pub seconds: Vec<f64>,
}

impl SeedResult {
    /// Reads a result; `None` if there is no such file.
    ///
    /// # Errors
    /// A file that cannot be read, or is not a result.
    pub fn read(file: &Path) -> Result<Option<SeedResult>> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(file, "read", e)),
        };
        let result = SeedResult::parse(&text, &file.display().to_string())?;
        Ok(Some(SeedResult { folder: file.parent().map(Path::to_owned).unwrap_or_default(), ..result }))
    }

    /// The result in the text of the file `name`.
    ///
    /// # Errors
    /// A text that is not a result.
    pub(super) fn parse(text: &str, name: &str) -> Result<SeedResult> {
        let broken = |what: &dyn std::fmt::Display| {
            Error::format(name, format!("is not a result: {what}")).help("delete it to measure again")
        };
        let result: SeedResult = serde_json::from_str(text).map_err(|e| broken(&e))?;
        if result.id.is_empty() || result.figures.is_empty() {
            return Err(broken(&"it has no `id` or no `figures`"));
        }
        Ok(result)
    }

    /// The text of the file: one line per field.
    pub fn json(&self) -> String {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else {
            unreachable!("a result is a table");
        };
        let lines: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }

    /// The settings that a user can change. Results with the same settings belong together.
    pub fn settings(&self) -> Settings {
        Settings {
            epochs: self.epochs,
            percent: self.fraction.map(|fraction| format!("{:.3}", 100.0 * fraction)),
            width: self.width,
            masks: self.masks,
            // PyTorch's results name no device.
            device: if self.device.is_empty() { "cpu".to_owned() } else { self.device.clone() },
        }
    }
}

/// See [`SeedResult::settings`].
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Settings {
    pub epochs: usize,
    /// The part of the data that was used, if not all.
    pub percent: Option<String>,
    pub width: Option<usize>,
    pub masks: Masks,
    pub device: String,
}

impl Settings {
    /// Whether these are the notebook's own settings. `epochs` is the notebook's number.
    pub fn is_whole(&self, epochs: usize) -> bool {
        self.describe(epochs).is_empty()
    }

    /// What differs from the notebook: `1 of 5 epochs, width 16`.
    pub fn describe(&self, epochs: usize) -> String {
        let mut parts = Vec::new();
        if self.epochs != epochs {
            parts.push(format!("{} of {epochs} epochs", self.epochs));
        }
        parts.extend(self.percent.as_ref().map(|percent| format!("{percent} % of the data")));
        parts.extend(self.width.map(|width| format!("width {width}")));
        parts.extend((self.masks != Masks::Binary).then(|| format!("{} masks", self.masks)));
        parts.join(", ")
    }
}

impl Curves {
    /// The curves of a run's phases.
    pub fn of(history: &[PhaseReport]) -> Curves {
        let mut curves = Curves::default();
        for report in history {
            let (loss, accuracy) = match report.phase {
                Phase::Train => (&mut curves.train_loss, &mut curves.train_accuracy),
                Phase::Val => (&mut curves.val_loss, &mut curves.val_accuracy),
            };
            loss.push(rounded(report.loss, 6));
            accuracy.push(rounded(100.0 * report.scores.accuracy, 4));
            match report.phase {
                Phase::Train => curves.seconds.push(report.seconds),
                Phase::Val => {
                    let seconds = curves.seconds.pop().unwrap_or_default() + report.seconds;
                    curves.seconds.push(rounded(seconds, 3));
                }
            }
        }
        curves
    }
}

/// Rounded to this many decimals, so that the files stay small.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

/// The losses in a run's `metrics.jsonl`: the means of every few batches, and the loss of each epoch's last step.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn losses(run: &Path) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut means, mut last, mut step) = (Vec::new(), Vec::new(), None);
    for (line, _) in read_json_lines(&run.join("metrics.jsonl"))? {
        let loss = || line["loss"].as_f64().map(|loss| rounded(loss, 6));
        match line["event"].as_str() {
            Some("losses") => means.extend(loss()),
            Some("step") => step = loss(),
            Some("epoch") => last.extend(step.take()),
            _ => {}
        }
    }
    Ok((means, last))
}
