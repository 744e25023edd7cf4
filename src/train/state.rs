//! The position in a run. Together with the weights and the optimiser's tensors it determines every later step. There
//! is no random generator state to save: all randomness is keyed by seed, epoch and step.

use super::{Overlap, RecentLoss, Scores, Tally};
use crate::optim::Plateau;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a run is.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Epochs finished.
    pub epoch: usize,
    /// Training batches finished in the current epoch.
    pub batch: usize,
    /// Optimiser steps finished in the run.
    pub step: u64,
    /// Sums of the current epoch's train phase.
    pub tally: Tally,
    /// The losses of the current epoch's last steps, for [`loss_every`](super::RunConfig::loss_every).
    pub recent: RecentLoss,
    /// Seconds of training and validation so far.
    pub seconds: f64,
    /// The best validation result so far, with its weights.
    pub best: Option<Best>,
    /// The state of the `plateau` schedule; `None` for other schedules, and before the run.
    pub plateau: Option<Plateau>,
    /// Whether the last epoch is done.
    pub finished: bool,
}

/// The best validation result and the weights that gave it.
#[derive(Debug, Clone)]
pub struct Best {
    pub scores: Scores,
    pub epoch: usize,
    pub weights: BTreeMap<String, Tensor>,
}

/// [`State`] without tensors, as stored in a checkpoint's header. Floating-point numbers are kept as bits: a decimal
/// text might not round-trip exactly, and JSON cannot hold NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RunPosition {
    pub epoch: usize,
    pub batch: usize,
    pub step: u64,
    pub loss_bits: u64,
    pub correct: u64,
    pub decisions: u64,
    pub n: u64,
    pub overlap_bits: Option<[u64; 2]>,
    /// The fields of [`RecentLoss`]; 0 in checkpoints from before there was one.
    #[serde(default)]
    pub recent_bits: [u64; 3],
    pub seconds_bits: u64,
    pub best: Option<BestPosition>,
    pub plateau: Option<Plateau>,
    pub finished: bool,
    /// Steps the optimiser has taken.
    pub optimizer_steps: u64,
    /// Bytes of `metrics.jsonl` that belong to this checkpoint.
    pub metrics_bytes: u64,
}

/// [`Best`] without its weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BestPosition {
    pub accuracy_bits: u64,
    pub overlap_bits: Option<[u64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_loss_bits: Option<u64>,
    pub epoch: usize,
}

/// Scores as a checkpoint stores them: the bits of each number.
fn bits(overlap: Overlap) -> [u64; 2] {
    [overlap.dice.to_bits(), overlap.iou.to_bits()]
}

fn overlap([dice, iou]: [u64; 2]) -> Overlap {
    Overlap { dice: f64::from_bits(dice), iou: f64::from_bits(iou) }
}

impl RunPosition {
    pub fn of(state: &State, optimizer_steps: u64, metrics_bytes: u64) -> RunPosition {
        RunPosition {
            epoch: state.epoch,
            batch: state.batch,
            step: state.step,
            loss_bits: state.tally.loss.to_bits(),
            correct: state.tally.correct,
            decisions: state.tally.decisions,
            n: state.tally.n,
            overlap_bits: state.tally.overlap.map(bits),
            recent_bits: state.recent.bits(),
            seconds_bits: state.seconds.to_bits(),
            best: state.best.as_ref().map(|b| BestPosition {
                accuracy_bits: b.scores.accuracy.to_bits(),
                overlap_bits: b.scores.overlap.map(bits),
                best_loss_bits: b.scores.loss.map(f64::to_bits),
                epoch: b.epoch,
            }),
            plateau: state.plateau.clone(),
            finished: state.finished,
            optimizer_steps,
            metrics_bytes,
        }
    }

    pub fn state(&self, best_weights: BTreeMap<String, Tensor>) -> State {
        let best = self.best.as_ref().map(|best| Best {
            scores: Scores {
                accuracy: f64::from_bits(best.accuracy_bits),
                overlap: best.overlap_bits.map(overlap),
                loss: best.best_loss_bits.map(f64::from_bits),
            },
            epoch: best.epoch,
            weights: best_weights,
        });
        State {
            epoch: self.epoch,
            batch: self.batch,
            step: self.step,
            tally: Tally {
                loss: f64::from_bits(self.loss_bits),
                n: self.n,
                decisions: self.decisions,
                correct: self.correct,
                overlap: self.overlap_bits.map(overlap),
                // The trainer knows it from its loader.
                ..Tally::default()
            },
            recent: RecentLoss::from_bits(self.recent_bits),
            seconds: f64::from_bits(self.seconds_bits),
            best,
            plateau: self.plateau.clone(),
            finished: self.finished,
        }
    }
}
