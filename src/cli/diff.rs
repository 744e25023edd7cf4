//! `receptive diff`: one network computed in two ways, and where the results differ.

use super::args::TrainedArgs;
use super::inspect::open;
use super::{picture, print_line};
use crate::core::DType;
use crate::core::Precision;
use crate::core::table::{WIDTH, table, wrapped};
use crate::core::text::thousands;
use crate::inspect::{Computed, Difference, LayerDiff, NumericsDiff, numerics_diff};
use crate::nn::{Module, ModuleExt};
use crate::report::InputImage;
use crate::tensor::{Device, DeviceOptions};
use crate::train::{Split, Trained, finite};
use anyhow::bail;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Compute a network in two ways, for example in f32 and in f64, or on the CPU and on a GPU, and compare the results
/// layer by layer: where rounding errors arise, and how they grow.
///
/// The weights come from a run or a file. A MODEL alone, or an arch file (NAME.toml), gets random initial weights.
#[derive(Debug, clap::Args)]
#[command(mut_arg("path", |path| path
    .value_name("RUN|WEIGHTS|MODEL")
    .help("A run folder, a safetensors file of weights, a network's name, or an arch file")))]
#[command(mut_arg("device", |device| device.hide(true)))]
pub struct DiffArgs {
    #[command(flatten)]
    trained: TrainedArgs,
    /// One way: cpu, cuda or cuda:N, followed by :f32, or on a CPU :f64, or on a GPU :tf32 or :bf16
    #[arg(long, value_name = "DEVICE:TYPE", default_value = "cpu:f32")]
    a: Way,
    /// The other way, the reference for all errors
    #[arg(long, value_name = "DEVICE:TYPE", default_value = "cpu:f64")]
    b: Way,
    /// Also compare gradients
    #[arg(long)]
    gradients: bool,
    /// Fail if a largest relative error is above REL
    #[arg(long, value_name = "REL")]
    tolerance: Option<f64>,
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
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A device, and the type it computes in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    device: String,
    dtype: DType,
    /// The precision that products may round their factors to.
    precision: Precision,
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Way, String> {
        let (device, kind) = match text.rsplit_once(':') {
            Some((device, kind)) if kind.parse::<usize>().is_err() => (device, kind),
            _ => (text, "f32"),
        };
        let gpu = device.starts_with("cuda");
        let (dtype, precision) = match (kind, gpu) {
            ("f32", _) => (DType::F32, Precision::F32),
            ("f64", false) => (DType::F64, Precision::F32),
            ("tf32", true) => (DType::F32, Precision::Tf32),
            ("bf16", true) => (DType::F32, Precision::Bf16),
            ("f64", true) => return Err("a GPU cannot compute in f64; use cpu:f64".to_owned()),
            ("tf32" | "bf16", false) => return Err(format!("{kind} works only on a GPU")),
            _ => return Err(format!("there is no type `{kind}`; the types are f32, f64, tf32 and bf16")),
        };
        Ok(Way { device: device.to_owned(), dtype, precision })
    }
}

impl Way {
    fn open(&self, threads: usize) -> crate::Result<Device> {
        let options = DeviceOptions { precision: self.precision, ..DeviceOptions::with_threads(threads) };
        Device::from_name(&self.device, &options)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.precision {
            Precision::F32 => write!(f, "{}:{}", self.device, self.dtype),
            rounded => write!(f, "{}:{rounded}", self.device),
        }
    }
}

/// The output of `--json`.
#[derive(Serialize)]
struct DiffOutput<'a> {
    model: &'a str,
    a: String,
    b: String,
    image: &'a str,
    #[serde(flatten)]
    found: &'a NumericsDiff,
}

/// Runs the subcommand.
///
/// # Errors
/// No such run, file, network, data or device; an index out of range; a difference larger than `--tolerance`.
pub fn run(args: DiffArgs) -> anyhow::Result<()> {
    let (mut options, fresh) = args.trained.options_or_fresh()?;
    if options.device.is_some() {
        bail!("--device: diff computes on two devices\n  help: give them with --a and --b");
    }
    if args.tolerance.is_some_and(|most| most.is_nan() || most < 0.0) {
        bail!("--tolerance: must be 0 or more");
    }
    let threads = options.threads.unwrap_or(0);
    let devices = [args.a.open(threads)?, args.b.open(threads)?];
    options.device = Some("cpu".to_owned());
    let trained = open(options, fresh, args.index.is_some())?;
    let shown = match (&args.image, args.index) {
        (Some(file), _) => picture::read(&trained, file, args.invert)?,
        (None, Some(index)) => InputImage::of_set(&trained, args.split, index)?,
        (None, None) => InputImage::any(&trained)?,
    };
    let x = trained.prepare(shown.image)?;
    // Outputs may overflow in one of the two dtypes: the table shows this. But the weights must be finite.
    for (path, value) in trained.model.state_dict()? {
        if !finite(&value)? {
            bail!(
                "{path}: the weights are not finite\n  help: the weights are damaged, or their training diverged"
            );
        }
    }
    let models = [trained.blueprint()?, trained.blueprint()?];
    let [of_a, of_b] = devices;
    let a = computed(&trained, &*models[0], of_a, args.a.dtype)?;
    let b = computed(&trained, &*models[1], of_b, args.b.dtype)?;
    let name = &trained.network.name;
    let found = numerics_diff(name, &a, &b, &x, args.gradients)?;
    let [a, b] = [&args.a, &args.b].map(Way::to_string);
    print_line(&match args.json {
        true => serde_json::to_string(&DiffOutput { model: name, a, b, image: &shown.what, found: &found })?,
        false => format!("{name} in {a} (a) and {b} (b), {}\n\n{}", shown.what, text(&found)),
    })?;
    match args.tolerance.and_then(|most| Some((most, found.beyond(most)?))) {
        Some((most, what)) => bail!("diff: the difference is above the tolerance of {most:e}: {what}"),
        None => Ok(()),
    }
}

/// The same network with the same weights, on the device and in the type of one way.
fn computed<'a>(
    trained: &Trained,
    model: &'a dyn Module,
    device: Device,
    dtype: DType,
) -> crate::Result<Computed<'a>> {
    model.init(&device, dtype, 0)?;
    model.load_state_dict(&trained.model.state_dict()?)?;
    Ok(Computed { model, device, dtype })
}

fn text(found: &NumericsDiff) -> String {
    let gradients = found.layers.iter().any(|layer| layer.gradient.is_some());
    let mut header =
        vec!["layer", "kind", "own rel", "own ulp", "max abs", "max rel", "rms rel", "ulp", "max ulp"];
    if gradients {
        header.extend(["gradient rel", "ulp"]);
    }
    let row = |layer: &LayerDiff| {
        let LayerDiff { path, kind, accumulated, own, gradient } = layer;
        let mut row = vec![path.clone(), (*kind).to_owned(), short(own.max_rel), ulp(own.median_ulp)];
        row.extend(columns(accumulated));
        row.extend(gradient.iter().flat_map(|d| [short(d.max_rel), ulp(d.median_ulp)]));
        row
    };
    let header: Vec<String> = header.into_iter().map(str::to_owned).collect();
    let layers: Vec<Vec<String>> = [header].into_iter().chain(found.layers.iter().map(row)).collect();
    let mut text = table(&layers, 2);
    if !found.parameters.is_empty() {
        let header =
            ["gradient of", "max abs", "max rel", "rms rel", "ulp", "max ulp"].map(str::to_owned).to_vec();
        let rows = found.parameters.iter().map(|p| {
            let columns = columns(&p.gradient);
            [vec![p.path.clone()], columns.to_vec()].concat()
        });
        let rows: Vec<Vec<String>> = [header].into_iter().chain(rows).collect();
        text = format!("{text}\n\n{}", table(&rows, 1));
    }
    let notes = [
        "rel: the largest error divided by the largest element of b. ulp: the median number of values of the coarser type between a and b.",
        "own: the error of a's layer alone, with b's input. The other columns include earlier layers' errors.",
    ];
    format!("{text}\n\n{}", notes.map(|note| wrapped(note, WIDTH).join("\n")).join("\n"))
}

fn columns(d: &Difference) -> [String; 5] {
    [short(d.max_abs), short(d.max_rel), short(d.rms_rel), ulp(d.median_ulp), ulp(d.max_ulp)]
}

fn short(error: f64) -> String {
    if error == 0.0 { "0".to_owned() } else { format!("{error:.1e}") }
}

fn ulp(distance: u64) -> String {
    match usize::try_from(distance) {
        Ok(distance) if distance < usize::MAX => thousands(distance),
        _ => "NaN".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_devices_with_types() {
        let way =
            |text: &str| text.parse::<Way>().map(|way| (way.device.clone(), way.dtype, way.to_string()));
        assert_eq!(way("cpu:f64"), Ok(("cpu".to_owned(), DType::F64, "cpu:f64".to_owned())));
        assert_eq!(way("cpu"), Ok(("cpu".to_owned(), DType::F32, "cpu:f32".to_owned())));
        assert_eq!(way("cuda:1"), Ok(("cuda:1".to_owned(), DType::F32, "cuda:1:f32".to_owned())));
        assert_eq!(way("cuda:1:tf32"), Ok(("cuda:1".to_owned(), DType::F32, "cuda:1:tf32".to_owned())));
        assert!(way("cuda:f64").is_err() && way("cpu:bf16").is_err() && way("cpu:f16").is_err());
    }
}
