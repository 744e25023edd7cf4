//! What may watch the training loop, and stop it.

use super::{Outcome, PhaseReport, Setup, StepReport, Trainer};
use crate::core::Result;

/// Whether to go on. The later one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    Continue,
    /// Go on, but report all steps that are queued first: the callback needs the trainer's state to be that of the step
    /// last reported. See [`Trainer::settled`].
    Settle,
    /// Stop after this step; the run can be resumed. The model keeps its last weights.
    Stop,
    /// End the run as at its natural end: no more steps, the epoch is validated, the run counts as finished, and the model
    /// gets the best weights where [`Keep::Best`](super::Keep::Best) says so.
    Finish,
}

impl Flow {
    /// Whether the run goes no further.
    pub fn ends(self) -> bool {
        self >= Flow::Stop
    }
}

/// Watches a run. Callbacks are called in the order they were added; an error from one ends the run.
pub trait Callback: Send {
    /// When the parts of a run folder's run are there: network, data, weights. A trainer put together by hand does not call it.
    ///
    /// # Errors
    /// Ends the run.
    fn on_setup(&mut self, _setup: &Setup) -> Result<()> {
        Ok(())
    }

    /// Before the first step (of a resumed run: its next step).
    ///
    /// # Errors
    /// Ends the run.
    fn on_start(&mut self, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Whether [`on_step`](Self::on_step) of this step looks at the model: its weights, and the gradients that its parameters
    /// hold, are then those of this step. Asked before the step; a GPU that replays steps is waited for.
    fn looks_at(&self, _step: u64) -> bool {
        false
    }

    /// Before a step's batches are taken from their loader. (A step that a GPU replays has no such moment.)
    fn before_step(&mut self) {}

    /// Right after a step, before any [`on_step`](Self::on_step): what callbacks do is not part of it.
    fn after_step(&mut self) {}

    /// After each optimiser step.
    ///
    /// # Errors
    /// Ends the run.
    fn on_step(&mut self, _trainer: &Trainer, _report: &StepReport) -> Result<Flow> {
        Ok(Flow::Continue)
    }

    /// After each validation batch: samples done, samples in all. After a stop, resuming validates the epoch again.
    /// After a finish, validation goes on to its end.
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

    /// After both phases, when the best weights are up to date: the place for a checkpoint.
    ///
    /// # Errors
    /// Ends the run.
    fn on_epoch(&mut self, _trainer: &Trainer) -> Result<Flow> {
        Ok(Flow::Continue)
    }

    /// At the end or after a stop; [`Outcome::finished`] tells which. The model still has its last weights; the best are in the trainer's state.
    ///
    /// # Errors
    /// Is returned by `fit`.
    fn on_end(&mut self, _trainer: &Trainer, _outcome: &Outcome) -> Result<()> {
        Ok(())
    }
}
