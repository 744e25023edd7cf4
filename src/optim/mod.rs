//! Optimisers. They change parameters in place, so addresses stay the same.
//!
//! An optimiser holds the named parameters that it was given. Its own state (momentum, moments) has the same names, so
//! that a checkpoint can save and restore it. A parameter without a gradient is not skipped: it is an error that names
//! the parameter, because the cause is nearly always a layer that was left out of the forward pass.
//!
//! A step has two halves. [`Optimizer::set`] writes the numbers that change from step to step (the learning rate,
//! Adam's bias corrections) into a small tensor. [`Optimizer::apply`] changes all parameters in one update that reads
//! these numbers. A captured CUDA graph contains only the second half, so it can be replayed unchanged.

mod adam;
mod clip;
mod groups;
mod plateau;
mod schedule;
mod sgd;

pub use adam::{ADAMW_DECAY, Adam};
pub use clip::{clip_grad_norm, clip_grad_value};
pub use plateau::Plateau;
pub use schedule::{Length, Position, Schedule};
pub use sgd::Sgd;

use crate::core::{Element, Error, ErrorKind, Float, Result};
use crate::cpu::context::CHUNK;
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::element_type;
use crate::tensor::{Meta, Tensor, Update, one_float, update};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};

/// An optimiser: the rule for one step, and the state that it keeps between steps.
///
/// ```
/// use receptive::cpu::{CpuCtx, View, ViewMut};
/// use receptive::optim::OptimizerState;
/// use receptive::prelude::*;
/// use receptive::tensor::Update;
///
/// /// `w -= lr sign(dw)`, for f32.
/// struct SignSgd(OptimizerState);
///
/// impl Optimizer for SignSgd {
///     fn set(&mut self, lr: f64) -> Result<()> {
///         self.0.begin_step();
///         self.0.set(&[lr])
///     }
///
///     fn apply(&self) -> Result<()> {
///         self.0.apply(&Step)
///     }
///
///     fn memory(&self) -> &OptimizerState {
///         &self.0
///     }
///
///     fn memory_mut(&mut self) -> &mut OptimizerState {
///         &mut self.0
///     }
/// }
///
/// /// Its targets are the weights, its inputs their gradients and, last, the numbers of the step.
/// #[derive(Debug)]
/// struct Step;
///
/// impl Update for Step {
///     fn name(&self) -> &'static str {
///         "sign_sgd"
///     }
///
///     fn cpu(&self, _: &CpuCtx, targets: &mut [ViewMut], x: &[View]) -> Result<()> {
///         let lr = x[targets.len()].get::<f32>()[0];
///         for (w, dw) in targets.iter_mut().zip(x) {
///             w.get::<f32>().iter_mut().zip(dw.get::<f32>()).for_each(|(w, dw)| *w -= lr * dw.signum());
///         }
///         Ok(())
///     }
/// }
///
/// let w = Tensor::from_slice(&Device::cpu()?, &[1f32, -1.0], &[2])?.requires_grad();
/// let mut optimizer = SignSgd(OptimizerState::new(vec![("w".to_owned(), w.clone())], &[], 1)?);
/// w.mul(&w)?.sum_all()?.backward()?;
/// optimizer.step(0.25)?;
/// assert_eq!(w.to_vec::<f32>()?, [0.75, -0.75]);
/// # Ok::<(), receptive::Error>(())
/// ```
pub trait Optimizer: Send {
    /// Begins the next step: counts it and writes its numbers for [`apply`](Self::apply).
    ///
    /// # Errors
    /// On a GPU: an error of the driver.
    fn set(&mut self, lr: f64) -> Result<()>;

    /// Sets the momentum (for Adam: beta1) of the following steps. Schedules that cycle it call this before
    /// [`set`](Self::set).
    ///
    /// # Errors
    /// An optimiser without momentum; a value outside `0..1`.
    fn set_momentum(&mut self, momentum: f64) -> Result<()> {
        let _ = momentum;
        Err(Error::argument("optimizer", "has no momentum for the schedule to change")
            .help("use `config.cycle_momentum = false`, or another schedule"))
    }

    /// Updates every parameter in place from its gradient, with the numbers that [`set`](Self::set) wrote last.
    ///
    /// # Errors
    /// A parameter without a gradient, or with one of another shape or dtype.
    fn apply(&self) -> Result<()>;

    /// One whole step with learning rate `lr`.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    fn step(&mut self, lr: f64) -> Result<()> {
        self.set(lr)?;
        self.apply()
    }

    /// The parameters and the state that the optimiser keeps for each.
    fn memory(&self) -> &OptimizerState;

    /// As [`memory`](Self::memory), for restoring from a checkpoint.
    fn memory_mut(&mut self) -> &mut OptimizerState;

    /// The number of steps so far. Adam's bias correction depends on it.
    fn steps(&self) -> u64 {
        self.memory().steps
    }

    /// Drops all gradients.
    fn zero_grad(&self) {
        self.memory().slots.iter().for_each(|slot| slot.param.zero_grad());
    }
}

/// The parameters to which weight decay applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// All parameters, as in PyTorch with a single group of parameters.
    #[default]
    All,
    /// Parameters with two or more dimensions, so no biases and no scales of norms. This is scikit-learn's `alpha`.
    /// PyTorch needs two groups of parameters for it.
    #[serde(rename = "weights")]
    WeightsOnly,
}

impl Decay {
    /// Whether weight decay applies to this parameter.
    fn covers(self, param: &Tensor) -> bool {
        self == Decay::All || param.dims().len() >= 2
    }
}

/// A parameter, its name, and the optimiser's tensors for it.
struct Slot {
    name: String,
    param: Tensor,
    state: Vec<Tensor>,
}

/// The state of an optimiser: a few tensors per parameter, and the number of steps.
pub struct OptimizerState {
    slots: Vec<Slot>,
    /// The names of the tensors in a checkpoint, as in PyTorch's state: `exp_avg`.
    keys: &'static [&'static str],
    steps: u64,
    /// The numbers of the current step, in the parameters' dtype. `None` if there are no parameters.
    numbers: Option<Tensor>,
}

impl OptimizerState {
    /// One tensor of zeros per parameter and key, and room for the `numbers` of a step (see [`set`](Self::set)).
    ///
    /// # Errors
    /// Two parameters with one name; parameters of different dtypes, or not of floating point; no memory.
    pub fn new(
        params: Vec<(String, Tensor)>,
        keys: &'static [&'static str],
        numbers: usize,
    ) -> Result<OptimizerState> {
        let mut names = BTreeSet::new();
        if let Some((name, _)) = params.iter().find(|(name, _)| !names.insert(name.as_str())) {
            return Err(Error::argument("optimiser", format!("two parameters are named `{name}`"))
                .help("give each a name of its own: the state in a checkpoint is found by these names"));
        }
        let metas: Vec<Meta> = params.iter().map(|(_, param)| param.meta()).collect();
        let numbers = match params.first() {
            Some((_, first)) => {
                Some(Tensor::zeros(first.device(), &[numbers], one_float("optimiser", &metas)?)?)
            }
            None => None,
        };
        let slot = |(name, param): (String, Tensor)| {
            let zeros = |_| Tensor::zeros(param.device(), param.dims(), param.dtype());
            let state = keys.iter().map(zeros).collect::<Result<_>>()?;
            Ok(Slot { name, param, state })
        };
        let slots = params.into_iter().map(slot).collect::<Result<_>>()?;
        Ok(OptimizerState { slots, keys, steps: 0, numbers })
    }

    /// Counts a step, and returns its number, from 1.
    pub fn begin_step(&mut self) -> u64 {
        self.steps += 1;
        self.steps
    }

    /// Writes the numbers of the current step, such as the learning rate, for the update to read.
    ///
    /// # Errors
    /// Another count of numbers than was planned; on a GPU, an error of the driver.
    pub fn set(&self, values: &[f64]) -> Result<()> {
        let Some(numbers) = &self.numbers else { return Ok(()) };
        if values.len() != numbers.numel() {
            return Err(Error::argument(
                "optimiser",
                format!("`set` got {} numbers for the step, not {}", values.len(), numbers.numel()),
            )
            .help("`OptimizerState::new` takes their count as its last argument"));
        }
        element_type!(numbers.dtype(), T => {
            let values: SmallVec<[T; 5]> = values.iter().map(|&v| T::from_f64(v)).collect();
            numbers.write(&values)
        })
    }

    /// Runs `step` over all parameters. Its targets are each parameter followed by that parameter's state. Its inputs
    /// are all gradients and, last, the numbers.
    ///
    /// # Errors
    /// A parameter without a gradient, or with one of another shape or dtype; an error of `step`.
    pub fn apply(&self, step: &dyn Update) -> Result<()> {
        let Some(numbers) = &self.numbers else { return Ok(()) };
        let grads = self.slots.iter().map(Slot::grad).collect::<Result<Vec<Tensor>>>()?;
        let targets = self.slots.iter().flat_map(|slot| std::iter::once(&slot.param).chain(&slot.state));
        let inputs = grads.iter().chain([numbers]);
        update(step, &targets.collect::<Vec<_>>(), &inputs.collect::<Vec<_>>())
    }

    /// For each parameter, whether `decay` applies to it.
    fn covered(&self, decay: Decay) -> Vec<bool> {
        self.slots.iter().map(|slot| decay.covers(&slot.param)).collect()
    }

    /// The tensors by name (`momentum_buffer.conv1.weight`). They share memory with the optimiser.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let named = |slot: &Slot| {
            let tensors = self.keys.iter().zip(&slot.state);
            tensors.map(|(key, t)| (format!("{key}.{}", slot.name), t.clone())).collect::<Vec<_>>()
        };
        self.slots.iter().flat_map(named).collect()
    }

    /// Restores the values that [`tensors`](Self::tensors) and [`Optimizer::steps`] returned.
    ///
    /// # Errors
    /// A name that is missing; a tensor of another shape.
    pub fn restore(&mut self, saved: &BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        for (name, target) in self.tensors() {
            let source = saved.get(&name).ok_or_else(|| {
                Error::new(ErrorKind::Missing, "optimiser", format!("the saved state has no `{name}`"))
                    .help("the state may be from another optimiser or another model")
            })?;
            target.copy_from(&source.to_device(target.device())?)?;
        }
        self.steps = steps;
        Ok(())
    }
}

/// A piece of a parameter: the parameter's index, the pieces of its targets, and of `dw`.
type Piece<'a, T, const K: usize> = (usize, [&'a mut [T]; K], &'a [T]);

/// Calls `f(parameter, targets, dw)` on pieces of all parameters; each parameter has K targets. There is one parallel
/// loop over all parameters, divided into tasks of about equal size.
fn each<T: Float, const K: usize>(
    cx: &CpuCtx,
    targets: &mut [ViewMut],
    grads: &[View],
    f: impl Fn(usize, [&mut [T]; K], &[T]) + Sync + Send,
) {
    let mut pieces: Vec<Piece<T, K>> = Vec::new();
    for (slot, (targets, dw)) in targets.chunks_exact_mut(K).zip(grads).enumerate() {
        let mut targets = targets.iter_mut().map(|t| t.get::<T>().chunks_mut(CHUNK));
        let mut targets: [_; K] = std::array::from_fn(|_| targets.next().expect("chunks of K"));
        for dw in dw.get::<T>().chunks(CHUNK) {
            let piece = targets.each_mut().map(|t| t.next().expect("as long as dw"));
            pieces.push((slot, piece, dw));
        }
    }
    let mut tasks: Vec<&mut [Piece<T, K>]> = Vec::new();
    let (mut rest, mut work) = (&mut pieces[..], 0);
    while !rest.is_empty() {
        let mut size = 0;
        let full = rest.iter().position(|(_, _, dw)| {
            size += dw.len();
            size >= CHUNK
        });
        let (task, after) = rest.split_at_mut(full.map_or(rest.len(), |last| last + 1));
        tasks.push(task);
        (rest, work) = (after, work + size);
    }
    cx.pieces(&mut tasks, 1, work * (K + 1), |_, tasks| {
        for (slot, targets, dw) in tasks.iter_mut().flat_map(|task| task.iter_mut()) {
            let targets = targets.each_mut().map(|t| &mut **t);
            cx.vectors::<T, _>(
                #[inline(always)]
                || f(*slot, targets, dw),
            );
        }
    });
}

/// The number of weights, where every `each`-th target is a weight.
fn weights(targets: &[Meta], each: usize) -> u64 {
    targets.iter().step_by(each).map(|w| w.numel() as u64).sum()
}

/// # Errors
/// A momentum outside `0..1`. At 1, old gradients would never fade; above 1 they would grow.
fn check_momentum(name: &str, momentum: f64) -> Result<()> {
    match (0.0..1.0).contains(&momentum) {
        true => Ok(()),
        false => Err(Error::argument(name, format!("{momentum} is out of range"))
            .expected("0 or more, and less than 1")),
    }
}

impl Slot {
    fn grad(&self) -> Result<Tensor> {
        let grad = self.param.grad().ok_or_else(|| no_gradient(&self.name))?;
        if grad.meta() == self.param.meta() {
            return Ok(grad);
        }
        let text = |t: &Tensor| format!("{} {}", t.shape(), t.dtype());
        let what = format!("the gradient of `{}` differs from it in shape or dtype", self.name);
        let kind = if grad.shape() == self.param.shape() { ErrorKind::DType } else { ErrorKind::Shape };
        Err(Error::new(kind, "optimiser", what)
            .with("gradient", text(&grad))
            .with("parameter", text(&self.param))
            .help("`set_grad` must get a gradient like the parameter"))
    }
}

fn no_gradient(name: &str) -> Error {
    Error::new(ErrorKind::NoGradient, "optimiser", format!("no gradient reached `{name}`"))
        .help("check that forward uses the layer and that backward ran on the loss, or freeze the parameter")
}
