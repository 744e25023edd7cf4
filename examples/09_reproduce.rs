//! Lesson 9: reproducing a result. An experiment of the notebooks, its run folder, a run that is stopped and continued,
//! and the result beside the published one.
//!
//!     cargo run --release --example 09_reproduce
//!
//! If MNIST is on this machine, runs experiment M3, the first network of the course, in full. Otherwise runs a similar
//! one on the embedded Fashion-MNIST sample.

use receptive::core::table::aligned;
use receptive::data::{self, DataDirs, Masks};
use receptive::models::{OptimizerKind, Recipe};
use receptive::reproduce::{
    self, Experiment, ExperimentReport, Figure, Measure, Net, Options, SeedResult, StoppedRun, run,
};
use receptive::train::{Callback, Flow, RunConfig, StepReport, Trainer};
use receptive::{Error, Result};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A row of the table of experiments: a network, settings, and the published figures to compare with. This row is M3 on
/// the sample. By default, every network is trained on the sample with Adam for 15 epochs. `adjust` sets M3's values.
static ON_THE_SAMPLE: Experiment = Experiment {
    id: "S3",
    net: Net::Zoo("mlp2"),
    recipe: Some(|| Recipe::sgd("sample", 64, 1, 0.01).momentum(0.5)),
    adjust: |config| (config.optimizer, config.lr, config.epochs) = (OptimizerKind::Sgd, 0.01, 1),
    then_epochs: Some(10),
    figures: &[
        Figure { label: "1 epoch", measure: Measure::Best, published: &[] },
        Figure { label: "saved, reloaded, 10 more", measure: Measure::BestOfSecond, published: &[] },
    ],
    seconds: &[],
    remark: "nobody has published this one",
};

fn main() -> Result<()> {
    let here = data::find("mnist", &DataDirs::from_env(None)).is_ok();
    let row = if here { reproduce::find("M3")? } else { &ON_THE_SAMPLE };
    if !here {
        println!("MNIST is not here (`receptive data fetch mnist` gets it): a row like M3, on the sample.");
    }

    // All of the notebook's settings. A setting that the row does not state comes from the network's own recipe.
    let RunConfig { model, data, batch_size, epochs, lr, momentum, .. } = row.config()?;
    println!(
        "{}: {model} on {data}, {epochs} epoch, batch {batch_size}, SGD {lr}, momentum {momentum};",
        row.id
    );
    println!("    then its weights are loaded into a new run, of {} epochs", row.then_epochs.unwrap_or(0));

    // Few settings of an experiment can be changed. Epochs, fraction and width become part of the folder's name and of
    // the table, because a run with half the epochs is another experiment.
    let out = std::env::temp_dir().join(format!("receptive-lesson-9-{}", std::process::id()));
    let options = Options {
        out: out.clone(),
        epochs: None,
        fraction: None,
        width: None,
        masks: Masks::Binary,
        data_dir: None,
        device: "auto".to_owned(),
        threads: 0,
    };

    // Ctrl-C sets a flag. The run finishes its current step and stops. Here a callback sets the flag after step 50.
    let stop = Arc::new(AtomicBool::new(false));
    let press = |_: &RunConfig| CtrlC { at: 50, stop: Arc::clone(&stop) };
    let quiet = |_: &str| {};
    let Err(StoppedRun(folder)) = run(row, 0, &options, &stop, press, &quiet)? else {
        return Err(Error::argument("lesson 9", "was over before step 50"));
    };
    println!("\nCtrl-C after step 50. The run folder holds:");
    show(&folder);

    // The same call continues the run. All random numbers follow from the seed and the position in the run, so no
    // random state is saved. The final weights have the same bytes as those of a run without a stop.
    stop.store(false, Ordering::Relaxed);
    let mut results = Vec::new();
    for seed in 0..3 {
        let never = |_: &RunConfig| CtrlC { at: u64::MAX, stop: Arc::clone(&stop) };
        match run(row, seed, &options, &stop, never, &|line| println!("  {line}"))? {
            Ok(result) => results.push(result),
            Err(stopped) => return Err(Error::argument("lesson 9", format!("stopped: {stopped:?}"))),
        }
    }
    println!("\nat its end:");
    show(&folder);

    // One seed proves little: other seeds draw other weights and another order of images. Mean and range say what to
    // expect, and whether a published figure is within the range.
    println!("\nseed by seed, best validation accuracy after 1 epoch and after 10 more:");
    for SeedResult { seed, figures, seconds, .. } in &results {
        println!("  seed {seed}: {:.2} %  {:.2} %  {seconds:.1} s", figures[0], figures[1]);
    }
    println!("\nthe row, as results.md has it:\n{}", ExperimentReport::of(row, &results)?.markdown());
    fs::remove_dir_all(&out).map_err(|e| Error::io(&out, "remove", e))?;

    println!("On the command line: receptive reproduce M3 --seeds 3 (all rows: receptive reproduce --list)");
    println!("Try: 10 seeds. Does the range grow or shrink, and the mean's error?");
    println!("Try: threads: 1. Which numbers change, and which do not?");
    Ok(())
}

/// Prints the files of a folder and the purpose of each.
fn show(folder: &Path) {
    let mut rows = Vec::new();
    for (name, what) in [
        ("config.toml", "every setting: enough to run it again"),
        ("metrics.jsonl", "a line an epoch and phase"),
        ("checkpoint.safetensors", "weights, optimiser, position: enough to go on"),
        ("best.safetensors", "the weights of the best epoch, with PyTorch's names"),
        ("last.safetensors", "those after the last step"),
        ("curves.svg", "loss and accuracy by epoch"),
        ("predictions.svg", "images with true and predicted label"),
        ("mistakes.svg", "the mistakes it was surest of"),
        ("confusion.svg", "which class is taken for which"),
        ("weights.svg", "the first layer's weights as images"),
    ] {
        if let Ok(file) = fs::metadata(folder.join(name)) {
            rows.push(vec![format!("  {name}"), format!("{} bytes", file.len()), what.to_owned()]);
        }
    }
    println!("{}", aligned(&rows, |column| column != 1));
}

/// Plays the person at the keyboard: sets the flag that Ctrl-C sets.
struct CtrlC {
    at: u64,
    stop: Arc<AtomicBool>,
}

impl Callback for CtrlC {
    fn on_step(&mut self, _: &Trainer, report: &StepReport) -> Result<Flow> {
        self.stop.fetch_or(report.step + 1 == self.at, Ordering::Relaxed);
        Ok(Flow::Continue)
    }
}
