//! What a page needs to compute single outputs of a layer again, exactly: a part of its input and output, and its
//! parameters.

use super::base64_arrays::Base64Array;
use super::crop::{Crop, Shapes, crop_values};
use crate::core::{ConvShape, Result};
use crate::cpu::gemm::tiling::GemmTiling;
use crate::inspect::steps::conv_tiling;
use crate::inspect::{Array, attrs, parameter};
use crate::nn::{Module, ModuleExt};
use crate::tensor::Dependence;
use serde::Serialize;
use serde_json::{Map, Value};

/// Part of a layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Steps {
    /// The layer's settings, from its description; defaults are left out.
    pub attrs: Map<String, Value>,
    /// `[channels, rows, columns]`, or `[values]`.
    pub input: Base64Array,
    /// The output, in the same form.
    pub output: Base64Array,
    /// The weights of the output channels in this part.
    pub weight: Option<Base64Array>,
    pub bias: Option<Base64Array>,
    pub running_mean: Option<Base64Array>,
    pub running_var: Option<Base64Array>,
    /// For a convolution: how this machine's packed GEMM cuts its matrix product.
    pub gemm: Option<GemmTiling>,
    /// The position of this part's first row and column in the whole input and output.
    pub origin: PartOrigin,
    /// The shapes of the whole layer, without the batch.
    pub full: Full,
}

/// The first row and column of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PartOrigin {
    pub input: [usize; 2],
    pub output: [usize; 2],
}

/// Shapes of a whole layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Full {
    pub input: Vec<usize>,
    pub output: Vec<usize>,
}

/// A layer's values for one image; its dimensions do not include the batch.
pub struct LayerValues<'a> {
    pub dims: &'a [usize],
    pub values: &'a [f32],
}

/// Whether steps can be shown for this kind of layer.
pub fn has_steps(kind: &str) -> bool {
    reads_all_channels(kind)
        || ["MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d"].contains(&kind)
        || ["BatchNorm1d", "BatchNorm2d"].contains(&kind)
}

fn reads_all_channels(kind: &str) -> bool {
    ["Conv2d", "ConvTranspose2d", "Linear", "Softmax", "LogSoftmax"].contains(&kind)
}

/// Takes the part of a layer for its steps, within about `budget` bytes. `None` for a layer or a shape without steps.
///
/// # Errors
/// A layer without values.
pub fn steps(
    module: &dyn Module,
    op: Dependence,
    x: &LayerValues,
    y: &LayerValues,
    budget: usize,
) -> Result<Option<Steps>> {
    let kind = module.kind();
    let (Some(input), Some(output)) = (planes(x.dims), planes(y.dims)) else { return Ok(None) };
    let softmax = kind.ends_with("oftmax");
    if !has_steps(kind) || (softmax && y.dims.len() != 1) {
        return Ok(None);
    }
    // Without running statistics every image is normalised by its own mean and variance, which the layer does not
    // store.
    if kind.starts_with("BatchNorm") && parameter(module, "running_mean")?.is_none() {
        return Ok(None);
    }
    let weight = parameter(module, "weight")?.filter(|weight| weight.dims.len() >= 2);
    let per_channel = weight.as_ref().map_or(0, |Array { dims, values }| match kind {
        // [C, O / groups, KH, KW]: an output reads the inputs of its group.
        "ConvTranspose2d" => values.len() / output[0].max(1),
        _ => values.len() / dims[0].max(1),
    });
    let per_channel = if softmax { 1 } else { per_channel };
    let gemm = weight.as_ref().map(|w| gemm(module, op, [input, output], &w.dims)).transpose()?.flatten();
    let shapes = Shapes { input, output, op, weights: per_channel };
    let mut crop = Crop::within(&shapes, if softmax { usize::MAX } else { budget });
    if let ("ConvTranspose2d", Some(Array { dims, .. })) = (kind, &weight) {
        crop.channels = if crop.channels == output[0] { output[0] } else { crop.channels.min(dims[1]) };
    }
    let part = |values: &LayerValues, whole, channels, sides| {
        let dims = match values.dims.len() {
            1 => vec![channels],
            _ => vec![channels, sides_of(sides)[0], sides_of(sides)[1]],
        };
        Base64Array::exact(&dims, crop_values(values.values, whole, channels, sides))
    };
    let of_channels = |name: &str| -> Result<Option<Base64Array>> {
        let first = |Array { values, .. }: Array| {
            let kept = values.len().min(crop.channels);
            Base64Array::exact(&[kept], values[..kept].to_vec())
        };
        Ok(parameter(module, name)?.filter(|parameter| parameter.dims.len() == 1).map(first))
    };
    let weight = match weight {
        Some(Array { dims, values }) => Some(part_of_weight(kind, dims, &values, crop.channels)),
        None => of_channels("weight")?,
    };
    let start = |sides: &[std::ops::Range<usize>; 2]| [sides[0].start, sides[1].start];
    Ok(Some(Steps {
        attrs: attrs(&module.describe()),
        input: part(x, input, crop.input_channels(&shapes), &crop.input),
        output: part(y, output, crop.channels, &crop.output),
        weight,
        bias: of_channels("bias")?,
        running_mean: of_channels("running_mean")?,
        running_var: of_channels("running_var")?,
        gemm,
        origin: PartOrigin { input: start(&crop.input), output: start(&crop.output) },
        full: Full { input: x.dims.to_vec(), output: y.dims.to_vec() },
    }))
}

/// How the matrix product of a convolution is cut into tiles; `None` for another layer.
fn gemm(
    module: &dyn Module,
    op: Dependence,
    [x, y]: [[usize; 3]; 2],
    weight: &[usize],
) -> Result<Option<GemmTiling>> {
    let (Dependence::Window(window), &[_, per_group, ..]) = (op, weight) else { return Ok(None) };
    let Some((_, param)) = module.params().into_iter().next() else { return Ok(None) };
    let ([c, h, w], [o, oh, ow]) = (x, y);
    let g = ConvShape { n: 1, c, h, w, o, oh, ow, groups: c / per_group.max(1), window };
    Ok(conv_tiling(param.value()?.device(), &g))
}

/// A vector is treated as channels of one place each.
fn planes(dims: &[usize]) -> Option<[usize; 3]> {
    match *dims {
        [c, h, w] => Some([c, h, w]),
        [c] => Some([c, 1, 1]),
        _ => None,
    }
}

fn sides_of(sides: &[std::ops::Range<usize>; 2]) -> [usize; 2] {
    [sides[0].len(), sides[1].len()]
}

/// The weights of the first output channels.
fn part_of_weight(kind: &str, mut dims: Vec<usize>, values: &[f32], channels: usize) -> Base64Array {
    if kind == "ConvTranspose2d" {
        let kernel: usize = dims[2..].iter().product();
        let of_input = (dims[1] * kernel).max(1);
        dims[1] = dims[1].min(channels);
        let kept = dims[1] * kernel;
        return Base64Array::exact(
            &dims,
            values.chunks_exact(of_input).flat_map(|w| w[..kept].to_vec()).collect(),
        );
    }
    let per_channel: usize = dims[1..].iter().product();
    dims[0] = dims[0].min(channels);
    Base64Array::exact(&dims, values[..dims[0] * per_channel].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Conv2d, ConvTranspose2d, Ctx, Linear, Relu};
    use crate::report::Base64Values;
    use crate::{DType, Device, Tensor};

    fn run(layer: &dyn Module, dims: &[usize], budget: usize) -> Option<Steps> {
        let cpu = Device::cpu().unwrap();
        layer.init(&cpu, DType::F32, 1).unwrap();
        let n: usize = dims.iter().product();
        let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin()).collect();
        let x = Tensor::from_vec(&cpu, values.clone(), &[&[1], dims].concat()).unwrap().requires_grad();
        let y = layer.forward(&Ctx::eval("layer").with_grad(true), &x).unwrap();
        let node = y.node().unwrap();
        let op = node.op().dependence(node.inputs());
        let out = y.to_vec::<f32>().unwrap();
        let (x, y) =
            (LayerValues { dims, values: &values }, LayerValues { dims: &y.dims()[1..], values: &out });
        steps(layer, op, &x, &y, budget).unwrap()
    }

    fn numbers(packed: &Base64Array) -> Vec<f64> {
        match &packed.values {
            Base64Values::Exact(values) => values.iter().map(|&v| f64::from(v)).collect(),
            Base64Values::Levels { .. } => panic!("steps are exact"),
        }
    }

    /// The convolution of the input part equals the output part, so both parts have the right position.
    #[test]
    fn an_output_can_be_computed_from_its_part() {
        let layer = Conv2d::new(3, 8, 3).padding(1).stride(2);
        let s = run(&layer, &[3, 16, 16], 2000).unwrap();
        assert_eq!((&s.full.output[..], s.attrs["stride"].as_i64()), (&[8, 8, 8][..], Some(2)));
        let (x, w, b, y) = (
            numbers(&s.input),
            numbers(s.weight.as_ref().unwrap()),
            numbers(s.bias.as_ref().unwrap()),
            numbers(&s.output),
        );
        let (&[_, h, iw], &[o, oh, ow]) = (&s.input.dims[..], &s.output.dims[..]) else { panic!() };
        assert!(oh < 8 && o < 8, "{:?}", s.output.dims);
        for (i, got) in y.iter().enumerate() {
            let (channel, row, column) = (i / (oh * ow), i / ow % oh, i % ow);
            let at = |out: usize, axis: usize, k: usize| {
                (out + s.origin.output[axis]) * 2 + k - 1 - s.origin.input[axis]
            };
            let taps = (0..27).map(|t| (t / 9, t / 3 % 3, t % 3));
            let sum: f64 = taps
                .map(|(c, p, q)| {
                    x[(c * h + at(row, 0, p)) * iw + at(column, 1, q)] * w[channel * 27 + c * 9 + p * 3 + q]
                })
                .sum();
            assert!((sum + b[channel] - got).abs() < 1e-5, "output {i}");
        }
    }

    #[test]
    fn a_transposed_weight_is_cut_along_its_second_dimension() {
        let layer = ConvTranspose2d::new(4, 6, 2).stride(2);
        let s = run(&layer, &[4, 8, 8], 600).unwrap();
        let channels = s.output.dims[0];
        assert!(channels < 6);
        let whole = parameter(&layer, "weight").unwrap().unwrap().values;
        let weight = s.weight.unwrap();
        assert_eq!(weight.dims, [4, channels, 2, 2]);
        assert_eq!(numbers(&weight)[channels * 4], f64::from(whole[6 * 4]));
    }

    #[test]
    fn vectors_have_one_dimension_and_relu_has_no_steps() {
        let s = run(&Linear::new(5, 7), &[5], 60).unwrap();
        assert_eq!((&s.input.dims[..], s.output.dims.len()), (&[5][..], 1));
        assert_eq!(s.weight.unwrap().dims, [s.output.dims[0], 5]);
        assert!(run(&Relu, &[1, 3, 3], 1 << 20).is_none());
    }
}
