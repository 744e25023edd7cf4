//! What a prediction is based on: Grad-CAM, saliency and occlusion for the most likely classes, or for a mask.

use super::base64_arrays::Base64Array;
use super::maps::Maps;
use crate::core::Result;
use crate::inspect::{Array, Goal, OcclusionOptions, gradcam, gradcam_layer, occlusion, saliency};
use crate::nn::Module;
use crate::tensor::Tensor;
use serde::Serialize;

/// Bytes of a map in the page before base64. They are enough for 256x256 pixels in full precision.
const HEAT: usize = 256 * 256 * size_of::<f32>();
/// Number of classes that are explained.
const CLASSES: usize = 3;
/// The most floating point operations that occlusion may take per class: some seconds of work.
const FLOPS: u64 = 300_000_000_000;
/// The most and the fewest places of a patch along one side.
const PLACES: [usize; 2] = [16, 6];

/// The evidence for one class, or for the mask.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attribution {
    pub goal: Goal,
    /// The class's name, or `mask`.
    pub name: String,
    /// The class's score before softmax, or the sum of the logits over the predicted mask.
    pub score: f64,
    /// `None` if no layer's output has places.
    pub gradcam: Option<LayerHeat>,
    pub saliency: Heat,
    pub occlusion: Option<PatchHeat>,
}

/// A map of the image, or of the places of a layer: `[rows, columns]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat(pub Array);

/// A map at the resolution of a layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerHeat {
    pub layer: String,
    pub map: Heat,
}

/// How much the score falls when a place is covered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PatchHeat {
    /// The patch's side, and the distance between two of them, in pixels.
    pub size: usize,
    pub stride: usize,
    pub map: Heat,
}

impl Serialize for Heat {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Array { dims, values } = &self.0;
        let [rows, columns] = dims[..] else {
            return Base64Array::exact(dims, values.clone()).serialize(serializer);
        };
        let Maps { mut shown, side, .. } = Maps::of(&[1, rows, columns], values, HEAT);
        shown.dims.remove(0);
        ShownHeat { shown, side }.serialize(serializer)
    }
}

/// A map in the form that the page reads.
#[derive(Serialize)]
struct ShownHeat {
    #[serde(flatten)]
    shown: Base64Array,
    /// Each value is the mean of a square with this side.
    side: usize,
}

/// The goals for a classifier's probabilities: its most likely classes, each with its name.
pub fn goals(probabilities: &[f64], name: impl Fn(usize) -> String) -> Vec<(Goal, String)> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    order.into_iter().take(CLASSES).map(|class| (Goal::Class(class), name(class))).collect()
}

/// Explains the network's output for each goal. `x` is `[1, C, H, W]`; `flops` are those of one forward pass on it.
///
/// # Errors
/// Shapes that do not fit.
pub fn attribution(
    model: &dyn Module,
    name: &str,
    x: &Tensor,
    flops: u64,
    goals: &[(Goal, String)],
) -> Result<Vec<Attribution>> {
    let layer = gradcam_layer(model, name, x)?;
    let patch = patch([x.dims()[2], x.dims()[3]], flops);
    let one = |(goal, called): &(Goal, String)| {
        let saliency = saliency(model, name, x, *goal)?;
        let gradcam = match &layer {
            None => None,
            Some(layer) => {
                let heat = gradcam(model, name, x, layer, *goal)?;
                Some(LayerHeat { layer: layer.clone(), map: Heat(heat.map) })
            }
        };
        let covered = occlusion(model, name, x, *goal, &patch)?;
        Ok(Attribution {
            goal: *goal,
            name: called.clone(),
            score: saliency.score,
            gradcam,
            saliency: Heat(saliency.map),
            occlusion: Some(PatchHeat { size: patch.size, stride: patch.stride, map: Heat(covered.map) }),
        })
    };
    goals.iter().map(one).collect()
}

/// Patches about twice as wide as the distance between them. There are as many as the operations allow.
fn patch([h, w]: [usize; 2], flops: u64) -> OcclusionOptions {
    let affordable = ((FLOPS / flops.max(1)) as f64).sqrt() as usize;
    let places = affordable.clamp(PLACES[1], PLACES[0]);
    let stride = h.min(w).div_ceil(places).max(1);
    OcclusionOptions { size: (2 * stride).min(h.min(w)), stride, ..OcclusionOptions::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The map of a large image is made smaller, and records by how much.
    #[test]
    fn a_large_map_is_shown_in_squares() {
        let json = |side: usize| {
            let map = Array { dims: vec![side, side], values: vec![1.0; side * side] };
            let json = serde_json::to_value(Heat(map)).unwrap();
            (json["dims"][1].as_u64(), json["side"].as_u64(), json.get("f32").is_some())
        };
        assert_eq!(json(256), (Some(256), Some(1), true));
        assert_eq!(json(1024), (Some(512), Some(2), false));
    }

    #[test]
    fn patches_cover_small_images_finely_and_large_networks_coarsely() {
        let sides = |image, flops| {
            let OcclusionOptions { size, stride, .. } = patch(image, flops);
            (size, stride)
        };
        assert_eq!(sides([28, 28], 1_000_000), (4, 2));
        assert_eq!(sides([224, 224], 23_000_000_000), (76, 38));
        assert_eq!(sides([224, 224], 3_600_000_000), (50, 25));
        assert_eq!(sides([1, 5], 1), (1, 1));
    }

    #[test]
    fn the_likeliest_classes_come_first() {
        let goals = goals(&[0.1, 0.6, 0.0, 0.3], |class| format!("c{class}"));
        let expected = [(1, "c1"), (3, "c3"), (0, "c0")].map(|(i, name)| (Goal::Class(i), name.to_owned()));
        assert_eq!(goals, expected);
    }
}
