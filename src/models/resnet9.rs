//! ResNet-9 (Page 2018, "How to train your ResNet"): the network that won the DAWNBench contest of reaching 94 % on
//! CIFAR-10.

use super::{CIFAR, ModelConfig, ModelSpec, Prepare, Recipe};
use crate::core::Result;
use crate::data::{Augment, Normalization};
use crate::nn::{
    AdaptiveMaxPool2d, BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, Module, Relu, Residual, Scale,
    Sequential,
};
use crate::optim::Schedule;

/// Row C9. 6,573,120 parameters.
pub(super) static RESNET9: ModelSpec = ModelSpec::new(
    "resnet9",
    "nine layers that learn CIFAR-10 fast (DAWNBench, 2018)",
    CIFAR,
    || Recipe {
        nesterov: true,
        weight_decay: 5e-4,
        schedule: Schedule::Triangle { peak: 5.0 },
        ..Recipe::sgd("cifar10", 512, 24, 0.4).momentum(0.9).prepare(&[Prepare {
            data: "cifar10",
            augment: Augment::Cutout,
            normalize: Normalization::Statistics,
        }])
    },
    resnet9,
)
.logits();

/// The original's last pooling is 4x4, which is the whole feature map for 32x32 images. Here the maximum is over the
/// whole feature map, so that other sizes work too.
fn resnet9(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let block = |from, to| conv(from, to).named("pool", MaxPool2d::new(2));
    Ok(Box::new(
        Sequential::new()
            .named("prep", conv(config.input[0], 64))
            .named("layer1", block(64, 128).named("residual", residual(128)))
            .named("layer2", block(128, 256))
            .named("layer3", block(256, 512).named("residual", residual(512)))
            .named("pool", AdaptiveMaxPool2d::new(1))
            .named("flatten", Flatten)
            .named("linear", Linear::new(512, config.classes).no_bias())
            .named("classifier", Scale(0.125)),
    ))
}

fn conv(from: usize, to: usize) -> Sequential {
    Sequential::new()
        .named("conv", Conv2d::new(from, to, 3).padding(1).no_bias())
        .named("bn", BatchNorm2d::new(to))
        .named("relu", Relu)
}

fn residual(channels: usize) -> Residual {
    let res = || conv(channels, channels);
    Residual::new(Sequential::new().named("res1", res()).named("res2", res()))
}
