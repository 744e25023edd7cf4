//! The image that a dry run follows through a model.

use crate::core::{DType, Result};
use crate::nn::{Module, ModuleExt};
use crate::tensor::{Device, Tensor};

/// An image `[1, C, H, W]` of zeros, where the model is. A model without values gets them on the meta device: nothing is
/// computed, however large the model. A model with values keeps them, and computes one image.
///
/// # Errors
/// An impossible size; a parameter that [`Module::visit`] names twice.
pub(crate) fn dry_run_image(model: &dyn Module, [c, h, w]: [usize; 3]) -> Result<Tensor> {
    let dims = [1, c, h, w];
    match model.params().first().map(|(_, param)| param.value()) {
        Some(Ok(value)) => Tensor::zeros(value.device(), &dims, value.dtype()),
        _ => {
            let meta = Device::meta();
            model.init(&meta, DType::F32, 0)?;
            Tensor::zeros(&meta, &dims, DType::F32)
        }
    }
}
