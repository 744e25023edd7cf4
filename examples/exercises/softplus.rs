//! Exercise: the gradient of an op.
//!
//! ```text
//! y = ln(1 + e^x)          dy/dx = ?
//! ```
//!
//! Softplus is a smooth version of the rectifier. Its forward pass is below. Its gradient is missing: given the loss's
//! gradient `dy` with respect to y, return the loss's gradient with respect to x. It is one line.
//!
//! Hints: differentiate by the chain rule, then look for a function that the engine already has.
//! `src/ops/elementwise/tanh.rs` is an op as short as this one. For x = -100, e^x is no problem; for x = 100, is it?

use super::Wrong;
use receptive::core::{Error, ErrorKind, Result};
use receptive::cpu::{CpuCtx, View, ViewMut};
use receptive::cuda::{CudaCtx, DeviceView};
use receptive::ops::{Attrs, Case, Fill, Input, OpSpec};
use receptive::tensor::{Device, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply_dyn};
use receptive::testing::gradcheck_case;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The loss's gradient with respect to `x`, from its gradient `dy` with respect to y. For you to write.
pub fn gradient(_x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    Ok(dy.clone())
}

// The code below makes an op of it, and checks it like every op of the engine: by finite differences.

/// A gradient, from `x` and `dy`.
type Gradient = fn(&Tensor, &Tensor) -> Result<Tensor>;

/// The op with any gradient function.
#[derive(Debug)]
pub struct Softplus(pub Gradient);

/// The op with your gradient.
pub static YOURS: OpSpec = spec(|_| Ok(Arc::new(Softplus(gradient))));

/// A row as in the table of ops.
pub const fn spec(build: fn(&Attrs) -> Result<Arc<dyn Op>>) -> OpSpec {
    OpSpec {
        name: "softplus",
        torch: "F.softplus(input)",
        inputs: const { &[Input::new("input")] },
        outputs: &["output"],
        attrs: &[],
        layer: Some("Softplus"),
        build,
        cases,
    }
}

fn cases() -> Vec<Case> {
    vec![
        Case::new("small", "").filled("input", &[3, 5], Fill::Normal),
        Case::new("large", "").filled("input", &[4, 25], Fill::Uniform(-90.0, 90.0)),
    ]
}

impl Op for Softplus {
    fn name(&self) -> &'static str {
        "softplus"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, x[0].dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }

    fn cpu(&self, _cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        for (y, x) in y[0].get::<f64>().iter_mut().zip(x[0].get::<f64>()) {
            // Above zero e^x may overflow: ln(1 + e^x) = x + ln(1 + e^-x).
            *y = x.max(0.0) + (-x.abs()).exp().ln_1p();
        }
        Ok(())
    }

    fn cuda(&self, _cx: &CudaCtx, _: &Plan, _x: &[DeviceView], _y: &[DeviceView]) -> Result<()> {
        Err(Error::new(ErrorKind::Device, "softplus", "this exercise runs on the CPU"))
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Ok(Grads::from_iter([Some((self.0)(&saved.input(0), dy)?)]))
    }
}

/// Compares a gradient with central differences.
pub fn check(spec: &'static OpSpec) -> Result<String, Wrong> {
    for case in (spec.cases)() {
        gradcheck_case(spec, &case)?;
    }
    far_out(spec)?;
    Ok("Every element agrees with central differences to 1e-7.".into())
}

/// Far from zero the slope is 1 or nearly 0. There e^x or e^-x is large: in f32 it would overflow from 89 on, in f64
/// from 710.
fn far_out(spec: &'static OpSpec) -> Result<(), Wrong> {
    let x = Tensor::from_slice(&Device::cpu()?, &[100.0f64, -100.0, 1000.0, -1000.0], &[4])?.requires_grad();
    apply_dyn(&spec.make(&BTreeMap::new(), &["input"])?, &[&x])?[0].sum_all()?.backward()?;
    let slopes = x.grad().ok_or("no gradient reached x")?.to_vec::<f64>()?;
    for ((at, got), want) in [100, -100, 1000, -1000].iter().zip(slopes).zip([1.0, (-100f64).exp(), 1.0, 0.0])
    {
        // The error is relative: compared with 1e-44, an absolute error of 1e-12 would be too large.
        if (got - want).abs() <= 1e-9 * want {
            continue;
        }
        return Err(format!("grad.input at x = {at}: {got:e}, but the slope is {want:e}").into());
    }
    Ok(())
}
