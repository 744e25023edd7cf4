//! The recorded results as Markdown: the table of `docs/results.md`, and a short one for the README.

use super::recorded::{RecordedResults, RecordedRow, SeedSummary};
use super::{CurveGap, EXPERIMENTS, Experiment, curve_gaps, find};
use crate::core::Result;

impl RecordedResults {
    /// Every row: the published numbers, PyTorch's and ours, seconds per epoch, and remarks.
    ///
    /// # Errors
    /// None for experiments of the table.
    pub fn markdown(&self) -> Result<String> {
        let mut lines = vec![
            cells(["id", "network, data", "published %", "PyTorch here %", "ours %"])
                + "seconds per epoch: ours, PyTorch, notebook | times faster than PyTorch | remark |",
            "|---|---|---|---|---|---|---|---|".to_owned(),
        ];
        for row in self.all_rows()? {
            let experiment = find(row.id)?;
            let [ours, torch] = [&row.ours, &row.torch].map(|s| text(s.as_ref()));
            let outside = if row.inside == Some(false) { " (outside PyTorch's range)" } else { "" };
            let seconds = [row.seconds_per_epoch, row.torch_seconds_per_epoch, notebook_epoch(experiment)?];
            lines.push(
                cells([
                    row.id,
                    &subject(experiment)?,
                    &published(experiment, &row),
                    &torch,
                    &(ours + outside),
                ]) + &format!(
                    "{} | {} | {} |",
                    seconds.map(short).join(", "),
                    row.times_faster.map_or_else(dash, |times| format!("{times:.1}")),
                    remark(experiment, &row)
                ),
            );
        }
        Ok(lines.join("\n") + "\n")
    }

    /// The rows with the notebooks' own settings that have a result, without remarks.
    ///
    /// # Errors
    /// None for experiments of the table.
    pub fn short_markdown(&self) -> Result<String> {
        let mut lines = vec![
            cells(["id", "network, data", "published %", "PyTorch here %", "ours %"]) + "times faster |",
            "|---|---|---|---|---|---|".to_owned(),
        ];
        for row in self.all_rows()?.iter().filter(|row| row.settings.is_empty() && row.ours.is_some()) {
            let experiment = find(row.id)?;
            let name = match row.figure {
                "" => subject(experiment)?,
                figure => format!("{}: {figure}", subject(experiment)?),
            };
            let [ours, torch] = [&row.ours, &row.torch].map(|s| text(s.as_ref()));
            let faster = row.times_faster.map_or_else(dash, |times| format!("{times:.1}"));
            lines.push(
                cells([row.id, &name, &published(experiment, row), &torch, &ours]) + &format!("{faster} |"),
            );
        }
        Ok(lines.join("\n") + "\n")
    }

    /// For each experiment whose notebook printed its curves: the largest gap of each curve.
    ///
    /// # Errors
    /// None for experiments of the table.
    pub fn gaps_markdown(&self) -> Result<String> {
        let mut lines = vec![
            "| id | n | curve | largest gap | at | ours | notebooks |".to_owned(),
            "|---|---|---|---|---|---|---|".to_owned(),
        ];
        for experiment in EXPERIMENTS {
            let results = self.ours(experiment)?;
            for gap in curve_gaps(experiment, &results) {
                let [far, ours, low, high] =
                    [gap.gap, gap.ours, gap.lowest, gap.highest].map(|v| gap.number(v));
                let theirs = if low == high { low } else { format!("{low} to {high}") };
                let CurveGap { run, measure, at, .. } = gap;
                let second = if run > 0 { ", second run" } else { "" };
                lines.push(format!(
                    "| {} | {} | {}{second} | {far} | {} {at} | {ours} | {theirs} |",
                    experiment.id,
                    results.len(),
                    measure.name(),
                    measure.position(),
                ));
            }
        }
        Ok(lines.join("\n") + "\n")
    }
}

/// The first five cells of a row.
fn cells(texts: [&str; 5]) -> String {
    format!("| {} | ", texts.join(" | "))
}

fn dash() -> String {
    "-".to_owned()
}

fn text(summary: Option<&SeedSummary>) -> String {
    summary.map_or_else(dash, SeedSummary::describe)
}

/// Seconds with about three digits.
fn short(seconds: Option<f64>) -> String {
    match seconds {
        None => dash(),
        Some(seconds) if seconds < 1.0 => format!("{seconds:.2}"),
        Some(seconds) if seconds < 100.0 => format!("{seconds:.1}"),
        Some(seconds) => format!("{seconds:.0}"),
    }
}

fn subject(experiment: &Experiment) -> Result<String> {
    let config = experiment.config()?;
    Ok(format!("{}, {}", config.model, config.data))
}

/// The notebook's seconds per epoch, of its faster run. It was measured on another machine.
fn notebook_epoch(experiment: &Experiment) -> Result<Option<f64>> {
    let epochs = experiment.config()?.epochs + experiment.then_epochs.unwrap_or_default();
    Ok(experiment.seconds.iter().copied().reduce(f64::min).map(|seconds| seconds / epochs as f64))
}

fn published(experiment: &Experiment, row: &RecordedRow) -> String {
    let figure = experiment.figures.iter().find(|figure| figure.label == row.figure);
    let published = figure.map_or(&[][..], |figure| figure.published);
    match published {
        [] => dash(),
        some => some.iter().map(|value| format!("{value:.2}")).collect::<Vec<_>>().join(" / "),
    }
}

fn remark(experiment: &Experiment, row: &RecordedRow) -> String {
    let missing = match (row.ours, row.whole_seconds) {
        (Some(_), _) => String::new(),
        (None, Some(seconds)) => format!("not measured yet: a seed needs about {seconds:.0} s"),
        (None, None) => "not measured yet".to_owned(),
    };
    let parts = [row.figure, &row.settings, &missing, experiment.remark];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}
