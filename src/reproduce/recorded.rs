//! The project's own results: the JSON files of `docs/results/`. They are part of the program, so that
//! `receptive reproduce --list` can show them anywhere.
//!
//! | file | what |
//! |---|---|
//! | `C2-seed1.json` | what `receptive reproduce C2 --seed 1` gave |
//! | `C2-seed1-torch.json` | what the notebook's own loop in PyTorch gave on the same machine |
//! | `C2-quiet.json` | seconds per epoch of both, in turn, with nothing else running |

use super::result::Settings;
use super::{EXPERIMENTS, Experiment, Figure, Measure, SeedResult};
use crate::core::stats::median;
use crate::core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// One JSON array of `[file name, content]`, made by `build/commit.rs`.
const EMBEDDED: &str = include_str!(concat!(env!("OUT_DIR"), "/results.json"));

/// All files of `docs/results/`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordedResults {
    pub results: Vec<SeedResult>,
    pub quiet: Vec<QuietTimes>,
}

/// Seconds per epoch, measured with nothing else running: `tools/results.sh quiet ID`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuietTimes {
    pub id: String,
    pub width: Option<usize>,
    pub machine: String,
    pub simd: String,
    pub threads: usize,
    pub commit: String,
    pub torch_version: String,
    /// Training and validation; one value per epoch that was timed.
    pub receptive: Vec<f64>,
    pub torch: Vec<f64>,
}

/// A number of some seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SeedSummary {
    pub mean: f64,
    pub lowest: f64,
    pub highest: f64,
    /// Standard deviation over the seeds (n - 1); 0 for one seed.
    pub deviation: f64,
    pub n: usize,
}

/// One number of one experiment with the same settings: ours and PyTorch's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordedRow {
    pub id: &'static str,
    /// What is measured, if an experiment has several numbers.
    pub figure: &'static str,
    /// The settings that differ from the notebook's.
    pub settings: String,
    /// In percent.
    pub ours: Option<SeedSummary>,
    pub torch: Option<SeedSummary>,
    /// Whether our mean lies in PyTorch's range of seeds, widened on both sides by its deviation.
    pub inside: Option<bool>,
    /// Median seconds of an epoch, with nothing else running.
    pub seconds_per_epoch: Option<f64>,
    pub torch_seconds_per_epoch: Option<f64>,
    /// PyTorch's seconds per epoch divided by ours.
    pub times_faster: Option<f64>,
    /// The seconds that one seed of the notebook's settings takes, or would take, at this speed.
    pub whole_seconds: Option<f64>,
}

impl RecordedResults {
    /// The results that this program was built with.
    pub fn embedded() -> RecordedResults {
        let files: Vec<(String, String)> =
            serde_json::from_str(EMBEDDED).expect("the build script writes JSON");
        RecordedResults::from_files(files).expect("a test reads every file of docs/results")
    }

    /// The results in a folder, which may be missing.
    ///
    /// # Errors
    /// A file that cannot be read, or is not a result.
    pub fn read(folder: &Path) -> Result<RecordedResults> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(RecordedResults::default()),
            Err(e) => return Err(Error::io(folder, "list", e)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| Error::io(folder, "list", e))?.path();
            if path.extension().is_some_and(|kind| kind == "json") {
                let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, "read", e))?;
                files.push((path.display().to_string(), text));
            }
        }
        RecordedResults::from_files(files)
    }

    fn from_files(mut files: Vec<(String, String)>) -> Result<RecordedResults> {
        files.sort();
        let mut recorded = RecordedResults::default();
        for (name, text) in &files {
            if name.ends_with("-quiet.json") {
                let times = serde_json::from_str(text)
                    .map_err(|e| Error::format(name, format!("is not a table of times: {e}")))?;
                recorded.quiet.push(times);
            } else {
                recorded.results.push(SeedResult::parse(text, name)?);
            }
        }
        recorded.results.sort_by_key(|result| result.seed);
        Ok(recorded)
    }

    /// Our results of an experiment with the notebook's own settings.
    ///
    /// # Errors
    /// None for experiments of the table.
    pub fn ours(&self, experiment: &Experiment) -> Result<Vec<SeedResult>> {
        let epochs = experiment.config()?.epochs;
        let whole =
            |r: &&SeedResult| r.id == experiment.id && r.torch.is_none() && r.settings().is_whole(epochs);
        Ok(self.results.iter().filter(whole).cloned().collect())
    }

    /// All rows, in the order of [`EXPERIMENTS`]. An experiment without a result has a row for each figure, too.
    ///
    /// # Errors
    /// None for experiments of the table.
    pub fn all_rows(&self) -> Result<Vec<RecordedRow>> {
        let mut rows = Vec::new();
        for experiment in EXPERIMENTS {
            rows.extend(self.rows(experiment)?);
        }
        Ok(rows)
    }

    /// The rows of one experiment: those with the notebook's settings first.
    ///
    /// # Errors
    /// None for experiments of the table.
    pub fn rows(&self, experiment: &'static Experiment) -> Result<Vec<RecordedRow>> {
        let config = experiment.config()?;
        let of_id: Vec<&SeedResult> =
            self.results.iter().filter(|result| result.id == experiment.id).collect();
        let mut groups: Vec<_> = of_id.iter().map(|result| result.settings()).collect();
        groups.sort_by_key(|settings| (!settings.is_whole(config.epochs), settings.clone()));
        groups.dedup();
        if groups.is_empty() {
            groups.push(Settings { epochs: config.epochs, ..Default::default() });
        }
        let mut rows = Vec::new();
        for settings in groups {
            let (torch, ours): (Vec<&SeedResult>, Vec<&SeedResult>) = of_id
                .iter()
                .copied()
                .filter(|result| result.settings() == settings)
                .partition(|result| result.torch.is_some());
            // The first epochs of longer runs, if only PyTorch was run for so few epochs.
            let longer = of_id.iter().copied().filter(|result| {
                let all = result.settings();
                let same = Settings { epochs: settings.epochs, ..all.clone() } == settings;
                result.torch.is_none() && same && all.epochs > settings.epochs
            });
            let longer: Vec<&SeedResult> = longer.collect();
            let times =
                self.quiet.iter().find(|times| times.id == experiment.id && times.width == settings.width);
            for (i, figure) in experiment.figures.iter().enumerate() {
                let values = |results: &[&SeedResult]| {
                    SeedSummary::of(results.iter().filter_map(|result| result.figures.get(i).copied()))
                };
                let first_epochs = || {
                    let best =
                        longer.iter().filter_map(|result| best_of_first(figure, result, settings.epochs));
                    SeedSummary::of(best)
                };
                let (ours, torch) = (values(&ours).or_else(first_epochs), values(&torch));
                rows.push(RecordedRow {
                    id: experiment.id,
                    figure: figure.label,
                    settings: settings.describe(config.epochs),
                    ours,
                    torch,
                    inside: ours.zip(torch).map(|(ours, torch)| torch.holds(ours.mean)),
                    seconds_per_epoch: times.and_then(|times| median_of(&times.receptive)),
                    torch_seconds_per_epoch: times.and_then(|times| median_of(&times.torch)),
                    times_faster: times
                        .and_then(|times| Some(median_of(&times.torch)? / median_of(&times.receptive)?)),
                    whole_seconds: times.and_then(|times| {
                        let epochs = config.epochs + experiment.then_epochs.unwrap_or_default();
                        Some(median_of(&times.receptive)? * epochs as f64)
                    }),
                });
            }
        }
        Ok(rows)
    }
}

/// The best validation accuracy of a run's first epochs, if that is what the figure measures.
fn best_of_first(figure: &Figure, result: &SeedResult, epochs: usize) -> Option<f64> {
    let curve = &result.curves.first()?.val_accuracy;
    let first = curve.get(..epochs).filter(|_| figure.measure == Measure::Best)?;
    first.iter().copied().reduce(f64::max)
}

fn median_of(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| median(values.to_vec()))
}

impl SeedSummary {
    /// `None` without values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<SeedSummary> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(SeedSummary {
            mean,
            lowest: values.iter().copied().reduce(f64::min)?,
            highest: values.iter().copied().reduce(f64::max)?,
            deviation: if n > 1 { (squares / (n - 1) as f64).sqrt() } else { 0.0 },
            n,
        })
    }

    /// Whether a value lies in the range, widened on both sides by the deviation.
    pub fn holds(&self, value: f64) -> bool {
        (self.lowest - self.deviation..=self.highest + self.deviation).contains(&value)
    }

    /// `67.41 (66.90 to 68.00), n = 3`.
    pub fn describe(&self) -> String {
        let SeedSummary { mean, lowest, highest, n, .. } = self;
        match n {
            1 => format!("{mean:.2}, n = 1"),
            _ => format!("{mean:.2} ({lowest:.2} to {highest:.2}), n = {n}"),
        }
    }
}
