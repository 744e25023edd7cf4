//! LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998), as the notebooks have it: ReLU and max pooling.

use super::{ModelConfig, image_after};
use crate::core::Result;
use crate::nn::{Conv2d, Flatten, Linear, LogSoftmax, MaxPool2d, Module, Relu, Sequential};

/// 61,706 parameters on MNIST, 83,126 on CIFAR-10.
pub(super) fn lenet5(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let [h, w] = image_after("lenet5", config, &[(5, 1, 2), (2, 2, 0), (5, 1, 0), (2, 2, 0)])?;
    Ok(Box::new(
        Sequential::new()
            .named("conv1", Conv2d::new(config.input[0], 6, 5).padding(2))
            .named("relu1", Relu)
            .named("pool1", MaxPool2d::new(2))
            .named("conv2", Conv2d::new(6, 16, 5))
            .named("relu2", Relu)
            .named("pool2", MaxPool2d::new(2))
            .named("flatten", Flatten)
            .named("fc1", Linear::new(16 * h * w, 120))
            .named("relu3", Relu)
            .named("fc2", Linear::new(120, 84))
            .named("relu4", Relu)
            .named("fc3", Linear::new(84, config.classes))
            .named("log_softmax", LogSoftmax(1)),
    ))
}
