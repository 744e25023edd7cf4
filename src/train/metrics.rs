//! Mean loss and accuracy, and the reports that callbacks receive.

use crate::core::Result;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Sums over the samples seen so far in a phase. Losses are weighted by batch size, so the mean is over samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Sum of the samples' losses.
    pub loss: f64,
    /// Samples whose largest output is at their label.
    pub correct: u64,
    /// Samples.
    pub n: u64,
}

impl Tally {
    /// Adds a batch with this mean loss.
    ///
    /// # Errors
    /// An output that is not `[N, classes]`.
    pub fn add(&mut self, mean_loss: f64, output: &Tensor, labels: &Tensor) -> Result<()> {
        let n = labels.numel() as u64;
        let predicted = output.detach().argmax(Some(1), false)?;
        let hits = predicted.read::<i64, _>(|p| {
            labels.read::<i64, _>(|l| p.iter().zip(l).filter(|(p, l)| p == l).count())
        })??;
        self.loss += mean_loss * n as f64;
        self.correct += hits as u64;
        self.n += n;
        Ok(())
    }

    /// Mean loss over the samples.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.n.max(1) as f64
    }

    /// The fraction of samples predicted correctly.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.n.max(1) as f64
    }
}

/// Which half of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Train,
    Val,
}

/// One training step, just done.
#[derive(Debug, Clone, Copy)]
pub struct StepReport {
    /// Steps done before this one, over the whole run.
    pub step: u64,
    /// This batch's mean loss.
    pub loss: f64,
    /// Samples in this batch.
    pub samples: usize,
}

/// One phase of one epoch, just done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhaseReport {
    pub epoch: usize,
    pub phase: Phase,
    pub loss: f64,
    /// A fraction.
    pub accuracy: f64,
    pub seconds: f64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Best validation accuracy, a fraction.
    pub best_accuracy: f64,
    /// The epoch that reached it first.
    pub best_epoch: usize,
    /// Seconds of training and validation, all sessions of a resumed run together.
    pub seconds: f64,
    /// False when a callback stopped the run before its end.
    pub finished: bool,
}
