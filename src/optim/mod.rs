//! Optimisers: they change parameters in place, at stable addresses.
//!
//! An optimiser holds the parameters it was given by name, and its own state (momentum, moments) by the same names, so a
//! checkpoint can save and restore it. A parameter without a gradient is an error that names it, not a silent skip: it
//! is nearly always a layer that was left out of the forward pass.

mod adam;
mod clip;
mod plateau;
mod schedule;
mod sgd;

pub use adam::Adam;
pub use clip::{clip_grad_norm, clip_grad_value};
pub use plateau::Plateau;
pub use schedule::{Length, Position, Schedule};
pub use sgd::Sgd;

use crate::core::{Error, ErrorKind, Result};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One step of gradient descent, and the memory it carries from step to step.
pub trait Optimizer: Send {
    /// Updates every parameter in place from its gradient, with learning rate `lr`.
    ///
    /// # Errors
    /// A parameter that no gradient reached.
    fn step(&mut self, lr: f64) -> Result<()>;

    /// The parameters, with what the optimiser remembers of each.
    fn memory(&self) -> &Memory;

    /// As [`memory`](Self::memory), to restore it from a checkpoint.
    fn memory_mut(&mut self) -> &mut Memory;

    /// Steps taken so far: Adam's bias correction depends on it.
    fn steps(&self) -> u64 {
        self.memory().steps
    }

    /// Forgets all gradients.
    fn zero_grad(&self) {
        self.memory().slots.iter().for_each(|slot| slot.param.zero_grad());
    }
}

/// Which parameters weight decay is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// All, as PyTorch does with a single group of parameters.
    #[default]
    All,
    /// Those of two or more dimensions: not biases, nor the scales of norms. scikit-learn's `alpha`; in PyTorch two
    /// groups of parameters.
    #[serde(rename = "weights")]
    WeightsOnly,
}

impl Decay {
    /// The decay of one parameter.
    fn of(self, param: &Tensor, weight_decay: f64) -> f64 {
        if self == Decay::WeightsOnly && param.dims().len() < 2 { 0.0 } else { weight_decay }
    }
}

/// A parameter with its name and the optimiser's own tensors for it.
struct Slot {
    name: String,
    param: Tensor,
    state: Vec<Tensor>,
}

/// What an optimiser remembers: a few tensors for each parameter, and the number of steps.
pub struct Memory {
    slots: Vec<Slot>,
    /// What the tensors are called in a checkpoint, as in PyTorch's state: `exp_avg`.
    keys: &'static [&'static str],
    steps: u64,
}

impl Memory {
    /// One tensor of zeros for each parameter and key.
    fn new(params: Vec<(String, Tensor)>, keys: &'static [&'static str]) -> Result<Memory> {
        let slot = |(name, param): (String, Tensor)| {
            let zeros = |_| Tensor::zeros(param.device(), param.dims(), param.dtype());
            let state = keys.iter().map(zeros).collect::<Result<_>>()?;
            Ok(Slot { name, param, state })
        };
        Ok(Memory { slots: params.into_iter().map(slot).collect::<Result<_>>()?, keys, steps: 0 })
    }

    /// The tensors by name (`momentum_buffer.conv1.weight`). They share memory with the optimiser.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let named = |slot: &Slot| {
            let tensors = self.keys.iter().zip(&slot.state);
            tensors.map(|(key, t)| (format!("{key}.{}", slot.name), t.clone())).collect::<Vec<_>>()
        };
        self.slots.iter().flat_map(named).collect()
    }

    /// Restores what [`tensors`](Self::tensors) and [`Optimizer::steps`] gave.
    ///
    /// # Errors
    /// A name that is missing, or of another shape.
    pub fn restore(&mut self, saved: &BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        for (name, target) in self.tensors() {
            let source = saved.get(&name).ok_or_else(|| {
                Error::new(ErrorKind::Missing, "optimiser", format!("the saved state has no `{name}`"))
                    .help("it was saved by another optimiser or another model")
            })?;
            target.copy_from(&source.to_device(target.device())?)?;
        }
        self.steps = steps;
        Ok(())
    }
}

impl Slot {
    fn grad(&self) -> Result<Tensor> {
        self.param.grad().ok_or_else(|| no_gradient(&self.name))
    }
}

fn no_gradient(name: &str) -> Error {
    Error::new(ErrorKind::NoGradient, "optimiser", format!("no gradient reached `{name}`")).help(
        "is the layer used in forward, and was backward called on the loss? A frozen parameter is left out",
    )
}
