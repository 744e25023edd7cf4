//! `receptive inspect`: a report about a network and an image, as one page.

use super::args::{TrainedArgs, check_out, image_text};
use super::{picture, print_line, say_on_stderr};
use crate::ErrorKind;
use crate::core::text::{file_name, thousands};
use crate::core::{Error, similar};
use crate::io::write_atomically;
use crate::nn::ModuleExt;
use crate::report::{InputImage, Numbers, Report, WeightsSource, report};
use crate::tensor::Tensor;
use crate::train::{Split, Trained, TrainedOptions};
use anyhow::bail;
use serde::Serialize;
use std::path::PathBuf;

/// Show the inside of a network in one HTML page: its layers, feature maps, filters, receptive fields, the pixels that
/// the prediction depends on, the course of a run and its mistakes. The page opens offline and needs no other file.
///
/// A run folder or a file of weights is shown with its trained weights. A MODEL alone, or an arch file (NAME.toml),
/// gets random initial weights.
#[derive(Debug, clap::Args)]
#[command(mut_arg("path", |path| path
    .value_name("RUN|WEIGHTS|MODEL")
    .help("A run folder, a safetensors file of weights, a network's name, or an arch file")))]
pub struct InspectArgs {
    #[command(flatten)]
    trained: TrainedArgs,
    /// An image file [default: the first validation image]
    #[arg(long, value_name = "FILE", conflicts_with = "index")]
    image: Option<PathBuf>,
    /// Swap light and dark
    #[arg(long, requires = "image")]
    invert: bool,
    /// Index of an image in the data set, from 0
    #[arg(long, value_name = "I")]
    index: Option<usize>,
    /// The split that --index refers to
    #[arg(long, value_enum, default_value_t = Split::Val, requires = "index", conflicts_with = "image")]
    split: Split,
    /// Print these parameters and buffers as text, and write no page: names from `receptive summary`, each for all that
    /// is inside it, for example bn1 for its gamma (weight), beta (bias), running mean and variance
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with_all = ["image", "index", "out"])]
    values: Vec<String>,
    /// File for the page [default: RUN/inspect.html, or inspect-MODEL.html in this folder]
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Print one JSON object with the page's numbers
    #[arg(long)]
    json: bool,
}

/// The largest allowed size of a page.
const PAGE_BYTES: usize = 12_000_000;

/// The longest vector that is printed whole, and the numbers per line.
const LONGEST: usize = 4096;
const PER_LINE: usize = 8;

/// The output of `--json`.
#[derive(Serialize)]
struct InspectOutput<'a> {
    #[serde(flatten)]
    numbers: Numbers<'a>,
    /// The page's file name.
    page: String,
    page_bytes: usize,
}

/// Runs the subcommand.
///
/// # Errors
/// No such run, file, network or data; a file that is not a picture; an index out of range; a page that cannot be
/// written.
pub fn run(args: InspectArgs) -> anyhow::Result<()> {
    let inputs = [&args.trained.inputs()[..], args.image.as_slice()].concat();
    let (options, fresh) = args.trained.options_or_fresh()?;
    let (path, index) = (options.path.clone(), args.index);
    let trained = open(options, fresh, index.is_some())?;
    if !args.values.is_empty() {
        return values(&trained, &args.values, args.json);
    }
    let weights = match (fresh, path.is_dir()) {
        (true, _) => WeightsSource::Drawn { seed: trained.config.seed },
        (false, true) => WeightsSource::Run { path: path.clone() },
        (false, false) => WeightsSource::File { path },
    };
    let out = args.out.unwrap_or_else(|| match &weights {
        WeightsSource::Run { path } => path.join("inspect.html"),
        _ => PathBuf::from(format!("inspect-{}.html", trained.network.name)),
    });
    // The report takes a while, so check before it whether the page can be written.
    check_out("--out", &out, &inputs)?;
    let shown = match (&args.image, index) {
        (Some(file), _) => picture::read(&trained, file, args.invert)?,
        (None, Some(index)) => InputImage::of_set(&trained, args.split, index)?,
        (None, None) => InputImage::any(&trained)?,
    };
    if fresh {
        say_on_stderr(&format!("{}: random initial weights, not trained", trained.network.name));
    }
    let report = report(&trained, weights, shown, say_on_stderr)?;
    let html = report.to_html();
    if html.len() > PAGE_BYTES {
        let [megabytes, most] = [html.len(), PAGE_BYTES].map(|bytes| bytes.div_ceil(1_000_000));
        bail!(
            "inspect: the page would have {megabytes} MB, but at most {most} are allowed\n  help: the image is {} pixels; \
             use a smaller one, for example --resize {}",
            image_text(trained.image),
            smaller(trained.image, html.len()),
        );
    }
    write_atomically(&out, html.as_bytes())?;
    let (page, page_bytes) = (out.display().to_string(), html.len());
    if args.json {
        let printed = InspectOutput { numbers: report.numbers(), page: file_name(&out), page_bytes };
        return print_line(&serde_json::to_string(&printed)?);
    }
    print_line(&said(&report))?;
    print_line(&format!("written to {page} ({} kB)", thousands(page_bytes.div_ceil(1000))))
}

/// Prints the tensors of the `state_dict` with these names, or inside modules with these names.
fn values(trained: &Trained, names: &[String], json: bool) -> anyhow::Result<()> {
    let all = trained.model.state_dict()?;
    let mut chosen = Vec::new();
    for name in names {
        let before = chosen.len();
        let inside = format!("{name}.");
        chosen.extend(all.iter().filter(|(key, _)| *key == name || key.starts_with(&inside)));
        if chosen.len() == before {
            let keys: Vec<&str> = all.keys().map(String::as_str).collect();
            let help = match similar(name, &keys).first() {
                Some(like) => format!("did you mean {like}? `receptive summary` lists the layers"),
                None => "`receptive summary` lists the layers".to_owned(),
            };
            let what = format!("{} has no parameter or layer `{name}`", trained.network.name);
            bail!(Error::argument("--values", what).help(help));
        }
    }
    if json {
        let object = |(name, tensor): &(&String, &Tensor)| {
            let entry = serde_json::json!({ "shape": tensor.dims(), "values": tensor.to_f64()? });
            Ok(((*name).clone(), entry))
        };
        let objects: crate::Result<serde_json::Map<_, _>> = chosen.iter().map(object).collect();
        return print_line(&serde_json::to_string(&objects?)?);
    }
    let text = |(name, tensor): &(&String, &Tensor)| Ok(format!("{name}\n{}", value_text(tensor)?));
    print_line(&chosen.iter().map(text).collect::<crate::Result<Vec<_>>>()?.join("\n"))
}

/// A vector with all its numbers; other tensors as they print themselves, shortened.
fn value_text(tensor: &Tensor) -> crate::Result<String> {
    if !tensor.dtype().is_float() || tensor.dims().len() != 1 || tensor.dims()[0] > LONGEST {
        return Ok(tensor.to_string());
    }
    let numbers: Vec<String> = tensor.to_f64()?.iter().map(|value| format!("{value:>9.4}")).collect();
    let rows: Vec<String> = numbers.chunks(PER_LINE).map(|row| row.join(" ")).collect();
    Ok(rows.join("\n"))
}

fn said(report: &Report) -> String {
    let what = &report.image.what;
    match (report.numbers().prediction.first(), &report.mask) {
        (Some(best), _) => format!("{what}: {}, {:.2} %", best.class, 100.0 * best.probability),
        (None, Some(mask)) => format!("{what}: {:.2} % of the pixels are the object", 100.0 * mask.share),
        (None, None) => what.clone(),
    }
}

/// About the largest side of an image whose page is small enough. A page's size is proportional to its image's pixels.
fn smaller([_, h, w]: [usize; 3], bytes: usize) -> usize {
    (h.max(w) as f64 * (0.9 * PAGE_BYTES as f64 / bytes as f64).sqrt()) as usize
}

/// The network, with its images if they are on this machine. If the user named the set, or `--index` counts in it, it
/// must be on this machine. If the set is missing and the network has no trained weights, a classifier is built for the
/// embedded sample, if that fits, as in `receptive train`.
pub(super) fn open(options: TrainedOptions, fresh: bool, must: bool) -> crate::Result<Trained> {
    let open = |options: TrainedOptions, images: bool| match fresh {
        true => Trained::fresh(options, images),
        false => Trained::open(options, images),
    };
    let named = options.data.is_some();
    let refused = match open(options.clone(), true) {
        // A run folder has enough for a report, even if its data are gone.
        Err(e) if !named && (e.kind() == ErrorKind::Missing || !fresh) => e,
        Ok(trained) => {
            trained.notes.iter().for_each(|note| say_on_stderr(note));
            return Ok(trained);
        }
        Err(e) => return Err(e),
    };
    if fresh && options.network.as_ref().is_some_and(|network| !network.loss.takes_masks()) {
        let sample = TrainedOptions { data: Some("sample".to_owned()), ..options.clone() };
        if let Ok(trained) = open(sample, true) {
            say_on_stderr(&format!(
                "{} is not on this machine: using the embedded sample of Fashion-MNIST",
                trained.network.recipe.data
            ));
            return Ok(trained);
        }
    }
    if must {
        return Err(refused);
    }
    let trained = open(options, false)?;
    if refused.kind() != ErrorKind::Missing {
        say_on_stderr(&format!("the page shows nothing of the data set: {refused}"));
    }
    Ok(trained)
}
