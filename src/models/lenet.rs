//! LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998) in the notebooks' variants.

use super::{LayerChoice, MNIST, ModelConfig, ModelSpec, Prepare, Recipe, with_features};
use crate::core::Result;
use crate::data::{Augment, Normalization};
use crate::nn::{
    AvgPool2d, BatchNorm1d, BatchNorm2d, Conv2d, Flatten, Linear, LogSoftmax, MaxPool2d, Module, Relu,
    Sequential, Sigmoid, Tanh,
};

const SIZES: LayerChoice = LayerChoice {
    own: "6,16,120,84",
    what: "the channels of the two convolutions, and the units of the two hidden linear layers",
};

/// Row M7. 61,706 parameters on MNIST, 83,126 on CIFAR-10.
pub(super) static LENET5: ModelSpec = ModelSpec::new(
    "lenet5",
    "LeCun's LeNet-5 (1998) with ReLU and max pooling",
    MNIST,
    || Recipe::sgd("mnist", 64, 5, 0.01).momentum(0.5),
    lenet5,
)
.layers(SIZES);

/// Rows M11 and C7. 61,706 parameters on MNIST, 62,006 on CIFAR-10.
pub(super) static LENET5_TANH: ModelSpec = ModelSpec::new(
    "lenet5-tanh",
    "the original LeNet-5: tanh and average pooling",
    MNIST,
    || {
        Recipe::adam("mnist", 10, 3, 0.001).prepare(&[Prepare {
            data: "cifar10",
            augment: Augment::None,
            normalize: Normalization::Half,
        }])
    },
    lenet5_tanh,
)
.layers(SIZES)
.logits();

/// Row F3. 44,878 parameters on 1x28x28.
pub(super) static LENET5_BN: ModelSpec = ModelSpec::new(
    "lenet5-bn",
    "LeNet-5 with batch norm, sigmoid and average pooling",
    MNIST,
    || Recipe::fashion(256, 10, 1.0),
    lenet5_bn,
)
.layers(SIZES)
.logits();

fn lenet5(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let [first, second, wide, narrow] = SIZES.exactly(config)?;
    let (net, features) = with_features("lenet5", config, |config| {
        Sequential::new()
            .named("conv1", Conv2d::new(config.input[0], first, 5).padding(2))
            .named("relu1", Relu)
            .named("pool1", MaxPool2d::new(2))
            .named("conv2", Conv2d::new(first, second, 5))
            .named("relu2", Relu)
            .named("pool2", MaxPool2d::new(2))
            .named("flatten", Flatten)
    })?;
    Ok(Box::new(
        net.named("fc1", Linear::new(features, wide))
            .named("relu3", Relu)
            .named("fc2", Linear::new(wide, narrow))
            .named("relu4", Relu)
            .named("fc3", Linear::new(narrow, config.classes))
            .named("log_softmax", LogSoftmax(1)),
    ))
}

fn lenet5_tanh(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let [first, second, wide, narrow] = SIZES.exactly(config)?;
    let (layers, features) = with_features("lenet5-tanh", config, |config| {
        let [channels, h, w] = config.input;
        // LeCun's images are 32x32: digits with a margin of 2. The padding adds this margin to MNIST's 28x28.
        let margin = if h.min(w) < 32 { 2 } else { 0 };
        Sequential::new()
            .push(Conv2d::new(channels, first, 5).padding(margin))
            .push(Tanh)
            .push(AvgPool2d::new(2))
            .push(Tanh)
            .push(Conv2d::new(first, second, 5))
            .push(Tanh)
            .push(AvgPool2d::new(2))
            .push(Tanh)
            .push(Flatten)
    })?;
    let layers = layers
        .push(Linear::new(features, wide))
        .push(Tanh)
        .push(Linear::new(wide, narrow))
        .push(Tanh)
        .push(Linear::new(narrow, config.classes));
    Ok(Box::new(Sequential::new().named("layers", layers)))
}

fn lenet5_bn(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let [first, second, wide, narrow] = SIZES.exactly(config)?;
    let (net, features) = with_features("lenet5-bn", config, |config| {
        Sequential::new()
            .push(Conv2d::new(config.input[0], first, 5))
            .push(BatchNorm2d::new(first))
            .push(Sigmoid)
            .push(AvgPool2d::new(2))
            .push(Conv2d::new(first, second, 5))
            .push(BatchNorm2d::new(second))
            .push(Sigmoid)
            .push(AvgPool2d::new(2))
            .push(Flatten)
    })?;
    Ok(Box::new(
        net.push(Linear::new(features, wide))
            .push(BatchNorm1d::new(wide))
            .push(Sigmoid)
            .push(Linear::new(wide, narrow))
            .push(BatchNorm1d::new(narrow))
            .push(Sigmoid)
            .push(Linear::new(narrow, config.classes)),
    ))
}
