//! What a prediction is explained for. Each goal has a score, one number: Grad-CAM and saliency differentiate it, and
//! occlusion measures how much it falls.
//!
//! | goal | score |
//! |---|---|
//! | a class of `[N, classes]` | its logit: the network's output, or the input of its final softmax or log_softmax |
//! | the mask of `[N, C, H, W]` | the sum of the logits over the pixels whose logit for the whole image is above 0 |
//!
//! The score is a logit, not a probability. A probability also rises when another class's score falls, so its gradient
//! mixes evidence for the class with evidence against the others (Simonyan, Vedaldi, Zisserman 2014, section 3). To
//! compare with PyTorch, use the input of `F.log_softmax` there too.
//!
//! Only the image requires gradients. Gradient recording is off for parameters, so their gradients are neither computed
//! nor changed. In evaluation mode batch norm is a fixed scale and shift.

use super::Array;
use crate::core::{Error, ErrorKind, Result};
use crate::nn::{Ctx, Hook, Module};
use crate::tensor::Tensor;
use serde::Serialize;
use std::cell::RefCell;

/// The goal of an explanation. In JSON it is `{"class": 3}` or `"mask"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// A class of a classifier, by its number.
    Class(usize),
    /// A segmenter's predicted mask. If the mask is empty, the score and the maps are 0.
    Mask,
}

/// A number for every place of an image or a layer's output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Heatmap {
    pub goal: Goal,
    /// The goal's score for the original image.
    pub score: f64,
    /// `[rows, columns]`.
    pub map: Array,
}

impl Heatmap {
    pub(super) fn new(score: &Score, [rows, columns]: [usize; 2], values: &[f64]) -> Heatmap {
        let values = values.iter().map(|&v| v as f32).collect();
        Heatmap { goal: score.goal, score: score.value, map: Array { dims: vec![rows, columns], values } }
    }
}

/// Channels, rows and columns of one image `[1, C, H, W]`.
///
/// # Errors
/// A number of images other than one; a wrong number of dimensions; no pixels.
pub(super) fn one_image(instrument: &str, x: &Tensor) -> Result<[usize; 3]> {
    match *x.dims() {
        [1, c, h, w] if x.numel() > 0 => Ok([c, h, w]),
        _ => Err(Error::shape(instrument, "needs exactly one image")
            .with("x", x.shape())
            .expected("[1, C, H, W]")
            .help("for image i of a batch, use x.narrow(0, i, 1)")),
    }
}

/// Runs `model` in evaluation mode and returns its scores before a softmax or log_softmax at its end. The scores are on
/// the tape if `x` requires gradients. `hook` sees every layer.
pub(super) fn logits(model: &dyn Module, name: &str, x: &Tensor, hook: &dyn Hook) -> Result<Tensor> {
    let watch = BeforeSoftmax { hook, last: RefCell::default() };
    let output = model.forward(&Ctx::eval(name).with_hook(&watch), x)?;
    Ok(match watch.last.into_inner() {
        Some((scores, y)) if y.shares_storage(&output) => scores,
        _ => output,
    })
}

/// Keeps the input and the output of the last softmax.
struct BeforeSoftmax<'a> {
    hook: &'a dyn Hook,
    last: RefCell<Option<(Tensor, Tensor)>>,
}

impl Hook for BeforeSoftmax<'_> {
    fn layer(&self, path: &str, module: &dyn Module, x: &Tensor, y: &Tensor) -> Result<()> {
        if matches!(module.kind(), "Softmax" | "LogSoftmax") {
            self.last.replace(Some((x.clone(), y.clone())));
        }
        self.hook.layer(path, module, x, y)
    }
}

/// A hook that does nothing.
pub(super) struct Nobody;

impl Hook for Nobody {
    fn layer(&self, _path: &str, _module: &dyn Module, _x: &Tensor, _y: &Tensor) -> Result<()> {
        Ok(())
    }
}

/// A goal's score: the sum of the logits that belong to the goal.
pub(super) struct Score {
    goal: Goal,
    /// The score of the original image.
    value: f64,
    /// 1 for the logits that belong to the goal, 0 for the others.
    weights: Vec<f32>,
}

impl Score {
    /// The score of `goal` for one image. For a mask, these logits decide once and for all which pixels count.
    ///
    /// # Errors
    /// A class out of range; a class for a segmenter or a mask for a classifier; a score that is not finite.
    pub fn of(goal: Goal, name: &str, logits: &Tensor) -> Result<Score> {
        let weights: Vec<f32> = match (goal, logits.dims()) {
            (Goal::Class(class), &[1, classes]) if class < classes => {
                (0..classes).map(|i| f32::from(i == class)).collect()
            }
            (Goal::Class(class), &[1, classes]) => {
                return Err(Error::argument(name, format!("there is no class {class}"))
                    .expected(format!("0 to {}", classes.saturating_sub(1))));
            }
            (Goal::Mask, &[1, _, _, _]) => logits.to_f64()?.iter().map(|&v| f32::from(v > 0.0)).collect(),
            (Goal::Class(_), _) => {
                return Err(no_score(name, logits, "classes", "[1, classes]", "Goal::Mask"));
            }
            (Goal::Mask, _) => {
                return Err(no_score(
                    name,
                    logits,
                    "a mask",
                    "[1, C, H, W]",
                    "Goal::Class(class), or give a report the classifier's loss",
                ));
            }
        };
        let mut score = Score { goal, value: 0.0, weights };
        score.value = score.values(logits)?.into_iter().sum();
        if score.value.is_finite() {
            return Ok(score);
        }
        Err(Error::new(ErrorKind::NonFinite, name, "the score is not finite")
            .help("the weights are damaged, or their training diverged"))
    }

    /// The score of the original image.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The scores of a batch of images.
    ///
    /// # Errors
    /// Logits without values.
    pub fn values(&self, logits: &Tensor) -> Result<Vec<f64>> {
        // Leave out logits that do not belong to the goal: 0 times infinity would be NaN.
        let of_image = |logits: &[f64]| {
            logits
                .iter()
                .zip(&self.weights)
                .filter(|(_, weight)| **weight > 0.0)
                .map(|(logit, _)| logit)
                .sum()
        };
        Ok(logits.to_f64()?.chunks_exact(self.weights.len().max(1)).map(of_image).collect())
    }

    /// Runs the backward pass of the score, starting from the logits of its image.
    ///
    /// # Errors
    /// Logits that are not on the tape.
    pub fn backward(&self, logits: &Tensor) -> Result<()> {
        let weights = Tensor::from_slice(logits.device(), &self.weights, logits.dims())?;
        logits.backward_with(&weights.to_dtype(logits.dtype())?)
    }
}

fn no_score(name: &str, logits: &Tensor, what: &str, dims: &str, other: &str) -> Error {
    Error::shape(name, format!("its output has no scores for {what}"))
        .with("output", logits.shape())
        .expected(dims)
        .help(format!("use {other}"))
}
