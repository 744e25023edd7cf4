//! `receptive doctor`: what this build and this machine offer, what is missing, and what to do about it.

use super::args::DeviceArgs;
use super::print_line;
use super::table::table;
use crate::data::lookup::Listing;
use crate::data::{DataDirs, list};
use crate::inspect::{Machine, gemm_roof};
use crate::tensor::Device;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// How long the matrix product is measured.
const MEASURE: Duration = Duration::from_millis(300);
/// Below this much free memory the larger networks do not fit.
const LITTLE_MEMORY: u64 = 1 << 30;

/// Show what this build and this machine offer, and problems with their remedies.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Folder that holds mnist/, fashion-mnist/, ...
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    features: Vec<&'static str>,
    debug: bool,
    machine: Machine,
    /// Worker threads in use.
    threads: usize,
    /// f32 matrix product, GFLOP/s.
    gemm_gflops: f64,
    cuda: Cuda,
    data: Vec<Listing>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Cuda {
    available: bool,
    /// Why not.
    reason: Option<String>,
}

#[derive(Serialize)]
struct Problem {
    problem: String,
    remedy: String,
}

/// Runs the subcommand.
///
/// # Errors
/// A device that cannot be used.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let device = args.device.open()?;
    let machine = Machine::detect();
    let cuda = Device::from_name("cuda", &Default::default());
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        features: vec!["cli"],
        debug: cfg!(debug_assertions),
        problems: problems(&machine),
        machine,
        threads: device.as_cpu().map_or(0, |cx| cx.threads()),
        gemm_gflops: gemm_roof(&device, MEASURE)?,
        cuda: Cuda { available: cuda.is_ok(), reason: cuda.err().map(|e| e.to_string()) },
        data: list(&DataDirs::from_env(args.data_dir.as_deref())),
    };
    print_line(&if args.json { serde_json::to_string(&report)? } else { text(&report) })
}

fn problems(machine: &Machine) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |problem: &str, remedy: &str| {
        problems.push(Problem { problem: problem.to_owned(), remedy: remedy.to_owned() });
    };
    if cfg!(debug_assertions) {
        add("this is a debug build: slower, with every check", "cargo build --release");
    }
    if cfg!(target_arch = "x86_64") && !(machine.simd.contains(&"avx2") && machine.simd.contains(&"fma")) {
        add(
            "no AVX2 and FMA: the portable loops are several times slower",
            "use a processor made after 2013",
        );
    }
    if machine.available_bytes.is_some_and(|bytes| bytes < LITTLE_MEMORY) {
        add("less than 1 GiB of memory is free", "close other programs, or lower --batch-size");
    }
    problems
}

fn text(report: &Report) -> String {
    let machine = &report.machine;
    let gib = |bytes: Option<u64>| {
        bytes.map_or("?".to_owned(), |b| format!("{:.1}", b as f64 / (1u64 << 30) as f64))
    };
    let simd = if machine.simd.is_empty() { "no SIMD".to_owned() } else { machine.simd.join(" ") };
    let cuda = report.cuda.reason.as_deref().and_then(|reason| reason.lines().next()).unwrap_or("available");
    let rows = [
        ("receptive", format!("{}, features: {}", report.version, report.features.join(" "))),
        (
            "processor",
            format!("{}, {} cores, {simd}", machine.cpu.as_deref().unwrap_or("unknown"), machine.cores),
        ),
        ("threads", report.threads.to_string()),
        ("memory", format!("{} GiB, {} GiB free", gib(machine.memory_bytes), gib(machine.available_bytes))),
        ("matrix product", format!("{:.1} GFLOP/s (f32, 512 x 512 x 512)", report.gemm_gflops)),
        ("cuda", cuda.to_owned()),
    ];
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    let data = report.data.iter().map(|set| {
        let place = match (&set.get, &set.folder) {
            (Some(get), _) => format!("not found; {get}"),
            (None, Some(folder)) => folder.display().to_string(),
            (None, None) => "in the program".to_owned(),
        };
        vec![format!("data: {}", set.name), place]
    });
    let problems =
        report.problems.iter().map(|p| vec!["problem".to_owned(), format!("{}; {}", p.problem, p.remedy)]);
    let mut rows: Vec<_> = rows.chain(data).chain(problems).collect();
    if report.problems.is_empty() {
        rows.push(vec!["problems".to_owned(), "none".to_owned()]);
    }
    table(&rows, 2)
}
