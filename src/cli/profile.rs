//! A profile as text tables.

use super::args::check_out;
use crate::Error;
use crate::core::table::{WIDTH, aligned, short, table, wrapped};
use crate::inspect::Roof;
use crate::inspect::profile::{
    Bound, Cost, CounterRow, CpuCounts, HeldRow, LayerTable, OpRow, PROFILE_STEPS, Profile, StepPhase,
};
use crate::report::ProfileTraining;
use clap::builder::RangedU64ValueParser;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The most rows of a table that are printed. A file has all of them.
const MOST: usize = 30;

/// Which file, and how many steps.
#[derive(Debug, Clone, clap::Args)]
pub struct ProfileArgs {
    /// Profile some steps: every op's time, FLOPs, bytes and layer, and the tensors in memory; open FILE in
    /// ui.perfetto.dev or chrome://tracing
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Steps to profile, after 3 warm-up steps
    #[arg(long, value_name = "N", default_value_t = PROFILE_STEPS, value_parser = steps(), requires = "profile")]
    pub profile_steps: usize,
}

/// Parses a number of steps. The upper limit bounds the memory for their ops.
pub fn steps() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=10_000)
}

/// A training run that is profiled.
pub struct Watched {
    pub callback: ProfileTraining<'static>,
    pub fate: Fate,
}

/// The result of writing a profile: nothing yet, success, or an error.
#[derive(Clone, Default)]
pub struct Fate(Arc<Mutex<Option<Result<(), Error>>>>);

impl Fate {
    fn decide(&self, result: Result<(), Error>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }

    /// The result, after training has ended.
    ///
    /// # Errors
    /// The profile was not written.
    pub fn end(&self) -> crate::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(|| {
            Err(Error::argument("--profile", "the run has no steps left, so there is no profile")
                .help("profile a new run, or a run that was stopped"))
        })
    }

    /// Whether the profile was written or has failed.
    pub fn is_decided(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

impl ProfileArgs {
    /// The callback that profiles a training run, if requested. `inputs` are the files that the run reads; `say` prints
    /// the profile.
    ///
    /// # Errors
    /// As [`check_out`].
    pub fn watch(&self, inputs: &[PathBuf], say: fn(&str)) -> crate::Result<Option<Watched>> {
        let Some(file) = &self.profile else { return Ok(None) };
        check_out("--profile", file, inputs)?;
        let (fate, steps) = (Fate::default(), self.profile_steps);
        let (place, told) = (file.display().to_string(), fate.clone());
        let done = move |profile: crate::Result<Profile>| {
            match &profile {
                Ok(profile) => {
                    say(&format!("{}\nthe timeline is in {place}", text(profile)));
                    let n = profile.steps.len();
                    if n < steps {
                        say(&format!("the run had only {n} of the {steps} steps to profile"));
                    }
                }
                Err(error) => say(&format!("there is no profile: {error}")),
            }
            told.decide(profile.map(drop));
        };
        Ok(Some(Watched { callback: ProfileTraining::new(file, steps, done)?, fate }))
    }
}

/// The most expensive ops, the phases, and the memory at its peak.
pub fn text(profile: &Profile) -> String {
    let steps = profile.steps.len().max(1);
    let mut ops = profile.op_table();
    ops.sort_by(|a, b| b.cost.seconds.total_cmp(&a.cost.seconds));
    let (shown, rest) = ops.split_at(ops.len().min(MOST));
    let header = ["layer", "phase", "op", "calls", "ms/step", "share"].into_iter().chain(RATES);
    let rows = shown.iter().map(|row| op(row, steps));
    let mut lines = vec![roof(profile.roof.as_ref()), with_header(header, rows, 3)];
    if !rest.is_empty() {
        let share: f64 = rest.iter().map(|row| row.share).sum();
        lines.push(format!("and {} more, {:.1} % of the time together", rest.len(), 100.0 * share));
    }
    lines.push(phases(profile, &ops, steps));
    if let Some(peak) = profile.memory_at_peak() {
        let mut held = peak.rows;
        held.sort_by_key(|row| std::cmp::Reverse(row.bytes));
        let (shown, rest) = held.split_at(held.len().min(MOST));
        let header = ["layer", "holds", "bytes", "share", "tensors", "largest", "made by", "last used by"];
        let rows = shown.iter().map(|row| holds(row, peak.bytes));
        let peak_at = format!("peak memory: {}B in use at {}", spaced(peak.bytes as f64), peak.at);
        lines.push(format!("\n{}", wrapped(&peak_at, WIDTH).join("\n")));
        lines.push(aligned(&rows_with(header, rows), |column| [0, 1, 5, 6, 7].contains(&column)));
        if !rest.is_empty() {
            let bytes: usize = rest.iter().map(|row| row.bytes).sum();
            lines.push(format!("and {} more, {}B together", rest.len(), spaced(bytes as f64)));
        }
    }
    lines.join("\n")
}

/// Each layer, forward and backward.
pub fn layers(found: &LayerTable, roof_of: Option<&Roof>) -> String {
    let header = ["layer", "phase", "ms"].into_iter().chain(RATES);
    let row = |name: &str, phase: &str, cost: &Cost| {
        let first = [name.to_owned(), phase.to_owned(), format!("{:.3}", 1e3 * cost.seconds)];
        first.into_iter().chain(rates(cost, 1)).collect::<Vec<_>>()
    };
    let rows = found.layers.iter().chain([&found.sum]).flat_map(|layer| {
        [row(name(&layer.path), "forward", &layer.forward), row("", "backward", &layer.backward)]
    });
    let update = row("optimiser", "update", &found.update);
    let both = found.sum.total.seconds + found.update.seconds;
    format!(
        "{}\n{}\na step takes {:.3} ms, its ops {:.3}; medians of {} steps",
        roof(roof_of),
        with_header(header, rows.chain([update]), 2),
        1e3 * found.step_seconds,
        1e3 * both,
        found.steps,
    )
}

/// What the processor counted in each layer, in a step.
pub fn counters(rows: &[CounterRow]) -> String {
    let row = |row: &CounterRow| {
        let CpuCounts { instructions, cycles, cache_misses } = row.counts;
        let [instructions, cycles, misses] = [instructions, cycles, cache_misses].map(|n| short(n as f64));
        let ipc = format!("{:.2}", row.ipc);
        vec![name(&row.path).to_owned(), row.phase.name().to_owned(), ipc, instructions, cycles, misses]
    };
    let header = ["layer", "phase", "IPC", "instructions", "cycles", "cache misses"];
    format!("\n{}", with_header(header, rows.iter().map(row), 2))
}

/// The columns of [`rates`].
const RATES: [&str; 7] = ["FLOP", "bytes", "FLOP/B", "GFLOP/s", "GB/s", "% roof", "bound"];

fn rates(cost: &Cost, steps: usize) -> [String; 7] {
    let or_dash = |value: f64, text: String| if value > 0.0 { text } else { "-".to_owned() };
    let bound = match cost.bound {
        Some(Bound::Compute) => "compute",
        Some(Bound::Memory) => "memory",
        None => "-",
    };
    let [flops, bytes] = [cost.flops, cost.bytes].map(|work| work as f64 / steps as f64);
    [
        or_dash(flops, short(flops)),
        or_dash(bytes, short(bytes)),
        or_dash(cost.intensity, format!("{:.2}", cost.intensity)),
        or_dash(cost.gflops_per_second, format!("{:.1}", cost.gflops_per_second)),
        or_dash(cost.gbytes_per_second, format!("{:.1}", cost.gbytes_per_second)),
        cost.of_roof.map_or("-".to_owned(), |share| format!("{:.0}", 100.0 * share)),
        bound.to_owned(),
    ]
}

fn op(row: &OpRow, steps: usize) -> Vec<String> {
    let per_step = 1e3 * row.cost.seconds / steps as f64;
    let first = [
        name(&row.path).to_owned(),
        row.phase.name().to_owned(),
        row.op.to_owned(),
        row.calls.to_string(),
        format!("{per_step:.3}"),
        format!("{:.1} %", 100.0 * row.share),
    ];
    first.into_iter().chain(rates(&row.cost, steps)).collect()
}

fn holds(row: &HeldRow, all: usize) -> Vec<String> {
    let dims = if row.dims.is_empty() { String::new() } else { format!("{:?}", row.dims) };
    vec![
        name(&row.path).to_owned(),
        row.held.name().to_owned(),
        short(row.bytes as f64),
        format!("{:.1} %", 100.0 * row.bytes as f64 / all as f64),
        if row.tensors > 0 { row.tensors.to_string() } else { "-".to_owned() },
        dims,
        row.born.clone(),
        row.died.clone(),
    ]
}

fn phases(profile: &Profile, ops: &[OpRow], steps: usize) -> String {
    let of = |phase: StepPhase| {
        // Start from +0, because an empty sum is -0.
        let of_phase = ops.iter().filter(|row| row.phase == phase);
        let seconds = of_phase.fold(0.0, |sum, row| sum + row.cost.seconds);
        format!("{} {:.3}", phase.name(), 1e3 * seconds / steps as f64)
    };
    let all: f64 = profile.steps.iter().map(|step| step.us).sum::<f64>() / 1e3 / steps as f64;
    let parts: Vec<String> = StepPhase::ALL.into_iter().map(of).collect();
    let text = format!("ms per step, mean of {steps} steps: {all:.3}, of which {}", parts.join(", "));
    wrapped(&text, WIDTH).join("\n")
}

fn roof(roof: Option<&Roof>) -> String {
    let Some(roof) = roof else { return "roof: not measured".to_owned() };
    let [flops, bytes] = [roof.flops, roof.bytes].map(|rate| rate / 1e9);
    let text = format!("roof: {flops:.1} GFLOP/s of f32 multiply-adds, {bytes:.1} GB/s copied");
    wrapped(&text, WIDTH).join("\n")
}

/// The network itself has no path.
fn name(path: &str) -> &str {
    if path.is_empty() { "-" } else { path }
}

fn spaced(bytes: f64) -> String {
    let text = short(bytes);
    if text.contains(' ') { text } else { text + " " }
}

fn with_header<'a>(
    header: impl IntoIterator<Item = &'a str>,
    rows: impl Iterator<Item = Vec<String>>,
    left: usize,
) -> String {
    table(&rows_with(header, rows), left)
}

fn rows_with<'a>(
    header: impl IntoIterator<Item = &'a str>,
    rows: impl Iterator<Item = Vec<String>>,
) -> Vec<Vec<String>> {
    std::iter::once(header.into_iter().map(str::to_owned).collect()).chain(rows).collect()
}
