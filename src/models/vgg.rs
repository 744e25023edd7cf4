//! VGG (Simonyan & Zisserman 2015): stacks of 3x3 convolutions between pooling layers.

use super::alexnet::two_hidden;
use super::{IMAGENET, LayerChoice, MNIST, ModelConfig, ModelSpec, Recipe, with_features};
use crate::core::Result;
use crate::nn::{
    AdaptiveAvgPool2d, Conv2d, Flatten, Linear, LogSoftmax, MaxPool2d, Module, Relu, Sequential,
};

const MINIVGG_SIZES: LayerChoice = LayerChoice {
    own: "16,32,120,84",
    what: "the channels of the two pairs of convolutions, and the units of the two hidden linear layers",
};

const BLOCKS: &str =
    "for every block, the number of convolutions (one, if it is left out), x, and their channels";

const VGG11_STAGES: LayerChoice = LayerChoice { own: "1x64,1x128,2x256,2x512,2x512", what: BLOCKS };

const SMALL_STAGES: LayerChoice = LayerChoice { own: "1x16,1x32,2x64,2x128,2x128", what: BLOCKS };

/// Row M8. 123,502 parameters on MNIST, 166,030 on CIFAR-10.
pub(super) static MINIVGG: ModelSpec = ModelSpec::new(
    "minivgg",
    "a small VGG: pairs of 3x3 convolutions",
    MNIST,
    || Recipe::sgd("mnist", 64, 5, 0.01).momentum(0.5),
    minivgg,
)
.layers(MINIVGG_SIZES);

/// 128,806,154 parameters on 1x224x224.
pub(super) static VGG11: ModelSpec = ModelSpec::new(
    "vgg11",
    "VGG-11 (2015) for grey images",
    [1, 224, 224],
    || Recipe::fashion(128, 5, 0.05).resize(224),
    |config| vgg11("vgg11", config, VGG11_STAGES),
)
.layers(VGG11_STAGES)
.logits();

/// Row F2, with a quarter of the channels. 43,093,322 parameters on 1x224x224.
pub(super) static VGG11_SMALL: ModelSpec = ModelSpec::new(
    "vgg11-small",
    "VGG-11 with a quarter of the channels",
    [1, 224, 224],
    || Recipe::fashion(128, 5, 0.05).resize(224),
    |config| vgg11("vgg11-small", config, SMALL_STAGES),
)
.layers(SMALL_STAGES)
.logits();

/// 132,863,336 parameters.
pub(super) static TV_VGG11: ModelSpec =
    tv_row("tv-vgg11", "torchvision's VGG-11", |config| Ok(torchvision(config, [1, 1, 2, 2, 2])));

/// 133,047,848 parameters.
pub(super) static TV_VGG13: ModelSpec =
    tv_row("tv-vgg13", "torchvision's VGG-13", |config| Ok(torchvision(config, [2, 2, 2, 2, 2])));

/// 138,357,544 parameters.
pub(super) static TV_VGG16: ModelSpec =
    tv_row("tv-vgg16", "torchvision's VGG-16", |config| Ok(torchvision(config, [2, 2, 3, 3, 3])));

/// 143,667,240 parameters.
pub(super) static TV_VGG19: ModelSpec =
    tv_row("tv-vgg19", "torchvision's VGG-19", |config| Ok(torchvision(config, [2, 2, 4, 4, 4])));

const fn tv_row(
    name: &'static str,
    about: &'static str,
    build: fn(&ModelConfig) -> Result<Box<dyn Module>>,
) -> ModelSpec {
    ModelSpec::new(name, about, IMAGENET, || Recipe::pets().kaiming(), build).logits().classes(1000)
}

fn minivgg(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let [first, second, wide, narrow] = MINIVGG_SIZES.exactly(config)?;
    let (net, features) = with_features("minivgg", config, |config| {
        Sequential::new()
            .named("conv11", Conv2d::new(config.input[0], first, 3))
            .named("relu11", Relu)
            .named("conv12", Conv2d::new(first, first, 3))
            .named("relu12", Relu)
            .named("pool1", MaxPool2d::new(2))
            .named("conv21", Conv2d::new(first, second, 3))
            .named("relu21", Relu)
            .named("conv22", Conv2d::new(second, second, 3).padding(1))
            .named("relu22", Relu)
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

fn vgg11(name: &str, config: &ModelConfig, choice: LayerChoice) -> Result<Box<dyn Module>> {
    let stages = choice.stages(config, 1)?;
    let (net, features) = with_features(name, config, |config| {
        let mut net = Sequential::new();
        let mut from = config.input[0];
        for &[convolutions, to] in &stages {
            net = net.push(block(Sequential::new(), convolutions, from, to));
            from = to;
        }
        net.push(Flatten)
    })?;
    Ok(Box::new(two_hidden(net, features, config.classes)))
}

/// 3x3 convolutions with ReLU, then a pooling layer that halves the image.
fn block(mut net: Sequential, convolutions: usize, from: usize, to: usize) -> Sequential {
    for i in 0..convolutions {
        net = net.push(Conv2d::new(if i == 0 { from } else { to }, to, 3).padding(1)).push(Relu);
    }
    net.push(MaxPool2d::new(2))
}

fn torchvision(config: &ModelConfig, convolutions: [usize; 5]) -> Box<dyn Module> {
    let mut features = Sequential::new();
    let mut from = config.input[0];
    for (convolutions, to) in convolutions.into_iter().zip([64, 128, 256, 512, 512]) {
        features = block(features, convolutions, from, to);
        from = to;
    }
    Box::new(
        Sequential::new()
            .named("features", features)
            .named("avgpool", AdaptiveAvgPool2d::new(7))
            .named("flatten", Flatten)
            .named("classifier", two_hidden(Sequential::new(), 512 * 7 * 7, config.classes)),
    )
}
