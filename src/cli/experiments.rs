//! Experiments as text: the list with published and measured numbers, and all settings of one experiment.

use crate::core::Result;
use crate::core::table::{self, WIDTH, aligned};
use crate::core::text::Named;
use crate::reproduce::{Experiment, ExperimentReport, Options, RecordedResults, RecordedRow, ReportRow};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The text below the list.
const LEGEND: &str = "`here` is this machine, `recorded` are the project's own results, of docs/results. A figure is the best validation accuracy of all epochs, in percent, unless the row says train, \
                      test or Dice. Two published figures are from two runs of the same notebook. The numbers after \
                      an optimiser are its learning rate and momentum. To see all settings of a row: receptive \
                      reproduce ID --show";
/// Indent of the lines that belong to an experiment.
const INDENT: &str = "     ";

/// Each experiment in two or more lines: its settings, the published and measured numbers, the project's recorded
/// results, and remarks.
///
/// # Errors
/// None for experiments of the table.
pub fn list(report: &ExperimentReport, recorded: &RecordedResults) -> Result<String> {
    let recorded = recorded.all_rows()?;
    let header = ["id", "model", "data", "optimiser", "epochs"].map(str::to_owned).to_vec();
    let mut experiments: Vec<Vec<&ReportRow>> = Vec::new();
    for row in &report.rows {
        match experiments.last_mut() {
            Some(rows) if rows[0].id == row.id => rows.push(row),
            _ => experiments.push(vec![row]),
        }
    }
    let heads = experiments.iter().map(|rows| head(rows[0]));
    let found = aligned(&std::iter::once(header).chain(heads).collect::<Vec<_>>(), |column| column < 4);
    let mut heads = found.lines();
    let mut lines: Vec<String> = heads.next().map(str::to_owned).into_iter().collect();
    for (head, rows) in heads.zip(&experiments) {
        lines.push(head.to_owned());
        lines.extend(rows.iter().flat_map(|row| wrapped(&figure(row), INDENT)));
        let of_id = recorded.iter().filter(|row| row.id == rows[0].id);
        lines.extend(of_id.filter_map(recorded_line).flat_map(|text| wrapped(&text, INDENT)));
        let below = [seconds(rows[0]), rows[0].settings.clone(), rows[0].remark.to_owned()];
        lines.extend(below.iter().filter(|text| !text.is_empty()).flat_map(|text| wrapped(text, INDENT)));
    }
    lines.push(String::new());
    lines.extend(wrapped(LEGEND, ""));
    Ok(lines.join("\n"))
}

/// `recorded: 67.41 (66.90 to 68.00), n = 3; PyTorch 67.50, n = 1; an epoch takes 3.1 s, PyTorch 7.4 s`, or `None` if
/// nothing was measured.
fn recorded_line(row: &RecordedRow) -> Option<String> {
    let mut parts: Vec<String> = row.ours.iter().map(|ours| ours.describe()).collect();
    parts.extend(row.torch.iter().map(|torch| format!("PyTorch {}", torch.describe())));
    if let (Some(ours), Some(torch)) = (row.seconds_per_epoch, row.torch_seconds_per_epoch) {
        parts.push(format!("an epoch takes {ours:.1} s, PyTorch {torch:.1} s"));
    }
    let label: Vec<&str> = [row.figure, &row.settings].into_iter().filter(|part| !part.is_empty()).collect();
    let of = if label.is_empty() { String::new() } else { format!(" ({})", label.join("; ")) };
    (!parts.is_empty()).then(|| format!("recorded{of}: {}", parts.join("; ")))
}

fn head(row: &ReportRow) -> Vec<String> {
    let momentum = if row.momentum > 0.0 { format!(", {}", row.momentum) } else { String::new() };
    vec![
        row.id.to_owned(),
        row.model.clone(),
        row.data.clone(),
        format!("{} {}{momentum}", row.optimizer.name(), three_digits(row.lr)),
        match row.then_epochs {
            Some(more) => format!("{}+{more}", row.epochs),
            None => row.epochs.to_string(),
        },
    ]
}

/// `0.00166`: a number below 1 with three significant digits.
fn three_digits(value: f64) -> String {
    let decimals = (2.0 - value.log10().floor()).max(0.0) as usize;
    let short = format!("{value:.decimals$}");
    let whole = value.to_string();
    if whole.len() < short.len() { whole } else { short }
}

/// `test: published 97.19, here 97.06 (96.92 to 97.17; 3 seeds)`.
fn figure(row: &ReportRow) -> String {
    let percent = |value: f64| format!("{value:.2}");
    let label = if row.figure.is_empty() { String::new() } else { format!("{}: ", row.figure) };
    let published = match row.published {
        [] => "nothing published".to_owned(),
        figures => {
            format!("published {}", figures.iter().copied().map(percent).collect::<Vec<_>>().join(" / "))
        }
    };
    let here = match (row.mean, row.lowest, row.highest) {
        (Some(mean), Some(low), Some(high)) if row.n > 1 => {
            format!(", here {mean:.2} ({low:.2} to {high:.2}; {} seeds)", row.n)
        }
        (Some(mean), ..) => format!(", here {mean:.2}"),
        _ => String::new(),
    };
    label + &published + &here
}

/// `9 s, 5.9 times faster than the notebook's 55 s`.
fn seconds(row: &ReportRow) -> String {
    let ours =
        row.seconds.map(|ours| if ours < 10.0 { format!("{ours:.1} s") } else { format!("{ours:.0} s") });
    match (ours, row.published_seconds, row.faster) {
        (Some(ours), Some(theirs), Some(faster)) => {
            format!("{ours}, {faster:.1} times faster than the notebook's {theirs:.0} s")
        }
        (Some(ours), Some(theirs), None) => format!("{ours}; the whole notebook took {theirs:.0} s"),
        (Some(ours), None, _) => ours,
        (None, Some(theirs), _) => format!("the notebook took {theirs:.0} s"),
        (None, None, _) => String::new(),
    }
}

/// The text, wrapped into lines that each begin with `indent`.
fn wrapped(text: &str, indent: &str) -> Vec<String> {
    let lines = table::wrapped(text, WIDTH - indent.chars().count());
    lines.into_iter().map(|line| format!("{indent}{line}")).collect()
}

/// The run folders from which a report's figures come: `M3  OUT/M3-seed0/second`.
pub fn runs(report: &ExperimentReport, out: &Path) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for row in &report.rows {
        let line = |run: &PathBuf| format!("{:<3}  {}", row.id, out.join(run).display());
        let new = row.runs.iter().map(line).filter(|line| !lines.contains(line));
        lines.extend(new.collect::<Vec<_>>());
    }
    lines
}

/// All settings of an experiment with seed 0, as TOML: its `config.toml`, with the published numbers as comments.
///
/// # Errors
/// As [`Options::runs`].
pub fn show(experiment: &Experiment, options: &Options) -> Result<String> {
    let runs = options.runs(experiment, 0)?;
    let network = experiment.network()?;
    let (path, config) = &runs[0];
    let mut remarks = vec![format!("{}: {} on {}", experiment.id, config.model, config.data)];
    for figure in experiment.figures {
        let label = if figure.label.is_empty() { String::new() } else { format!("{}: ", figure.label) };
        let published: Vec<String> = figure.published.iter().map(|value| format!("{value:.2}")).collect();
        let (published, each) = match published.as_slice() {
            [] => ("nothing is published".to_owned(), ""),
            [one] => (format!("published {one} %"), ""),
            more => (
                format!("published {} %", more.join(" and ")),
                "; they are from two runs of the same notebook",
            ),
        };
        remarks.push(format!("{label}{published}: {}{each}", figure.meaning(&network)));
    }
    let seconds: Vec<String> = experiment.seconds.iter().map(|seconds| format!("{seconds:.0} s")).collect();
    if !seconds.is_empty() {
        remarks.push(format!("the notebook took {}", seconds.join(" and ")));
    }
    remarks.extend(Some(experiment.remark).filter(|remark| !remark.is_empty()).map(str::to_owned));
    remarks.push(format!("the run folder: {}", path.display()));
    if let Some((path, config)) = runs.get(1) {
        let (epochs, path) = (config.epochs, path.display());
        remarks.push(format!("then {epochs} more epochs, from the weights of this run, in {path}"));
    }
    let mut lines: Vec<String> = remarks.iter().flat_map(|remark| wrapped(remark, "# ")).collect();
    lines.push(toml::to_string(config).expect("every field has a TOML form").trim_end().to_owned());
    Ok(lines.join("\n"))
}

/// As [`show`], but as JSON.
///
/// # Errors
/// As [`Options::runs`].
pub fn show_json(experiment: &Experiment, options: &Options) -> Result<Value> {
    let runs = options.runs(experiment, 0)?;
    let network = experiment.network()?;
    let figures = experiment.figures.iter().map(|figure| {
        json!({ "figure": figure.label, "meaning": figure.meaning(&network), "published": figure.published })
    });
    Ok(json!({
        "id": experiment.id,
        "figures": figures.collect::<Vec<_>>(),
        "published_seconds": experiment.seconds,
        "remark": experiment.remark,
        "runs": runs.iter().map(|(path, config)| json!({ "path": path, "settings": config })).collect::<Vec<_>>(),
    }))
}
