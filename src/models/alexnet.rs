//! AlexNet (Krizhevsky, Sutskever, Hinton 2012).

use super::{IMAGENET, ModelConfig, ModelSpec, Recipe, with_features};
use crate::core::Result;
use crate::nn::{AdaptiveAvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, Relu, Sequential};

/// Row F1. 46,764,746 parameters on 1x224x224.
pub(super) static ALEXNET: ModelSpec = ModelSpec::new(
    "alexnet",
    "Krizhevsky's AlexNet (2012) for grey images",
    [1, 224, 224],
    || Recipe::fashion(128, 5, 0.01).resize(224),
    alexnet,
)
.logits();

/// 61,100,840 parameters.
pub(super) static TV_ALEXNET: ModelSpec =
    ModelSpec::new("tv-alexnet", "torchvision's AlexNet", IMAGENET, Recipe::pets, torchvision)
        .logits()
        .classes(1000);

fn alexnet(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let (net, features) = with_features("alexnet", config, |config| {
        Sequential::new()
            .push(Conv2d::new(config.input[0], 96, 11).stride(4).padding(1))
            .push(Relu)
            .push(MaxPool2d::new(3).stride(2))
            .push(Conv2d::new(96, 256, 5).padding(2))
            .push(Relu)
            .push(MaxPool2d::new(3).stride(2))
            .push(Conv2d::new(256, 384, 3).padding(1))
            .push(Relu)
            .push(Conv2d::new(384, 384, 3).padding(1))
            .push(Relu)
            .push(Conv2d::new(384, 256, 3).padding(1))
            .push(Relu)
            .push(MaxPool2d::new(3).stride(2))
            .push(Flatten)
    })?;
    Ok(Box::new(two_hidden(net, features, config.classes)))
}

/// The fully connected layers of AlexNet and VGG: two hidden layers of 4,096 with dropout.
pub(super) fn two_hidden(net: Sequential, features: usize, classes: usize) -> Sequential {
    net.push(Linear::new(features, 4096))
        .push(Relu)
        .push(Dropout(0.5))
        .push(Linear::new(4096, 4096))
        .push(Relu)
        .push(Dropout(0.5))
        .push(Linear::new(4096, classes))
}

fn torchvision(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let features = Sequential::new()
        .push(Conv2d::new(config.input[0], 64, 11).stride(4).padding(2))
        .push(Relu)
        .push(MaxPool2d::new(3).stride(2))
        .push(Conv2d::new(64, 192, 5).padding(2))
        .push(Relu)
        .push(MaxPool2d::new(3).stride(2))
        .push(Conv2d::new(192, 384, 3).padding(1))
        .push(Relu)
        .push(Conv2d::new(384, 256, 3).padding(1))
        .push(Relu)
        .push(Conv2d::new(256, 256, 3).padding(1))
        .push(Relu)
        .push(MaxPool2d::new(3).stride(2));
    let classifier = Sequential::new()
        .push(Dropout(0.5))
        .push(Linear::new(256 * 6 * 6, 4096))
        .push(Relu)
        .push(Dropout(0.5))
        .push(Linear::new(4096, 4096))
        .push(Relu)
        .push(Linear::new(4096, config.classes));
    Ok(Box::new(
        Sequential::new()
            .named("features", features)
            .named("avgpool", AdaptiveAvgPool2d::new(6))
            .named("flatten", Flatten)
            .named("classifier", classifier),
    ))
}
