//! VGG's idea (Simonyan & Zisserman 2015): stacks of 3x3 convolutions between poolings.

use super::alexnet::two_hidden;
use super::{MNIST, ModelConfig, ModelSpec, Recipe, with_features};
use crate::core::Result;
use crate::nn::{Conv2d, Flatten, Linear, LogSoftmax, MaxPool2d, Module, Relu, Sequential};

/// Row M8. 123,502 parameters on MNIST, 166,030 on CIFAR-10.
pub(super) static MINIVGG: ModelSpec = ModelSpec::new(
    "minivgg",
    "VGG's idea in small: pairs of 3x3 convolutions",
    MNIST,
    || Recipe::sgd("mnist", 64, 5, 0.01).momentum(0.5),
    minivgg,
);

/// 128,806,154 parameters on 1x224x224.
pub(super) static VGG11: ModelSpec = ModelSpec::new(
    "vgg11",
    "VGG-11 (2015) for grey images",
    [1, 224, 224],
    || Recipe::fashion(128, 5, 0.05).resize(224),
    |config| vgg11("vgg11", config, |config| blocks(config, 64)),
)
.logits();

/// Row F2: a quarter of the channels. 43,093,322 parameters on 1x224x224.
pub(super) static VGG11_SMALL: ModelSpec = ModelSpec::new(
    "vgg11-small",
    "VGG-11 with a quarter of the channels",
    [1, 224, 224],
    || Recipe::fashion(128, 5, 0.05).resize(224),
    |config| vgg11("vgg11-small", config, |config| blocks(config, 16)),
)
.logits();

fn minivgg(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let (net, features) = with_features("minivgg", config, |config| {
        Sequential::new()
            .named("conv11", Conv2d::new(config.input[0], 16, 3))
            .named("relu11", Relu)
            .named("conv12", Conv2d::new(16, 16, 3))
            .named("relu12", Relu)
            .named("pool1", MaxPool2d::new(2))
            .named("conv21", Conv2d::new(16, 32, 3))
            .named("relu21", Relu)
            .named("conv22", Conv2d::new(32, 32, 3).padding(1))
            .named("relu22", Relu)
            .named("pool2", MaxPool2d::new(2))
            .named("flatten", Flatten)
    })?;
    Ok(Box::new(
        net.named("fc1", Linear::new(features, 120))
            .named("relu3", Relu)
            .named("fc2", Linear::new(120, 84))
            .named("relu4", Relu)
            .named("fc3", Linear::new(84, config.classes))
            .named("log_softmax", LogSoftmax(1)),
    ))
}

fn vgg11(
    name: &str,
    config: &ModelConfig,
    convolutions: fn(&ModelConfig) -> Sequential,
) -> Result<Box<dyn Module>> {
    let (net, features) = with_features(name, config, convolutions)?;
    Ok(Box::new(two_hidden(net, features, config.classes)))
}

/// VGG-11's five blocks; the first has `width` channels.
fn blocks(config: &ModelConfig, width: usize) -> Sequential {
    let mut net = Sequential::new();
    let mut from = config.input[0];
    for (convolutions, times) in [(1, 1), (1, 2), (2, 4), (2, 8), (2, 8)] {
        let mut block = Sequential::new();
        for _ in 0..convolutions {
            block = block.push(Conv2d::new(from, times * width, 3).padding(1)).push(Relu);
            from = times * width;
        }
        net = net.push(block.push(MaxPool2d::new(2)));
    }
    net.push(Flatten)
}
