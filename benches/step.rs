//! `cargo bench --bench step -- [--threads N] [--seconds S] [--save FILE] [--baseline FILE] [FILTER]`: whole training
//! steps of the step table's networks ([`receptive::testing::step_cases`]).
//!
//! A step is forward, loss, backward and SGD with momentum. Each network runs in a process of its own, so that its peak
//! memory can be measured. `--save` writes the figures as JSON. `--baseline` reads such a file. It shows for each case
//! how many times faster this run is, marks cases that are slower by more than 5 %, and shows the geometric mean.

use receptive::cpu::{CpuCtx, CpuOptions};
use receptive::testing::bench::{Arguments, Provenance, release_build};
use receptive::testing::measure_alone;
use receptive::testing::step_cases::{STEP_CASES, StepCase};
use receptive::testing::steps::StepTimes;
use receptive::{Device, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A case is marked if it is slower than its baseline by more than this part. The machine's noise is less.
const SLOWER: f64 = 0.05;

/// What `--save` writes and `--baseline` reads.
#[derive(Serialize, Deserialize)]
struct Table {
    provenance: Provenance,
    cases: BTreeMap<String, StepTimes>,
}

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let known = ["--threads N", "--seconds S", "--save FILE", "--baseline FILE", "--case NAME"];
    let arguments = Arguments::parse(std::env::args().skip(1), &known)?;
    let usage = "cargo bench --bench step -- [--threads N] [--seconds S] [--save FILE] [--baseline FILE] [--case NAME]";
    if let Some(answer) = arguments.answer(usage, STEP_CASES.iter().map(|case| case.name))? {
        println!("{answer}");
        return Ok(());
    }
    release_build("cargo bench --bench step")?;
    let _alone = measure_alone()?;
    let threads = arguments.number("--threads")?.unwrap_or(0);
    let seconds = arguments.number("--seconds")?.unwrap_or(4.0);
    if let Some(name) = arguments.text("--case") {
        return one(name, threads, seconds);
    }
    // The baseline is read first, so that a missing file is reported before the measurement.
    let baseline = arguments.text("--baseline").map(read).transpose()?;
    let cx = CpuCtx::new(&CpuOptions::with_threads(threads))?;
    let provenance = Provenance::new(cx.threads(), cx.simd(), "median of at least 5 steps");
    println!("now       {provenance}");
    if let Some(baseline) = &baseline {
        println!("baseline  {}", baseline.provenance);
    }
    let mut table = Table { provenance, cases: BTreeMap::new() };
    let mut ratios = Vec::new();
    let head = ["case", "step ms", "minimum", "forward", "peak MB", "n"];
    let [case, step, minimum, forward, peak, n] = head;
    println!("{case:<19} {step:>9} {minimum:>9} {forward:>9} {peak:>7} {n:>4}");
    for case in STEP_CASES.iter().filter(|case| arguments.chosen(case.name)) {
        let times = in_a_process(case, cx.threads(), seconds)?;
        let before = baseline.as_ref().and_then(|table| table.cases.get(case.name));
        let ratio = before.map(|before| before.step_ms_median / times.step_ms_median);
        print(case, &times, ratio);
        ratios.extend(ratio);
        table.cases.insert(case.name.to_owned(), times);
    }
    if !ratios.is_empty() {
        let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
        let slower = ratios.iter().filter(|&&ratio| is_slower(ratio)).count();
        println!("geometric mean of {} cases: {mean:.3} times as fast; {slower} slower", ratios.len());
    }
    arguments.text("--save").map_or(Ok(()), |file| write(file, &table))
}

fn is_slower(ratio: f64) -> bool {
    ratio < 1.0 - SLOWER
}

fn print(case: &StepCase, times: &StepTimes, ratio: Option<f64>) {
    let peak = times.peak_bytes.map_or("-".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1e6));
    println!(
        "{:<19} {:>9.3} {:>9.3} {:>9.3} {peak:>7} {:>4}",
        case.name, times.step_ms_median, times.step_ms_min, times.forward_ms_median, times.runs
    );
    if let Some(ratio) = ratio {
        let mark = if is_slower(ratio) { "  SLOWER" } else { "" };
        println!("    {ratio:.3} times the baseline's speed{mark}");
    }
}

/// Measures a case in this process, and prints its times as JSON.
fn one(name: &str, threads: usize, seconds: f64) -> Result<()> {
    let case = STEP_CASES.iter().find(|case| case.name == name);
    let case = case.ok_or_else(|| Error::argument("--case", format!("there is no case `{name}`")))?;
    let (network, config) = case.network()?;
    let device = Device::cpu_with(&CpuOptions::with_threads(threads))?;
    let times = case.bench(config, seconds).run(&network, &device)?;
    println!("{}", serde_json::to_string(&times).map_err(|e| Error::format("step times", e.to_string()))?);
    Ok(())
}

/// Measures a case in a process of its own: this program again.
fn in_a_process(case: &StepCase, threads: usize, seconds: f64) -> Result<StepTimes> {
    let failed = |what: String| Error::argument(case.name, what);
    let program = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
    let (threads, seconds) = (threads.to_string(), seconds.to_string());
    let output = Command::new(program)
        .args(["--case", case.name, "--threads", &threads, "--seconds", &seconds])
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))
}

fn write(file: &str, table: &Table) -> Result<()> {
    let text = serde_json::to_string_pretty(table).map_err(|e| Error::format(file, e.to_string()))?;
    std::fs::write(file, text + "\n").map_err(|e| Error::io(Path::new(file), "write", e))
}

fn read(file: &str) -> Result<Table> {
    let help = format!("cargo bench --bench step -- --save {file}");
    let text =
        std::fs::read_to_string(file).map_err(|e| Error::io(Path::new(file), "read", e).help(&help))?;
    serde_json::from_str(&text).map_err(|e| {
        Error::format(file, format!("is not a baseline: {e}")).help(format!("write it again: {help}"))
    })
}
