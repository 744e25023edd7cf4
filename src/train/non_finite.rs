//! Finds where a NaN first appeared. When a loss is not finite, the same forward pass runs again with a hook that
//! checks every layer's output. The first output that is not finite shows where to look.

use crate::core::{Error, ErrorKind, Result};
use crate::data::Batch;
use crate::nn::{Ctx, Hook, Module, ModuleExt};
use crate::tensor::Tensor;
use std::cell::RefCell;
use std::fmt;

/// What to do if the weights grew until they were infinite.
const DIVERGED: &str = "lower the learning rate, or clip gradients: `config.clip_norm = 1`";

/// When a loss was not finite.
#[derive(Clone, Copy)]
pub(super) enum When {
    Step(u64),
    /// The validation after this epoch, counted from 0.
    Validation(usize),
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Step(step) => write!(f, "in step {step}"),
            When::Validation(epoch) => write!(f, "in the validation of epoch {}", epoch + 1),
        }
    }
}

/// The error for a loss that is not finite. It names the example, parameter or layer that was the first to become
/// non-finite.
pub(super) fn explain(cx: Ctx, model: &dyn Module, batch: &Batch, loss: f64, when: When) -> Error {
    let (place, help) =
        first_place(cx, model, batch, when).unwrap_or_else(|error| (format!("unknown: {error}"), DIVERGED));
    error(loss, when, help).with("first not finite:", place)
}

/// The same error for a replayed step. The weights have changed since, so the forward pass cannot be repeated.
pub(super) fn replayed(loss: f64, step: u64) -> Error {
    error(loss, When::Step(step), DIVERGED).with(
        "first not finite:",
        "unknown, because the weights have changed since; train with `GraphMode::Off` to find it",
    )
}

fn error(loss: f64, when: When, help: &str) -> Error {
    Error::new(ErrorKind::NonFinite, "train", format!("the loss became {loss} {when}")).help(help)
}

/// The place, and what to do.
fn first_place(cx: Ctx, model: &dyn Module, batch: &Batch, when: When) -> Result<(String, &'static str)> {
    for (what, tensor) in [("input", &batch.images), ("target", &batch.targets)] {
        if let Some(example) = first_example(tensor)? {
            let sample = batch.samples.get(example).copied().unwrap_or(example);
            let place = format!("the {what} of example {sample} of the data set");
            return Ok((place, "the data has a NaN or an infinite value: mend or remove this example"));
        }
    }
    for (name, param) in model.params() {
        if !finite(param.value()?)? {
            return Ok(match when {
                When::Step(0) => (
                    format!("parameter {name}, before the first step"),
                    "the weights were not finite when training began: initialise or load them again",
                ),
                _ => (format!("parameter {name}, after the previous step"), DIVERGED),
            });
        }
    }
    let first = FirstNonFinite::default();
    model.forward(&cx.with_grad(false).with_hook(&first), &batch.images)?;
    let layer = first.0.into_inner();
    let place = layer.map_or_else(|| "the loss itself".into(), |layer| format!("output of {layer}"));
    Ok((place, DIVERGED))
}

/// The position in the batch of the first example with an element that is not finite.
fn first_example(batch: &Tensor) -> Result<Option<usize>> {
    if finite(batch)? {
        return Ok(None);
    }
    let an_example = batch.dims().iter().skip(1).product::<usize>().max(1);
    Ok(batch.to_f64()?.iter().position(|v| !v.is_finite()).map(|i| i / an_example))
}

#[derive(Default)]
struct FirstNonFinite(RefCell<Option<String>>);

impl Hook for FirstNonFinite {
    fn layer(&self, path: &str, module: &dyn Module, _x: &Tensor, y: &Tensor) -> Result<()> {
        let mut first = self.0.borrow_mut();
        if first.is_none() && !finite(y)? {
            *first = Some(format!("{path} ({})", module.kind()));
        }
        Ok(())
    }
}

/// Whether all elements are finite.
pub(crate) fn finite(x: &Tensor) -> Result<bool> {
    Ok(!x.dtype().is_float() || x.to_f64()?.iter().all(|v| v.is_finite()))
}
