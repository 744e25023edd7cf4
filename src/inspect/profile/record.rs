//! What a profiler writes down.

use super::memory::TensorLife;
use crate::core::Result;
use crate::inspect::Roof;
use crate::tensor::Device;
use serde::Serialize;

/// What an op is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// A layer, or the loss.
    Forward,
    /// The gradients of a layer.
    Backward,
    /// The optimiser's step.
    Update,
    /// Anything else: a batch put together, results counted.
    Other,
}

impl Phase {
    /// Every phase, in the order a step has them.
    pub const ALL: [Phase; 4] = [Phase::Forward, Phase::Backward, Phase::Update, Phase::Other];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Forward => "forward",
            Phase::Backward => "backward",
            Phase::Update => "update",
            Phase::Other => "other",
        }
    }
}

/// A stretch of time, in microseconds since the profile began.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Span {
    pub start_us: f64,
    pub us: f64,
}

/// An op that ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpEvent {
    /// The layer, as in `state_dict`: `layer1.0.conv1`; `conv1+relu` where two ran as one; `loss`; empty outside of any.
    pub path: String,
    pub phase: Phase,
    /// The op's name, or the optimiser's.
    pub op: &'static str,
    /// Which of the profile's steps.
    pub step: usize,
    #[serde(flatten)]
    pub span: Span,
    /// Shapes that it read; of an update the tensors it changed come first.
    pub inputs: Vec<Vec<usize>>,
    /// Shapes that it made, hidden ones too.
    pub outputs: Vec<Vec<usize>>,
    /// See [`Op::flops`](crate::tensor::Op::flops).
    pub flops: u64,
    /// See [`Op::bytes`](crate::tensor::Op::bytes).
    pub bytes: u64,
    /// Bytes that the device's pool had in use right after it.
    pub in_use: usize,
    /// The most that was in use while it ran: with its scratch memory.
    pub high: usize,
}

/// Training steps, op by op.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// `cpu`, `cuda:0`.
    pub device: String,
    /// Worker threads; 0 on a GPU.
    pub threads: usize,
    /// What the device can reach, once it was measured.
    pub roof: Option<Roof>,
    pub steps: Vec<Span>,
    /// In the order they ran.
    pub events: Vec<OpEvent>,
    /// Every tensor that was seen.
    pub tensors: Vec<TensorLife>,
}

impl Profile {
    /// Measures the device's roof, so that tables tell how close to it each op came.
    ///
    /// # Errors
    /// On a GPU, no memory for it.
    pub fn measure_roof(&mut self, device: &Device) -> Result<()> {
        self.roof = Roof::measure(device)?;
        Ok(())
    }

    /// Seconds of all ops together.
    pub fn seconds(&self) -> f64 {
        self.events.iter().map(|event| event.span.us).sum::<f64>() / 1e6
    }
}
