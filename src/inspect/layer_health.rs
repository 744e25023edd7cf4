//! How each layer of a network in training is doing: the sizes of its weights, gradients and updates, and how its outputs
//! are spread.
//!
//! | number | healthy | what a bad one says |
//! |---|---|---|
//! | gradient norm | alike from layer to layer | falls towards the input: it vanishes; grows without end: it explodes |
//! | update ratio | about 1e-3 | 1e-2 and more: the learning rate is too high; below 1e-4: hardly anything is learnt |
//! | dead | near 0 | units of a ReLU that no image of the batch turns on: they receive no gradient either |
//! | spread | mean near 0, standard deviation near 1, in every layer | it shrinks or grows with depth: the initial weights |
//!
//! A norm is the 2-norm over all trained tensors of a layer together, computed in f64. (The update ratio as a gauge of the
//! learning rate: A. Karpathy, CS231n notes "Neural Networks Part 3", 2015.)

use crate::core::{Element, Error, Float, Result};
use crate::float_type;
use crate::nn::{Ctx, Fusion, Hook, Module, ModuleExt, Param, Role};
use crate::tensor::Tensor;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Bins of a [`Histogram`].
pub const BINS: usize = 32;

/// Partial sums that are added side by side, and counts that do not wait for each other.
const LANES: usize = 8;

/// One layer that holds no others. A number that is not finite is `null` in JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerHealth {
    /// As in `state_dict`: `layer1.0.conv1`.
    pub path: String,
    /// PyTorch's name for the kind of layer.
    pub kind: &'static str,
    /// Of the gradients that its parameters hold; `None`: they hold none.
    pub gradient_norm: Option<f64>,
    /// Of its trained tensors as they are now; `None`: it has none.
    pub weight_norm: Option<f64>,
    /// Of what changed in them; `None`: it is not known what they were.
    pub update_norm: Option<f64>,
    /// The update's norm over the weights'; `None` too where the weights are all 0.
    pub update_ratio: Option<f64>,
    /// Of a ReLU: the share of its units (channels, features) that are positive nowhere in the batch.
    pub dead: Option<f64>,
    pub output: Spread,
    pub histogram: Histogram,
}

/// How the elements of a layer's output are spread, over the whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub mean: f64,
    /// The square root of the mean squared distance from the mean.
    pub std: f64,
    pub min: f64,
    pub max: f64,
    /// The share of elements that are exactly 0.
    pub zeros: f64,
}

/// How many elements lie where: bins of equal width from the smallest element to the largest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    pub from: f64,
    pub to: f64,
    /// [`BINS`] counts. Elements that are not finite are not counted.
    pub counts: Vec<u64>,
}

/// Runs a batch through the model in evaluation mode, nothing recorded and nothing changed, and looks at each leaf layer, in
/// running order.
///
/// Gradients are those that the parameters hold: after a training step those of its batch, clipped where it clips. `before`
/// holds the trained tensors as they were before the last step, by their names; see [`copy_weights`].
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
/// Shapes that do not fit; a model without values; a tensor of `before` with another shape.
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

/// Copies of a model's trained tensors by name, to tell later what a step changed.
///
/// # Errors
/// The model was not initialised; no memory for the copies.
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
        let (output, histogram) = float_type!("layer_health", y.dtype(), T => {
            y.read::<T, _>(|y| {
                let (output, range) = spread(y);
                (output, histogram(y, range))
            })
        })?;
        let rectifier = matches!(module.fusion(), Fusion::Relu);
        self.layers.borrow_mut().push(LayerHealth {
            path: path.to_owned(),
            kind: module.kind(),
            gradient_norm: norms.gradient,
            weight_norm: norms.weight,
            update_norm: norms.update,
            update_ratio: norms.update.zip(norms.weight).filter(|&(_, w)| w != 0.0).map(|(u, w)| u / w),
            dead: if rectifier { dead(y)? } else { None },
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

/// The sum of the squares.
fn squares(x: &Tensor) -> Result<f64> {
    float_type!("layer_health", x.dtype(), T => x.read::<T, _>(|x| sum(x, |v| v * v)))
}

/// The sum of the squared differences.
fn squares_between(x: &Tensor, y: &Tensor) -> Result<f64> {
    if x.meta() != y.meta() {
        return Err(Error::shape("layer_health", "a tensor had another shape or dtype before")
            .with("now", format_args!("{} {}", x.shape(), x.dtype()))
            .with("before", format_args!("{} {}", y.shape(), y.dtype())));
    }
    float_type!("layer_health", x.dtype(), T => {
        x.read::<T, _>(|x| y.read::<T, _>(|y| {
            let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
            let square = |(a, b): (&T, &T)| (a.to_f64() - b.to_f64()).powi(2);
            let mut lanes = [0.0; LANES];
            for (x, y) in x.iter().zip(y) {
                lanes.iter_mut().zip(x.iter().zip(y)).for_each(|(lane, pair)| *lane += square(pair));
            }
            lanes.iter().sum::<f64>() + x_rest.iter().zip(y_rest).map(square).sum::<f64>()
        }))?
    })
}

/// The sum of `f` over the elements, in f64.
fn sum<T: Float>(x: &[T], f: impl Fn(f64) -> f64) -> f64 {
    let (vectors, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for vector in vectors {
        lanes.iter_mut().zip(vector).for_each(|(lane, v)| *lane += f(v.to_f64()));
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|v| f(v.to_f64())).sum::<f64>()
}

/// How these values are spread, in numbers and in bins.
pub fn distribution(values: &[f32]) -> (Spread, Histogram) {
    let (spread, range) = spread(values);
    (spread, histogram(values, range))
}

/// The spread, and the smallest and the largest of the finite elements.
fn spread<T: Float>(x: &[T]) -> (Spread, [f64; 2]) {
    if x.is_empty() {
        return (Spread { mean: 0.0, std: 0.0, min: 0.0, max: 0.0, zeros: 0.0 }, [0.0; 2]);
    }
    let n = x.len() as f64;
    let (vectors, rest) = x.as_chunks::<LANES>();
    let mut all = Lanes::new();
    vectors.iter().for_each(|vector| all.add(vector));
    rest.iter().for_each(|&v| all.add_one(v));
    let mean = all.sums.iter().sum::<f64>() / n;
    let std = (sum(x, |v| (v - mean) * (v - mean)) / n).sqrt();
    let [min, max] = all.range();
    let finite = match mean.is_finite() {
        true => [min, max],
        false => {
            let mut finite = Lanes::new();
            x.iter().filter(|v| v.is_finite()).for_each(|&v| finite.add_one(v));
            finite.range()
        }
    };
    let zeros = all.zeros.iter().map(|&count| f64::from(count)).sum::<f64>() / n;
    (Spread { mean, std, min, max, zeros }, finite)
}

/// What one pass over the elements finds, in lanes.
struct Lanes<T> {
    sums: [f64; LANES],
    zeros: [u32; LANES],
    min: [T; LANES],
    max: [T; LANES],
}

impl<T: Float> Lanes<T> {
    fn new() -> Lanes<T> {
        let (min, max) = ([T::ZERO - T::NEG_INFINITY; LANES], [T::NEG_INFINITY; LANES]);
        Lanes { sums: [0.0; LANES], zeros: [0; LANES], min, max }
    }

    #[inline(always)]
    fn add(&mut self, vector: &[T; LANES]) {
        for (lane, &v) in vector.iter().enumerate() {
            self.add_to(lane, v);
        }
    }

    fn add_one(&mut self, v: T) {
        self.add_to(0, v);
    }

    #[inline(always)]
    fn add_to(&mut self, lane: usize, v: T) {
        self.sums[lane] += v.to_f64();
        self.zeros[lane] += u32::from(v == T::ZERO);
        self.min[lane] = if v < self.min[lane] { v } else { self.min[lane] };
        self.max[lane] = if v > self.max[lane] { v } else { self.max[lane] };
    }

    /// The smallest and the largest that are numbers.
    fn range(&self) -> [f64; 2] {
        let min = self.min.iter().map(|v| v.to_f64()).fold(f64::INFINITY, f64::min);
        let max = self.max.iter().map(|v| v.to_f64()).fold(f64::NEG_INFINITY, f64::max);
        [min, max]
    }
}

fn histogram<T: Float>(x: &[T], [from, to]: [f64; 2]) -> Histogram {
    let mut lanes = [[0u64; BINS]; LANES];
    if from <= to {
        // All elements alike are all in the first bin.
        // Numbers so far apart that their distance overflows are halved first; a factor of 1 changes no bit.
        let unit = if (to - from).is_finite() { 1.0 } else { 0.5 };
        let scale = if from < to { BINS as f64 / (to * unit - from * unit) } else { 0.0 };
        for vector in x.chunks(LANES) {
            for (lane, v) in lanes.iter_mut().zip(vector).filter(|(_, v)| v.is_finite()) {
                lane[(((v.to_f64() * unit - from * unit) * scale) as usize).min(BINS - 1)] += 1;
            }
        }
    }
    let counts = (0..BINS).map(|bin| lanes.iter().map(|lane| lane[bin]).sum()).collect();
    Histogram { from, to, counts }
}

/// The share of units, dimension 1, that are positive nowhere; `None` where the output has no units.
fn dead(y: &Tensor) -> Result<Option<f64>> {
    let &[n, units, ref place @ ..] = y.dims() else { return Ok(None) };
    if n == 0 || units == 0 {
        return Ok(None);
    }
    let place: usize = place.iter().product();
    float_type!("layer_health", y.dtype(), T => {
        y.read::<T, _>(|y| {
            let on = |row: &[T]| row.iter().any(|&v| v > T::ZERO);
            let at = |unit: usize, image: usize| &y[(image * units + unit) * place..][..place];
            let dead = (0..units).filter(|&unit| !(0..n).any(|image| on(at(unit, image)))).count();
            Some(dead as f64 / units as f64)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_and_histogram_of_known_numbers() {
        let x: Vec<f32> = (0..64).map(|i| i as f32 - 16.0).collect();
        let (spread, range) = spread(&x);
        assert_eq!((spread.mean, spread.min, spread.max, spread.zeros), (15.5, -16.0, 47.0, 1.0 / 64.0));
        assert!((spread.std - ((64.0 * 64.0 - 1.0) / 12.0f64).sqrt()).abs() < 1e-12);
        let histogram = histogram(&x, range);
        assert_eq!((histogram.from, histogram.to), (-16.0, 47.0));
        assert_eq!((histogram.counts.len(), histogram.counts.iter().sum::<u64>()), (BINS, 64));
        assert!(histogram.counts.iter().all(|&count| count == 2), "{histogram:?}");
    }

    /// Whatever numbers: every finite one is counted, those at the ends in the bins at the ends.
    #[test]
    fn extreme_outputs_have_histograms() {
        let tiny = f64::from_bits(1);
        for values in [
            vec![-f64::MAX, 0.0, f64::MAX],
            vec![0.0, tiny],
            vec![-tiny, f64::NAN, tiny],
            vec![f64::INFINITY, 1.0, f64::NEG_INFINITY, 2.0],
            vec![1e308, 1e308],
            vec![-0.0, 0.0],
            vec![f64::NAN],
        ] {
            let histogram = histogram(&values, spread(&values).1);
            let finite = values.iter().filter(|v| v.is_finite()).count() as u64;
            assert_eq!(histogram.counts.iter().sum::<u64>(), finite, "{values:?}");
            let ends = histogram.from < histogram.to;
            assert!(!ends || (histogram.counts[0] > 0 && histogram.counts[BINS - 1] > 0), "{values:?}");
        }
    }

    /// Outputs all alike have no width to divide; an output of nothing has no elements to divide by.
    #[test]
    fn degenerate_outputs_have_finite_numbers() {
        let (alike, range) = spread(&[3.0f64; 5]);
        assert_eq!((alike.mean, alike.std, range), (3.0, 0.0, [3.0; 2]));
        assert_eq!(histogram(&[3.0f64; 5], range).counts[0], 5);
        let (empty, range) = spread::<f32>(&[]);
        assert_eq!((empty.mean, histogram::<f32>(&[], range).counts), (0.0, vec![0; BINS]));
    }

    /// What is not finite shows in the mean, and leaves the histogram of the others alone.
    #[test]
    fn infinite_outputs_are_told_and_not_counted() {
        let x = [1.0f32, f32::NAN, 2.0, f32::INFINITY];
        let (spread, range) = spread(&x);
        assert!(!spread.mean.is_finite() && !spread.std.is_finite());
        assert_eq!(range, [1.0, 2.0]);
        let histogram = histogram(&x, range);
        assert_eq!((histogram.counts[0], histogram.counts[BINS - 1]), (1, 1));
        assert_eq!(histogram.counts.iter().sum::<u64>(), 2);
        let (nothing, range) = super::spread(&[f32::NAN]);
        assert!(nothing.mean.is_nan());
        assert_eq!(super::histogram(&[f32::NAN], range).counts, [0; BINS]);
    }
}
