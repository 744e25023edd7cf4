//! The kinds of layers that an arch file can hold: name, keys, and how one is made for what comes in.

use super::keys::Keys;
use crate::core::Result;
use crate::nn::{
    AvgPool2d, Conv2d, Dropout, Flatten, Gelu, LeakyRelu, Linear, LogSoftmax, MaxPool2d, Module, Pair, Relu,
    Sigmoid, Silu, Softmax, Tanh,
};

/// One kind. Its keys are PyTorch's names; those with a default may be left out.
pub(super) struct Kind {
    pub name: &'static str,
    pub keys: &'static [&'static str],
    pub make: Make,
}

/// How it becomes a layer.
pub(super) enum Make {
    /// A layer for an input of these dimensions.
    Layer(fn(&Keys, &[usize]) -> Result<Box<dyn Module>>),
    /// Its `layers`, one after another.
    Sequential,
    /// Its `layers`, as if they were written `times` times.
    Repeat,
    /// Its `layers` plus its `shortcut`, or plus what came in.
    Residual,
}

const fn layer(
    name: &'static str,
    keys: &'static [&'static str],
    make: fn(&Keys, &[usize]) -> Result<Box<dyn Module>>,
) -> Kind {
    Kind { name, keys, make: Make::Layer(make) }
}

pub(super) static KINDS: &[Kind] = &[
    layer(
        "conv2d",
        &["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias"],
        conv2d,
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
    layer("relu", &[], |_, _| Ok(Box::new(Relu))),
    layer("leaky_relu", &["negative_slope"], |keys, _| {
        Ok(Box::new(LeakyRelu(keys.get("negative_slope")?.unwrap_or(0.01))))
    }),
    layer("sigmoid", &[], |_, _| Ok(Box::new(Sigmoid))),
    layer("tanh", &[], |_, _| Ok(Box::new(Tanh))),
    layer("gelu", &[], |_, _| Ok(Box::new(Gelu))),
    layer("silu", &[], |_, _| Ok(Box::new(Silu))),
    layer("softmax", &[], |_, _| Ok(Box::new(Softmax(1)))),
    layer("log_softmax", &[], |_, _| Ok(Box::new(LogSoftmax(1)))),
    layer("dropout", &["p"], |keys, _| Ok(Box::new(Dropout(probability(keys)?)))),
    layer("flatten", &[], |_, _| Ok(Box::new(Flatten))),
    Kind { name: "sequential", keys: &["layers"], make: Make::Sequential },
    Kind { name: "repeat", keys: &["times", "layers"], make: Make::Repeat },
    Kind { name: "residual", keys: &["layers", "shortcut"], make: Make::Residual },
];

/// Applies a setting that was written.
fn set<L, T>(layer: L, value: Option<T>, apply: fn(L, T) -> L) -> L {
    match value {
        Some(value) => apply(layer, value),
        None => layer,
    }
}

/// Applies a switch that was written as true.
fn on<L>(layer: L, value: Option<bool>, apply: fn(L) -> L) -> L {
    if value == Some(true) { apply(layer) } else { layer }
}

/// Applies a switch that was written as false.
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

fn linear(keys: &Keys, dims: &[usize]) -> Result<Box<dyn Module>> {
    let &[_, features] = dims else {
        return Err(keys
            .wrong(format!("takes a row of features, but {:?} comes in", &dims[1..]))
            .help("put { kind = \"flatten\" } before it"));
    };
    let features = keys.follows("in_features", features, dims)?;
    let linear = Linear::new(features, keys.need("out_features")?);
    Ok(Box::new(off(linear, keys.get("bias")?, Linear::no_bias)))
}

/// The channels of an image that comes in.
fn channels(keys: &Keys, dims: &[usize]) -> Result<usize> {
    match dims {
        &[_, channels, _, _] => Ok(channels),
        _ => Err(keys
            .wrong(format!("takes an image, but {:?} comes in", &dims[1..]))
            .help("it belongs before the flatten")),
    }
}

fn probability(keys: &Keys) -> Result<f64> {
    match keys.get("p")?.unwrap_or(0.5) {
        p if (0.0..=1.0).contains(&p) => Ok(p),
        p => Err(keys.wrong_key("p", format!("p = {p} is no probability")).expected("a number from 0 to 1")),
    }
}
