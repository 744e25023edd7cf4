//! Gradient clipping, against the rare batch whose gradient would throw the weights far away.

use super::no_gradient;
use crate::core::{Error, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::float_type;
use crate::tensor::{Tensor, Update, update};

/// Scales all gradients by one factor so that their joint 2-norm is at most `max_norm`; returns the norm before.
/// PyTorch: `nn.utils.clip_grad_norm_`.
///
/// # Errors
/// A `max_norm` that is not above 0; a parameter without a gradient.
pub fn clip_grad_norm(params: &[(String, Tensor)], max_norm: f64) -> Result<f64> {
    positive("clip_grad_norm", max_norm)?;
    let grads = gradients(params)?;
    let mut squares = 0.0;
    for grad in &grads {
        squares += grad.mul(grad)?.sum_all()?.item()?;
    }
    let norm = squares.sqrt();
    let factor = max_norm / (norm + 1e-6);
    if factor < 1.0 {
        grads.iter().try_for_each(|grad| update(&Scale(factor), &[grad], &[]))?;
    }
    Ok(norm)
}

/// Limits every gradient element to `-max .. max`. PyTorch: `nn.utils.clip_grad_value_`.
///
/// # Errors
/// A `max` that is not above 0; a parameter without a gradient.
pub fn clip_grad_value(params: &[(String, Tensor)], max: f64) -> Result<()> {
    positive("clip_grad_value", max)?;
    gradients(params)?.iter().try_for_each(|grad| update(&Limit(max), &[grad], &[]))
}

fn positive(what: &str, limit: f64) -> Result<()> {
    if limit > 0.0 { Ok(()) } else { Err(Error::argument(what, format!("the limit {limit} is not above 0"))) }
}

fn gradients(params: &[(String, Tensor)]) -> Result<Vec<Tensor>> {
    params.iter().map(|(name, p)| p.grad().ok_or_else(|| no_gradient(name))).collect()
}

/// `target *= factor`.
#[derive(Debug)]
struct Scale(f64);

impl Update for Scale {
    fn name(&self) -> &'static str {
        "clip_grad_norm"
    }

    fn cpu(&self, _cx: &CpuCtx, targets: &mut [ViewMut], _x: &[View]) -> Result<()> {
        float_type!(self.name(), targets[0].dtype, T => {
            targets[0].get::<T>().iter_mut().for_each(|g| *g *= self.0 as T);
            Ok(())
        })
    }
}

/// `target = clamp(target, -max, max)`.
#[derive(Debug)]
struct Limit(f64);

impl Update for Limit {
    fn name(&self) -> &'static str {
        "clip_grad_value"
    }

    fn cpu(&self, _cx: &CpuCtx, targets: &mut [ViewMut], _x: &[View]) -> Result<()> {
        float_type!(self.name(), targets[0].dtype, T => {
            let max = self.0 as T;
            targets[0].get::<T>().iter_mut().for_each(|g| *g = g.clamp(-max, max));
            Ok(())
        })
    }
}
