//! The GPU's ladders without a GPU: a simulator that counts, and the predicted time on a card.

use receptive::core::table::aligned;
use receptive::cuda::{CudaCtx, LaunchRecorder};
use receptive::inspect::gpu_time::{GpuCard, KernelRow, KernelTable};
use receptive::testing::bench::Arguments;
use receptive::testing::layers::{LOOPS, Layer};
use receptive::{Error, Result};

/// Blocks of each launch that run and are counted.
const BLOCKS: u64 = 4;

/// How a run is counted and predicted.
pub struct Predicted {
    recorder: LaunchRecorder,
    pub card: &'static GpuCard,
}

/// One rung, and the kernels of each loop.
pub struct PredictedLine {
    pub rung: String,
    pub loops: [KernelTable; 3],
    /// The loops for which training uses this rung.
    pub trains: [bool; 3],
}

impl Predicted {
    /// If the GPU is a simulator that counts.
    ///
    /// # Errors
    /// `--gpu` names no card of the table, or there is nothing to predict.
    pub fn find(cx: &CudaCtx, arguments: &Arguments) -> Result<Option<Predicted>> {
        let counts = cx.facts().is_simulated().then(LaunchRecorder::find).and_then(Result::ok);
        let card = GpuCard::find(arguments.text("--gpu").unwrap_or("h100"))?;
        let found = counts.filter(LaunchRecorder::can_count).map(|recorder| Predicted { recorder, card });
        if found.is_none() && arguments.text("--gpu").is_some() {
            return Err(Error::argument("--gpu", "only a simulated GPU that counts can predict")
                .help("COUNT=1 tests/sim/build.sh target/sim/count, and LD_LIBRARY_PATH=target/sim/count"));
        }
        Ok(found)
    }

    /// The kernels that `run` launches.
    pub fn table(&self, run: &dyn Fn() -> Result<()>) -> Result<KernelTable> {
        self.recorder.count(Some(BLOCKS))?;
        let ran = run();
        let recording = self.recorder.finish()?;
        ran.map(|()| KernelTable::new(self.card, &recording))
    }
}

/// A table for each loop.
pub fn print(layer: &Layer, lines: &[PredictedLine]) {
    let (flops, bytes) = (layer.flops(), layer.bytes());
    for (which, name) in LOOPS.iter().enumerate() {
        let work = format!("{:.3} GFLOP, {:.2} MB", flops / 1e9, bytes / 1e6);
        println!("\n{} {}, {name}: {work}", layer.name(), layer.shapes());
        let head = ["rung", "us", "faster"].into_iter().chain(KernelRow::HEADINGS);
        let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
        let mut before = None;
        for line in lines {
            let table = &line.loops[which];
            let seconds: f64 = table.rows.iter().map(|row| row.seconds).sum();
            let Some(slowest) = table.rows.first() else { continue };
            let first = [
                format!("{}{}", line.rung, if line.trains[which] { " *" } else { "" }),
                format!("{:.1}", 1e6 * seconds),
                before.map_or("-".to_owned(), |before: f64| format!("{:.2}", before / seconds)),
            ];
            rows.push(first.into_iter().chain(slowest.cells()).collect());
            before = Some(seconds);
        }
        println!("{}", aligned(&rows, |column| matches!(column, 0 | 3)));
        print!("{}", KernelRow::spills(lines.iter().filter_map(|line| line.loops[which].rows.first())));
    }
}
