//! Grad-CAM: a map of where the channels that support a prediction are active.

use super::attribution_target::{Goal, Heatmap, Score, logits, one_image};
use super::filters::convolves;
use crate::core::{Error, ErrorKind, Result};
use crate::nn::{Hook, Module};
use crate::tensor::Tensor;
use std::cell::{Cell, RefCell};

/// The most layer names in a message.
const NAMED: usize = 24;

/// Grad-CAM of `goal` at the output of `layer` (a path as in `state_dict`): a map with the size of that output. `x` is
/// one image `[1, C, H, W]`, prepared as the network's input.
///
/// ```math
/// \begin{aligned}
/// \mathrm{weight}_k &= \operatorname{mean}_{i,j} \frac{\mathrm{d\,score}}{\mathrm{d} A_{k,i,j}} \\
/// \mathrm{map}_{i,j} &= \max \Bigl( 0, \sum_k \mathrm{weight}_k \, A_{k,i,j} \Bigr)
/// \end{aligned}
/// ```
///
/// with A for the layer's output `[K, H, W]`. The map has the layer's resolution, and is not enlarged here. A negative
/// sum is evidence against the class, and is set to 0. (Selvaraju et al.: "Grad-CAM: Visual Explanations from Deep
/// Networks via Gradient-based Localization", 2017.) For a segmenter the score is that of its mask, as in Seg-Grad-CAM
/// (Vinogradova et al. 2020).
///
/// `layer` can be any layer that the network runs by a name, also a container. The output of a ResNet's `layer3` is
/// that of its last block. The output of an Inception block is the concatenation of its branches.
///
/// # Errors
/// A number of images other than one; no such layer, or one whose output has no rows and columns (the message lists the
/// layers that have them); a class out of range; a goal that does not fit the network's output; a score that is not
/// finite, or that does not depend on the layer.
pub fn gradcam(model: &dyn Module, name: &str, x: &Tensor, layer: &str, goal: Goal) -> Result<Heatmap> {
    one_image("gradcam", x)?;
    let watch = FindLayers::new(layer);
    let logits = logits(model, name, &x.requires_grad(), &watch)?;
    let (activation, [h, w]) = watch.activation(&logits)?;
    let score = Score::of(goal, name, &logits)?;
    activation.retain_grad();
    score.backward(&logits)?;
    let gradient = activation.grad().ok_or_else(|| {
        let what = format!("the score does not depend on the layer {layer}");
        Error::new(ErrorKind::NoGradient, "gradcam", what)
    })?;
    let (activation, gradient) = (activation.to_f64()?, gradient.to_f64()?);
    let mut map = vec![0f64; h * w];
    for (a, da) in activation.chunks_exact(h * w).zip(gradient.chunks_exact(h * w)) {
        let weight = da.iter().sum::<f64>() / (h * w) as f64;
        map.iter_mut().zip(a).for_each(|(sum, a)| *sum += weight * a);
    }
    // Not f64::max, because it would turn NaN into 0.
    map.iter_mut().filter(|sum| **sum < 0.0).for_each(|sum| *sum = 0.0);
    Ok(Heatmap::new(&score, [h, w], &map))
}

/// The default layer for Grad-CAM: the last layer that is a convolution or comes after one, and has more than one place
/// in its output. `None` if there is no such layer, as in a network of linear layers.
///
/// Two kinds of layers are skipped. The layer that gives a segmenter's scores would give the mask again. An adaptive
/// pooling may have fewer places in its input than in its output.
///
/// # Errors
/// A number of images other than one; a shape that does not fit the network.
pub fn gradcam_layer(model: &dyn Module, name: &str, x: &Tensor) -> Result<Option<String>> {
    one_image("gradcam_layer", x)?;
    let watch = FindLayers::new("");
    let logits = logits(model, name, &x.detach(), &watch)?;
    Ok(watch.fitting(&logits).pop())
}

/// Keeps one layer's output, and lists the layers whose outputs have places.
struct FindLayers<'a> {
    layer: &'a str,
    wanted: RefCell<Option<Tensor>>,
    /// Whether a convolution has run already.
    convolved: Cell<bool>,
    places: RefCell<Vec<(String, Tensor)>>,
}

impl<'a> FindLayers<'a> {
    fn new(layer: &'a str) -> FindLayers<'a> {
        FindLayers {
            layer,
            wanted: RefCell::default(),
            convolved: Cell::new(false),
            places: RefCell::default(),
        }
    }

    /// The layers that Grad-CAM can use, in the order they ran.
    fn fitting(&self, logits: &Tensor) -> Vec<String> {
        let places = self.places.borrow();
        places.iter().filter(|(_, y)| !y.shares_storage(logits)).map(|(path, _)| path.clone()).collect()
    }

    /// The output of the requested layer, with its rows and columns.
    fn activation(&self, logits: &Tensor) -> Result<(Tensor, [usize; 2])> {
        let error = match self.wanted.borrow().as_ref() {
            Some(y) => match places(y) {
                Some(size) => return Ok((y.clone(), size)),
                None => Error::shape(
                    "gradcam",
                    format!("the output of {} has no rows and columns to map", self.layer),
                )
                .with("output", y.shape()),
            },
            None => Error::new(ErrorKind::Missing, "gradcam", format!("there is no layer `{}`", self.layer)),
        };
        let fitting = self.fitting(logits);
        Err(match &fitting[..] {
            [] => error.help("this network has no layer for Grad-CAM; use saliency or occlusion"),
            [.., last] => {
                let before = fitting.len().saturating_sub(NAMED);
                let more = if before > 0 { format!("{before} before, ") } else { String::new() };
                error
                    .expected(format!("one of {more}{}", fitting[before..].join(", ")))
                    .help(format!("the usual choice: {last}"))
            }
        })
    }
}

impl Hook for FindLayers<'_> {
    fn layer(&self, path: &str, module: &dyn Module, _x: &Tensor, y: &Tensor) -> Result<()> {
        let kind = module.kind();
        if convolves(kind) {
            self.convolved.set(true);
        }
        if self.convolved.get() && places(y).is_some() && !kind.starts_with("Adaptive") {
            self.places.borrow_mut().push((path.to_owned(), y.clone()));
        }
        if path == self.layer {
            self.wanted.replace(Some(y.clone()));
        }
        Ok(())
    }
}

/// The rows and columns of an output `[1, K, H, W]`; `None` if it has only one place.
fn places(y: &Tensor) -> Option<[usize; 2]> {
    match *y.dims() {
        [_, k, h, w] if k > 0 && h * w > 1 => Some([h, w]),
        _ => None,
    }
}
