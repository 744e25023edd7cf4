//! One forward pass on an image that records every layer: its numbers, maps, filters and steps.

use super::base64_arrays::Base64Array;
use super::maps::Maps;
use super::steps::{LayerValues, Steps, has_steps, steps};
use crate::core::stats::median;
use crate::core::{Error, ErrorKind, Result};
use crate::inspect::{
    Array, Histogram, LayerGraph, LayerSummary, ReceptiveField, Roof, RowKind, Spread, Summary, parameter,
};
use crate::nn::{Ctx, Hook, Module, ModuleExt};
use crate::ops::OPS;
use crate::tensor::Tensor;
use crate::tensor::distribution::distribution_of;
use serde::Serialize;
use std::cell::RefCell;
use std::time::Instant;

/// The most bytes of maps, of steps and of filters, before base64. Together with images and heatmaps the page stays
/// below 12 MB.
const MAPS: usize = 2_200_000;
const STEPS: usize = 2_000_000;
const FILTERS: usize = 600_000;
/// Number of passes that are timed.
const RUNS: usize = 5;
/// The most filters that are shown, and the most input channels of each.
const TILES: usize = 16;

/// A leaf layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerReport {
    #[serde(flatten)]
    pub facts: LayerFacts,
    /// Histogram of the output's values.
    pub histogram: Histogram,
    /// For a normalisation: the distribution of the input's values.
    pub before: Option<Distribution>,
    /// For a normalisation with weights: the factor and the summand of each channel.
    pub affine: Option<Affine>,
    pub maps: Maps,
    pub filters: Option<FilterTiles>,
    pub steps: Option<Steps>,
}

/// The numbers of a layer, for one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerFacts {
    /// The layer's path, as in `state_dict`: `layer1.0.conv1`.
    pub path: String,
    /// PyTorch's name for the kind of layer.
    pub kind: &'static str,
    /// Whether it is an activation: a layer that only applies one op, such as ReLU, or a softmax.
    pub activation: bool,
    /// The kind together with its settings.
    pub describe: String,
    /// Shapes without the batch dimension.
    pub input: Vec<usize>,
    pub output: Vec<usize>,
    pub parameters: usize,
    /// FLOPs of the forward pass; a multiply-add counts as two.
    pub flops: u64,
    /// Bytes of the output, in f32; 0 if the output shares the input's memory.
    pub activation_bytes: usize,
    /// Seconds of its forward pass on this machine: the median of a few passes.
    pub seconds: f64,
    /// The least seconds that its operations and bytes need on this machine, divided by the measured seconds. `None`
    /// for a layer that does no work. It is above 1 if tensors stay in a cache, which is faster than memory.
    pub roof: Option<f64>,
    /// The part of the image that an output depends on.
    pub receptive_field: ReceptiveField,
    /// Statistics of the output's values.
    pub values: Spread,
}

/// How values are distributed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Distribution {
    pub values: Spread,
    pub histogram: Histogram,
}

/// A normalisation's weight (gamma) and bias (beta).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Affine {
    pub weight: Base64Array,
    pub bias: Base64Array,
}

/// Filters that are shown, `[filters, channels, rows, columns]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilterTiles {
    pub shown: Base64Array,
    /// Total number of filters and channels; only the first of them are shown.
    pub of: [usize; 2],
}

/// Runs and records a forward pass on `x`, `[1, C, H, W]`, in evaluation mode. `summary` and `graph` are those of the
/// same network.
///
/// # Errors
/// Shapes that do not fit; a layer whose output is not finite.
pub fn layers(
    model: &dyn Module,
    name: &str,
    x: &Tensor,
    summary: &Summary,
    graph: &LayerGraph,
) -> Result<(Tensor, Vec<LayerReport>)> {
    let seconds = seconds(model, name, x)?;
    let budget = Budget::of(summary, graph);
    let roof = Roof::measure(x.device())?;
    let watch =
        LayerCollector { model: name, summary, graph, seconds, roof, budget, layers: RefCell::default() };
    let y = model.forward(&Ctx::eval(name).with_hook(&watch), x)?;
    Ok((y, watch.layers.into_inner()))
}

/// The most bytes that a layer may take.
struct Budget {
    maps: usize,
    steps: usize,
    filters: usize,
}

impl Budget {
    fn of(summary: &Summary, graph: &LayerGraph) -> Budget {
        let bytes = |dims: &[usize]| size_of::<f32>() * dims.iter().product::<usize>();
        let weights = |layer: &LayerSummary| layer.shapes.values().map(|dims| bytes(dims)).sum::<usize>();
        let input = |from: &Option<usize>| match *from {
            Some(row) => bytes(&graph.rows[row].output),
            None => bytes(&summary.input),
        };
        let steps = graph.rows.iter().filter_map(|row| match row.what {
            RowKind::Layer(i) if has_steps(summary.layers[i].kind) => {
                let inputs: usize = row.from.iter().map(input).sum();
                Some(inputs + bytes(&row.output) + weights(&summary.layers[i]))
            }
            _ => None,
        });
        Budget {
            maps: fair(MAPS, summary.layers.iter().map(|layer| bytes(&layer.output)).collect()),
            steps: fair(STEPS, steps.collect()),
            filters: fair(FILTERS, summary.layers.iter().map(weights).collect()),
        }
    }
}

/// The largest share such that all together take at most `total`. Layers that want less leave the rest to the others.
fn fair(total: usize, mut wanted: Vec<usize>) -> usize {
    wanted.sort_unstable();
    let mut left = total;
    for (i, bytes) in wanted.iter().enumerate() {
        let share = left / (wanted.len() - i);
        if *bytes > share {
            return share;
        }
        left -= bytes;
    }
    total
}

struct LayerCollector<'a> {
    model: &'a str,
    summary: &'a Summary,
    graph: &'a LayerGraph,
    seconds: Vec<f64>,
    roof: Option<Roof>,
    budget: Budget,
    layers: RefCell<Vec<LayerReport>>,
}

impl Hook for LayerCollector<'_> {
    fn layer(&self, path: &str, module: &dyn Module, x: &Tensor, y: &Tensor) -> Result<()> {
        if module.is_leaf() {
            let i = self.layers.borrow().len();
            let layer =
                self.report(i, module, x, y).map_err(|e| e.at(|| format!("{}/{path}", self.model)))?;
            self.layers.borrow_mut().push(layer);
        }
        Ok(())
    }
}

impl LayerCollector<'_> {
    fn report(&self, i: usize, module: &dyn Module, x: &Tensor, y: &Tensor) -> Result<LayerReport> {
        let (summary, kind) = (&self.summary.layers[i], module.kind());
        let (input, output) = (&x.dims()[1..], &y.dims()[1..]);
        let values = y.to_vec::<f32>()?;
        if values.iter().any(|v| !v.is_finite()) {
            return Err(Error::new(ErrorKind::NonFinite, kind, "the output is not finite")
                .help("the weights are damaged, or their training diverged"));
        }
        let before = if kind.contains("Norm") || has_steps(kind) { Some(x.to_vec::<f32>()?) } else { None };
        let (x, y) = (
            before.as_deref().map(|values| LayerValues { dims: input, values }),
            LayerValues { dims: output, values: &values },
        );
        let (field, op) = self.graph.fields[i];
        let steps = x.as_ref().map(|x| steps(module, op, x, &y, self.budget.steps)).transpose()?.flatten();
        let before = x.filter(|_| kind.contains("Norm")).map(|x| distribution_of(x.values));
        let (spread, histogram) = distribution_of(&values);
        Ok(LayerReport {
            histogram,
            before: before.map(|(values, histogram)| Distribution { values, histogram }),
            affine: affine(module)?,
            maps: Maps::of(output, &values, self.budget.maps),
            filters: self.filters(kind, module, input)?,
            steps,
            facts: LayerFacts {
                path: summary.path.clone(),
                kind,
                activation: kind.ends_with("oftmax") || OPS.iter().any(|row| row.layer == Some(kind)),
                describe: module.describe(),
                input: input.to_vec(),
                output: output.to_vec(),
                parameters: summary.parameters,
                flops: summary.flops,
                activation_bytes: summary.activation_bytes,
                seconds: self.seconds[i],
                roof: self.share_of_roof(i),
                receptive_field: field,
                values: spread,
            },
        })
    }

    fn share_of_roof(&self, i: usize) -> Option<f64> {
        let LayerSummary { flops, bytes, .. } = self.summary.layers[i];
        if flops + bytes == 0 {
            return None;
        }
        let least = self.roof?.seconds(flops as f64, bytes as f64);
        Some(least / self.seconds[i])
    }

    /// The kernels of a convolution. For a linear layer that reads the image itself: one image per output.
    fn filters(&self, kind: &str, module: &dyn Module, input: &[usize]) -> Result<Option<FilterTiles>> {
        let Some(Array { dims, values }) = parameter(module, "weight")? else { return Ok(None) };
        let [c, h, w] = self.summary.input;
        let (dims, values) = match (kind, &dims[..]) {
            ("Conv2d", &[o, i, kh, kw]) => ([o, i, kh, kw], values),
            ("ConvTranspose2d", &[i, o, kh, kw]) => ([o, i, kh, kw], swapped(&values, [i, o, kh * kw])),
            ("Linear", &[o, i]) if i == c * h * w && input == [i] => ([o, c, h, w], values),
            _ => return Ok(None),
        };
        Ok(Some(tiles(dims, &values, self.budget.filters)))
    }
}

/// A normalisation's weight and bias. More than 256 values are stored as 256 levels.
fn affine(module: &dyn Module) -> Result<Option<Affine>> {
    let pack = |Array { dims, values }: Array| match values.len() {
        0..=256 => Base64Array::exact(&dims, values),
        _ => Base64Array::levels(&dims, &values),
    };
    if !module.kind().contains("Norm") {
        return Ok(None);
    }
    let pair = parameter(module, "weight")?.zip(parameter(module, "bias")?);
    Ok(pair.map(|(weight, bias)| Affine { weight: pack(weight), bias: pack(bias) }))
}

/// Transposes `[I, O, K]` to `[O, I, K]`.
fn swapped(values: &[f32], [i, o, k]: [usize; 3]) -> Vec<f32> {
    let kernel = |at: usize| values[at * k..(at + 1) * k].to_vec();
    (0..o).flat_map(|out| (0..i).flat_map(move |input| kernel(input * o + out))).collect()
}

/// The first filters and their first channels within about `budget` bytes, but at least one. If there are few, all are
/// taken.
fn tiles([o, i, h, w]: [usize; 4], values: &[f32], budget: usize) -> FilterTiles {
    let kernel = h * w;
    let most = (budget / size_of::<f32>() / kernel.max(1)).max(1);
    let inputs = if i <= 3 { i } else { i.min(TILES).min(most) };
    let filters = o.min(if i <= 3 { 128 } else { TILES }).min((most / inputs.max(1)).max(1));
    let kept = values
        .chunks_exact((i * kernel).max(1))
        .take(filters)
        .flat_map(|filter| filter[..inputs * kernel].to_vec());
    FilterTiles { shown: Base64Array::exact(&[filters, inputs, h, w], kept.collect()), of: [o, i] }
}

/// Seconds of each layer's forward pass on `x`, in running order: medians. Ops that run between two layers, such as the
/// sum of a residual, count for the second layer.
///
/// # Errors
/// Shapes that do not fit.
pub fn seconds(model: &dyn Module, name: &str, x: &Tensor) -> Result<Vec<f64>> {
    let mut runs: Vec<Vec<f64>> = Vec::new();
    // The first pass allocates memory that the others use again, so it is not counted.
    for run in 0..=RUNS {
        let watch = TimeLayers { laps: RefCell::default(), start: RefCell::new(Instant::now()) };
        model.forward(&Ctx::eval(name).with_hook(&watch), x)?;
        if run > 0 {
            runs.push(watch.laps.into_inner());
        }
    }
    let typical = |i: usize| median(runs.iter().map(|run| run[i]).collect());
    Ok((0..runs[0].len()).map(typical).collect())
}

struct TimeLayers {
    laps: RefCell<Vec<f64>>,
    start: RefCell<Instant>,
}

impl Hook for TimeLayers {
    fn layer(&self, _path: &str, module: &dyn Module, _x: &Tensor, y: &Tensor) -> Result<()> {
        if module.is_leaf() {
            y.device().synchronize()?;
            self.laps.borrow_mut().push(self.start.borrow().elapsed().as_secs_f64());
            *self.start.borrow_mut() = Instant::now();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_layers_leave_their_bytes_to_large_ones() {
        assert_eq!(fair(100, vec![10, 500, 20, 60]), 35);
        assert_eq!(fair(100, vec![50, 50]), 100);
        assert_eq!(fair(100, vec![60, 60]), 50);
        assert_eq!(fair(100, vec![]), 100);
    }

    #[test]
    fn few_filters_are_shown_whole_and_of_many_the_first() {
        let values: Vec<f32> = (0..8 * 3 * 4).map(|v| v as f32).collect();
        let all = tiles([8, 3, 2, 2], &values, 1 << 20);
        assert_eq!((&all.shown.dims[..], all.of), (&[8, 3, 2, 2][..], [8, 3]));
        let many: Vec<f32> = (0..64 * 32).map(|v| v as f32).collect();
        let some = tiles([64, 32, 1, 1], &many, 160);
        assert_eq!(some.shown.dims, [2, 16, 1, 1]);
        assert_eq!(some.shown, Base64Array::exact(&[2, 16, 1, 1], [&many[..16], &many[32..48]].concat()));
        assert_eq!(tiles([64, 32, 1, 1], &many, 0).shown.dims, [1, 1, 1, 1]);
    }

    #[test]
    fn a_transposed_filter_is_seen_from_its_output() {
        assert_eq!(swapped(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [2, 3, 1]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }
}
