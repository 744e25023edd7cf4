//! The events that are sent to the page. Each type is the data of one event, as JSON.

use crate::train::{Phase, PhaseReport};
use serde::Serialize;

/// Facts that do not change during a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LiveRun {
    /// The name of the run's folder. Only the terminal shows its full path.
    pub folder: String,
    pub model: String,
    pub data: String,
    pub parameters: usize,
    pub device: String,
    pub batch_size: usize,
    pub train_images: usize,
    pub val_images: usize,
    /// The kind of score: `accuracy` or `Dice`.
    pub score: &'static str,
    pub classes: Vec<String>,
    /// Steps from one sample of the layers' health to the next; 0: no samples are taken.
    pub health_every: u64,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LiveState {
    /// Data are being loaded.
    Starting,
    Running,
    /// A pause was requested; a step is still being computed.
    Pausing,
    Paused,
    /// A stop was requested; the checkpoint is not written yet.
    Stopping,
    /// Training is done; tests and pictures still follow.
    Finishing,
    #[serde(untagged)]
    Ended(RunEnd),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunEnd {
    /// The run reached its last epoch.
    Finished,
    /// The run was stopped before its end; it can be resumed.
    Stopped,
    /// The run failed with an error, which the terminal shows.
    Failed,
}

/// The run's position.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct LiveProgress {
    /// Steps done; `steps` is the total.
    pub step: u64,
    pub steps: u64,
    /// Counted from 0.
    pub epoch: usize,
    pub epochs: usize,
    /// Optimiser steps in an epoch.
    pub epoch_steps: u64,
    pub phase: Phase,
    /// Validation images done in this phase, and their total.
    pub validated: [usize; 2],
    pub learning_rate: f64,
    /// Seconds of training and validation, without pauses.
    pub seconds: f64,
    pub images_per_second: Option<f64>,
    pub seconds_left: Option<f64>,
}

/// The results of one phase of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct LivePhasePoint {
    pub epoch: usize,
    pub phase: Phase,
    pub loss: f64,
    pub score: f64,
    pub seconds: f64,
}

impl From<&PhaseReport> for LivePhasePoint {
    fn from(report: &PhaseReport) -> LivePhasePoint {
        let &PhaseReport { epoch, phase, loss, scores, seconds } = report;
        LivePhasePoint { epoch, phase, loss, score: scores.first(), seconds }
    }
}

/// The first layer's weights, if they act on pixels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct FilterGrid {
    /// The number of steps after which the weights had these values.
    pub step: u64,
    /// The parameter's name.
    pub path: String,
    /// Number of filters in the layer. Only the first of them are sent.
    pub filters: usize,
    /// `[filters shown, C, H, W]`.
    pub dims: [usize; 4],
    /// The largest absolute value.
    pub largest: f64,
    /// The weights in base64, one byte each: 128 is 0, 1 and 255 are the largest absolute value.
    pub levels: String,
}

/// The validation images shown on the page, the same ones throughout the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Pictures {
    pub pictures: Vec<LivePicture>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LivePicture {
    /// The image's number among the validation images.
    pub sample: usize,
    /// A `data:` URL, like all images here.
    pub image: String,
    /// The true class.
    pub class: Option<usize>,
    /// The true mask.
    pub mask: Option<String>,
}

/// The network's predictions for the [`Pictures`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Predictions {
    pub step: u64,
    /// For each picture the most likely classes with their probabilities, the highest first.
    pub classes: Vec<Vec<(usize, f64)>>,
    /// For a segmenter instead: each picture's predicted mask.
    pub masks: Vec<String>,
}
