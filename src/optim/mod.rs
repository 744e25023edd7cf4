//! Optimisers: they change parameters in place, at stable addresses.
//!
//! An optimiser holds the parameters it was given by name, and its own state (momentum, moments) by the same names, so a
//! checkpoint can save and restore it. A parameter without a gradient is an error that names it, not a silent skip: it
//! is nearly always a layer that was left out of the forward pass.

mod adam;
mod clip;
mod schedule;
mod sgd;

pub use adam::Adam;
pub use clip::{clip_grad_norm, clip_grad_value};
pub use schedule::{Position, Schedule};
pub use sgd::Sgd;

use crate::core::{Error, ErrorKind, Result};
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// One step of gradient descent, and the state it carries from step to step.
pub trait Optimizer: Send {
    /// Updates every parameter in place from its gradient, with learning rate `lr`.
    ///
    /// # Errors
    /// A parameter that no gradient reached.
    fn step(&mut self, lr: f64) -> Result<()>;

    /// The state tensors by name (`momentum_buffer.conv1.weight`), sharing memory, for checkpoints.
    fn state(&self) -> BTreeMap<String, Tensor>;

    /// Steps taken so far: Adam's bias correction depends on it.
    fn steps(&self) -> u64;

    /// Restores what [`state`](Self::state) and [`steps`](Self::steps) gave.
    ///
    /// # Errors
    /// A name that is missing, or of another shape.
    fn restore(&mut self, state: &BTreeMap<String, Tensor>, steps: u64) -> Result<()>;

    /// Forgets all gradients.
    fn zero_grad(&self);
}

/// A parameter with its name and the optimiser's own tensors for it.
struct Slot<const N: usize> {
    name: String,
    param: Tensor,
    state: [Tensor; N],
}

/// The slots of all parameters, with `N` state tensors each, named by `keys`.
struct Slots<const N: usize> {
    slots: Vec<Slot<N>>,
    keys: [&'static str; N],
}

impl<const N: usize> Slots<N> {
    /// State starts at zero.
    fn new(params: Vec<(String, Tensor)>, keys: [&'static str; N]) -> Result<Slots<N>> {
        let mut slots = Vec::with_capacity(params.len());
        for (name, param) in params {
            let zero = || Tensor::zeros(param.device(), param.dims(), param.dtype());
            let state: Vec<Tensor> = keys.iter().map(|_| zero()).collect::<Result<_>>()?;
            let state = state.try_into().expect("one tensor for each key");
            slots.push(Slot { name, param, state });
        }
        Ok(Slots { slots, keys })
    }

    fn named(&self) -> BTreeMap<String, Tensor> {
        let each = |slot: &Slot<N>| {
            let named = self.keys.iter().zip(&slot.state);
            named.map(|(key, t)| (format!("{key}.{}", slot.name), t.clone())).collect::<Vec<_>>()
        };
        self.slots.iter().flat_map(each).collect()
    }

    fn restore(&self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        for (name, target) in self.named() {
            let saved = state.get(&name).ok_or_else(|| {
                Error::new(ErrorKind::Missing, "optimiser", format!("the saved state has no `{name}`"))
                    .help("it was saved by another optimiser or another model")
            })?;
            target.copy_from(&saved.to_device(target.device())?)?;
        }
        Ok(())
    }

    fn zero_grad(&self) {
        self.slots.iter().for_each(|slot| slot.param.zero_grad());
    }
}

impl<const N: usize> Slot<N> {
    fn grad(&self) -> Result<Tensor> {
        self.param.grad().ok_or_else(|| no_gradient(&self.name))
    }
}

fn no_gradient(name: &str) -> Error {
    Error::new(ErrorKind::NoGradient, "optimiser", format!("no gradient reached `{name}`")).help(
        "is the layer used in forward, and was backward called on the loss? A frozen parameter is left out",
    )
}
