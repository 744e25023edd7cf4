//! `receptive bench kernels`: what limits each GPU kernel of a training step.

use super::args::check_out;
use super::bench::WorkloadArgs;
use super::{print_line, say_on_stderr};
use crate::core::Error;
use crate::core::table::{aligned, short};
use crate::cuda::LaunchRecorder;
use crate::inspect::gpu_time::{GpuCard, KernelRow, KernelTable, MeasuredTable, PredictionError};
use crate::inspect::profile::PROFILE_STEPS;
use crate::io::write_atomically;
use crate::testing::steps::StepRecording;
use crate::train::GraphMode;
use anyhow::Context;
use std::path::PathBuf;

/// Show each GPU kernel of a training step: its predicted time on a card, what limits it, sectors per request, bank
/// conflicts and occupancy.
///
/// On a card it measures the kernels. Without one, it predicts on the simulated GPU. Build that once with
/// `COUNT=1 tests/sim/build.sh target/sim/count`, and set LD_LIBRARY_PATH=target/sim/count.
#[derive(Debug, clap::Args)]
pub struct KernelsArgs {
    #[command(flatten)]
    subject: WorkloadArgs,
    /// Card whose time is predicted: a100, h100, h200, rtx3090, rtx4090 or l4; several are compared: a100,h100
    /// [default: h100]
    #[arg(long, value_name = "CARD", value_delimiter = ',', value_parser = GpuCard::find)]
    gpu: Vec<&'static GpuCard>,
    /// Blocks of each launch to run and count; 0: all of them [default: 4]
    #[arg(long, value_name = "N")]
    blocks: Option<u64>,
    /// Capture the step as a CUDA graph: auto, on or off
    #[arg(long, default_value = "auto")]
    graph: GraphMode,
    /// On a card: compare the times with the predictions in this file, written with `--json` on the simulated GPU
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Also write a page: what each limit would take, and the source with the counts beside its lines
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

const CARD: &str = "h100";
const BLOCKS: u64 = 4;

impl KernelsArgs {
    /// # Errors
    /// A flag that is about predictions, on a card that measures.
    fn only_predict(&self) -> crate::Result<()> {
        let given = [
            ("--gpu", !self.gpu.is_empty()),
            ("--blocks", self.blocks.is_some()),
            ("--html", self.html.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Error::argument(*flag, "is for predictions, but this card measures")
                .help("predictions need the simulated GPU: see --help")),
            None => Ok(()),
        }
    }
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
    let recorder = match LaunchRecorder::find() {
        Ok(recorder) => recorder,
        // A card measures. Without one, the message says how to build the simulated GPU.
        Err(missing) => {
            let Ok(device) = subject.cuda() else { return Err(missing.into()) };
            args.only_predict()?;
            let measured = MeasuredTable::new(&bench.time_kernels(&network, &device, PROFILE_STEPS)?);
            return show_measured(args, &measured);
        }
    };
    if args.against.is_some() {
        return Err(Error::argument("--against", "compares what a card measures, and there is none").into());
    }
    // From here on, new memory holds zeros: an index that no block has written is still a valid one.
    recorder.dry_run();
    let device = subject.cuda()?;
    let StepRecording { recording, flops, bytes } =
        bench.record(&network, &device, Some(args.blocks.unwrap_or(BLOCKS)))?;
    let cards = if args.gpu.is_empty() { vec![GpuCard::find(CARD)?] } else { args.gpu.clone() };
    let tables: Vec<KernelTable> = cards.iter().map(|card| KernelTable::new(card, &recording)).collect();
    let first = &tables[0];
    if let Some(file) = &args.html {
        let title = format!("{}, batch {}, {}", network.name, bench.batch_size, subject.precision());
        write_atomically(file, first.to_html(&title).as_bytes())?;
        say_on_stderr(&format!("the page is {}", file.display()));
    }
    match (subject.json(), tables.len()) {
        (true, 1) => print_line(&serde_json::to_string(first)?),
        (true, _) => print_line(&serde_json::to_string(&tables)?),
        (false, 1) => {
            let [flops, bytes] = [flops, bytes].map(|work| short(work as f64));
            print_line(&format!("{flops}FLOP and {bytes}B by the definitions of the ops"))?;
            print_line(&text(first))
        }
        (false, _) => tables.iter().try_for_each(|table| print_line(&summary(table))),
    }
}

/// The kernels as a card ran them and, with `--against`, beside the predictions.
fn show_measured(args: &KernelsArgs, measured: &MeasuredTable) -> anyhow::Result<()> {
    let errors = match &args.against {
        Some(file) => Some({
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("--against: cannot read {}", file.display()))?;
            measured.against(&text)?
        }),
        None => None,
    };
    if args.subject.json() {
        return print_line(&serde_json::json!({ "measured": measured, "errors": errors }).to_string());
    }
    let us = |seconds: f64| format!("{:.1}", 1e6 * seconds);
    let mut rows = vec![["kernel", "runs", "us", "predicted", "ratio"].map(str::to_owned).to_vec()];
    for row in &measured.rows {
        let error = errors.iter().flatten().find(|error| error.kernel == row.kernel);
        let predicted = error.map_or("-".to_owned(), |error| us(error.predicted));
        let ratio = error.map_or("-".to_owned(), |error| format!("{:.2}", error.measured / error.predicted));
        rows.push(vec![row.kernel.clone(), row.launches.to_string(), us(row.seconds), predicted, ratio]);
    }
    let MeasuredTable { seconds, steps, .. } = measured;
    print_line(&format!("measured: {} us of kernels a step, median of {steps} steps\n", us(*seconds)))?;
    print_line(&aligned(&rows, |column| column == 0))?;
    for (limit, ratio, kernels) in PredictionError::by_bottleneck(errors.as_deref().unwrap_or_default()) {
        print_line(&format!(
            "limited by {}: measured / predicted {ratio:.2}, median of {kernels}",
            limit.name()
        ))?;
    }
    Ok(())
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
    let ms = |seconds: f64| format!("{:.3} ms", 1e3 * seconds);
    let head = ["kernel", "runs", "us", "share"].into_iter().chain(KernelRow::HEADINGS);
    let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
    rows.extend(table.rows.iter().map(|row| {
        let share = format!("{:.1} %", 100.0 * row.seconds / table.seconds);
        let first =
            [row.kernel.clone(), row.launches.to_string(), format!("{:.1}", 1e6 * row.seconds), share];
        first.into_iter().chain(row.cells()).collect()
    }));
    let mut lines = vec![
        format!("predicted for the {}, not measured: {} a step", table.card.title, ms(table.seconds)),
        format!("{} launches, copies and fills", table.nodes),
        format!("{} between them, {} of copies and fills", ms(table.gap_seconds), ms(table.copy_seconds)),
        String::new(),
        aligned(&rows, |column| matches!(column, 0 | 4)),
        String::new(),
        format!("{}{}", KernelRow::spills(&table.rows), KernelRow::LEGEND),
    ];
    if !table.unknown.is_empty() {
        lines.push(format!("not counted: {}", table.unknown.join(", ")));
    }
    lines.join("\n")
}
