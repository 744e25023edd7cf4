//! The numbers of a report for other programs: the output of `receptive inspect RUN --json`.

use super::{
    Attribution, ClassifierResults, Heat, ImageFacts, LayerFacts, MachineFacts, PhasePoint, Report,
    WeightsSource,
};
use crate::inspect::{Array, Goal, Row};
use crate::train::Confusion;
use serde::{Serialize, Serializer};

/// The report without pictures, maps and steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Numbers<'a> {
    pub model: &'a str,
    pub weights: &'a WeightsSource,
    pub data: &'a str,
    pub machine: &'a MachineFacts,
    pub image: ImageNumbers<'a>,
    pub parameters: usize,
    pub flops: u64,
    pub activation_bytes: usize,
    /// The most likely class first; empty for a segmenter.
    pub prediction: Vec<ClassNumbers<'a>>,
    /// For a segmenter.
    pub mask: Option<MaskNumbers>,
    pub rows: &'a [Row],
    pub layers: Vec<&'a LayerFacts>,
    pub attribution: Vec<AttributionNumbers<'a>>,
    pub training: Option<&'a [PhasePoint]>,
    pub judged: Option<JudgedNumbers<'a>>,
}

/// The image of the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageNumbers<'a> {
    pub what: &'a str,
    pub dims: [usize; 3],
    pub label: Option<usize>,
}

/// A class and its probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassNumbers<'a> {
    pub class: &'a str,
    pub index: usize,
    pub probability: f64,
}

/// The numbers of a mask.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MaskNumbers {
    pub share: f64,
    pub dice: Option<f64>,
    pub iou: Option<f64>,
}

/// The evidence for a goal: a class's number, or `"mask"`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttributionNumbers<'a> {
    #[serde(serialize_with = "goal")]
    pub goal: Goal,
    pub name: &'a str,
    pub score: f64,
    pub gradcam: Option<LayerMap<'a>>,
    pub saliency: &'a Array,
    pub occlusion: Option<PatchMap<'a>>,
}

/// A map at the resolution of a layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerMap<'a> {
    pub layer: &'a str,
    #[serde(flatten)]
    pub map: &'a Array,
}

/// The map of occlusion patches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PatchMap<'a> {
    pub size: usize,
    pub stride: usize,
    #[serde(flatten)]
    pub map: &'a Array,
}

/// A classifier's results on validation images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgedNumbers<'a> {
    pub set: &'a str,
    pub asked: usize,
    pub of: usize,
    pub accuracy: f64,
    pub confusion: &'a Confusion,
    pub per_class: &'a [Option<f64>],
    /// Numbers of images in the set.
    pub worst: Vec<usize>,
    pub confident: Vec<usize>,
}

/// Writes a class as its number.
fn goal<S: Serializer>(goal: &Goal, serializer: S) -> Result<S::Ok, S::Error> {
    match goal {
        Goal::Class(class) => serializer.serialize_u64(*class as u64),
        Goal::Mask => serializer.serialize_str("mask"),
    }
}

impl<'a> Numbers<'a> {
    /// The numbers of a report.
    pub(super) fn of(report: &'a Report) -> Numbers<'a> {
        let ImageFacts { what, dims, label, .. } = &report.image;
        Numbers {
            model: &report.model,
            weights: &report.weights,
            data: &report.data,
            machine: &report.machine,
            image: ImageNumbers { what, dims: *dims, label: *label },
            parameters: report.parameters,
            flops: report.flops,
            activation_bytes: report.activation_bytes,
            prediction: prediction(report),
            mask: report.mask.as_ref().map(|m| MaskNumbers { share: m.share, dice: m.dice, iou: m.iou }),
            rows: &report.rows,
            layers: report.layers.iter().map(|layer| &layer.facts).collect(),
            attribution: report.attribution.iter().map(attribution).collect(),
            training: report.training.as_ref().map(|training| &training.phases[..]),
            judged: report.judged.as_ref().map(judged),
        }
    }
}

fn prediction(report: &Report) -> Vec<ClassNumbers<'_>> {
    let probabilities = report.probabilities.iter().flatten();
    let classes = report.classes.iter().zip(probabilities).enumerate();
    let mut classes: Vec<ClassNumbers> =
        classes.map(|(index, (class, &probability))| ClassNumbers { class, index, probability }).collect();
    classes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    classes
}

fn attribution(attribution: &Attribution) -> AttributionNumbers<'_> {
    let Attribution { goal, name, score, gradcam, saliency: Heat(saliency), occlusion } = attribution;
    AttributionNumbers {
        goal: *goal,
        name,
        score: *score,
        gradcam: gradcam.as_ref().map(|heat| LayerMap { layer: &heat.layer, map: &heat.map.0 }),
        saliency,
        occlusion: occlusion.as_ref().map(|heat| PatchMap {
            size: heat.size,
            stride: heat.stride,
            map: &heat.map.0,
        }),
    }
}

fn judged(judged: &ClassifierResults) -> JudgedNumbers<'_> {
    let indices = |mistakes: &[super::Mistake]| mistakes.iter().map(|mistake| mistake.index).collect();
    JudgedNumbers {
        set: &judged.set,
        asked: judged.asked,
        of: judged.of,
        accuracy: judged.accuracy,
        confusion: &judged.confusion,
        per_class: &judged.per_class,
        worst: indices(&judged.worst),
        confident: indices(&judged.confident),
    }
}
