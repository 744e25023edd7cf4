//! Reports: `receptive inspect` runs the instruments on one network and one image, and writes the results as data and
//! as one page. `receptive train` can write a profile of some steps.
//!
//! [`report`] collects the results. [`Report::to_html`] writes a page that needs no other file. [`Report::numbers`] are
//! the numbers for other programs.
//!
//! | file | what |
//! |---|---|
//! | `input_image.rs` | [`InputImage`]: the image of the report, and a test picture if there is none |
//! | `layers.rs` | [`LayerReport`]: a forward pass that records every layer; times |
//! | `maps.rs`, `base64_arrays.rs`, `picture.rs` | feature maps within a number of bytes; arrays and images as text |
//! | `steps.rs`, `crop.rs` | what the page needs to compute single outputs again |
//! | `attribution.rs` | [`Attribution`]: the evidence for the most likely classes |
//! | `training.rs` | [`Training`]: the curves and the health of a run |
//! | `mistakes.rs` | [`ClassifierResults`]: confusion matrix, mistakes; masks |
//! | `module.rs` | [`report_module`]: the report of any model and image, without a run folder |
//! | `numbers.rs` | [`Numbers`]: the report without its pictures |
//! | `html.rs`, `page/` | the page: markup, style and scripts |
//! | `profile.rs` | [`ProfileTraining`]: profiles some steps of a training run |

mod attribution;
mod base64_arrays;
mod crop;
mod html;
mod input_image;
mod layers;
mod maps;
mod mistakes;
mod module;
mod numbers;
mod picture;
mod profile;
mod steps;
mod training;

pub use attribution::{Attribution, Heat, LayerHeat, PatchHeat};
pub use base64_arrays::{Base64Array, Base64Values};
pub use input_image::InputImage;
pub use layers::{Affine, Distribution, FilterTiles, LayerFacts, LayerReport};
pub use maps::Maps;
pub use mistakes::{ClassifierResults, MaskedImage, Mistake};
pub use module::{About, report_module};
pub use numbers::Numbers;
pub use picture::Picture;
pub use profile::ProfileTraining;
pub use steps::{Full, PartOrigin, Steps};
pub use training::{PhasePoint, Training};

use crate::core::Result;
use crate::core::text::file_name;
use crate::inspect::{Goal, LayerGraph, Machine, Row, Summary, describe, layer_graph, summary};
use crate::nn::{Loss, Module};
use crate::tensor::Tensor;
use crate::train::Trained;
use serde::{Serialize, Serializer};
use std::path::{Path, PathBuf};

/// Everything the page shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The version of `receptive` that made the report.
    pub receptive: &'static str,
    pub model: String,
    /// The network as PyTorch prints it.
    pub describe: String,
    pub weights: WeightsSource,
    /// The data set's name.
    pub data: String,
    /// The names of the outputs.
    pub classes: Vec<String>,
    pub machine: MachineFacts,
    pub image: ImageFacts,
    pub parameters: usize,
    /// FLOPs of a forward pass on one image.
    pub flops: u64,
    /// Bytes of all layers' outputs for one image.
    pub activation_bytes: usize,
    /// The probability of each class; `None` for a segmenter.
    pub probabilities: Option<Vec<f64>>,
    /// The mask that a segmenter predicts for the image.
    pub mask: Option<MaskedImage>,
    pub rows: Vec<Row>,
    pub layers: Vec<LayerReport>,
    pub attribution: Vec<Attribution>,
    /// For a run folder: the course of its training.
    pub training: Option<Training>,
    /// For a trained classifier whose data are on this machine.
    pub judged: Option<ClassifierResults>,
    /// For a trained segmenter whose data are on this machine.
    pub masks: Vec<MaskedImage>,
}

/// The source of the weights. JSON has the name of the folder or file, not its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum WeightsSource {
    /// The best weights of a run folder.
    Run {
        #[serde(rename = "name", serialize_with = "name_only")]
        path: PathBuf,
    },
    File {
        #[serde(rename = "name", serialize_with = "name_only")]
        path: PathBuf,
    },
    /// Initial weights, as before training.
    Drawn { seed: u64 },
    /// Those that the model had.
    Given,
}

/// The machine on which the times were measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineFacts {
    pub cpu: Option<String>,
    pub device: String,
    pub threads: usize,
}

/// The image of the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageFacts {
    /// The image's name.
    pub what: String,
    /// The size of the network's input, `[C, H, W]`.
    pub dims: [usize; 3],
    /// The image as the network receives it, before normalising.
    pub picture: Picture,
    /// Its true class, if known.
    pub label: Option<usize>,
}

/// Makes the report of a network and one image. `say` receives messages about the progress.
///
/// # Errors
/// An image that does not fit the network; outputs that are not finite; a run folder's files that cannot be read.
pub fn report(
    trained: &Trained,
    weights: WeightsSource,
    shown: InputImage,
    mut say: impl FnMut(&str),
) -> Result<Report> {
    let name = &trained.network.name;
    let InputImage { mut image, mut mask, label, what } = shown;
    let (original, original_mask) = (image.clone(), mask.clone());
    let x = trained.see(&mut image, mask.as_mut())?;
    let totals = summary(&*trained.blueprint()?, name, trained.image).map_err(|stopped| stopped.error)?;
    let graph = layer_graph(&*trained.blueprint()?, name, trained.image)?;
    let (loss, class_name) = (trained.network.loss, |class| trained.class_name(class));
    let masks = loss.takes_masks();
    let ForwardResults { layers, probabilities, attribution, .. } =
        see(&*trained.model, name, &x, loss, &totals, &graph, class_name, &mut say)?;
    let trained_weights = !matches!(weights, WeightsSource::Drawn { .. }) && trained.has_images();
    if trained_weights {
        say("predicting validation images");
    }
    Ok(Report {
        receptive: env!("CARGO_PKG_VERSION"),
        model: name.clone(),
        describe: describe(&*trained.model),
        data: file_name(&trained.config.data),
        classes: (0..trained.outputs()).map(|class| trained.class_name(class)).collect(),
        machine: machine(trained),
        image: ImageFacts { what, dims: trained.image, picture: Picture::of(&image), label },
        parameters: totals.parameters,
        flops: totals.flops,
        activation_bytes: totals.activation_bytes,
        probabilities,
        mask: match masks {
            true => Some(MaskedImage::of(&trained.segment(original, original_mask)?, None)),
            false => None,
        },
        rows: graph.rows,
        layers,
        attribution,
        training: match &weights {
            WeightsSource::Run { path } => Some(training::training(path)?),
            _ => None,
        },
        judged: if trained_weights && !masks {
            Some(mistakes::classifier_results(trained, totals.flops)?)
        } else {
            None
        },
        masks: if trained_weights && masks { mistakes::masks(trained)? } else { Vec::new() },
        weights,
    })
}

/// What one forward pass and the questions after it show.
struct ForwardResults {
    /// The model's output.
    y: Tensor,
    layers: Vec<LayerReport>,
    probabilities: Option<Vec<f64>>,
    attribution: Vec<Attribution>,
}

/// Runs the model on `x` and explains its output. `totals` and `graph` are those of the same model.
#[allow(clippy::too_many_arguments)] // the two callers have nothing more in common
fn see(
    model: &dyn Module,
    name: &str,
    x: &Tensor,
    loss: Loss,
    totals: &Summary,
    graph: &LayerGraph,
    class_name: impl Fn(usize) -> String,
    mut say: impl FnMut(&str),
) -> Result<ForwardResults> {
    say("computing every layer's output");
    let (y, layers) = layers::layers(model, name, x, totals, graph)?;
    let probabilities = match loss.takes_masks() {
        true => None,
        false => Some(loss.probabilities(&y)?.to_f64()?),
    };
    say("computing which pixels the prediction depends on");
    let goals = match &probabilities {
        Some(probabilities) => attribution::goals(probabilities, class_name),
        None => vec![(Goal::Mask, "mask".to_owned())],
    };
    let attribution = attribution::attribution(model, name, x, totals.flops, &goals)?;
    Ok(ForwardResults { y, layers, probabilities, attribution })
}

fn name_only<S: Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&file_name(path))
}

fn machine(trained: &Trained) -> MachineFacts {
    let Machine { cpu, cores, .. } = Machine::detect();
    let threads = if trained.config.threads == 0 { cores } else { trained.config.threads };
    MachineFacts { cpu, device: trained.device.to_string(), threads }
}

impl Report {
    /// The report as a page: one file that contains everything.
    pub fn to_html(&self) -> String {
        let json = serde_json::to_string(self).expect("a report has a JSON form");
        html::page(&format!("{}: {}", self.model, self.image.what), &json)
    }

    /// The report without pictures and maps.
    pub fn numbers(&self) -> Numbers<'_> {
        Numbers::of(self)
    }
}
