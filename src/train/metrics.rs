//! Mean loss, accuracy and overlap, and the reports that callbacks receive.
//!
//! A classifier makes one decision per sample: the class with the largest output. If the targets are probabilities of
//! classes, the decision is right if it is the most likely class. A segmenter makes one decision per pixel: pet or
//! background, by the sign of the logit (raw masks: see [`crate::data::masks`]). For masks the accuracy says little (two
//! thirds of a pet picture are background), so the overlap of each picture is measured too ([`Overlap`]).

use crate::core::{Element, Error, Result};
use crate::data::Masks;
use crate::element_type;
use crate::nn::Criterion;
use crate::tensor::{Meta, Tensor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Sums over the samples seen so far in a phase. Losses are weighted by batch size, so that the mean is over samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Sum of the samples' losses.
    pub loss: f64,
    /// Number of samples.
    pub n: u64,
    /// Number of decisions: one per sample, or one per pixel of a mask.
    pub decisions: u64,
    /// Number of correct decisions.
    pub correct: u64,
    /// For masks: sums over the pictures.
    pub overlap: Option<Overlap>,
    /// For masks: which targets and logits count as object.
    pub masks: Masks,
}

/// How well two masks cover each other, with predicted pixels P and true pixels T:
///
/// ```math
/// \mathrm{Dice} = \frac{2 \, |P \cap T|}{|P| + |T|} \qquad \mathrm{IoU} = \frac{|P \cap T|}{|P \cup T|}
/// ```
///
/// Both are 1 when P and T are empty. In a [`Tally`] they are sums over pictures, in a report they are means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// Twice the number of common pixels, divided by the pixels of both masks together (Dice 1945).
    pub dice: f64,
    /// The number of common pixels, divided by the pixels that are in at least one mask (Jaccard 1912).
    pub iou: f64,
}

impl Overlap {
    /// The overlap of two masks with `common` pixels in both.
    pub fn of(common: u64, predicted: u64, truth: u64) -> Overlap {
        if predicted + truth == 0 {
            return Overlap { dice: 1.0, iou: 1.0 };
        }
        let (common, both) = (common as f64, (predicted + truth) as f64);
        Overlap { dice: 2.0 * common / both, iou: common / (both - common) }
    }
}

impl Tally {
    /// No samples yet. If the targets are masks, they are of this kind.
    pub fn of(masks: Masks) -> Tally {
        Tally { masks, ..Tally::default() }
    }

    /// As [`add`](Self::add). With a loss of the caller's own, only class labels are decisions; for other targets only
    /// the loss is added.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(super) fn add_batch(
        &mut self,
        criterion: &Criterion,
        mean_loss: f64,
        output: &Tensor,
        targets: &Tensor,
    ) -> Result<()> {
        if criterion.loss().is_some() || !targets.dtype().is_float() {
            return self.add(mean_loss, output, &Tally::truth(criterion, targets)?);
        }
        self.add_loss(mean_loss, samples(&targets.meta()));
        Ok(())
    }

    fn add_loss(&mut self, mean_loss: f64, samples: u64) {
        self.loss += mean_loss * samples as f64;
        self.n += samples;
    }

    /// Adds a batch with this mean loss. `targets` of type i64 are class labels; floating-point ones are masks.
    ///
    /// # Errors
    /// An output that is not `[N, classes]`, or that does not have the shape of the masks.
    pub fn add(&mut self, mean_loss: f64, output: &Tensor, targets: &Tensor) -> Result<()> {
        let decisions = Tally::decisions(output, targets)?;
        decisions.read_bytes(|decided| {
            targets.read_bytes(|t| self.count(mean_loss, &targets.meta(), decided, t))
        })?
    }

    /// What the decisions are compared with: the targets, or the most likely classes if a loss for classes has
    /// probabilities as targets.
    ///
    /// # Errors
    /// Probabilities without a dimension for the classes.
    pub(super) fn truth(criterion: &Criterion, targets: &Tensor) -> Result<Tensor> {
        let of_classes = criterion.loss().is_some_and(|loss| !loss.takes_masks());
        if of_classes && targets.dtype().is_float() {
            return targets.detach().argmax(Some(1), false);
        }
        Ok(targets.clone())
    }

    /// The decisions for a batch, on the device: for classes the one with the largest output, for masks the logits.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(super) fn decisions(output: &Tensor, targets: &Tensor) -> Result<Tensor> {
        if !targets.dtype().is_float() {
            return output.detach().argmax(Some(1), false);
        }
        if output.meta() != targets.meta() {
            return Err(Error::shape("metrics", "the output and the masks differ in shape or dtype")
                .with("output", format_args!("{} {}", output.shape(), output.dtype()))
                .with("masks", format_args!("{} {}", targets.shape(), targets.dtype())));
        }
        Ok(output.detach())
    }

    /// As [`add`](Self::add), but from bytes that hold the decisions, the targets and the f32 loss, in this order.
    /// Returns the loss.
    pub(super) fn add_read(&mut self, bytes: &[u8], targets: &Meta) -> f64 {
        let (numbers, loss) = bytes.split_at(bytes.len() - size_of::<f32>());
        let loss = f64::from(bytemuck::pod_read_unaligned::<f32>(loss));
        let (decided, truth) = numbers.split_at(numbers.len() / 2);
        self.count(loss, targets, decided, truth);
        loss
    }

    /// `decided` and `truth` have the same shape and element size.
    fn count(&mut self, mean_loss: f64, targets: &Meta, decided: &[u8], truth: &[u8]) {
        if targets.dtype.is_float() {
            element_type!(targets.dtype, T => {
                let pixels: usize = targets.dims().iter().skip(1).product();
                self.count_masks::<T>(pixels, bytemuck::cast_slice(decided), bytemuck::cast_slice(truth))
            });
        } else {
            let pairs = decided.chunks_exact(size_of::<i64>()).zip(truth.chunks_exact(size_of::<i64>()));
            self.correct += pairs.filter(|(decided, truth)| decided == truth).count() as u64;
            self.decisions += targets.numel() as u64;
        }
        self.add_loss(mean_loss, samples(targets));
    }

    fn count_masks<T: Element>(&mut self, pixels: usize, logits: &[T], masks: &[T]) {
        // An empty batch has no pictures, so avoid a division by 0.
        let (pixels, masks_are) = (pixels.max(1), self.masks);
        let overlap = self.overlap.get_or_insert_default();
        for (logits, mask) in logits.chunks_exact(pixels).zip(masks.chunks_exact(pixels)) {
            let [mut common, mut predicted, mut truth] = [0; 3];
            for (&logit, &mask) in logits.iter().zip(mask) {
                let p = u64::from(masks_are.predicts_object(logit.to_f64()));
                let t = u64::from(masks_are.is_object(mask.to_f64()));
                common += p & t;
                predicted += p;
                truth += t;
            }
            let of_image = Overlap::of(common, predicted, truth);
            overlap.dice += of_image.dice;
            overlap.iou += of_image.iou;
            self.decisions += pixels as u64;
            self.correct += pixels as u64 + 2 * common - predicted - truth;
        }
    }

    /// Mean loss over the samples.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.n.max(1) as f64
    }

    /// The fraction of decisions that were correct.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.decisions.max(1) as f64
    }

    /// The scores, as means.
    pub fn scores(&self) -> Scores {
        let n = self.n.max(1) as f64;
        let overlap = self.overlap.map(|sum| Overlap { dice: sum.dice / n, iou: sum.iou / n });
        let loss = (self.decisions == 0 && self.n > 0).then(|| self.mean_loss());
        Scores { accuracy: self.accuracy(), overlap, loss }
    }
}

/// The number of samples of a batch with these targets.
fn samples(targets: &Meta) -> u64 {
    targets.dims().first().map_or(1, |&n| n as u64)
}

/// How good a network is on a set of images.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Scores {
    /// The fraction of decisions that were correct.
    pub accuracy: f64,
    /// For masks: means over the pictures.
    pub overlap: Option<Overlap>,
    /// The mean loss, if there was nothing to decide: the targets are numbers.
    pub loss: Option<f64>,
}

impl Scores {
    /// The score that decides which epoch is the best: mean Dice for masks, accuracy for classes, and for numbers the
    /// negative loss.
    pub fn first(&self) -> f64 {
        match (self.overlap, self.loss) {
            (Some(overlap), _) => overlap.dice,
            (None, Some(loss)) => -loss,
            (None, None) => self.accuracy,
        }
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.accuracy;
        match self.overlap {
            None if self.loss.is_some() => f.write_str("no accuracy"),
            None => write!(f, "accuracy {percent:5.2} %"),
            Some(Overlap { dice, iou }) => write!(f, "Dice {dice:.4}  IoU {iou:.4}  pixels {percent:5.2} %"),
        }
    }
}

/// Which half of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Train,
    Val,
}

/// A training step that was just done.
#[derive(Debug, Clone, Copy)]
pub struct StepReport {
    /// Steps done before this one, over the whole run.
    pub step: u64,
    /// This batch's mean loss.
    pub loss: f64,
    /// Samples in this batch.
    pub samples: usize,
}

/// A phase of an epoch that was just done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhaseReport {
    pub epoch: usize,
    pub phase: Phase,
    pub loss: f64,
    pub scores: Scores,
    pub seconds: f64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Validation scores of the best epoch.
    pub best: Scores,
    /// The best epoch; if several are equal, the first of them.
    pub best_epoch: usize,
    /// Seconds of training and validation, over all sessions of a resumed run.
    pub seconds: f64,
    /// False when a callback stopped the run before its end.
    pub finished: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    /// Two pictures of four pixels: the mean is over pictures, not over all pixels together.
    #[test]
    fn overlap_is_a_mean_over_pictures() {
        let cpu = Device::cpu().unwrap();
        let logits = [1.0f32, 1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0];
        let masks = [1.0f32, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let tensor = |values: &[f32]| Tensor::from_slice(&cpu, values, &[2, 1, 2, 2]).unwrap();
        let mut tally = Tally::default();
        tally.add(0.5, &tensor(&logits), &tensor(&masks)).unwrap();
        // The first picture: 1 common pixel, 2 predicted, 2 true. The second picture: both masks are empty.
        let overlap = tally.scores().overlap.unwrap();
        assert_eq!((overlap.dice, overlap.iou), ((0.5 + 1.0) / 2.0, (1.0 / 3.0 + 1.0) / 2.0));
        assert_eq!((tally.n, tally.decisions, tally.correct), (2, 8, 6));
        assert_eq!((tally.loss, tally.scores().first()), (1.0, 0.75));
    }

    #[test]
    fn masks_of_another_shape_are_refused() {
        let cpu = Device::cpu().unwrap();
        let [a, b] =
            [[1, 1, 2, 2], [1, 1, 2, 1]].map(|d| Tensor::zeros(&cpu, &d, crate::DType::F32).unwrap());
        assert!(Tally::default().add(0.0, &a, &b).is_err());
    }
}
