//! Training steps replayed from a CUDA graph.
//!
//! The first full batch runs as an eager step. Then the same step is captured: gathering the batch, forward, loss,
//! backward, optimiser. From then on a step is three small uploads and one launch:
//!
//! ```text
//!   image indices (or the images) ->  fixed buffer
//!   learning rate, step number    ->  fixed buffer     replay      queue a copy of loss and decisions to the host
//! ```
//!
//! The host does not wait for a step's loss. It continues to queue steps, and reads the losses of [`GROUP`] steps at a
//! time, while the device still has that many steps to do. Callbacks are called for a step when its loss is read, so
//! the trainer may be ahead of the reported step. If you need the trainer to match the reported step, check
//! [`Trainer::settled`] or return [`Flow::Settle`]. If you want to read the model after a certain step, announce it
//! before that step with [`reads_model`](super::Callback::reads_model).
//!
//! A short last batch, validation and everything else run eagerly. They never use the graph's memory.

use super::trainer::{Callbacks, each, forward_key};
use super::{Flow, StepReport, Tally, Trainer, non_finite};
use crate::core::{DType, Error, Named, Result};
use crate::cuda::{CudaCtx, CudaGraph, Readback};
use crate::data::device_dataset::CROP_SPEC;
use crate::data::{Batch, Loader};
use crate::nn::{Ctx, ModuleExt};
use crate::optim::clip_grad_norm;
use crate::tensor::{Device, Meta, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Number of steps whose losses are read together.
const GROUP: usize = 16;

/// Whether training steps are captured as a CUDA graph (`--graph`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GraphMode {
    /// Use a graph if the device and the settings allow it.
    #[default]
    Auto,
    /// Use a graph; if that is not possible, return an error.
    On,
    /// Never use a graph.
    Off,
}

impl Named for GraphMode {
    const WHAT: &'static str = "graph";
    const NAMES: &'static [(&'static str, GraphMode)] =
        &[("auto", GraphMode::Auto), ("on", GraphMode::On), ("off", GraphMode::Off)];
}

impl std::str::FromStr for GraphMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<GraphMode> {
        Self::named(text)
    }
}

/// A captured step, with the buffers it reads from and writes to.
pub(super) struct Replay {
    graph: CudaGraph,
    inputs: StepInputs,
    results: Results,
    /// Every trained parameter, paired with the gradient tensor that the graph writes.
    gradients: Vec<(Tensor, Tensor)>,
}

/// The input buffers of a step.
struct StepInputs {
    /// For a device-resident set: which images are gathered into the batch.
    crop_specs: Option<Tensor>,
    images: Tensor,
    targets: Tensor,
}

/// The output buffers of a step, which are copied back to the host.
struct Results {
    loss: Tensor,
    decisions: Tensor,
    /// What the decisions are compared with.
    truth: Tensor,
}

/// Steps that are queued and whose results have not been read yet.
#[derive(Default)]
pub(super) struct Queue(VecDeque<Queued>);

struct Queued {
    step: u64,
    samples: usize,
    truth: Meta,
    readback: Readback,
}

impl Queue {
    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Trainer<'_> {
    /// The CUDA device, if steps should be replayed.
    ///
    /// # Errors
    /// [`GraphMode::On`], but a graph is not possible.
    pub(super) fn graph_device(&self) -> Result<Option<Arc<CudaCtx>>> {
        let device =
            self.model.params().first().map(|(_, p)| p.value().map(|v| v.device().clone())).transpose()?;
        let observed = device.as_ref().is_some_and(Device::is_observed);
        let cuda = device.and_then(|device| device.as_cuda().cloned());
        let obstacle = match (&cuda, self.config.accumulate) {
            (None, _) => Some("the device is not a GPU"),
            // A replay can only be timed as a whole, not op by op.
            (Some(_), _) if observed => Some("the ops are profiled one by one"),
            (Some(_), _) if self.is_hooked() => Some("a hook sees every layer"),
            (Some(_), _) if self.criterion.loss().is_none() => Some("the loss is a function of the caller's"),
            (_, 2..) => Some("gradients are accumulated over several batches"),
            _ => None,
        };
        match (self.config.graph, obstacle) {
            (GraphMode::Off, _) | (GraphMode::Auto, Some(_)) => Ok(None),
            (GraphMode::On, Some(obstacle)) => {
                Err(Error::argument("`GraphMode::On`", format!("is not possible: {obstacle}"))
                    .help("`GraphMode::Auto` uses a graph where it can"))
            }
            (GraphMode::Auto | GraphMode::On, None) => Ok(cuda),
        }
    }

    /// The training phase of an epoch, with replayed steps.
    pub(super) fn replay_epoch(
        &mut self,
        cx: &Arc<CudaCtx>,
        train: &Loader,
        callbacks: &mut Callbacks,
    ) -> Result<Flow> {
        let epoch = self.state.epoch as u64;
        // A device-resident set needs only the order of its images; no batches are made on the host.
        let order = train.resident().map(|_| train.order(epoch));
        let mut batches = match order {
            None => Some(train.epoch(epoch, self.state.batch)?),
            Some(_) => None,
        };
        while self.state.step < self.total_steps() && self.state.batch < self.batches {
            if self.config.graph == GraphMode::Off {
                // The first step could not be captured.
                let settled = self.look(0, callbacks)?;
                return if settled.ends() { Ok(settled) } else { self.eager_epoch(train, callbacks) };
            }
            let index = self.state.batch;
            let feed = match (&order, &mut batches) {
                (Some(order), _) => {
                    let start = index * train.batch_size();
                    Feed::Samples(&order[start..order.len().min(start + train.batch_size())])
                }
                (None, Some(batches)) => match batches.next().transpose()? {
                    Some(batch) => Feed::Batch(batch),
                    None => break,
                },
                (None, None) => break,
            };
            let flow = if feed.len() == train.batch_size() {
                self.replay_step(cx, train, &feed, callbacks)?
            } else {
                // A short batch does not have the shapes that the graph was captured with.
                let settled = self.look(0, callbacks)?;
                let batch = match feed {
                    Feed::Batch(batch) => batch,
                    Feed::Samples(_) => train.epoch(epoch, index)?.next().expect("the epoch goes on")?,
                };
                let report = self.step(&[batch])?;
                settled.max(each(callbacks, |c| c.on_step(self, &report))?)
            };
            // Report the steps that are still queued before the run ends.
            let flow = if flow >= Flow::Settle { flow.max(self.look(0, callbacks)?) } else { flow };
            if flow.ends() {
                return Ok(flow);
            }
        }
        self.look(0, callbacks)
    }

    /// Queues one step, and reads the results that are due.
    fn replay_step(
        &mut self,
        cx: &Arc<CudaCtx>,
        train: &Loader,
        feed: &Feed,
        callbacks: &mut Callbacks,
    ) -> Result<Flow> {
        let watched = callbacks.iter().any(|c| c.reads_model(self.state.step));
        let most = if watched { 0 } else { 2 * GROUP - 1 };
        let lr = self.checked_rate()?;
        let Some(replay) = self.replay.take() else {
            return self.first_step(cx, train, feed, most, callbacks);
        };
        replay.inputs.fill(train, self.state.epoch as u64, feed)?;
        self.cycle_momentum()?;
        self.optimizer.set(lr)?;
        cx.set_step(self.state.step)?;
        replay.graph.replay()?;
        let (truth, readback) = replay.results.queue(cx)?;
        self.queued(feed.len(), truth, readback);
        if watched {
            // An eager step (of a short batch) has put its own gradient tensors here: put the graph's back.
            replay.gradients.iter().for_each(|(param, grad)| param.set_grad(grad));
        }
        self.replay = Some(replay);
        self.look(most, callbacks)
    }

    /// Runs an eager step in the memory that the graph will use, then captures the step.
    fn first_step(
        &mut self,
        cx: &Arc<CudaCtx>,
        train: &Loader,
        feed: &Feed,
        most: usize,
        callbacks: &mut Callbacks,
    ) -> Result<Flow> {
        let memory = cx.graph_memory();
        let inputs = memory.with(|| StepInputs::new(train, feed))?;
        inputs.fill(train, self.state.epoch as u64, feed)?;
        let lr = self.checked_rate()?;
        self.cycle_momentum()?;
        self.optimizer.set(lr)?;
        let step = self.state.step;
        let (truth, readback) = memory.with(|| self.compute(train, &inputs, step)?.queue(cx))?;
        self.queued(feed.len(), truth, readback);
        // Report before the capture: capturing replaces the gradient tensors without computing their values.
        let flow = self.look(most, callbacks)?;
        let mut results = None;
        let captured = memory.capture(|| {
            results = Some(self.compute(train, &inputs, step)?);
            Ok(())
        });
        match (captured, results) {
            (Ok(graph), Some(results)) => {
                let held = |(_, param): (String, Tensor)| param.grad().map(|grad| (param, grad));
                let gradients = self.model.trainable()?.into_iter().filter_map(held).collect();
                self.replay = Some(Replay { graph, inputs, results, gradients });
            }
            (Err(error), _) if self.config.graph == GraphMode::On => return Err(error),
            // Something in this model cannot be captured. It is trained with eager steps instead.
            _ => self.config.graph = GraphMode::Off,
        }
        Ok(flow)
    }

    /// The work that the graph captures: a whole step on `inputs`.
    fn compute(&mut self, train: &Loader, inputs: &StepInputs, step: u64) -> Result<Results> {
        if let (Some(resident), Some(crop_specs)) = (train.resident(), &inputs.crop_specs) {
            resident.gather(crop_specs, &inputs.images, &inputs.targets)?;
        }
        self.optimizer.zero_grad();
        let cx = Ctx::train(&self.config.model, forward_key(self.config.seed, step, 0));
        let (loss, output) =
            self.criterion.forward_and_loss(self.model, &cx, &inputs.images, &inputs.targets)?;
        loss.backward()?;
        if let Some(max_norm) = self.config.clip_norm {
            clip_grad_norm(&self.model.trainable()?, max_norm)?;
        }
        self.optimizer.apply()?;
        let truth = Tally::truth(&self.criterion, &inputs.targets)?;
        Ok(Results { loss: loss.detach(), decisions: Tally::decisions(&output, &truth)?, truth })
    }

    fn queued(&mut self, samples: usize, truth: Meta, readback: Readback) {
        self.queue.0.push_back(Queued { step: self.state.step, samples, truth, readback });
        self.state.step += 1;
        self.state.batch += 1;
    }

    /// Reads the oldest queued steps if more than `most` are queued: a group of them, or all if `most` is 0.
    fn look(&mut self, most: usize, callbacks: &mut Callbacks) -> Result<Flow> {
        let mut flow = Flow::Continue;
        let leave = if self.queue.0.len() > most { most.saturating_sub(GROUP - 1) } else { most };
        while self.queue.0.len() > leave {
            let Some(Queued { step, samples, truth, readback }) = self.queue.0.pop_front() else { break };
            let loss = readback.read(|bytes| self.state.tally.add_read(bytes, &truth))?;
            // Callbacks hear of the step now. The time spent waiting for its results counts as training.
            self.state.seconds = self.seconds();
            if !loss.is_finite() {
                return Err(non_finite::replayed(loss, step));
            }
            self.state.recent.add(loss, self.config.loss_every);
            let report = StepReport { step, loss, samples };
            flow = flow.max(each(callbacks, |c| c.on_step(self, &report))?);
        }
        Ok(flow)
    }

    /// Whether nothing is queued, so that the trainer's state is that of the last reported step.
    pub fn settled(&self) -> bool {
        self.queue.is_empty()
    }
}

/// A batch that is already made, or the samples of a batch that the device will gather.
enum Feed<'a> {
    Samples(&'a [usize]),
    Batch(Batch),
}

impl Feed<'_> {
    fn len(&self) -> usize {
        match self {
            Feed::Samples(samples) => samples.len(),
            Feed::Batch(batch) => batch.len(),
        }
    }
}

impl StepInputs {
    fn new(train: &Loader, feed: &Feed) -> Result<StepInputs> {
        match (train.resident(), feed) {
            (Some(resident), _) => {
                let [images, targets] = resident.batch(feed.len())?;
                let crop_specs = Tensor::zeros(images.device(), &[feed.len(), CROP_SPEC], DType::I64)?;
                Ok(StepInputs { crop_specs: Some(crop_specs), images, targets })
            }
            (None, Feed::Batch(batch)) => Ok(StepInputs {
                crop_specs: None,
                images: batch.images.copy()?,
                targets: batch.targets.copy()?,
            }),
            (None, Feed::Samples(_)) => unreachable!("samples alone are fed from a resident set"),
        }
    }

    fn fill(&self, train: &Loader, epoch: u64, feed: &Feed) -> Result<()> {
        match (feed, train.resident(), &self.crop_specs) {
            (Feed::Samples(samples), Some(resident), Some(crop_specs)) => {
                crop_specs.write(&resident.crop_specs(epoch, samples)?)
            }
            (Feed::Batch(batch), ..) => {
                self.images.copy_from(&batch.images)?;
                self.targets.copy_from(&batch.targets)
            }
            (Feed::Samples(_), ..) => unreachable!("samples alone are fed from a resident set"),
        }
    }
}

impl Results {
    /// Queues a copy to the host, in the order that [`Tally::add_read`] expects. Also returns what it needs to know of
    /// the truth.
    fn queue(&self, cx: &CudaCtx) -> Result<(Meta, Readback)> {
        let Results { loss, decisions, truth } = self;
        let readback = cx.read_later(&[decisions, truth, loss].map(Tensor::device_bytes))?;
        Ok((truth.meta(), readback))
    }
}
