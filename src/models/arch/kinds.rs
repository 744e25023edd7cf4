//! The kinds of layers in an arch file: name, keys, and how to build one for a given input. Kinds that are a single op
//! follow from the op's row.

use super::keys::{Attribute, Keys};
use crate::core::Result;
use crate::nn::{
    AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, BatchNorm1d, BatchNorm2d, Conv2d, ConvTranspose2d,
    Dropout, Dropout2d, Flatten, GroupNorm, InstanceNorm2d, LayerNorm, Linear, LocalResponseNorm, LogSoftmax,
    MaxPool2d, Module, OpLayer, Pair, Softmax, Upsample,
};
use crate::ops::{OPS, OpSpec};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One kind. Its keys have PyTorch's names. Keys with a default may be left out.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub name: &'static str,
    pub keys: &'static [&'static str],
    pub make: Make,
}

/// Builds a layer from its keys, for an input of these dimensions.
type LayerBuilder = fn(&Keys, &[usize]) -> Result<Box<dyn Module>>;

/// How a kind is built.
#[derive(Clone, Copy)]
pub(super) enum Make {
    /// By this function.
    Layer(LayerBuilder),
    /// As the op of this row.
    Op(&'static OpSpec),
    /// Its `layers`, one after another.
    Sequential,
    /// Its `layers`, written `times` times.
    Repeat,
    /// The output of its `layers` plus its input, or plus the output of its `shortcut`.
    Residual,
}

const fn layer(name: &'static str, keys: &'static [&'static str], make: LayerBuilder) -> Kind {
    Kind { name, keys, make: Make::Layer(make) }
}

/// Every kind.
pub(super) static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let layer = |row: &&'static OpSpec| Kind { name: row.name, keys: row.attrs, make: Make::Op(row) };
    LAYERS.iter().copied().chain(OPS.iter().filter(|row| row.layer.is_some()).map(layer)).collect()
});

/// The layer for an op's row. The table's keys are its attributes.
///
/// # Errors
/// A value of the wrong form, or one that the op does not accept.
pub(super) fn of_op(keys: &Keys, row: &'static OpSpec) -> Result<Box<dyn Module>> {
    let mut attrs = BTreeMap::new();
    for key in row.attrs {
        attrs.extend(keys.get::<Attribute>(key)?.map(|value| ((*key).to_owned(), value.0)));
    }
    let layer = OpLayer::new(row, attrs).map_err(|e| keys.wrong(e.to_string()))?;
    Ok(Box::new(layer))
}

/// The kinds that are not a single op of the table.
static LAYERS: &[Kind] = &[
    layer(
        "conv2d",
        &["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias"],
        conv2d,
    ),
    layer(
        "conv_transpose2d",
        &[
            "in_channels",
            "out_channels",
            "kernel_size",
            "stride",
            "padding",
            "output_padding",
            "dilation",
            "groups",
            "bias",
        ],
        conv_transpose2d,
    ),
    layer("linear", &["in_features", "out_features", "bias"], linear),
    layer("max_pool2d", &["kernel_size", "stride", "padding", "ceil_mode"], |keys, _| {
        let mut pool = MaxPool2d::new(keys.need::<Pair>("kernel_size")?);
        pool = set(pool, keys.get::<Pair>("stride")?, MaxPool2d::stride);
        pool = set(pool, keys.get::<Pair>("padding")?, MaxPool2d::padding);
        Ok(Box::new(on(pool, keys.get("ceil_mode")?, MaxPool2d::ceil_mode)))
    }),
    layer("avg_pool2d", &["kernel_size", "stride", "padding", "ceil_mode"], |keys, _| {
        let mut pool = AvgPool2d::new(keys.need::<Pair>("kernel_size")?);
        pool = set(pool, keys.get::<Pair>("stride")?, AvgPool2d::stride);
        pool = set(pool, keys.get::<Pair>("padding")?, AvgPool2d::padding);
        Ok(Box::new(on(pool, keys.get("ceil_mode")?, AvgPool2d::ceil_mode)))
    }),
    layer("adaptive_avg_pool2d", &["output_size"], |keys, _| {
        Ok(Box::new(AdaptiveAvgPool2d::new(keys.need::<Pair>("output_size")?.0)))
    }),
    layer("adaptive_max_pool2d", &["output_size"], |keys, _| {
        Ok(Box::new(AdaptiveMaxPool2d::new(keys.need::<Pair>("output_size")?.0)))
    }),
    layer(
        "batch_norm1d",
        &["num_features", "eps", "momentum", "affine", "track_running_stats"],
        |keys, dims| {
            let mut norm = BatchNorm1d::new(keys.follows("num_features", size(keys, dims, 1)?, dims)?);
            norm = set(norm, keys.get("eps")?, BatchNorm1d::eps);
            norm = set(norm, keys.get::<f64>("momentum")?, BatchNorm1d::momentum);
            norm = off(norm, keys.get("affine")?, BatchNorm1d::no_affine);
            Ok(Box::new(off(norm, keys.get("track_running_stats")?, BatchNorm1d::no_running_stats)))
        },
    ),
    layer(
        "batch_norm2d",
        &["num_features", "eps", "momentum", "affine", "track_running_stats"],
        |keys, dims| {
            let mut norm = BatchNorm2d::new(keys.follows("num_features", channels(keys, dims)?, dims)?);
            norm = set(norm, keys.get("eps")?, BatchNorm2d::eps);
            norm = set(norm, keys.get::<f64>("momentum")?, BatchNorm2d::momentum);
            norm = off(norm, keys.get("affine")?, BatchNorm2d::no_affine);
            Ok(Box::new(off(norm, keys.get("track_running_stats")?, BatchNorm2d::no_running_stats)))
        },
    ),
    layer("layer_norm", &["eps", "elementwise_affine"], |keys, dims| {
        let norm = set(LayerNorm::new(&dims[1..]), keys.get("eps")?, LayerNorm::eps);
        Ok(Box::new(off(norm, keys.get("elementwise_affine")?, LayerNorm::no_affine)))
    }),
    layer("group_norm", &["num_groups", "num_channels", "eps", "affine"], |keys, dims| {
        let channels = keys.follows("num_channels", size(keys, dims, 1)?, dims)?;
        let norm = set(GroupNorm::new(keys.need("num_groups")?, channels), keys.get("eps")?, GroupNorm::eps);
        Ok(Box::new(off(norm, keys.get("affine")?, GroupNorm::no_affine)))
    }),
    layer(
        "instance_norm2d",
        &["num_features", "eps", "momentum", "affine", "track_running_stats"],
        |keys, dims| {
            let mut norm = InstanceNorm2d::new(keys.follows("num_features", channels(keys, dims)?, dims)?);
            norm = set(norm, keys.get("eps")?, InstanceNorm2d::eps);
            norm = set(norm, keys.get("momentum")?, InstanceNorm2d::momentum);
            norm = on(norm, keys.get("affine")?, InstanceNorm2d::affine);
            Ok(Box::new(on(norm, keys.get("track_running_stats")?, InstanceNorm2d::track_running_stats)))
        },
    ),
    layer("local_response_norm", &["size", "alpha", "beta", "k"], |keys, _| {
        let mut norm = LocalResponseNorm::new(keys.need("size")?);
        norm = set(norm, keys.get("alpha")?, LocalResponseNorm::alpha);
        norm = set(norm, keys.get("beta")?, LocalResponseNorm::beta);
        Ok(Box::new(set(norm, keys.get("k")?, LocalResponseNorm::k)))
    }),
    layer("softmax", &[], |_, _| Ok(Box::new(Softmax(1)))),
    layer("log_softmax", &[], |_, _| Ok(Box::new(LogSoftmax(1)))),
    layer("dropout", &["p"], |keys, _| Ok(Box::new(Dropout(probability(keys)?)))),
    layer("dropout2d", &["p"], |keys, _| Ok(Box::new(Dropout2d(probability(keys)?)))),
    layer("flatten", &[], |_, _| Ok(Box::new(Flatten))),
    layer("upsample", &["size", "scale_factor", "mode", "align_corners"], upsample),
    Kind { name: "sequential", keys: &["layers"], make: Make::Sequential },
    Kind { name: "repeat", keys: &["times", "layers"], make: Make::Repeat },
    Kind { name: "residual", keys: &["layers", "shortcut"], make: Make::Residual },
];

/// Applies a setting if it is present.
fn set<L, T>(layer: L, value: Option<T>, apply: fn(L, T) -> L) -> L {
    match value {
        Some(value) => apply(layer, value),
        None => layer,
    }
}

/// Applies a switch if it is set to true.
fn on<L>(layer: L, value: Option<bool>, apply: fn(L) -> L) -> L {
    if value == Some(true) { apply(layer) } else { layer }
}

/// Applies a switch if it is set to false.
fn off<L>(layer: L, value: Option<bool>, apply: fn(L) -> L) -> L {
    if value == Some(false) { apply(layer) } else { layer }
}

fn conv2d(keys: &Keys, dims: &[usize]) -> Result<Box<dyn Module>> {
    let channels = keys.follows("in_channels", channels(keys, dims)?, dims)?;
    let mut conv = Conv2d::new(channels, keys.need("out_channels")?, keys.need::<Pair>("kernel_size")?);
    conv = set(conv, keys.get::<Pair>("stride")?, Conv2d::stride);
    conv = set(conv, keys.get::<Pair>("dilation")?, Conv2d::dilation);
    conv = set(conv, keys.get("groups")?, Conv2d::groups);
    conv = off(conv, keys.get("bias")?, Conv2d::no_bias);
    let same = keys.get::<&str>("padding").is_ok_and(|padding| padding == Some("same"));
    let conv = if same { conv.same() } else { set(conv, keys.get::<Pair>("padding")?, Conv2d::padding) };
    Ok(Box::new(conv))
}

fn conv_transpose2d(keys: &Keys, dims: &[usize]) -> Result<Box<dyn Module>> {
    let channels = keys.follows("in_channels", channels(keys, dims)?, dims)?;
    let kernel = keys.need::<Pair>("kernel_size")?;
    let mut conv = ConvTranspose2d::new(channels, keys.need("out_channels")?, kernel);
    conv = set(conv, keys.get::<Pair>("stride")?, ConvTranspose2d::stride);
    conv = set(conv, keys.get::<Pair>("padding")?, ConvTranspose2d::padding);
    conv = set(conv, keys.get::<Pair>("output_padding")?, ConvTranspose2d::output_padding);
    conv = set(conv, keys.get::<Pair>("dilation")?, ConvTranspose2d::dilation);
    conv = set(conv, keys.get("groups")?, ConvTranspose2d::groups);
    Ok(Box::new(off(conv, keys.get("bias")?, ConvTranspose2d::no_bias)))
}

fn linear(keys: &Keys, dims: &[usize]) -> Result<Box<dyn Module>> {
    let &[_, features] = dims else {
        return Err(keys
            .wrong(format!("needs an input of features, but its input is {:?}", &dims[1..]))
            .help("add { kind = \"flatten\" } before it"));
    };
    let features = keys.follows("in_features", features, dims)?;
    let linear = Linear::new(features, keys.need("out_features")?);
    Ok(Box::new(off(linear, keys.get("bias")?, Linear::no_bias)))
}

fn upsample(keys: &Keys, _: &[usize]) -> Result<Box<dyn Module>> {
    let up = match (keys.get::<Pair>("size")?, keys.get::<f64>("scale_factor")?) {
        (Some(size), None) => Upsample::size(size),
        (None, Some(factor)) => Upsample::scale(factor),
        _ => return Err(keys.wrong("one of `size` and `scale_factor` must be given")),
    };
    let up = match keys.get("mode")?.unwrap_or("nearest") {
        "nearest" => up,
        "bilinear" => up.bilinear(),
        other => {
            let what = format!("there is no mode `{other}`");
            return Err(keys.wrong_key("mode", what).expected("nearest or bilinear"));
        }
    };
    Ok(Box::new(on(up, keys.get("align_corners")?, Upsample::align_corners)))
}

/// The size of one dimension of the input.
fn size(keys: &Keys, dims: &[usize], dim: usize) -> Result<usize> {
    dims.get(dim)
        .copied()
        .ok_or_else(|| keys.wrong(format!("its input {:?} has too few dimensions", &dims[1..])))
}

/// The channels of an input image.
fn channels(keys: &Keys, dims: &[usize]) -> Result<usize> {
    match dims {
        &[_, channels, _, _] => Ok(channels),
        _ => Err(keys
            .wrong(format!("needs an image, but its input is {:?}", &dims[1..]))
            .help("move it before the flatten")),
    }
}

fn probability(keys: &Keys) -> Result<f64> {
    match keys.get("p")?.unwrap_or(0.5) {
        p if (0.0..=1.0).contains(&p) => Ok(p),
        p => {
            Err(keys.wrong_key("p", format!("p = {p} is not a probability")).expected("a number from 0 to 1"))
        }
    }
}
