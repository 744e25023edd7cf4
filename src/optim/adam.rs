//! Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019).

use super::groups::{Member, in_groups};
use super::{Decay, Optimizer, OptimizerState, check_momentum, each, weights};
use crate::core::{Error, Float, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, kernels};
use crate::float_type;
use crate::tensor::{Meta, Tensor, Update};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// AdamW's default decay. (PyTorch: `torch.optim.AdamW`.)
pub const ADAMW_DECAY: f64 = 0.01;

/// Adam and AdamW, with PyTorch's default betas and eps.
///
/// ```math
/// \begin{aligned}
/// g &= \mathrm{dw} + \lambda w \\
/// m &\leftarrow \beta_1 m + (1 - \beta_1) \, g \\
/// v &\leftarrow \beta_2 v + (1 - \beta_2) \, g^2 \\
/// w &\leftarrow w - \frac{\mathrm{lr}}{1 - \beta_1^t} \cdot \frac{m}{\sqrt{v} / \sqrt{1 - \beta_2^t} + \varepsilon}
/// \end{aligned}
/// ```
///
/// in step t = 1, 2, ... m and v start at 0, which makes them too small at first; the divisions by `1 - beta^t` correct
/// that. In Adam the decay (lambda is `weight_decay`) is part of the gradient, so it passes through the moments and is
/// rescaled with them. AdamW keeps the decay out of the gradient:
///
/// ```math
/// \begin{aligned}
/// g &= \mathrm{dw} \\
/// w &\leftarrow w - \mathrm{lr} \, \lambda w \quad \text{before the step above}
/// \end{aligned}
/// ```
///
/// PyTorch: `optim.Adam`, `optim.AdamW`.
pub struct Adam {
    memory: OptimizerState,
    beta1: f64,
    weight_decay: f64,
    decoupled: bool,
    decay: Decay,
}

impl Adam {
    /// Adam: the decay is part of the gradient.
    ///
    /// # Errors
    /// A negative or non-finite decay; the errors of [`OptimizerState::new`].
    pub fn new(params: Vec<(String, Tensor)>, weight_decay: f64) -> Result<Adam> {
        Self::build(params, weight_decay, false)
    }

    /// AdamW: the decay is applied to the weights directly.
    ///
    /// # Errors
    /// A negative or non-finite decay; the errors of [`OptimizerState::new`].
    pub fn decoupled(params: Vec<(String, Tensor)>, weight_decay: f64) -> Result<Adam> {
        Self::build(params, weight_decay, true)
    }

    /// Applies the decay to some parameters only.
    pub fn decay(self, decay: Decay) -> Adam {
        Adam { decay, ..self }
    }

    fn build(params: Vec<(String, Tensor)>, weight_decay: f64, decoupled: bool) -> Result<Adam> {
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            let what = format!("{weight_decay} is not a number of 0 or more");
            return Err(Error::argument("weight_decay", what));
        }
        let memory = OptimizerState::new(params, &["exp_avg", "exp_avg_sq"], 5)?;
        Ok(Adam { memory, beta1: BETA1, weight_decay, decoupled, decay: Decay::All })
    }
}

impl Optimizer for Adam {
    fn set(&mut self, lr: f64) -> Result<()> {
        let step = self.memory.begin_step() as f64;
        let [correction1, correction2] = [self.beta1, BETA2].map(|beta| 1.0 - beta.powf(step));
        let decay = self.weight_decay;
        let (shrink, decay) = if self.decoupled { (1.0 - lr * decay, 0.0) } else { (1.0, decay) };
        self.memory.set(&[lr / correction1, correction2.sqrt(), shrink, decay, 1.0 - self.beta1])
    }

    fn set_momentum(&mut self, momentum: f64) -> Result<()> {
        check_momentum("beta1", momentum)?;
        self.beta1 = momentum;
        Ok(())
    }

    fn apply(&self) -> Result<()> {
        self.memory.apply(&AdamStep { decays: self.memory.covered(self.decay) })
    }

    fn memory(&self) -> &OptimizerState {
        &self.memory
    }

    fn memory_mut(&mut self) -> &mut OptimizerState {
        &mut self.memory
    }
}

/// Targets: `w`, `m` and `v` of each parameter. Inputs: `dw` of each parameter, and the numbers: the corrected learning
/// rate, the square root of the second correction, the factor of decoupled decay, the decay that is part of the
/// gradient, and 1 - beta1.
#[derive(Debug)]
struct AdamStep {
    /// For each parameter, whether it decays.
    decays: Vec<bool>,
}

impl Update for AdamStep {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn cpu(&self, cx: &CpuCtx, targets: &mut [ViewMut], x: &[View]) -> Result<()> {
        let (numbers, grads) = x.split_last().expect("the numbers come last");
        float_type!(self.name(), numbers.dtype, T => {
            let &[rate, root, shrink, decay, c1] = numbers.get::<T>() else { unreachable!("five numbers") };
            let [b2, c2] = [BETA2, 1.0 - BETA2].map(|v| v as T);
            each::<T, 3>(
                cx,
                targets,
                grads,
                #[inline(always)]
                |slot, [w, m, v], dw| {
                    let (shrink, decay) = if self.decays[slot] { (shrink, decay) } else { (T::ONE, T::ZERO) };
                    for (((w, m), v), &dw) in w.iter_mut().zip(m).zip(v).zip(dw) {
                        *w *= shrink;
                        let g = dw + decay * *w;
                        *m += (g - *m) * c1; // beta1 m + (1 - beta1) g, rounded as PyTorch's lerp
                        *v = *v * b2 + g * g * c2;
                        *w -= rate * *m / (v.sqrt() / root + EPS as T);
                    }
                },
            );
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, targets: &[DeviceView], x: &[DeviceView]) -> Result<()> {
        let (numbers, grads) = x.split_last().expect("the numbers come last");
        let members = targets.chunks_exact(3).zip(grads).zip(&self.decays).map(|((slot, dw), &decays)| {
            Member { w: Some(&slot[0]), dw: Some(dw), moments: [Some(&slot[1]), Some(&slot[2])], decays }
        });
        let numbers = numbers.f32()?;
        let [b2, c2] = [BETA2, 1.0 - BETA2].map(|v| v as f32);
        in_groups(members, |grid, group| kernels::adam_f32(cx, grid, group, numbers, b2, c2, EPS as f32))
    }

    /// Operations per weight: one for the decoupled decay, two for `g`, three for `m`, four for `v`, six for the step.
    fn flops(&self, targets: &[Meta], _x: &[Meta]) -> u64 {
        weights(targets, 3) * 16
    }
}
