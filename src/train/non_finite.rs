//! Finds where a NaN first appeared. When a loss is not finite, the same forward pass runs again with a hook that
//! checks every layer's output. The first output that is not finite shows where to look.

use crate::core::{Error, ErrorKind, Result};
use crate::nn::{Ctx, Hook, Module, ModuleExt};
use crate::tensor::Tensor;
use std::cell::RefCell;

/// The error for a loss that is not finite. It names the parameter or layer that was the first to become non-finite.
pub(super) fn explain(cx: Ctx, model: &dyn Module, images: &Tensor, loss: f64, step: u64) -> Error {
    match bad_example(images) {
        Ok(Some(example)) => Error::new(
            ErrorKind::NonFinite,
            "train",
            format!("the loss became {loss} in step {step}"),
        )
        .with("first not finite:", format_args!("the input, in example {example} of the batch, from 0"))
        .help("look for NaN or infinite values in the data, and for values that a data set leaves unwritten"),
        _ => {
            let place =
                first_place(cx, model, images, step).unwrap_or_else(|error| format!("unknown: {error}"));
            error(loss, step).with("first not finite:", place)
        }
    }
}

/// The same error for a replayed step. The weights have changed since, so the forward pass cannot be repeated.
pub(super) fn replayed(loss: f64, step: u64) -> Error {
    error(loss, step).with(
        "first not finite:",
        "unknown, because the weights have changed since; train with `GraphMode::Off` to find it",
    )
}

/// Refuses the loss of a validation that is not finite: the weights are useless, and no epoch may count as the best by
/// it.
///
/// # Errors
/// A loss that is not finite.
pub(super) fn check_validation(loss: f64, epoch: usize) -> Result<()> {
    if loss.is_finite() {
        return Ok(());
    }
    let what = format!("the validation loss became {loss} after epoch {}", epoch + 1);
    let help = "if the last step was too large, lower the learning rate; otherwise look for NaN in the validation data";
    Err(Error::new(ErrorKind::NonFinite, "train", what).help(help))
}

fn error(loss: f64, step: u64) -> Error {
    Error::new(ErrorKind::NonFinite, "train", format!("the loss became {loss} in step {step}"))
        .help("lower the learning rate, or clip gradients: `config.clip_norm = 1`")
}

fn first_place(cx: Ctx, model: &dyn Module, images: &Tensor, step: u64) -> Result<String> {
    for (name, param) in model.params() {
        if !finite(param.value()?)? {
            let since = if step == 0 { "before the first step" } else { "after the previous step" };
            return Ok(format!("parameter {name}, {since}"));
        }
    }
    let first = FirstNonFinite::default();
    model.forward(&cx.with_grad(false).with_hook(&first), images)?;
    let layer = first.0.into_inner();
    Ok(layer.map_or_else(|| "the loss itself".into(), |layer| format!("output of {layer}")))
}

/// The first example of a batch that is not finite.
fn bad_example(images: &Tensor) -> Result<Option<usize>> {
    if !images.dtype().is_float() {
        return Ok(None);
    }
    let each = images.numel() / images.dims().first().copied().unwrap_or(1).max(1);
    let first = images.to_f64()?.iter().position(|value| !value.is_finite());
    Ok(first.map(|at| at / each.max(1)))
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
