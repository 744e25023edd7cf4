//! What the page is told. Every type is an event's data, in JSON.

use crate::train::{Phase, PhaseReport};
use serde::Serialize;

/// What does not change in a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Run {
    /// The name of the folder that keeps it; where that lies only the terminal says.
    pub folder: String,
    pub model: String,
    pub data: String,
    pub parameters: usize,
    pub device: String,
    pub batch_size: usize,
    pub train_images: usize,
    pub val_images: usize,
    /// What its scores are: `accuracy` or `Dice`.
    pub score: &'static str,
    pub classes: Vec<String>,
    /// Steps from one sample of the layers' health to the next; 0: none are taken.
    pub health_every: u64,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// Data are loaded.
    Starting,
    Running,
    /// Asked to pause; a step is still being computed.
    Pausing,
    Paused,
    /// Asked to stop; the checkpoint is still to come.
    Stopping,
    /// Trained; tests and pictures are still to come.
    Finishing,
    #[serde(untagged)]
    Ended(End),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// To its last epoch.
    Finished,
    /// Before; it can be resumed.
    Stopped,
    /// With an error, which the terminal shows.
    Failed,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Progress {
    /// Steps done, of so many.
    pub step: u64,
    pub steps: u64,
    /// From 0.
    pub epoch: usize,
    pub epochs: usize,
    /// Optimiser steps in an epoch.
    pub epoch_steps: u64,
    pub phase: Phase,
    /// Validation images seen in this phase, of so many.
    pub validated: [usize; 2],
    pub learning_rate: f64,
    /// Of training and validation; pauses do not count.
    pub seconds: f64,
    pub images_per_second: Option<f64>,
    pub seconds_left: Option<f64>,
}

/// A phase of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct PhasePoint {
    pub epoch: usize,
    pub phase: Phase,
    pub loss: f64,
    pub score: f64,
    pub seconds: f64,
}

impl From<&PhaseReport> for PhasePoint {
    fn from(report: &PhaseReport) -> PhasePoint {
        let &PhaseReport { epoch, phase, loss, scores, seconds } = report;
        PhasePoint { epoch, phase, loss, score: scores.first(), seconds }
    }
}

/// The first layer's weights, where they act on pixels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct FilterGrid {
    /// Steps done when they were like this.
    pub step: u64,
    /// The parameter's name.
    pub path: String,
    /// Filters in the layer; the first of them are shown.
    pub filters: usize,
    /// `[filters shown, C, H, W]`.
    pub dims: [usize; 4],
    /// The largest absolute value.
    pub largest: f64,
    /// In base64, a byte each: 128 is 0, 1 and 255 are the largest.
    pub levels: String,
}

/// The validation images that the network is asked about, always the same ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Pictures {
    pub pictures: Vec<Picture>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Picture {
    /// Its number among the validation images.
    pub sample: usize,
    /// A `data:` address, as all images here.
    pub image: String,
    /// The true class.
    pub class: Option<usize>,
    /// The true mask.
    pub mask: Option<String>,
}

/// What the network says of the [`Pictures`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Predictions {
    pub step: u64,
    /// For each picture the likeliest classes with their probabilities, falling.
    pub classes: Vec<Vec<(usize, f64)>>,
    /// Or of a segmenter each picture's mask.
    pub masks: Vec<String>,
}
