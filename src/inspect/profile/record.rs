//! The record that a profiler makes.

use super::counters::CpuCounts;
use super::memory::TensorLife;
use crate::core::Result;
use crate::inspect::Roof;
use crate::tensor::Device;
use serde::Serialize;

/// The part of a step that an op belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepPhase {
    /// Forward pass of a layer, or the loss.
    Forward,
    /// The gradients of a layer.
    Backward,
    /// The optimiser's step.
    Update,
    /// Anything else: assembling a batch, counting results.
    Other,
}

impl StepPhase {
    /// Every phase, in the order they occur in a step.
    pub const ALL: [StepPhase; 4] =
        [StepPhase::Forward, StepPhase::Backward, StepPhase::Update, StepPhase::Other];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            StepPhase::Forward => "forward",
            StepPhase::Backward => "backward",
            StepPhase::Update => "update",
            StepPhase::Other => "other",
        }
    }
}

/// A period of time, in microseconds since the profile began.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Span {
    pub start_us: f64,
    pub us: f64,
}

/// An op that ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpEvent {
    /// The layer, as in `state_dict`: `layer1.0.conv1`; `conv1+relu` for two layers fused into one op; `loss`; empty
    /// outside of any layer.
    pub path: String,
    pub phase: StepPhase,
    /// The op's name, or the optimiser's name.
    pub op: &'static str,
    /// The step's index in the profile.
    pub step: usize,
    #[serde(flatten)]
    pub span: Span,
    /// Shapes of the tensors it read. For an update, the tensors it changed come first.
    pub inputs: Vec<Vec<usize>>,
    /// Shapes of the tensors it made, including hidden ones.
    pub outputs: Vec<Vec<usize>>,
    /// See [`Op::flops`](crate::tensor::Op::flops).
    pub flops: u64,
    /// See [`Op::bytes`](crate::tensor::Op::bytes).
    pub bytes: u64,
    /// What the processor counted, if it was asked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<CpuCounts>,
    /// Bytes in use in the device's pool right after it.
    pub in_use: usize,
    /// The most bytes in use while it ran, including its scratch memory.
    pub high: usize,
}

/// Training steps, op by op.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// The device's name: `cpu`, `cuda:0`.
    pub device: String,
    /// Number of worker threads; 0 on a GPU.
    pub threads: usize,
    /// The device's peak speeds, if they were measured.
    pub roof: Option<Roof>,
    pub steps: Vec<Span>,
    /// In the order they ran.
    pub events: Vec<OpEvent>,
    /// Every tensor that was seen.
    pub tensors: Vec<TensorLife>,
}

impl Profile {
    /// Measures the device's peak speeds. With them the tables show how close to the peak each op came.
    ///
    /// # Errors
    /// On a GPU: not enough memory for the measurement.
    pub fn measure_roof(&mut self, device: &Device) -> Result<()> {
        self.roof = Roof::measure(device)?;
        Ok(())
    }

    /// Seconds of all ops together.
    pub fn seconds(&self) -> f64 {
        self.events.iter().map(|event| event.span.us).sum::<f64>() / 1e6
    }
}
