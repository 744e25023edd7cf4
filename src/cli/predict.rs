//! `receptive predict`: class probabilities of one image, or its mask.

use super::args::{TrainedArgs, check_out};
use super::logits::{self, ModelFile};
use super::print_line;
use super::{mask, picture};
use crate::core::table::table;
use crate::report::InputImage;
use crate::train::{Split, Trained, TrainedOptions};
use anyhow::{Context, bail};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Predict the class probabilities, or the mask, of a PNG, JPEG or GIF image or of an image in the data set.
///
/// Transparent parts of an image become white. The image is converted to grey for a network with one channel, and
/// stretched to the network's size (bilinear). MNIST and Fashion-MNIST are light on dark: a dark drawing on light paper
/// needs --invert.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct PredictArgs {
    #[command(flatten)]
    trained: TrainedArgs,
    /// An image file
    #[arg(long, value_name = "FILE", conflicts_with = "index")]
    image: Option<PathBuf>,
    /// Swap light and dark
    #[arg(long, requires = "image")]
    invert: bool,
    /// Index of an image in the data set, from 0
    #[arg(long, value_name = "I")]
    index: Option<usize>,
    /// The split that --index refers to
    #[arg(long, value_enum, default_value_t = Split::Val, requires = "index", conflicts_with_all = ["image", "tensor"])]
    split: Split,
    /// Instead of an image: a safetensors file whose `input` [N, C, H, W] is used unchanged
    #[arg(long, value_name = "FILE", conflicts_with_all = ["image", "index"], requires = "output")]
    tensor: Option<PathBuf>,
    /// File for the raw `output` of --tensor
    #[arg(long, value_name = "FILE", requires = "tensor")]
    output: Option<PathBuf>,
    /// Number of classes to show, the most likely first [default: all in JSON, else 5]
    #[arg(long, value_name = "K")]
    top: Option<usize>,
    /// For a network that predicts masks: file for the mask, as .png (white on black) or .svg (next to the image and
    /// the true mask)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// No such run, file, model or data; a file that is not a picture; an index out of range.
pub fn run(args: PredictArgs) -> anyhow::Result<()> {
    if args.top == Some(0) {
        bail!("--top: 0 is out of range\n  expected 1 or more");
    }
    let inputs = [&args.trained.inputs()[..], args.image.as_slice(), args.tensor.as_slice()].concat();
    for (flag, out) in [("--output", &args.output), ("--out", &args.out)] {
        out.iter().try_for_each(|out| check_out(flag, out, &inputs))?;
    }
    if let (Some(tensor), Some(output)) = (&args.tensor, &args.output) {
        return raw(args.trained.options()?, tensor, output);
    }
    let trained = Trained::open(args.trained.options()?, args.index.is_some())?;
    trained.notes.iter().for_each(|note| super::say_on_stderr(note));
    let InputImage { image, mask: truth, label, what } = match (&args.image, args.index) {
        (Some(file), _) => picture::read(&trained, file, args.invert)?,
        (None, Some(index)) => InputImage::of_set(&trained, args.split, index)?,
        (None, None) => {
            bail!(
                "predict: no image is given\n  help: use --image FILE, or --index I for an image of the data set"
            )
        }
    };
    if trained.network.loss.takes_masks() {
        if args.top.is_some() {
            bail!("--top: {} predicts a mask, not classes", trained.network.name);
        }
        return mask::run(&trained, image, truth, &what, args.out.as_deref(), args.json);
    }
    if args.out.is_some() {
        bail!("--out: {} predicts classes, not a mask", trained.network.name);
    }
    let probabilities = trained.predict(image)?;
    let name = |class: usize| trained.class_name(class);
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let best = order[0];
    order.truncate(args.top.unwrap_or(if args.json { usize::MAX } else { 5 }));
    if args.json {
        let row = |&class: &usize| json!({ "class": name(class), "index": class, "probability": probabilities[class] });
        let classes: Vec<_> = order.iter().map(row).collect();
        let label = label.map(|label| json!({ "class": name(label), "index": label }));
        let (class, probability) = (name(best), probabilities[best]);
        let object = json!({
            "class": class, "index": best, "probability": probability, "probabilities": classes, "label": label,
        });
        return print_line(&object.to_string());
    }
    print_line(&match label {
        Some(label) => format!("{what}: it is {}", name(label)),
        None => what,
    })?;
    let rows: Vec<_> = order
        .iter()
        .map(|&class| vec![name(class), format!("{:.2} %", 100.0 * probabilities[class])])
        .collect();
    print_line(&table(&rows, 1))
}

/// The raw output for a tensor. It needs no data set, only the tensor and the weights.
fn raw(options: TrainedOptions, tensor: &Path, output: &Path) -> anyhow::Result<()> {
    let weights = ModelFile {
        network: options.network.context("--tensor needs a file of weights and --model or --arch")?,
        path: &options.path,
        width: options.width,
        layers: options.layers,
        classes: options.classes,
        device: options.device.as_deref(),
        threads: options.threads.unwrap_or(0),
    };
    Ok(logits::run(&weights, tensor, output)?)
}
