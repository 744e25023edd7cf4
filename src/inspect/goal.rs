//! What an answer is explained for: one number, the goal's score, that Grad-CAM and saliency differentiate and occlusion
//! watches fall.
//!
//! | goal | score |
//! |---|---|
//! | a class of `[N, classes]` | its logit: the network's output, or what goes into the softmax or log_softmax it ends in |
//! | the mask of `[N, C, H, W]` | the sum of the logits over the pixels where the whole image's are above 0 |
//!
//! The logit, because a probability also rises when another class's score falls: its gradient mixes what speaks for the
//! class with what speaks against the others (Simonyan, Vedaldi, Zisserman 2014, section 3). To compare with PyTorch, take
//! what goes into `F.log_softmax` there too.
//!
//! Only the image asks for gradients: networks run with recording off for parameters, so that theirs are neither computed
//! nor touched. In evaluation mode batch norm is a fixed scale and shift.

use super::Array;
use crate::core::{Error, ErrorKind, Result};
use crate::nn::{Ctx, Hook, Module};
use crate::tensor::Tensor;
use serde::Serialize;
use std::cell::RefCell;

/// What is asked about. In JSON `{"class": 3}` or `"mask"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// A class of a classifier, by its number.
    Class(usize),
    /// A segmenter's predicted mask. Of an image without any its score and its maps are 0.
    Mask,
}

/// A number for every place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Heatmap {
    pub goal: Goal,
    /// The goal's score for the image as it is.
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
/// Another number of images or dimensions; no pixels.
pub(super) fn one_image(instrument: &str, x: &Tensor) -> Result<[usize; 3]> {
    match *x.dims() {
        [1, c, h, w] if x.numel() > 0 => Ok([c, h, w]),
        _ => Err(Error::shape(instrument, "looks at one image")
            .with("x", x.shape())
            .expected("[1, C, H, W]")
            .help("take image i of a batch: x.narrow(0, i, 1)")),
    }
}

/// Runs `model` in evaluation mode and returns its scores before a softmax or log_softmax at its end. They are on the tape
/// where `x` asks for gradients. `hook` sees every layer.
pub(super) fn logits(model: &dyn Module, name: &str, x: &Tensor, hook: &dyn Hook) -> Result<Tensor> {
    let watch = BeforeSoftmax { hook, last: RefCell::default() };
    let output = model.forward(&Ctx::eval(name).with_hook(&watch), x)?;
    Ok(match watch.last.into_inner() {
        Some((scores, y)) if y.shares_storage(&output) => scores,
        _ => output,
    })
}

/// Keeps what went into the last softmax, and what came out.
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

/// Watches nothing.
pub(super) struct Nobody;

impl Hook for Nobody {
    fn layer(&self, _path: &str, _module: &dyn Module, _x: &Tensor, _y: &Tensor) -> Result<()> {
        Ok(())
    }
}

/// A goal's score: the sum of those logits that belong to it.
pub(super) struct Score {
    goal: Goal,
    /// For the image as it is.
    value: f64,
    /// 1 for the logits that belong to the goal, 0 for the others.
    weights: Vec<f32>,
}

impl Score {
    /// The score of `goal` for one image. Of a mask the pixels are those of these logits, from now on.
    ///
    /// # Errors
    /// A class out of range; a class of a segmenter or a mask of a classifier; a score that is not finite.
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
                return Err(no_score(name, logits, "a mask", "[1, C, H, W]", "Goal::Class(class)"));
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

    /// For the image as it is.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The scores of a batch of images.
    ///
    /// # Errors
    /// Logits without values.
    pub fn values(&self, logits: &Tensor) -> Result<Vec<f64>> {
        // A logit of infinity that does not belong to the goal is not part of the sum: 0 times it would be NaN.
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

    /// Sends the gradient of the score back from the logits of its image.
    ///
    /// # Errors
    /// Logits that are not on the tape.
    pub fn backward(&self, logits: &Tensor) -> Result<()> {
        let weights = Tensor::from_slice(logits.device(), &self.weights, logits.dims())?;
        logits.backward_with(&weights.to_dtype(logits.dtype())?)
    }
}

fn no_score(name: &str, logits: &Tensor, what: &str, dims: &str, other: &str) -> Error {
    Error::shape(name, format!("its output has no scores of {what}"))
        .with("output", logits.shape())
        .expected(dims)
        .help(format!("ask for {other}"))
}
