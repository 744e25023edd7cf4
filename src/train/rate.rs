//! The learning rate and the momentum of each step.

use super::Trainer;
use crate::core::{Error, Result};
use crate::optim::{Plateau, Position};

/// A schedule of the caller's own: the learning rate of a step, from the base rate and the step's position.
pub(super) type Rate<'a> = dyn Fn(f64, Position) -> f64 + 'a;

impl<'a> Trainer<'a> {
    /// Takes the learning rate of each step from a function of your own, instead of the settings' schedule. Its
    /// arguments are the base rate `config.lr` and the position of the step. A result that is not a finite number of 0
    /// or more is an error of [`fit`](Self::fit). PyTorch: `LambdaLR`.
    ///
    /// ```
    /// use receptive::prelude::*;
    ///
    /// let net = Linear::new(2, 2);
    /// net.init(&Device::cpu()?, DType::F32, 0)?;
    /// let sgd = Box::new(Sgd::new(net.trainable()?, 0.0, false, 0.0)?);
    /// let trainer = Trainer::new(&net, Loss::CrossEntropy, sgd, RunConfig::plain("net", 1, 0.5))?
    ///     .schedule(|lr, at| lr / (1.0 + at.step as f64));
    /// assert_eq!(trainer.learning_rate(), 0.5);
    /// # Ok::<(), receptive::Error>(())
    /// ```
    pub fn schedule(mut self, rate: impl Fn(f64, Position) -> f64 + 'a) -> Trainer<'a> {
        self.rate = Some(Box::new(rate));
        self
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        let factor = self.state.plateau.as_ref().map_or(1.0, Plateau::factor);
        let (lr, at) = (self.config.lr, self.position());
        factor * self.rate.as_ref().map_or_else(|| self.schedule.rate(lr, at), |rate| rate(lr, at))
    }

    /// As [`learning_rate`](Self::learning_rate), for a step that is about to be done.
    ///
    /// # Errors
    /// A rate that is negative or not finite. (Weights are f32, so a larger rate would be infinite.)
    pub(super) fn checked_rate(&self) -> Result<f64> {
        let rate = self.learning_rate();
        if rate >= 0.0 && (rate as f32).is_finite() {
            return Ok(rate);
        }
        let own = if self.rate.is_some() {
            "the function given to `Trainer::schedule`"
        } else {
            "`config.scheduler`"
        };
        let step = self.state.step;
        Err(Error::argument(own, format!("the learning rate of step {step} is {rate}"))
            .expected("a number of 0 or more, at most 3.4e38"))
    }

    /// Sets the optimiser's momentum for the next step, if the schedule changes momentum.
    pub(super) fn cycle_momentum(&mut self) -> Result<()> {
        let momentum = self.schedule.momentum(self.position());
        match momentum.filter(|_| self.config.cycle_momentum) {
            Some(momentum) => self.optimizer.set_momentum(momentum),
            None => Ok(()),
        }
    }

    fn position(&self) -> Position {
        Position {
            epoch: self.state.epoch,
            epochs: self.config.epochs,
            step: self.state.step,
            steps: self.total_steps(),
        }
    }
}
