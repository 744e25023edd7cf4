//! The kernels of the convolutional layers.

use super::Array;
use super::array::parameter;
use crate::core::Result;
use crate::nn::{Module, ModuleExt};
use serde::Serialize;

/// The weights of one convolutional layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Filters {
    /// The layer's path, as in `state_dict`: `layer1.0.conv1`.
    pub path: String,
    /// `Conv2d` or `ConvTranspose2d`.
    pub kind: &'static str,
    /// `[O, C / groups, KH, KW]`; for a transposed convolution `[C, O / groups, KH, KW]`.
    pub weight: Array,
    /// `[O]`, if the layer has a bias.
    pub bias: Option<Array>,
}

/// Whether a layer of this kind slides a kernel over its input.
pub(super) fn convolves(kind: &str) -> bool {
    matches!(kind, "Conv2d" | "ConvTranspose2d")
}

/// The filters of every convolutional layer, in the order of construction.
///
/// ```
/// use receptive::inspect::filters;
/// use receptive::nn::{Conv2d, Flatten, Linear, ModuleExt, Sequential};
/// use receptive::{DType, Device};
/// let net = Sequential::new().named("conv", Conv2d::new(3, 8, 5).no_bias()).push(Flatten).push(Linear::new(8, 2));
/// net.init(&Device::cpu()?, DType::F32, 0)?;
/// let all = filters(&net)?;
/// assert_eq!((all.len(), &all[0].path[..], &all[0].bias), (1, "conv", &None));
/// assert_eq!(all[0].weight.dims, [8, 3, 5, 5]);
/// # Ok::<(), receptive::Error>(())
/// ```
///
/// # Errors
/// A network without values: not initialised, or on the meta device.
pub fn filters(model: &dyn Module) -> Result<Vec<Filters>> {
    let mut all = Vec::new();
    for (path, module) in model.modules().into_iter().filter(|(_, module)| convolves(module.kind())) {
        if let Some(weight) = parameter(module, "weight")? {
            all.push(Filters { path, kind: module.kind(), weight, bias: parameter(module, "bias")? });
        }
    }
    Ok(all)
}
