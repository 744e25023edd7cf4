//! Compares the same network and images computed in two ways (devices, element types): where rounding errors arise, and
//! how they grow from layer to layer.
//!
//! Every layer is compared twice. *Accumulated*: its output in a pass through all of network a, compared with its
//! output in a pass through all of network b. *Own*: the output of a's layer for b's input, rounded to a's type,
//! compared with b's output. The own error leaves out the errors of earlier layers. [`Difference`] measures how far two
//! outputs are apart.

use crate::core::{DType, Element, Error, Key, Result};
use crate::element_type;
use crate::nn::{Ctx, Hook, Module, ModuleExt, Role};
use crate::tensor::{Device, Tensor};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// One of the two ways to compute: a model with its values, and the device and type of its images.
#[derive(Clone)]
pub struct Computed<'a> {
    pub model: &'a dyn Module,
    pub device: Device,
    pub dtype: DType,
}

/// The result of a comparison, layer by layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumericsDiff {
    /// The leaf layers, in running order.
    pub layers: Vec<LayerDiff>,
    /// The trained parameters; empty if no gradients were requested.
    pub parameters: Vec<ParameterDiff>,
}

/// The differences of one layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerDiff {
    /// The layer's path, as in `state_dict`: `layer1.0.conv1`.
    pub path: String,
    /// PyTorch's name for the kind of layer.
    pub kind: &'static str,
    /// Difference of its output, including the errors of earlier layers.
    pub accumulated: Difference,
    /// Difference of its output when it gets b's input.
    pub own: Difference,
    /// Difference of the gradient of its output; `None` if gradients were not requested or none arrived.
    pub gradient: Option<Difference>,
}

/// The difference of one parameter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParameterDiff {
    /// The parameter's path, as in `state_dict`: `layer1.0.conv1.weight`.
    pub path: String,
    pub gradient: Difference,
}

/// How far a tensor a is from another tensor b. With the errors e = a - b:
///
/// ```math
/// \begin{aligned}
/// \text{max abs} &= \max |e| \\
/// \text{max rel} &= \max |e| / \max |b| \\
/// \text{rms rel} &= \sqrt{\textstyle\sum e^2 / \sum b^2}
/// \end{aligned}
/// ```
///
/// The distance in ulp counts the numbers between a and b. It counts numbers of f64 if both are f64, and numbers of f32
/// otherwise, also for types coarser than f32.
///
/// Relative errors are those of whole tensors: a single element near 0, left over from a cancellation, could have an
/// error of any size. In ulp such an element does have a large error, so read the median together with the largest. A
/// number that is not finite (`null` in JSON) means that one of the tensors is not finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    pub max_abs: f64,
    pub max_rel: f64,
    pub rms_rel: f64,
    /// The largest possible u64 if one of two elements is NaN.
    #[serde(serialize_with = "or_null")]
    pub max_ulp: u64,
    #[serde(serialize_with = "or_null")]
    pub median_ulp: u64,
}

/// Writes the distance to NaN as null.
fn or_null<S: serde::Serializer>(ulps: &u64, to: S) -> std::result::Result<S::Ok, S::Error> {
    Some(ulps).filter(|&&ulps| ulps < u64::MAX).serialize(to)
}

impl Difference {
    /// The difference of `a` from `b`, with distances in ulp of f32 or of f64.
    ///
    /// ```
    /// use receptive::DType;
    /// use receptive::inspect::Difference;
    /// let d = Difference::of(&[1.0, 2.0 + 2.0 * f64::from(f32::EPSILON)], &[1.0, 2.0], DType::F32);
    /// assert_eq!((d.max_abs, d.max_ulp, d.median_ulp), (2.0 * f64::from(f32::EPSILON), 1, 0));
    /// ```
    pub fn of(a: &[f64], b: &[f64], coarser: DType) -> Difference {
        let error = |(&a, &b): (&f64, &f64)| if a == b { 0.0 } else { a - b };
        let largest = |values: &mut dyn Iterator<Item = f64>| {
            // Keep NaN: it must not be ignored.
            values.map(f64::abs).fold(0.0, |most: f64, v| if v > most || v.is_nan() { v } else { most })
        };
        let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
        let errors: Vec<f64> = a.iter().zip(b).map(error).collect();
        let max_abs = largest(&mut errors.iter().copied());
        let relative = |e: f64, of: f64| if e == 0.0 { 0.0 } else { e / of };
        let rms = relative(squares(&mut errors.iter().copied()), squares(&mut b.iter().copied())).sqrt();
        let mut ulps: Vec<u64> = a.iter().zip(b).map(|(&a, &b)| ulps(a, b, coarser)).collect();
        let middle = ulps.len().saturating_sub(1) / 2;
        let median_ulp = if ulps.is_empty() { 0 } else { *ulps.select_nth_unstable(middle).1 };
        Difference {
            max_abs,
            max_rel: relative(max_abs, largest(&mut b.iter().copied())),
            rms_rel: rms,
            max_ulp: ulps.iter().max().copied().unwrap_or(0),
            median_ulp,
        }
    }

    /// Whether the largest relative error is at most `max_rel`. False if the error is NaN.
    pub fn within(&self, max_rel: f64) -> bool {
        self.max_rel <= max_rel
    }
}

impl NumericsDiff {
    /// Describes the first difference that is not [within](Difference::within) `max_rel`. The layers' own errors are
    /// checked first, then the outputs, then the gradients in the order they are computed, then the parameters'
    /// gradients.
    pub fn beyond(&self, max_rel: f64) -> Option<String> {
        let own = self.layers.iter().map(|layer| ("own error", &layer.path, &layer.own));
        let outputs = self.layers.iter().map(|layer| ("output", &layer.path, &layer.accumulated));
        let gradients = self.layers.iter().rev().filter_map(|layer| {
            layer.gradient.as_ref().map(|gradient| ("gradient of the output", &layer.path, gradient))
        });
        let parameters = self.parameters.iter().map(|p| ("gradient", &p.path, &p.gradient));
        let mut all = own.chain(outputs).chain(gradients).chain(parameters);
        let (what, path, difference) = all.find(|(_, _, d)| !d.within(max_rel))?;
        Some(format!("{what} of {path}: max rel {:.2e}", difference.max_rel))
    }
}

/// How many numbers of a type lie between two numbers, which are first rounded to that type: 0 for equal ones, 1 for
/// neighbours. Two NaN are equal, and so are 0 and -0.
fn ulps(a: f64, b: f64, dtype: DType) -> u64 {
    if a.is_nan() || b.is_nan() {
        return if a.is_nan() && b.is_nan() { 0 } else { u64::MAX };
    }
    // The bits of positive floats, read as integers, count up from 0. For negative floats they count down from 0.
    let place = |v: f64| match dtype {
        DType::F32 => {
            let bits = (v as f32).to_bits();
            let magnitude = i128::from(bits & 0x7fff_ffff);
            if bits >> 31 == 1 { -magnitude } else { magnitude }
        }
        _ => {
            let magnitude = i128::from(v.to_bits() & (u64::MAX >> 1));
            if v.is_sign_negative() { -magnitude } else { magnitude }
        }
    };
    u64::try_from((place(a) - place(b)).unsigned_abs()).unwrap_or(u64::MAX)
}

/// Runs `x` through both models in evaluation mode and compares them. Both should be the same network with the same
/// weights, loaded from the same `state_dict`.
///
/// With `gradients` the gradients are compared too. The backward pass starts from fixed random numbers between -1 and 1
/// as the output's gradient. A sum as the loss would start from ones, which can hide errors. The gradients that the
/// models' parameters hold are overwritten.
///
/// # Errors
/// Two models with different layers, or without values; shapes that do not fit; a dtype that cannot be computed with.
pub fn numerics_diff(
    name: &str,
    a: &Computed,
    b: &Computed,
    x: &Tensor,
    gradients: bool,
) -> Result<NumericsDiff> {
    let coarser = if a.dtype == DType::F64 && b.dtype == DType::F64 { DType::F64 } else { DType::F32 };
    let difference = |x: &Tensor, y: &Tensor| compare(x, y, coarser);
    let [of_a, of_b] = [a.run(name, x, gradients)?, b.run(name, x, gradients)?];
    let same = of_a.len() == of_b.len() && of_a.iter().zip(&of_b).all(|(a, b)| a.path == b.path);
    if !same {
        return Err(Error::argument("numerics_diff", "the two models do not have the same layers"));
    }
    let modules: BTreeMap<String, &dyn Module> = a.model.modules().into_iter().collect();
    let layer = |(seen, other): (&LayerRun, &LayerRun)| {
        let module = modules.get(&seen.path).copied().unwrap_or(a.model);
        let alone = module.forward(&Ctx::eval(name), &a.take(&other.x)?)?;
        let gradient = seen.y.grad().zip(other.y.grad());
        Ok(LayerDiff {
            path: seen.path.clone(),
            kind: seen.kind,
            accumulated: difference(&seen.y, &other.y)?,
            own: difference(&alone, &other.y)?,
            gradient: gradient.map(|(a, b)| difference(&a, &b)).transpose()?,
        })
    };
    let layers = of_a.iter().zip(&of_b).map(layer).collect::<Result<_>>()?;
    let mut parameters = Vec::new();
    if gradients {
        for ((path, of_a), (_, of_b)) in a.model.params().into_iter().zip(b.model.params()) {
            if let (Role::Weight, Some(a), Some(b)) =
                (of_a.role(), of_a.value()?.grad(), of_b.value()?.grad())
            {
                parameters.push(ParameterDiff { path, gradient: difference(&a, &b)? });
            }
        }
    }
    Ok(NumericsDiff { layers, parameters })
}

fn compare(a: &Tensor, b: &Tensor, coarser: DType) -> Result<Difference> {
    if a.dims() != b.dims() {
        return Err(Error::shape("numerics_diff", "the two models' tensors differ in shape")
            .with("a", a.shape())
            .with("b", b.shape()));
    }
    Ok(Difference::of(&a.to_f64()?, &b.to_f64()?, coarser))
}

/// The input and output of a layer.
struct LayerRun {
    path: String,
    kind: &'static str,
    x: Tensor,
    y: Tensor,
}

#[derive(Default)]
struct KeepInputsAndOutputs(RefCell<Vec<LayerRun>>);

impl Hook for KeepInputsAndOutputs {
    fn layer(&self, path: &str, module: &dyn Module, x: &Tensor, y: &Tensor) -> Result<()> {
        if module.is_leaf() {
            y.retain_grad();
            let (path, kind) = (path.to_owned(), module.kind());
            self.0.borrow_mut().push(LayerRun { path, kind, x: x.detach(), y: y.clone() });
        }
        Ok(())
    }
}

impl Computed<'_> {
    /// A tensor on the device and in the type of this way.
    fn take(&self, x: &Tensor) -> Result<Tensor> {
        self.tensor(&x.to_f64()?, x.dims())
    }

    fn tensor(&self, values: &[f64], dims: &[usize]) -> Result<Tensor> {
        element_type!(self.dtype, T => {
            Tensor::from_vec(&self.device, values.iter().map(|&v| <T as Element>::from_f64(v)).collect::<Vec<T>>(), dims)
        })
    }

    fn run(&self, name: &str, x: &Tensor, gradients: bool) -> Result<Vec<LayerRun>> {
        let watch = KeepInputsAndOutputs::default();
        let mut x = self.take(x)?;
        if gradients {
            self.model.zero_grad()?;
            // The first layer's gradient is needed even if that layer has no parameters.
            x = x.requires_grad();
        }
        let y = self.model.forward(&Ctx::eval(name).with_grad(gradients).with_hook(&watch), &x)?;
        if gradients {
            let key = Key::new(0).child("cotangent");
            // Use numbers that f32 can represent, so that both ways start from the same values.
            let number = |i: usize| f64::from((2.0 * key.uniform(i as u64) - 1.0) as f32);
            let dy: Vec<f64> = (0..y.numel()).map(number).collect();
            y.backward_with(&self.tensor(&dy, y.dims())?)?;
        }
        Ok(watch.0.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulps_count_the_numbers_between() {
        let next = |x: f32| f64::from(x.next_up());
        assert_eq!((ulps(1.0, 1.0, DType::F32), ulps(1.0, next(1.0), DType::F32)), (0, 1));
        assert_eq!(ulps(f64::from(f32::from_bits(1)), -f64::from(f32::from_bits(1)), DType::F32), 2);
        assert_eq!((ulps(0.0, -0.0, DType::F32), ulps(0.0, -0.0, DType::F64)), (0, 0));
        // At the end of a binade: the numbers above are twice as far apart, and are still counted one by one.
        assert_eq!(ulps(f64::from(2f32.next_down()), next(2.0), DType::F32), 2);
        assert_eq!(ulps(1.0, 1.0 + f64::EPSILON, DType::F64), 1);
        assert_eq!(ulps(1.0, 1.0 + f64::EPSILON, DType::F32), 0);
        assert_eq!(ulps(f64::NAN, 1.0, DType::F32), u64::MAX);
        assert_eq!(ulps(f64::NAN, f64::NAN, DType::F64), 0);
        assert_eq!(ulps(f64::MAX, f64::INFINITY, DType::F64), 1);
    }

    #[test]
    fn errors_are_relative_to_the_whole_tensor() {
        let d = Difference::of(&[3.0, -4.5, 0.0], &[3.0, -4.0, 0.0], DType::F32);
        assert_eq!((d.max_abs, d.max_rel, d.rms_rel), (0.5, 0.125, 0.1));
        assert!(d.within(0.125) && !d.within(0.124));
        let none = Difference { max_abs: 0.0, max_rel: 0.0, rms_rel: 0.0, max_ulp: 0, median_ulp: 0 };
        assert_eq!(Difference::of(&[0.0; 3], &[0.0; 3], DType::F32), none);
        assert_eq!(Difference::of(&[], &[], DType::F32), none);
        // The same infinity counts as equal.
        assert_eq!(Difference::of(&[f64::INFINITY], &[f64::INFINITY], DType::F32), none);
    }

    /// A test of the form `err > tol` would accept NaN.
    #[test]
    fn nan_is_beyond_every_tolerance() {
        let d = Difference::of(&[1.0, f64::NAN], &[1.0, 2.0], DType::F32);
        assert!(d.max_abs.is_nan() && d.max_rel.is_nan() && d.rms_rel.is_nan());
        assert!(!d.within(f64::INFINITY) && d.max_ulp == u64::MAX && d.median_ulp == 0);
        let json = serde_json::to_value(d).unwrap();
        assert!(json["max_ulp"].is_null() && json["max_rel"].is_null() && json["median_ulp"] == 0, "{json}");
    }
}
