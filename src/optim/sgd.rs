//! Stochastic gradient descent with momentum.
//!
//! ```text
//! g = dw + weight_decay * w
//! v = momentum * v + g                  (v starts at 0)
//! w = w - lr * v                        Nesterov: w = w - lr * (g + momentum * v)
//! ```
//!
//! PyTorch: `optim.SGD` with `dampening = 0`. The learning rate stands outside the velocity, as there: a schedule takes
//! effect at once.

use super::{Decay, Memory, Optimizer};
use crate::core::{Error, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::float_type;
use crate::tensor::{Tensor, Update, update};

/// `optim.SGD`.
pub struct Sgd {
    memory: Memory,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    decay: Decay,
}

impl Sgd {
    /// Over these parameters (see [`crate::nn::ModuleExt::trainable`]).
    ///
    /// # Errors
    /// A negative or non-finite setting; Nesterov without momentum.
    pub fn new(
        params: Vec<(String, Tensor)>,
        momentum: f64,
        nesterov: bool,
        weight_decay: f64,
    ) -> Result<Sgd> {
        for (name, value) in [("momentum", momentum), ("weight-decay", weight_decay)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::argument(name, format!("{value} is not a number from 0 up")));
            }
        }
        if nesterov && momentum == 0.0 {
            return Err(Error::argument("nesterov", "needs a momentum above 0").help("--momentum 0.9"));
        }
        let memory = Memory::new(params, &["momentum_buffer"])?;
        Ok(Sgd { memory, momentum, nesterov, weight_decay, decay: Decay::All })
    }

    /// The same with the decay on some parameters only.
    pub fn decay(self, decay: Decay) -> Sgd {
        Sgd { decay, ..self }
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, lr: f64) -> Result<()> {
        let Sgd { momentum, nesterov, .. } = *self;
        for slot in &self.memory.slots {
            let weight_decay = self.decay.of(&slot.param, self.weight_decay);
            let step = SgdStep { lr, momentum, nesterov, weight_decay };
            update(&step, &[&slot.param, &slot.state[0]], &[&slot.grad()?])?;
        }
        self.memory.steps += 1;
        Ok(())
    }

    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }
}

/// Targets `w`, `v`; input `dw`.
#[derive(Debug)]
struct SgdStep {
    lr: f64,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
}

impl Update for SgdStep {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn cpu(&self, cx: &CpuCtx, targets: &mut [ViewMut], x: &[View]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => {
            let [lr, momentum, decay] = [self.lr, self.momentum, self.weight_decay].map(|v| v as T);
            let dw = x[0].get::<T>();
            let [w, v] = targets else { unreachable!("step passes w and v") };
            let chunk = crate::cpu::context::CHUNK;
            cx.pieces2((w.get::<T>(), chunk), (v.get::<T>(), chunk), dw.len(), |piece, w, v| {
                for ((w, v), &dw) in w.iter_mut().zip(v).zip(&dw[piece * chunk..]) {
                    let g = dw + decay * *w;
                    *v = momentum * *v + g;
                    *w -= lr * if self.nesterov { g + momentum * *v } else { *v };
                }
            });
            Ok(())
        })
    }
}
