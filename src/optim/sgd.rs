//! Stochastic gradient descent with momentum.

use super::groups::{Member, in_groups};
use super::{Decay, Optimizer, OptimizerState, check_momentum, each, weights};
use crate::core::{Error, Float, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, kernels};
use crate::float_type;
use crate::tensor::{Meta, Tensor, Update};

/// Gradient descent with momentum (optionally Nesterov's) and weight decay.
///
/// ```math
/// \begin{aligned}
/// g &= \mathrm{dw} + \mathrm{decay} \cdot w \\
/// v &\leftarrow \mathrm{momentum} \cdot v + g \\
/// w &\leftarrow w - \mathrm{lr} \cdot v \\
/// \text{Nesterov:} \quad w &\leftarrow w - \mathrm{lr} \, (g + \mathrm{momentum} \cdot v)
/// \end{aligned}
/// ```
///
/// v starts at 0. The learning rate is not part of the velocity, as in PyTorch, so a change of the rate takes effect at
/// once. PyTorch: `optim.SGD` with `dampening = 0`.
pub struct Sgd {
    memory: OptimizerState,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    decay: Decay,
}

impl Sgd {
    /// An optimiser of these parameters (see [`crate::nn::ModuleExt::trainable`]).
    ///
    /// # Errors
    /// A momentum outside `0..1`; a negative or non-finite decay; Nesterov without momentum; the errors of
    /// [`OptimizerState::new`].
    pub fn new(
        params: Vec<(String, Tensor)>,
        momentum: f64,
        nesterov: bool,
        weight_decay: f64,
    ) -> Result<Sgd> {
        check_momentum("momentum", momentum)?;
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            return Err(Error::argument(
                "weight_decay",
                format!("{weight_decay} is not a number of 0 or more"),
            ));
        }
        if nesterov && momentum == 0.0 {
            return Err(
                Error::argument("nesterov", "needs a momentum above 0").help("use 0.9, the usual value")
            );
        }
        let memory = OptimizerState::new(params, &["momentum_buffer"], 3)?;
        Ok(Sgd { memory, momentum, nesterov, weight_decay, decay: Decay::All })
    }

    /// Applies the decay to some parameters only.
    pub fn decay(self, decay: Decay) -> Sgd {
        Sgd { decay, ..self }
    }
}

impl Optimizer for Sgd {
    fn set(&mut self, lr: f64) -> Result<()> {
        self.memory.begin_step();
        self.memory.set(&[lr, self.momentum, self.weight_decay])
    }

    fn set_momentum(&mut self, momentum: f64) -> Result<()> {
        check_momentum("momentum", momentum)?;
        self.momentum = momentum;
        Ok(())
    }

    fn apply(&self) -> Result<()> {
        let decays = self.memory.covered(self.decay);
        self.memory.apply(&SgdStep { nesterov: self.nesterov, decays })
    }

    fn memory(&self) -> &OptimizerState {
        &self.memory
    }

    fn memory_mut(&mut self) -> &mut OptimizerState {
        &mut self.memory
    }
}

/// Targets: `w` and `v` of each parameter. Inputs: `dw` of each parameter, and the numbers learning rate, momentum and
/// weight decay.
#[derive(Debug)]
struct SgdStep {
    nesterov: bool,
    /// For each parameter, whether it decays.
    decays: Vec<bool>,
}

impl Update for SgdStep {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn cpu(&self, cx: &CpuCtx, targets: &mut [ViewMut], x: &[View]) -> Result<()> {
        let (numbers, grads) = x.split_last().expect("the numbers come last");
        float_type!(self.name(), numbers.dtype, T => {
            let &[lr, momentum, decay] = numbers.get::<T>() else { unreachable!("three numbers") };
            let nesterov = self.nesterov;
            each::<T, 2>(
                cx,
                targets,
                grads,
                #[inline(always)]
                |slot, [w, v], dw| {
                    let decay = if self.decays[slot] { decay } else { T::ZERO };
                    for ((w, v), &dw) in w.iter_mut().zip(v).zip(dw) {
                        let g = dw + decay * *w;
                        *v = momentum * *v + g;
                        *w -= lr * if nesterov { g + momentum * *v } else { *v };
                    }
                },
            );
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, targets: &[DeviceView], x: &[DeviceView]) -> Result<()> {
        let (numbers, grads) = x.split_last().expect("the numbers come last");
        let members = targets.chunks_exact(2).zip(grads).zip(&self.decays).map(|((slot, dw), &decays)| {
            Member { w: Some(&slot[0]), dw: Some(dw), moments: [Some(&slot[1]), None], decays }
        });
        let numbers = numbers.f32()?;
        in_groups(members, |grid, group| kernels::sgd_f32(cx, grid, group, numbers, self.nesterov as i32))
    }

    /// Each weight needs three products and three sums. Nesterov's step needs one more of each.
    fn flops(&self, targets: &[Meta], _x: &[Meta]) -> u64 {
        weights(targets, 2) * if self.nesterov { 8 } else { 6 }
    }
}
