//! `receptive bench`: timing, where `cargo bench` is not at hand or one number is wanted.

use super::args::{DeviceArgs, KernelArgs, NetworkArgs, image_shape, image_text};
use super::print_line;
use crate::models::ModelConfig;
use crate::testing::steps::{StepBench, StepTimes};
use crate::train::GraphMode;

/// Time a network's training steps.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Step(StepArgs),
}

/// Whole training steps (forward, loss, backward, SGD with momentum 0.9), and the forward pass alone.
#[derive(Debug, clap::Args)]
struct StepArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    /// The images' channels, height and width [default: the notebook's]
    #[arg(long, value_name = "CxHxW", value_parser = image_shape)]
    input: Option<[usize; 3]>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    kernels: KernelArgs,
    /// About how long the timed steps shall take
    #[arg(long, default_value_t = 4.0, value_name = "S")]
    seconds: f64,
    /// Capture a step as a CUDA graph and replay it: auto, on or off
    #[arg(long, default_value = "auto")]
    graph: GraphMode,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// An unknown network; an image too small for it; a debug build.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let What::Step(args) = &args.what;
    let network = args.network.open()?;
    let config = ModelConfig {
        input: args.input.unwrap_or(network.input),
        classes: network.classes,
        width: args.network.width,
    };
    let bench = StepBench { config, batch_size: args.batch_size, seconds: args.seconds, graph: args.graph };
    let times = bench.run(&network, &args.device.open_with(&args.kernels)?)?;
    print_line(&if args.json { serde_json::to_string(&times)? } else { text(&times) })
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
