//! `receptive doctor`: the abilities of this build and this machine, what is missing, and how to fix it.

use super::args::DeviceArgs;
use super::flags::spoken;
use super::print_line;
use super::version::features;
use crate::core::Error;
use crate::core::table::table;
use crate::cuda::GpuInfo;
use crate::data::lookup::Listing;
use crate::data::{DataDirs, list};
use crate::inspect::{Gpu, Machine, gemm_roof, ptx};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Duration of the matrix product's measurement.
const MEASURE: Duration = Duration::from_millis(300);
/// With less free memory than this, the larger networks do not fit.
const LITTLE_MEMORY: u64 = 1 << 30;

/// Show the features of this build and this machine, and problems with their solutions.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
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
struct DoctorReport {
    version: &'static str,
    features: Vec<&'static str>,
    debug: bool,
    machine: Machine,
    /// The device that is measured.
    device: String,
    /// Number of worker threads in use; `None` on a GPU.
    threads: Option<usize>,
    /// Speed of the f32 matrix product in GFLOP/s, if the device computes.
    gemm_gflops: Option<f64>,
    cuda: Cuda,
    data: Vec<Listing>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Cuda {
    available: bool,
    /// The reason why it does not work.
    reason: Option<String>,
    /// The tools that made this program's kernels.
    kernels: &'static str,
    /// The GPU, if it works.
    #[serde(flatten)]
    gpu: Option<Gpu>,
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
pub fn run(args: &DoctorArgs) -> anyhow::Result<()> {
    let device = args.device.open()?;
    let machine = Machine::detect();
    let cuda = Gpu::detect(0);
    let (gpu, trouble) = (cuda.as_ref().ok().cloned(), cuda.err());
    let measured = gemm_roof(&device, MEASURE);
    let report = DoctorReport {
        version: env!("CARGO_PKG_VERSION"),
        features: features(),
        debug: cfg!(debug_assertions),
        problems: problems(&machine, trouble.as_ref(), measured.as_ref().err()),
        machine,
        device: device.to_string(),
        threads: device.as_cpu().map(|cx| cx.threads()),
        gemm_gflops: measured.ok(),
        cuda: Cuda {
            available: gpu.is_some(),
            reason: trouble.map(|e| spoken(&e.to_string())),
            kernels: ptx(),
            gpu,
        },
        data: list(&DataDirs::from_env(args.data_dir.as_deref())),
    };
    print_line(&if args.json { serde_json::to_string(&report)? } else { text(&report) })
}

/// A missing GPU is not a problem. A GPU that is present but does not work is one, and so is a device that cannot be
/// measured.
fn problems(machine: &Machine, gpu: Option<&Error>, device: Option<&Error>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |problem: &str, remedy: &str| {
        problems.push(Problem { problem: problem.to_owned(), remedy: remedy.to_owned() });
    };
    if cfg!(debug_assertions) {
        add("this is a debug build: it is slower and makes every check", "cargo build --release");
    }
    if cfg!(target_arch = "x86_64") && !(machine.simd.contains(&"avx2") && machine.simd.contains(&"fma")) {
        add(
            "no AVX2 and FMA: the portable loops are several times slower",
            "use a processor made after 2013",
        );
    }
    let gpu = gpu.filter(|_| Path::new("/dev/nvidiactl").exists());
    if let Some(error) = device.or(gpu) {
        let text = spoken(&error.to_string());
        let remedy = text.split("help: ").nth(1).unwrap_or("use --device cpu").trim();
        add(text.lines().next().unwrap_or("the device does not work"), remedy);
    }
    if machine.available_bytes.is_some_and(|bytes| bytes < LITTLE_MEMORY) {
        add("less than 1 GiB of memory is free", "close other programs, or use a smaller --batch-size");
    }
    problems
}

fn text(report: &DoctorReport) -> String {
    let machine = &report.machine;
    let gib = |bytes: Option<u64>| {
        bytes.map_or("?".to_owned(), |b| format!("{:.1}", b as f64 / (1u64 << 30) as f64))
    };
    let simd = if machine.simd.is_empty() { "no SIMD".to_owned() } else { machine.simd.join(" ") };
    let cuda = match (&report.cuda.gpu, &report.cuda.reason) {
        (Some(gpu), _) => {
            let GpuInfo { name, capability: [major, minor], multiprocessors, driver, .. } = &gpu.facts;
            let memory = gib(Some(gpu.facts.memory as u64));
            format!(
                "{name}, compute capability {major}.{minor}, {multiprocessors} multiprocessors, {memory} GiB, driver \
                 for CUDA {driver}; kernels loaded in {:.0} ms, a matrix product checked against the CPU",
                gpu.load_ms
            )
        }
        (None, Some(reason)) => reason.lines().map(str::trim).collect::<Vec<_>>().join("; "),
        (None, None) => String::new(),
    };
    let product = report.gemm_gflops.map_or("failed".to_owned(), |rate| format!("{rate:.1} GFLOP/s"));
    let rows = [
        ("receptive", format!("{}, features: {}", report.version, report.features.join(" "))),
        (
            "processor",
            format!("{}, {} cores, {simd}", machine.cpu.as_deref().unwrap_or("unknown"), machine.cores),
        ),
        ("threads", report.threads.map_or("none: the device is a GPU".to_owned(), |n| n.to_string())),
        ("memory", format!("{} GiB, {} GiB free", gib(machine.memory_bytes), gib(machine.available_bytes))),
        ("matrix product", format!("{product} (f32, 512 x 512 x 512, {})", report.device)),
        ("cuda", cuda),
        ("kernels", report.cuda.kernels.to_owned()),
    ];
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    let data = report.data.iter().map(|set| {
        let place = match (&set.get, &set.folder) {
            (Some(get), _) => format!("not found; {get}"),
            (None, Some(folder)) => folder.display().to_string(),
            (None, None) => "part of the program".to_owned(),
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
