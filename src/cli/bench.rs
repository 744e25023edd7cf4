//! `receptive bench`: timing without `cargo bench`, or of a single network.

use super::args::{DeviceArgs, KernelArgs, NetworkArgs, check_out, image_shape, image_text};
use super::bench_kernels::{self, KernelsArgs};
use super::profile::{ProfileArgs, counters as counters_text, layers, steps, text as profile_text};
use super::{print_line, say_on_stderr};
use crate::core::Precision;
use crate::inspect::profile::{CpuCounters, PROFILE_STEPS};
use crate::models::{ModelConfig, Network};
use crate::tensor::Device;
use crate::testing::steps::{StepBench, StepTimes};
use crate::train::GraphMode;
use std::path::PathBuf;

/// Time a network's training steps, whole or layer by layer.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: BenchCommand,
}

#[derive(Debug, clap::Subcommand)]
enum BenchCommand {
    Step(StepArgs),
    Layers(LayersArgs),
    Kernels(KernelsArgs),
}

/// Which network, on what.
#[derive(Debug, clap::Args)]
pub(super) struct WorkloadArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Images per step
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    /// The images' channels, height and width [default: the notebook's]
    #[arg(long, value_name = "CxHxW", value_parser = image_shape)]
    input: Option<[usize; 3]>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    kernels: KernelArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl WorkloadArgs {
    pub(super) fn network(&self) -> crate::Result<Network> {
        self.network.open()
    }

    /// The GPU, even if no device was asked for.
    pub(super) fn cuda(&self) -> crate::Result<Device> {
        let name = if self.device.name() == "auto" { "cuda" } else { self.device.name() };
        self.device.named(name, &self.kernels)
    }

    pub(super) fn inputs(&self) -> &[PathBuf] {
        self.network.inputs()
    }

    pub(super) fn precision(&self) -> Precision {
        self.kernels.precision
    }

    pub(super) fn json(&self) -> bool {
        self.json
    }

    pub(super) fn bench(&self, network: &Network, seconds: f64, graph: GraphMode) -> StepBench {
        let config = ModelConfig {
            input: self.input.unwrap_or(network.input),
            classes: network.classes,
            width: self.network.width,
            layers: self.network.layers.clone(),
        };
        StepBench { config, batch_size: self.batch_size, seconds, graph }
    }
}

/// Time whole training steps (forward, loss, backward, SGD with momentum 0.9), and the forward pass alone.
#[derive(Debug, clap::Args)]
struct StepArgs {
    #[command(flatten)]
    subject: WorkloadArgs,
    /// Approximate total time of the timed steps, in seconds
    #[arg(long, default_value_t = 4.0, value_name = "S")]
    seconds: f64,
    /// Capture a step as a CUDA graph and replay it: auto, on or off
    #[arg(long, default_value = "auto")]
    graph: GraphMode,
    #[command(flatten)]
    profile: ProfileArgs,
}

/// Time each layer of a training step, forward and backward: time, FLOPs, bytes, and the share of the roofline limit
/// that it reaches on this machine.
///
/// Layers run as in training: two layers that run as one op share a row, for example `conv1+relu`. Times are medians
/// over steps.
#[derive(Debug, clap::Args)]
struct LayersArgs {
    #[command(flatten)]
    subject: WorkloadArgs,
    /// Steps to time, after 3 warm-up steps
    #[arg(long, default_value_t = PROFILE_STEPS, value_name = "N", value_parser = steps())]
    steps: usize,
    /// Also count instructions per cycle and cache misses of the CPU's loops (Linux, where `perf` may)
    #[arg(long)]
    counters: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// An unknown network; an image too small for it; a debug build.
pub fn run(args: &BenchArgs) -> anyhow::Result<()> {
    match &args.what {
        BenchCommand::Step(args) => step(args),
        BenchCommand::Layers(args) => by_layer(args),
        BenchCommand::Kernels(args) => bench_kernels::run(args),
    }
}

fn step(args: &StepArgs) -> anyhow::Result<()> {
    let StepArgs { subject, profile: ProfileArgs { profile, profile_steps }, .. } = args;
    if let Some(file) = profile {
        check_out("--profile", file, subject.network.inputs())?;
    }
    let network = subject.network.open()?;
    let bench = subject.bench(&network, args.seconds, args.graph);
    let device = subject.device.open_with(&subject.kernels)?;
    let times = bench.run(&network, &device)?;
    if let Some(file) = profile {
        let profile = bench.profile(&network, &device, *profile_steps, None)?;
        profile.write(file, &format!("receptive bench step {}", network.name))?;
        say_on_stderr(&profile_text(&profile));
        say_on_stderr(&format!("the timeline is in {}", file.display()));
    }
    print_line(&if subject.json { serde_json::to_string(&times)? } else { text(&times) })
}

fn by_layer(args: &LayersArgs) -> anyhow::Result<()> {
    let subject = &args.subject;
    let network = subject.network.open()?;
    let bench = subject.bench(&network, 1.0, GraphMode::Off);
    // Before the device: they count only threads that start later.
    let counters = if args.counters { Some(CpuCounters::open()?) } else { None };
    let device = subject.device.open_with(&subject.kernels)?;
    let profile = bench.profile(&network, &device, args.steps, counters)?;
    let counted = profile.counter_table();
    let found = profile.layer_table();
    let input = bench.config.input;
    if subject.json {
        let mut object = serde_json::to_value(&found)?;
        object["model"] = network.name.as_str().into();
        object["device"] = profile.device.as_str().into();
        object["threads"] = profile.threads.into();
        object["batch_size"] = bench.batch_size.into();
        object["input"] = input.to_vec().into();
        object["roof"] = serde_json::to_value(profile.roof)?;
        if args.counters {
            object["counters"] = serde_json::to_value(&counted)?;
        }
        return print_line(&object.to_string());
    }
    let (name, batch, image) = (&network.name, bench.batch_size, image_text(input));
    let how =
        if profile.threads > 0 { format!("{} threads", profile.threads) } else { "no graph".to_owned() };
    print_line(&format!("{name}, batch {batch} of {image}, {}, {how}", profile.device))?;
    print_line(&layers(&found, profile.roof.as_ref()))?;
    if args.counters { print_line(&counters_text(&counted)) } else { Ok(()) }
}

fn text(times: &StepTimes) -> String {
    let StepTimes { model, device, threads, batch_size, runs, parameters, .. } = times;
    let peak = times
        .peak_bytes
        .map_or("unknown".to_owned(), |bytes| format!("{:.1} MiB", bytes as f64 / (1 << 20) as f64));
    let how = match times.graph {
        true => "steps replayed from a CUDA graph".to_owned(),
        false if times.threads > 0 => format!("{threads} threads"),
        false => "no graph".to_owned(),
    };
    format!(
        "{model}, {parameters} parameters, batch {batch_size} of {}, {device}, {how}\n\
         step     median {:.3} ms, minimum {:.3} ms, n = {runs}\n\
         forward  median {:.3} ms\n\
         peak memory {peak}",
        image_text(times.input),
        times.step_ms_median,
        times.step_ms_min,
        times.forward_ms_median,
    )
}
