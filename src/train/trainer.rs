//! The training loop of the notebooks (`train_val_model`). Each epoch has a train phase and a validation phase, with
//! sample-weighted mean loss and accuracy. At the end the model gets the weights with the best validation accuracy.
//!
//! Compared with lesson 0: validation, the best weights, schedules, clipping, callbacks, and a position from which a
//! stopped run goes on with the same bits.

use super::cuda_graph_steps::{Queue, Replay};
use super::rate::Rate;
use super::{
    Best, Callback, Flow, Outcome, Phase, PhaseReport, RunConfig, State, StepReport, Tally, evaluate,
    non_finite,
};
use crate::core::{Error, Key, Result};
use crate::data::{Batch, Loader};
use crate::nn::{Criterion, Ctx, Hook, Module, ModuleExt};
use crate::optim::{Optimizer, Schedule, clip_grad_norm};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Which weights a run ends with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The weights with the best validation score. The notebooks' `train_val_model` restores them.
    #[default]
    Best,
    /// The weights after the last step.
    Last,
}

/// A run: model, optimiser and position.
pub struct Trainer<'a> {
    /// The model; its weights change in place.
    pub model: &'a dyn Module,
    pub criterion: Criterion,
    /// The settings of the run. The optimiser and the data that are passed in have their own settings.
    pub config: RunConfig,
    pub(super) schedule: Schedule,
    /// A schedule of the caller's own.
    pub(super) rate: Option<Box<Rate<'a>>>,
    /// Sees every layer of every training step.
    hook: Option<Box<dyn Hook + 'a>>,
    pub optimizer: Box<dyn Optimizer>,
    /// The position; set it before [`fit`](Self::fit) to resume.
    pub state: State,
    /// Batches in a training epoch.
    pub batches: usize,
    callbacks: Vec<Box<dyn Callback + 'a>>,
    session: Session,
    /// The captured step, if one has been captured.
    pub(super) replay: Option<Replay>,
    /// The replayed steps whose results have not been read yet.
    pub(super) queue: Queue,
}

/// Measures the time of this process, which is added to the seconds of earlier sessions of a resumed run.
struct Session {
    start: Instant,
    before: f64,
    /// The part of this time that was not training.
    paused: Cell<Duration>,
}

impl Session {
    fn new(before: f64) -> Session {
        Session { start: Instant::now(), before, paused: Cell::default() }
    }
}

impl<'a> Trainer<'a> {
    /// A trainer at the beginning of a run. `criterion` may be a plain [`Loss`](crate::nn::Loss). Only the loop's
    /// settings are used: epochs and steps, learning rate and schedule, clipping, accumulation, which weights are kept,
    /// the seed, and graphs.
    ///
    /// # Errors
    /// Settings that cannot train.
    pub fn new(
        model: &'a dyn Module,
        criterion: impl Into<Criterion>,
        optimizer: Box<dyn Optimizer>,
        config: RunConfig,
    ) -> Result<Trainer<'a>> {
        config.check()?;
        let schedule = config.schedule()?;
        let state = State { plateau: schedule.plateau(config.lr), ..State::default() };
        Ok(Trainer {
            model,
            criterion: criterion.into(),
            config,
            schedule,
            rate: None,
            hook: None,
            optimizer,
            state,
            batches: 0,
            callbacks: Vec::new(),
            session: Session::new(0.0),
            replay: None,
            queue: Queue::default(),
        })
    }

    /// Adds a callback.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Trainer<'a> {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Adds several callbacks.
    pub fn callbacks(mut self, callbacks: Vec<Box<dyn Callback + 'a>>) -> Trainer<'a> {
        self.callbacks.extend(callbacks);
        self
    }

    /// Shows every layer of every training step to a hook: its input and output, and with [`Tensor::retain_grad`] the
    /// gradient. PyTorch: `register_forward_hook`. Steps are then not replayed from a CUDA graph.
    ///
    /// ```
    /// use receptive::prelude::*;
    ///
    /// struct Print;
    ///
    /// impl Hook for Print {
    ///     fn layer(&self, path: &str, _: &dyn Module, _: &Tensor, y: &Tensor) -> Result<()> {
    ///         println!("{path}: {y}");
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let net = Sequential::new().named("fc", Linear::new(2, 2));
    /// net.init(&Device::cpu()?, DType::F32, 0)?;
    /// let sgd = Box::new(Sgd::new(net.trainable()?, 0.0, false, 0.0)?);
    /// let trainer = Trainer::new(&net, Loss::CrossEntropy, sgd, RunConfig::plain("net", 1, 0.5))?.hook(Print);
    /// # Ok::<(), receptive::Error>(())
    /// ```
    pub fn hook(mut self, hook: impl Hook + 'a) -> Trainer<'a> {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Whether there is a hook.
    pub(super) fn is_hooked(&self) -> bool {
        self.hook.is_some()
    }

    /// Number of steps of the whole run, if nothing ends it early.
    pub fn total_steps(&self) -> u64 {
        let an_epoch = self.batches.div_ceil(self.config.accumulate) as u64;
        let all = (self.config.epochs as u64).saturating_mul(an_epoch);
        self.config.max_steps.map_or(all, |max| max.min(all))
    }

    /// Runs from the current position to the end, or until a callback ends it.
    ///
    /// At the end, or after [`Flow::Finish`], the run is finished, and with [`Keep::Best`] the model holds the weights
    /// of the best epoch. After [`Flow::Stop`] the model holds the last weights, so that another `fit` continues the
    /// run. The best weights are then in `state.best`.
    ///
    /// A panic in code of your own (a module, a loss, a callback) is not caught: it goes through `fit` unchanged.
    ///
    /// # Errors
    /// A model without trainable parameters, data that cannot be read, shapes that do not fit, a loss that is not finite
    /// in training or validation, a learning rate that is not a finite number of 0 or more, a callback's error.
    pub fn fit(&mut self, train: &Loader, val: &Loader) -> Result<Outcome> {
        if self.model.trainable()?.is_empty() {
            return Err(Error::argument("`Trainer::fit`", "the model has no trainable parameters")
                .help("a module of your own passes its parameters and children on in `visit`; frozen ones do not count"));
        }
        self.batches = train.batches();
        self.session = Session::new(self.state.seconds);
        let mut callbacks = std::mem::take(&mut self.callbacks);
        let result = self.run(train, val, &mut callbacks);
        (self.replay, self.queue) = (None, Queue::default());
        self.callbacks = callbacks;
        result
    }

    fn run(&mut self, train: &Loader, val: &Loader, callbacks: &mut Callbacks<'a>) -> Result<Outcome> {
        // A run that was killed after its last epoch, but before its last line, has nothing left to train.
        self.state.finished |= self.at_end();
        self.state.tally.masks = train.masks();
        callbacks.iter_mut().try_for_each(|c| c.on_start(self))?;
        let mut flow = Flow::Continue;
        while !self.state.finished && !flow.ends() {
            flow = self.epoch(train, val, callbacks)?;
        }
        self.state.finished |= flow == Flow::Finish;
        self.state.seconds = self.seconds();
        let outcome = self.outcome();
        callbacks.iter_mut().try_for_each(|c| c.on_end(self, &outcome))?;
        let keep_best = outcome.finished && self.config.keep == Keep::Best;
        if let Some(best) = self.state.best.as_ref().filter(|_| keep_best) {
            self.model.load_state_dict(&best.weights)?;
        }
        Ok(outcome)
    }

    /// The results of the run so far.
    pub fn outcome(&self) -> Outcome {
        let best = self.state.best.as_ref();
        Outcome {
            best: best.map(|b| b.scores).unwrap_or_default(),
            best_epoch: best.map_or(0, |b| b.epoch),
            seconds: self.state.seconds,
            finished: self.state.finished,
        }
    }

    fn epoch(&mut self, train: &Loader, val: &Loader, callbacks: &mut Callbacks<'a>) -> Result<Flow> {
        let start = self.seconds();
        let trained = match self.graph_device()? {
            Some(cx) => self.replay_epoch(&cx, train, callbacks)?,
            None => self.eager_epoch(train, callbacks)?,
        };
        if trained == Flow::Stop {
            return Ok(Flow::Stop);
        }
        self.report(Phase::Train, self.state.tally, start, callbacks)?;
        let start = self.seconds();
        let of = val.samples();
        let mut finish = trained == Flow::Finish;
        let watched = evaluate(self.model, &self.config.model, &self.criterion, val, |batch, _, tally| {
            if !tally.loss.is_finite() {
                let (cx, when) =
                    (Ctx::eval(&self.config.model), non_finite::When::Validation(self.state.epoch));
                return Err(non_finite::explain(cx, self.model, batch, tally.loss, when));
            }
            let flow = each(callbacks, |c| c.on_validation(self, tally.n as usize, of))?;
            finish |= flow == Flow::Finish;
            // Finishing early does not end this validation: the last epoch needs its result, too.
            Ok(if flow == Flow::Finish { Flow::Continue } else { flow })
        })?;
        let Some(tally) = watched else { return Ok(Flow::Stop) };
        self.report(Phase::Val, tally, start, callbacks)?;
        self.keep_best(tally)?;
        if let Some(plateau) = &mut self.state.plateau {
            plateau.observe(tally.mean_loss());
        }
        self.state.epoch += 1;
        self.state.batch = 0;
        self.state.tally = Tally::of(train.masks());
        self.state.recent = Default::default();
        self.state.finished = finish || self.at_end();
        self.state.seconds = self.seconds();
        each(callbacks, |c| c.on_epoch(self))
    }

    /// The training phase of an epoch.
    pub(super) fn eager_epoch(&mut self, train: &Loader, callbacks: &mut Callbacks) -> Result<Flow> {
        let mut batches = train.epoch(self.state.epoch as u64, self.state.batch)?;
        while self.state.step < self.total_steps() && self.state.batch < self.batches {
            callbacks.iter_mut().for_each(|c| c.before_step());
            let group = batches.by_ref().take(self.config.accumulate).collect::<Result<Vec<_>>>()?;
            let report = self.step(&group)?;
            callbacks.iter_mut().for_each(|c| c.after_step());
            let flow = each(callbacks, |c| c.on_step(self, &report))?;
            if flow.ends() {
                return Ok(flow);
            }
        }
        Ok(Flow::Continue)
    }

    /// Whether the run's last epoch is done. An epoch is the last one if it is number `epochs`, reached the last step,
    /// or used up the patience of early stopping.
    fn at_end(&self) -> bool {
        let State { epoch, batch, step, .. } = self.state;
        let between = epoch > 0 && batch == 0;
        let best = self.state.best.as_ref().map_or(0, |best| best.epoch);
        let stale = self.config.early_stop.is_some_and(|patience| epoch > best.saturating_add(patience));
        epoch >= self.config.epochs || (between && (step >= self.total_steps() || stale))
    }

    /// Forward, loss and backward of each batch, then one update.
    pub(super) fn step(&mut self, group: &[Batch]) -> Result<StepReport> {
        let step = self.state.step;
        let samples = group.iter().map(Batch::len).sum();
        let mut loss = 0.0;
        self.optimizer.zero_grad();
        for (i, batch) in group.iter().enumerate() {
            let share = batch.len() as f64 / samples as f64;
            loss += share * self.gradients(batch, i, share)?;
        }
        if let Some(max_norm) = self.config.clip_norm {
            clip_grad_norm(&self.model.trainable()?, max_norm)?;
        }
        self.cycle_momentum()?;
        self.optimizer.step(self.checked_rate()?)?;
        self.state.step += 1;
        self.state.batch += group.len();
        self.state.seconds = self.seconds();
        self.state.recent.add(loss, self.config.loss_every);
        Ok(StepReport { step, loss, samples })
    }

    /// Adds a batch's gradients, scaled by `share`, and returns the batch's mean loss.
    fn gradients(&mut self, batch: &Batch, part: usize, share: f64) -> Result<f64> {
        let step = self.state.step;
        let cx = Ctx::train(&self.config.model, forward_key(self.config.seed, step, part));
        let cx = self.hook.as_deref().map_or(cx, |hook| cx.with_hook(hook));
        let (loss, output) =
            self.criterion.forward_and_loss(self.model, &cx, &batch.images, &batch.targets)?;
        let value = loss.item()?;
        if !value.is_finite() {
            return Err(non_finite::explain(cx, self.model, batch, value, non_finite::When::Step(step)));
        }
        if share == 1.0 {
            loss.backward()?
        } else {
            loss.mul_scalar(share)?.backward()?
        }
        self.state.tally.add_batch(&self.criterion, value, &output, &batch.targets)?;
        Ok(value)
    }

    fn report(
        &mut self,
        phase: Phase,
        tally: Tally,
        start: f64,
        callbacks: &mut Callbacks<'a>,
    ) -> Result<()> {
        let report = PhaseReport {
            epoch: self.state.epoch,
            phase,
            loss: tally.mean_loss(),
            scores: tally.scores(),
            seconds: self.seconds() - start,
        };
        callbacks.iter_mut().try_for_each(|c| c.on_phase(self, &report))
    }

    fn keep_best(&mut self, tally: Tally) -> Result<()> {
        if self.state.best.as_ref().is_some_and(|best| tally.scores().first() <= best.scores.first()) {
            return Ok(());
        }
        let copy = |(name, weight): (String, Tensor)| Ok((name, weight.copy()?));
        let weights = self.model.state_dict()?.into_iter().map(copy).collect::<Result<BTreeMap<_, _>>>()?;
        self.state.best = Some(Best { scores: tally.scores(), epoch: self.state.epoch, weights });
        Ok(())
    }

    /// Seconds of training and validation so far.
    pub(super) fn seconds(&self) -> f64 {
        let Session { start, before, paused } = &self.session;
        before + start.elapsed().saturating_sub(paused.get()).as_secs_f64()
    }

    /// Excludes time from the run's seconds: a callback paused the run because the user asked for it.
    pub fn paused_for(&self, time: Duration) {
        self.session.paused.set(self.session.paused.get() + time);
    }
}

/// Key for the random numbers of one part of a step. Each part of an accumulated step draws its own dropout masks. The
/// first part draws the same masks as a step of one batch.
pub(super) fn forward_key(seed: u64, step: u64, part: usize) -> Key {
    let key = Key::new(seed).child("forward").step(step);
    if part == 0 { key } else { key.child(&format!("part {part}")) }
}

pub(super) type Callbacks<'a> = Vec<Box<dyn Callback + 'a>>;

/// Calls every callback, even after one of them asked to stop: each must see every event.
pub(super) fn each<'a>(
    callbacks: &mut Callbacks<'a>,
    mut ask: impl FnMut(&mut (dyn Callback + 'a)) -> Result<Flow>,
) -> Result<Flow> {
    let mut flow = Flow::Continue;
    for callback in callbacks {
        flow = flow.max(ask(&mut **callback)?);
    }
    Ok(flow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::DType;
    use crate::nn::{Linear, Loss, Sequential};
    use crate::optim::Sgd;
    use crate::tensor::Device;

    /// Settings made by hand are checked like those of a file: with `accumulate` 0 there would be no steps to count.
    #[test]
    fn settings_that_cannot_train_are_refused() {
        let net = Sequential::new().push(Linear::new(1, 1));
        net.init(&Device::cpu().unwrap(), DType::F32, 0).unwrap();
        let plain = RunConfig::plain("net", 1, 0.1);
        let refused = |config: RunConfig| {
            let sgd = Box::new(Sgd::new(net.trainable().unwrap(), 0.0, false, 0.0).unwrap());
            Trainer::new(&net, Loss::CrossEntropy, sgd, config).err().map(|error| error.to_string())
        };
        assert_eq!(refused(plain.clone()), None);
        let none = refused(RunConfig { accumulate: 0, ..plain.clone() }).unwrap();
        assert!(none.contains("`config.accumulate`") && none.contains("1 or more"), "{none}");
        let unknown = refused(RunConfig { scheduler: "linear".into(), ..plain }).unwrap();
        assert!(unknown.contains("onecycle"), "{unknown}");
    }

    /// Using the part's number instead of the step's gave every step's second batch the same dropout mask.
    #[test]
    fn every_part_of_every_step_draws_masks_of_its_own() {
        let bits = |(step, part)| forward_key(1, step, part).child("dropout").bits(0);
        let all = (0..4).flat_map(|step| (0..4).map(move |part| (step, part)));
        let mut drawn: Vec<u32> = all.map(bits).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 16);
    }
}
