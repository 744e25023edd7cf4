//! `receptive eval`: loss and accuracy of trained weights.

use super::args::TrainedArgs;
use super::print_line;
use crate::core::table::table;
use crate::core::text::{four_decimals, thousands};
use crate::data::catalog;
use crate::train::{Confusion, Overlap, Split, Trained};
use anyhow::{Context, bail};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Measure the loss and accuracy of a run's best weights, or of a weights file, on a data set.
#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    #[command(flatten)]
    trained: TrainedArgs,
    /// Split of the data set
    #[arg(long, value_enum, default_value_t = Split::Val)]
    split: Split,
    /// Swap light and dark in all images
    #[arg(long)]
    invert: bool,
    /// Images per batch
    #[arg(long, default_value_t = 250)]
    batch_size: usize,
    /// Draw pictures into DIR [default: the run folder]: predictions, mistakes, confusion matrix and first weights, or
    /// masks
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    pictures: Option<Option<PathBuf>>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// With more classes than this, only the `SHOWN` classes with the lowest recall are listed.
const MOST: usize = 120;
const SHOWN: usize = 40;

/// The output of `--json`.
#[derive(Debug, Serialize)]
struct EvalReport {
    loss: f64,
    accuracy: f64,
    n: u64,
    /// The number of images that were classified wrongly; absent for masks.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<u64>,
    /// `dice` and `iou`, as means over the pictures.
    #[serde(flatten)]
    overlap: Option<Overlap>,
    #[serde(flatten)]
    classes: Option<Classes>,
}

/// Results per class.
#[derive(Debug, Serialize)]
struct Classes {
    classes: Vec<String>,
    /// The fraction of each class's samples that were predicted correctly.
    per_class: Vec<Option<f64>>,
    /// One row per true class, one column per predicted class. With more than 1,000 classes: the cells that are not 0.
    confusion: Confusion,
}

/// Runs the subcommand.
///
/// # Errors
/// No such run, file, model or data; weights that do not fit the model.
pub fn run(args: EvalArgs) -> anyhow::Result<()> {
    let options = args.trained.options()?;
    if options.data.is_none() && options.path.is_file() {
        bail!(
            "a weights file does not contain its data set's name: add --data NAME\n  help: {} or a folder",
            catalog::names()
        );
    }
    let folder = args.pictures.map(|named| pictures_folder(named, &options.path)).transpose()?;
    let mut trained = Trained::open(options, true)?;
    trained.notes.iter().for_each(|note| super::say_on_stderr(note));
    if args.invert {
        trained.invert();
    }
    warn_of_opposite(&trained, args.split, args.invert)?;
    let mut confusion = Confusion::new(trained.outputs());
    let masks = trained.network.loss.takes_masks();
    let tally = trained.evaluate(args.split, args.batch_size, |batch, output| match masks {
        true => Ok(()),
        false => confusion.add(output, &batch.targets),
    })?;
    if !tally.loss.is_finite() {
        bail!(
            "{}: the loss is not finite\n  help: the weights are damaged, or their training diverged",
            trained.network.name
        );
    }
    let scores = tally.scores();
    let names = (0..trained.outputs()).map(|class| trained.class_name(class)).collect();
    let report = EvalReport {
        loss: tally.mean_loss(),
        accuracy: scores.accuracy,
        n: tally.n,
        errors: (!masks).then(|| tally.decisions - tally.correct),
        overlap: scores.overlap,
        classes: (!masks).then(|| Classes { classes: names, per_class: confusion.per_class(), confusion }),
    };
    if let Some(folder) = folder {
        let names = trained.subject(args.split)?.write_pictures(&folder, &AtomicBool::new(false))?;
        super::say_on_stderr(&format!("pictures are in {}: {}", folder.display(), names.join(", ")));
    }
    if args.json {
        return print_line(&serde_json::to_string(&report)?);
    }
    let set = trained.split(args.split)?.name();
    let (name, loss, n) = (&trained.network.name, report.loss, report.n);
    print_line(&format!("{name} on the {n} images of {set}: loss {}, {scores}", four_decimals(loss)))?;
    if let Some(errors) = report.errors {
        print_line(&format!("errors: {errors} of {n} ({:.2} %)", 100.0 * errors as f64 / n as f64))?;
    }
    report.classes.map_or(Ok(()), |classes| print_line(&classes.text()))
}

/// Warns if images are light where training images were dark, or the other way round.
fn warn_of_opposite(trained: &Trained, split: Split, inverted: bool) -> anyhow::Result<()> {
    let (images, Some(brightness)) = (trained.split(split)?, trained.brightness) else { return Ok(()) };
    if brightness.is_opposite_of_set(&**images)? {
        let (here, there) = if brightness.word() == "dark" { ("light", "dark") } else { ("dark", "light") };
        let help = if inverted { "omit --invert" } else { "--invert swaps light and dark" };
        super::say_on_stderr(&format!(
            "the images of {} are {here} at their edges, but all training images are {there}: {help}",
            images.name()
        ));
    }
    Ok(())
}

/// The named folder, which is created if it is missing; without a name, the run's folder.
fn pictures_folder(named: Option<PathBuf>, run: &Path) -> anyhow::Result<PathBuf> {
    let Some(folder) = named else {
        if run.is_dir() {
            return Ok(run.to_owned());
        }
        bail!("a weights file has no run folder for the pictures\n  help: give a folder: --pictures DIR");
    };
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("--pictures: cannot create {}", folder.display()))?;
    Ok(folder)
}

impl Classes {
    fn text(&self) -> String {
        let percent =
            |share: &Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.2} %", 100.0 * share));
        let mut shares: Vec<(usize, &Option<f64>)> = self.per_class.iter().enumerate().collect();
        let all = shares.len();
        let mut rest = String::new();
        if all > MOST {
            shares.retain(|(_, share)| share.is_some());
            shares.sort_by(|a, b| a.1.partial_cmp(b.1).unwrap_or(std::cmp::Ordering::Equal));
            shares.truncate(SHOWN);
            rest = format!(
                "the {} classes of {} with the lowest recall; --json prints all\n",
                shares.len(),
                thousands(all)
            );
        }
        let row = |(class, share): (usize, _)| vec![self.classes[class].clone(), percent(share)];
        let rows: Vec<_> = shares.into_iter().map(row).collect();
        let wrong = self.confusion.worst(5);
        let confused = wrong.iter().map(|&(label, class, count)| {
            format!("\n  {count} x {} predicted as {}", self.classes[label], self.classes[class])
        });
        let confused: String = confused.collect();
        let heading = if confused.is_empty() { "" } else { "\n\nmost often confused:" };
        format!("\n{rest}{}{heading}{confused}", table(&rows, 1))
    }
}
