//! The interface for watching the training loop and stopping it.

use super::{Outcome, PhaseReport, Setup, StepReport, Trainer};
use crate::core::Result;

/// Whether to continue. If several callbacks answer, the variant listed last wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    Continue,
    /// Continue, but first report all steps that are queued. A callback returns this when it needs the trainer's state
    /// to be that of the last reported step. See [`Trainer::settled`].
    Settle,
    /// Stop after this step; the run can be resumed. The model keeps its last weights.
    Stop,
    /// End the run as if it had reached its end: no more steps, the epoch is validated, the run counts as finished, and
    /// with [`Keep::Best`](super::Keep::Best) the model gets the best weights.
    Finish,
}

impl Flow {
    /// Whether the run ends here.
    pub fn ends(self) -> bool {
        self >= Flow::Stop
    }
}

/// Watches a run. Callbacks are called in the order they were added; an error from one ends the run.
///
/// ```
/// use receptive::prelude::*;
///
/// /// Finishes the run when the validation loss of an epoch is low enough.
/// struct Until(f64, bool);
///
/// impl Callback for Until {
///     fn on_phase(&mut self, _: &Trainer, report: &PhaseReport) -> Result<()> {
///         self.1 = report.phase == Phase::Val && report.loss < self.0;
///         Ok(())
///     }
///
///     fn on_epoch(&mut self, _: &Trainer) -> Result<Flow> {
///         Ok(if self.1 { Flow::Finish } else { Flow::Continue })
///     }
/// }
/// ```
pub trait Callback: Send {
    /// After the network, data and weights of a run folder are set up. It is not called for a trainer that you build by
    /// hand.
    ///
    /// # Errors
    /// Ends the run.
    fn on_setup(&mut self, _setup: &Setup) -> Result<()> {
        Ok(())
    }

    /// Before the first step. For a resumed run that is its next step.
    ///
    /// # Errors
    /// Ends the run.
    fn on_start(&mut self, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Whether [`on_step`](Self::on_step) of this step reads the model. If so, the weights and gradients are those of
    /// this step when `on_step` runs. This is asked before the step. If the step is a CUDA graph replay, the trainer
    /// waits for the GPU.
    fn reads_model(&self, _step: u64) -> bool {
        false
    }

    /// Before a step's batches are taken from their loader. It is not called for a step that is replayed from a CUDA
    /// graph.
    fn before_step(&mut self) {}

    /// Right after a step, before any [`on_step`](Self::on_step), so that the time callbacks take is not counted as
    /// part of it.
    fn after_step(&mut self) {}

    /// After each optimiser step.
    ///
    /// # Errors
    /// Ends the run.
    fn on_step(&mut self, _trainer: &Trainer, _report: &StepReport) -> Result<Flow> {
        Ok(Flow::Continue)
    }

    /// After each validation batch, with the samples done and the samples in all. If it stops the run, resuming
    /// validates the epoch again. If it finishes the run, validation continues to its end.
    ///
    /// # Errors
    /// Ends the run.
    fn on_validation(&mut self, _trainer: &Trainer, _done: usize, _of: usize) -> Result<Flow> {
        Ok(Flow::Continue)
    }

    /// After each phase.
    ///
    /// # Errors
    /// Ends the run.
    fn on_phase(&mut self, _trainer: &Trainer, _report: &PhaseReport) -> Result<()> {
        Ok(())
    }

    /// After both phases, when the best weights are up to date. This is where a checkpoint is written.
    ///
    /// # Errors
    /// Ends the run.
    fn on_epoch(&mut self, _trainer: &Trainer) -> Result<Flow> {
        Ok(Flow::Continue)
    }

    /// At the end or after a stop; [`Outcome::finished`] tells which. The model still has its last weights. The best
    /// weights are in the trainer's state.
    ///
    /// # Errors
    /// Is returned by `fit`.
    fn on_end(&mut self, _trainer: &Trainer, _outcome: &Outcome) -> Result<()> {
        Ok(())
    }
}
