//! `receptive eval`: loss and accuracy of trained weights.

use super::args::{SplitArg, TrainedArgs};
use super::print_line;
use crate::data::catalog;
use crate::train::Trained;
use anyhow::bail;
use serde::Serialize;

/// Loss and accuracy of a run's best weights, or of a weights file, on a data set.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    trained: TrainedArgs,
    /// Which images
    #[arg(long, value_enum, default_value_t = SplitArg::Val)]
    split: SplitArg,
    #[arg(long, default_value_t = 250)]
    batch_size: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    loss: f64,
    accuracy: f64,
    n: u64,
}

/// Runs the subcommand.
///
/// # Errors
/// No such run, file, model or data; weights that do not fit the model.
pub fn run(args: Args) -> anyhow::Result<()> {
    let options = args.trained.options();
    if options.data.is_none() && options.path.is_file() {
        bail!(
            "a weights file does not say its data: add --data NAME\n  help: {} or a folder",
            catalog::names()
        );
    }
    let trained = Trained::open(options, true)?;
    let tally = trained.evaluate(args.split.into(), args.batch_size)?;
    if !tally.loss.is_finite() {
        bail!(
            "{}: the loss is not finite\n  help: the weights are damaged, or their training diverged",
            trained.network.name
        );
    }
    let report = Report { loss: tally.mean_loss(), accuracy: tally.accuracy(), n: tally.n };
    if args.json {
        return print_line(&serde_json::to_string(&report)?);
    }
    let Report { loss, accuracy, n } = report;
    let set = trained.split(args.split.into())?.name();
    let (name, percent) = (&trained.network.name, 100.0 * accuracy);
    print_line(&format!("{name} on the {n} images of {set}: loss {loss:.4}, accuracy {percent:.2} %"))
}
