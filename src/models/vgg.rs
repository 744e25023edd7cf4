//! VGG's idea (Simonyan & Zisserman 2015): stacks of 3x3 convolutions between poolings.

use super::{ModelConfig, image_after};
use crate::core::Result;
use crate::nn::{Conv2d, Flatten, Linear, LogSoftmax, MaxPool2d, Module, Relu, Sequential};

/// The notebooks' MiniVGG: 123,502 parameters on MNIST, 166,030 on CIFAR-10.
pub(super) fn minivgg(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let windows = [(3, 1, 0), (3, 1, 0), (2, 2, 0), (3, 1, 0), (3, 1, 1), (2, 2, 0)];
    let [h, w] = image_after("minivgg", config, &windows)?;
    Ok(Box::new(
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
            .named("fc1", Linear::new(32 * h * w, 120))
            .named("relu3", Relu)
            .named("fc2", Linear::new(120, 84))
            .named("relu4", Relu)
            .named("fc3", Linear::new(84, config.classes))
            .named("log_softmax", LogSoftmax(1)),
    ))
}
