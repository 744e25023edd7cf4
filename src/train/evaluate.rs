//! Mean loss and scores of a model over a data set.

use super::{Flow, Tally};
use crate::core::Result;
use crate::data::{Batch, Loader};
use crate::nn::{Criterion, Ctx, Module};
use crate::tensor::Tensor;

/// Mean loss and accuracy of a model over a data set, without recording gradients. `watch` sees each batch with its
/// output and the sums so far. It may stop the evaluation; then there is no result.
///
/// # Errors
/// Data that cannot be read, shapes that do not fit, an error from `watch`.
pub fn evaluate(
    model: &dyn Module,
    name: &str,
    criterion: impl Into<Criterion>,
    data: &Loader,
    mut watch: impl FnMut(&Batch, &Tensor, &Tally) -> Result<Flow>,
) -> Result<Option<Tally>> {
    let (cx, criterion) = (Ctx::eval(name), criterion.into());
    let mut tally = Tally::of(data.masks());
    for batch in data.epoch(0, 0)? {
        let batch = batch?;
        let output = model.forward(&cx, &batch.images)?;
        let loss = criterion.compute(&output, &batch.targets)?.item()?;
        tally.add_batch(&criterion, loss, &output, &batch.targets)?;
        if watch(&batch, &output, &tally)?.ends() {
            return Ok(None);
        }
    }
    Ok(Some(tally))
}
