//! `receptive bench kernels`: what limits each GPU kernel of a training step.

use super::args::check_out;
use super::bench::WorkloadArgs;
use super::{print_line, say_on_stderr};
use crate::inspect::gpu_time::{GpuCard, KernelRow, KernelTable};
use crate::io::write_atomically;
use crate::train::GraphMode;
use std::path::PathBuf;

/// Show each GPU kernel of a training step: its predicted time on a card, what limits it, sectors per request, bank
/// conflicts and occupancy.
///
/// Runs on the simulated GPU, so it needs no card. Build it once with `COUNT=1 tests/sim/build.sh target/sim/count`, and set
/// LD_LIBRARY_PATH=target/sim/count.
#[derive(Debug, clap::Args)]
pub struct KernelsArgs {
    #[command(flatten)]
    subject: WorkloadArgs,
    /// Card whose time is predicted: a100, h100, h200, rtx3090, rtx4090 or l4; several are compared: a100,h100
    #[arg(long, default_value = "h100", value_delimiter = ',', value_parser = GpuCard::find)]
    gpu: Vec<&'static GpuCard>,
    /// Blocks of each launch to run and count; 0: all of them
    #[arg(long, default_value_t = 4, value_name = "N")]
    blocks: u64,
    /// Capture the step as a CUDA graph: auto, on or off
    #[arg(long, default_value = "auto")]
    graph: GraphMode,
    /// Also write a page: what each limit would take, and the source with the counts beside its lines
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Runs the subcommand.
///
/// # Errors
/// No simulated GPU, or one without counters; an unknown network; an image too small for it.
pub fn run(args: &KernelsArgs) -> anyhow::Result<()> {
    let subject = &args.subject;
    if let Some(file) = &args.html {
        check_out("--html", file, subject.inputs())?;
    }
    let network = subject.network()?;
    let bench = subject.bench(&network, 1.0, args.graph);
    let recorder = crate::cuda::Recorder::find()?;
    recorder.dry_run();
    let device = subject.cuda()?;
    let recording = bench.record(&network, &device, Some(args.blocks))?;
    let tables: Vec<KernelTable> = args.gpu.iter().map(|card| KernelTable::new(card, &recording)).collect();
    let first = &tables[0];
    if let Some(file) = &args.html {
        let title = format!("{}, batch {}, {}", network.name, bench.batch_size, subject.precision());
        write_atomically(file, first.to_html(&title).as_bytes())?;
        say_on_stderr(&format!("the page is {}", file.display()));
    }
    match (subject.json(), tables.len()) {
        (true, 1) => print_line(&serde_json::to_string(first)?),
        (true, _) => print_line(&serde_json::to_string(&tables)?),
        (false, 1) => print_line(&text(first)),
        (false, _) => tables.iter().try_for_each(|table| print_line(&summary(table))),
    }
}

/// A card's line in a comparison.
fn summary(table: &KernelTable) -> String {
    let slowest: Vec<String> = table.rows.iter().take(3).map(|row| row.kernel.clone()).collect();
    format!(
        "{:<12} {:>9.3} ms a step, predicted; slowest: {}",
        table.card.title,
        1e3 * table.seconds,
        slowest.join(", ")
    )
}

fn text(table: &KernelTable) -> String {
    let mut lines = vec![format!(
        "predicted for the {}: {:.3} ms a step, {} nodes ({:.3} ms between them, {:.3} ms of copies)",
        table.card.title,
        1e3 * table.seconds,
        table.nodes,
        1e3 * table.gap_seconds,
        1e3 * table.copy_seconds,
    )];
    lines.push(format!(
        "{:<36} {:>5} {:>9} {:>6} {:<8} {:>11} {:>11} {:>9} {:>9} {:>6}",
        "kernel", "runs", "us", "share", "limit", "load", "store", "conflicts", "occupancy", "spills"
    ));
    lines.extend(table.rows.iter().map(|row| line(row, table.seconds)));
    lines.push(
        "load, store: sectors of 32 bytes per request, and the ideal; conflicts: wavefronts per ideal one"
            .to_owned(),
    );
    if !table.unknown.is_empty() {
        lines.push(format!("not counted: {}", table.unknown.join(", ")));
    }
    lines.join("\n")
}

fn line(row: &KernelRow, seconds: f64) -> String {
    let pair = |[units, ideal]: [f64; 2]| match units > 0.0 {
        true => format!("{units:.1} ({ideal:.1})"),
        false => "-".to_owned(),
    };
    let limit = serde_json::to_value(row.bottleneck).ok().and_then(|v| v.as_str().map(str::to_owned));
    format!(
        "{:<36} {:>5} {:>9.1} {:>5.1}% {:<8} {:>11} {:>11} {:>9} {:>8.0}% {:>6}",
        row.kernel,
        row.launches,
        1e6 * row.seconds,
        100.0 * row.seconds / seconds,
        limit.unwrap_or_default(),
        pair(row.load_sectors),
        pair(row.store_sectors),
        if row.conflicts > 0.0 { format!("{:.2}", row.conflicts) } else { "-".to_owned() },
        100.0 * row.occupancy,
        if row.spilled > 0.0 { format!("{:.0}", row.spilled) } else { "-".to_owned() },
    )
}
