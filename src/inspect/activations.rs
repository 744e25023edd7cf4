//! The input and the output of every layer.

use super::Array;
use crate::core::Result;
use crate::nn::{Ctx, Hook, Module, ModuleExt};
use crate::tensor::Tensor;
use serde::Serialize;
use std::cell::RefCell;

/// One layer's input and output in one forward pass.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Activation {
    /// The layer's path, as in `state_dict`: `layer1.0.conv1`.
    pub path: String,
    /// PyTorch's name for the kind of layer.
    pub kind: &'static str,
    /// The kind together with its settings: `Conv2d(1, 6, kernel_size=5, padding=2)`.
    pub describe: String,
    pub input: Array,
    pub output: Array,
}

/// The input and the output of every leaf layer (a layer without sublayers), in the order they run, in evaluation mode.
/// `x` is the network's input, a batch of any size.
///
/// Results that a network computes outside leaf layers, such as a residual's sum or a concatenation, appear as the
/// input of the next layer. A layer that runs twice is listed twice.
///
/// ```
/// use receptive::inspect::activations;
/// use receptive::nn::{Conv2d, MaxPool2d, ModuleExt, Sequential};
/// use receptive::{DType, Device, Tensor};
/// let cpu = Device::cpu()?;
/// let net = Sequential::new().named("conv", Conv2d::new(1, 4, 3)).named("pool", MaxPool2d::new(2));
/// net.init(&cpu, DType::F32, 0)?;
/// let layers = activations(&net, "net", &Tensor::zeros(&cpu, &[1, 1, 8, 8], DType::F32)?)?;
/// assert_eq!((&layers[0].path[..], &layers[0].output.dims[..]), ("conv", &[1, 4, 6, 6][..]));
/// assert_eq!(layers[1].output.dims, [1, 4, 3, 3]);
/// # Ok::<(), receptive::Error>(())
/// ```
///
/// # Errors
/// A shape that does not fit the network; a network or tensor without values.
pub fn activations(model: &dyn Module, name: &str, x: &Tensor) -> Result<Vec<Activation>> {
    let watch = KeepActivations::default();
    model.forward(&Ctx::eval(name).with_hook(&watch), &x.detach())?;
    Ok(watch.0.into_inner())
}

/// Copies the input and output of every leaf layer.
#[derive(Default)]
struct KeepActivations(RefCell<Vec<Activation>>);

impl Hook for KeepActivations {
    fn layer(&self, path: &str, module: &dyn Module, x: &Tensor, y: &Tensor) -> Result<()> {
        if module.is_leaf() {
            self.0.borrow_mut().push(Activation {
                path: path.to_owned(),
                kind: module.kind(),
                describe: module.describe(),
                input: Array::of(x)?,
                output: Array::of(y)?,
            });
        }
        Ok(())
    }
}
