//! The health of each layer of a network in training: the sizes of its weights, gradients and updates, and the
//! distribution of its outputs.
//!
//! | number | healthy | meaning of other values |
//! |---|---|---|
//! | gradient norm | similar from layer to layer | falls towards the input: it vanishes; keeps growing: it explodes |
//! | update ratio | about 1e-3 | 1e-2 and more: the learning rate is too high; below 1e-4: the layer hardly learns |
//! | dead | near 0 | units of a ReLU that are 0 for every image of the batch: they get no gradient either |
//! | spread | mean near 0, standard deviation near 1, in every layer | it changes with depth: bad initial weights |
//!
//! A norm is the 2-norm over all trained tensors of a layer together, computed in f64. (The update ratio as a measure
//! of the learning rate: A. Karpathy, CS231n notes "Neural Networks Part 3", 2015.)

use crate::core::Result;
use crate::nn::{Ctx, Fusion, Hook, Module, ModuleExt, Param, Role};
use crate::tensor::Tensor;
use crate::tensor::distribution::{Histogram, Spread, dead_units, distribution, squares, squares_between};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// One leaf layer. A number that is not finite is `null` in JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerHealth {
    /// The layer's path, as in `state_dict`: `layer1.0.conv1`.
    pub path: String,
    /// PyTorch's name for the kind of layer.
    pub kind: &'static str,
    /// Norm of the gradients that its parameters hold; `None`: they hold none.
    pub gradient_norm: Option<f64>,
    /// Norm of its trained tensors; `None`: it has none.
    pub weight_norm: Option<f64>,
    /// Norm of the change of its trained tensors; `None`: their previous values are not known.
    pub update_norm: Option<f64>,
    /// The norm of the update divided by that of the weights. It is also `None` if all weights are 0.
    pub update_ratio: Option<f64>,
    /// For a ReLU: the share of its units (channels, features) that are positive nowhere in the batch.
    pub dead: Option<f64>,
    pub output: Spread,
    pub histogram: Histogram,
}

/// Runs a batch through the model in evaluation mode, and measures each leaf layer in running order. No gradients are
/// recorded and nothing is changed.
///
/// The gradients are those that the parameters hold. After a training step they are those of its batch, clipped if the
/// step clips. `before` holds the trained tensors before the last step, by name; see [`copy_weights`].
///
/// ```
/// use receptive::inspect::layer_health;
/// use receptive::nn::{Linear, ModuleExt, Relu, Sequential};
/// use receptive::{DType, Device, Tensor};
/// let cpu = Device::cpu()?;
/// let net = Sequential::new().push(Linear::new(2, 4)).push(Relu);
/// net.init(&cpu, DType::F32, 0)?;
/// let x = Tensor::full(&cpu, 1.0, &[8, 2], DType::F32)?;
/// let layers = layer_health(&net, "net", &x, None)?;
/// assert_eq!((layers[0].kind, layers[0].dead), ("Linear", None));
/// // The images are all alike: a unit is on for all of them, or dead.
/// assert_eq!(layers[1].dead, Some(layers[1].output.zeros));
/// # Ok::<(), receptive::Error>(())
/// ```
///
/// # Errors
/// Shapes that do not fit; a model without values; a tensor in `before` that has another shape.
pub fn layer_health(
    model: &dyn Module,
    name: &str,
    x: &Tensor,
    before: Option<&BTreeMap<String, Tensor>>,
) -> Result<Vec<LayerHealth>> {
    let watch = MeasureHealth { before, layers: RefCell::default() };
    model.forward(&Ctx::eval(name).with_hook(&watch), x)?;
    Ok(watch.layers.into_inner())
}

/// Copies of a model's trained tensors, by name. They are compared later with the tensors after a step.
///
/// # Errors
/// A model that was not initialised; not enough memory for the copies.
pub fn copy_weights(model: &dyn Module) -> Result<BTreeMap<String, Tensor>> {
    let trained = model.params().into_iter().filter(|(_, param)| param.role() == Role::Weight);
    trained.map(|(name, param)| Ok((name, param.value()?.copy()?))).collect()
}

struct MeasureHealth<'a> {
    before: Option<&'a BTreeMap<String, Tensor>>,
    layers: RefCell<Vec<LayerHealth>>,
}

impl Hook for MeasureHealth<'_> {
    fn layer(&self, path: &str, module: &dyn Module, _x: &Tensor, y: &Tensor) -> Result<()> {
        if !module.is_leaf() {
            return Ok(());
        }
        let norms = self.norms(path, module)?;
        let (output, histogram) = distribution(y)?;
        let rectifier = matches!(module.fusion(), Fusion::Relu);
        self.layers.borrow_mut().push(LayerHealth {
            path: path.to_owned(),
            kind: module.kind(),
            gradient_norm: norms.gradient,
            weight_norm: norms.weight,
            update_norm: norms.update,
            update_ratio: norms.update.zip(norms.weight).filter(|&(_, w)| w != 0.0).map(|(u, w)| u / w),
            dead: if rectifier { dead_units(y)? } else { None },
            output,
            histogram,
        });
        Ok(())
    }
}

struct Norms {
    gradient: Option<f64>,
    weight: Option<f64>,
    update: Option<f64>,
}

impl MeasureHealth<'_> {
    fn norms(&self, path: &str, module: &dyn Module) -> Result<Norms> {
        let [mut gradient, mut weight, mut update] = [None, None, None];
        let add = |sum: &mut Option<f64>, squares: f64| *sum.get_or_insert(0.0) += squares;
        let trained = |(_, param): &(String, &Param)| param.role() == Role::Weight;
        for (name, param) in module.params().into_iter().filter(trained) {
            let value = param.value()?;
            add(&mut weight, squares(value)?);
            if let Some(grad) = value.grad() {
                add(&mut gradient, squares(&grad)?);
            }
            let full = if path.is_empty() { name } else { format!("{path}.{name}") };
            if let Some(before) = self.before.and_then(|before| before.get(&full)) {
                add(&mut update, squares_between(value, before)?);
            }
        }
        let [gradient, weight, update] = [gradient, weight, update].map(|sum| sum.map(f64::sqrt));
        Ok(Norms { gradient, weight, update })
    }
}
