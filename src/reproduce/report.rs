//! The published numbers and ours, side by side.

use super::runner::{FIRST, RESULT, SECOND};
use super::{EXPERIMENTS, Experiment, Figure, Measure, SeedResult};
use crate::core::{Error, Result};
use crate::io::write_atomically;
use crate::models::OptimizerKind;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The results of some experiments.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentReport {
    pub rows: Vec<ReportRow>,
}

/// One number of one experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportRow {
    pub id: &'static str,
    pub data: String,
    pub model: String,
    pub optimizer: OptimizerKind,
    pub lr: f64,
    /// 0 for an optimiser without momentum.
    pub momentum: f64,
    /// The notebook's number of epochs.
    pub epochs: usize,
    /// Epochs of a second run, which starts from the first run's weights.
    pub then_epochs: Option<usize>,
    /// What is measured, if an experiment has several numbers.
    pub figure: &'static str,
    /// The numbers that the notebooks printed, in percent.
    pub published: &'static [f64],
    /// In percent. Without results all three are `None`.
    pub mean: Option<f64>,
    pub lowest: Option<f64>,
    pub highest: Option<f64>,
    /// Number of seeds measured.
    pub n: usize,
    /// Mean seconds of training and validation.
    pub seconds: Option<f64>,
    /// The seconds of the notebook; if there are two runs, the shorter one.
    pub published_seconds: Option<f64>,
    /// The notebook's seconds divided by ours; only if the whole experiment was run.
    pub faster: Option<f64>,
    /// Training images per second.
    pub images_per_second: Option<f64>,
    /// The measured runs, one folder per seed, inside the folder of the experiments.
    pub runs: Vec<PathBuf>,
    /// The settings that differed from the notebook's: `1 epoch of 5, fraction 0.1`.
    pub settings: String,
    pub remark: &'static str,
}

impl ExperimentReport {
    /// The rows of one experiment with the results of its seeds. Without results, only the published numbers.
    ///
    /// # Errors
    /// None for rows of the table.
    pub fn of(experiment: &'static Experiment, results: &[SeedResult]) -> Result<ExperimentReport> {
        let config = experiment.config()?;
        let settings = results.first().map(|result| settings(result, config.epochs)).unwrap_or_default();
        let mean =
            |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        let of_all = |f: fn(&SeedResult) -> f64| mean(&results.iter().map(f).collect::<Vec<_>>());
        let seconds = of_all(|result| result.seconds);
        let published_seconds = experiment.seconds.iter().copied().reduce(f64::min);
        let whole = settings.is_empty();
        let row = |(i, figure): (usize, &'static Figure)| {
            let values: Vec<f64> =
                results.iter().filter_map(|result| result.figures.get(i).copied()).collect();
            ReportRow {
                id: experiment.id,
                data: config.data.clone(),
                model: config.model.clone(),
                optimizer: config.optimizer,
                lr: config.lr,
                momentum: if config.optimizer == OptimizerKind::Sgd { config.momentum } else { 0.0 },
                epochs: config.epochs,
                then_epochs: experiment.then_epochs,
                figure: figure.label,
                published: figure.published,
                mean: mean(&values),
                lowest: values.iter().copied().reduce(f64::min),
                highest: values.iter().copied().reduce(f64::max),
                n: values.len(),
                seconds,
                published_seconds,
                faster: published_seconds.zip(seconds).filter(|_| whole).map(|(theirs, ours)| theirs / ours),
                images_per_second: of_all(|result| result.images_per_second),
                runs: results.iter().filter_map(|result| run_of(figure, experiment, result)).collect(),
                settings: settings.clone(),
                remark: experiment.remark,
            }
        };
        Ok(ExperimentReport { rows: experiment.figures.iter().enumerate().map(row).collect() })
    }

    /// The header and the rows, as cells.
    pub fn cells(&self) -> Vec<Vec<String>> {
        let header = [
            "id",
            "data",
            "model",
            "published %",
            "ours %: mean (range)",
            "n",
            "seconds",
            "times faster",
            "remark",
        ];
        let header = header.map(str::to_owned).to_vec();
        std::iter::once(header).chain(self.rows.iter().map(ReportRow::cells)).collect()
    }

    /// Writes `results.md` and `results.json`.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self).expect("a report has a JSON form");
        write_atomically(&folder.join("results.md"), self.markdown().as_bytes())?;
        write_atomically(&folder.join("results.json"), json.as_bytes())
    }

    /// The report as a Markdown table.
    pub fn markdown(&self) -> String {
        let line = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | ").replace('\n', " "));
        let cells = self.cells();
        let rule = "|---".repeat(cells[0].len()) + "|\n";
        let body: String = cells[1..].iter().map(line).collect();
        line(&cells[0]) + &rule + &body
    }
}

impl ReportRow {
    fn cells(&self) -> Vec<String> {
        let percent = |value: f64| format!("{value:.2}");
        let dash = || "-".to_owned();
        let ours = match (self.mean, self.lowest, self.highest) {
            (Some(mean), Some(low), Some(high)) if self.n > 1 => format!("{mean:.2} ({low:.2} to {high:.2})"),
            (Some(mean), ..) => percent(mean),
            _ => dash(),
        };
        let published: Vec<String> = self.published.iter().copied().map(percent).collect();
        let remarks = [self.figure, &self.settings, self.remark];
        let remark: Vec<&str> = remarks.into_iter().filter(|text| !text.is_empty()).collect();
        let seconds = |value: Option<f64>| value.map_or_else(dash, |s| format!("{s:.0}"));
        vec![
            self.id.to_owned(),
            self.data.clone(),
            self.model.clone(),
            if published.is_empty() { dash() } else { published.join(" / ") },
            ours,
            self.n.to_string(),
            match self.published_seconds {
                Some(theirs) => format!("{} (notebook {theirs:.0})", seconds(self.seconds)),
                None => seconds(self.seconds),
            },
            self.faster.map_or_else(dash, |times| format!("{times:.1}")),
            remark.join("; "),
        ]
    }
}

/// The run that a figure was measured on, for example `M3-seed0/second`, if it still exists.
fn run_of(figure: &Figure, experiment: &Experiment, result: &SeedResult) -> Option<PathBuf> {
    let first = figure.measure == Measure::Best || experiment.then_epochs.is_none();
    let run = Path::new(result.folder.file_name()?).join(if first { FIRST } else { SECOND });
    result.folder.with_file_name(&run).exists().then_some(run)
}

/// The settings that differed from the notebook's, and the speed if there are any.
fn settings(result: &SeedResult, epochs: usize) -> String {
    match result.settings().describe(epochs) {
        none if none.is_empty() => none,
        some => format!("{some}, {:.0} images/s", result.images_per_second),
    }
}

/// Every experiment with this machine's latest result: all seeds of the settings that were measured last.
///
/// # Errors
/// A folder or a result that cannot be read.
pub fn list(out: &Path) -> Result<ExperimentReport> {
    let mut rows = Vec::new();
    for experiment in EXPERIMENTS {
        rows.extend(ExperimentReport::of(experiment, &last_results(experiment.id, out)?)?.rows);
    }
    Ok(ExperimentReport { rows })
}

/// The results of all seeds, for the settings that were measured last.
fn last_results(id: &str, out: &Path) -> Result<Vec<SeedResult>> {
    let entries = match std::fs::read_dir(out) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(out, "list", e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let folder = entry.map_err(|e| Error::io(out, "list", e))?;
        let name = folder.file_name().to_string_lossy().into_owned();
        let file = folder.path().join(RESULT);
        if name.starts_with(&format!("{id}-seed"))
            && let Some(result) = SeedResult::read(&file)?
        {
            let made =
                file.metadata().and_then(|meta| meta.modified()).map_err(|e| Error::io(&file, "read", e))?;
            found.push((made, result));
        }
    }
    let Some((_, newest)) = found.iter().max_by_key(|(made, _)| *made).cloned() else {
        return Ok(Vec::new());
    };
    let same = |result: &SeedResult| result.settings() == newest.settings();
    let mut results: Vec<SeedResult> = found.into_iter().map(|(_, result)| result).filter(same).collect();
    results.sort_by_key(|result| result.seed);
    Ok(results)
}
