//! GoogLeNet (Szegedy et al. 2015): the course book's and torchvision's.
//!
//! Its block, Inception, processes the same input by 1x1, 3x3 and 5x5 windows and a pooling, and concatenates the
//! results.

use super::{IMAGENET, ModelConfig, ModelSpec, Recipe};
use crate::core::Result;
use crate::nn::{
    AdaptiveAvgPool2d, BatchNorm2d, Concat, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, Relu,
    Sequential,
};

/// Row F5. 5,977,530 parameters on 1x96x96. On 3x224x224 it has the layers of the original.
pub(super) static GOOGLENET: ModelSpec = ModelSpec::new(
    "googlenet",
    "GoogLeNet (2015) as in the course book: Inception blocks",
    [1, 96, 96],
    || Recipe::fashion(128, 10, 0.1).resize(96),
    googlenet,
)
.logits();

/// 6,624,904 parameters, without the auxiliary classifiers. Weights trained by torchvision expect inputs as with
/// `transform_input=True`.
pub(super) static TV_GOOGLENET: ModelSpec = ModelSpec::new(
    "tv-googlenet",
    "torchvision's GoogLeNet: with batch norm",
    IMAGENET,
    Recipe::pets,
    torchvision,
)
.logits()
.classes(1000);

/// Channels of an Inception block: input; 1x1 branch; 3x3 branch (reduction, output); 5x5 branch (reduction, output);
/// pooling branch.
type Channels = (usize, usize, [usize; 2], [usize; 2], usize);

/// The three stages of Inception blocks.
const STAGES: [&[Channels]; 3] = [
    &[(192, 64, [96, 128], [16, 32], 32), (256, 128, [128, 192], [32, 96], 64)],
    &[
        (480, 192, [96, 208], [16, 48], 64),
        (512, 160, [112, 224], [24, 64], 64),
        (512, 128, [128, 256], [24, 64], 64),
        (512, 112, [144, 288], [32, 64], 64),
        (528, 256, [160, 320], [32, 128], 128),
    ],
    &[(832, 256, [160, 320], [32, 128], 128), (832, 384, [192, 384], [48, 128], 128)],
];

fn googlenet(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let pool = || MaxPool2d::new(3).stride(2).padding(1);
    let stage = |blocks: &[Channels]| blocks.iter().fold(Sequential::new(), |net, &c| net.push(inception(c)));
    let stem = Sequential::new()
        .push(Conv2d::new(config.input[0], 64, 7).stride(2).padding(3))
        .push(Relu)
        .push(pool());
    let second = Sequential::new()
        .push(Conv2d::new(64, 64, 1))
        .push(Relu)
        .push(Conv2d::new(64, 192, 3).padding(1))
        .push(Relu)
        .push(pool());
    Ok(Box::new(
        Sequential::new()
            .push(stem)
            .push(second)
            .push(stage(STAGES[0]).push(pool()))
            .push(stage(STAGES[1]).push(pool()))
            .push(stage(STAGES[2]).push(AdaptiveAvgPool2d::new(1)).push(Flatten))
            .push(Linear::new(1024, config.classes)),
    ))
}

fn inception((from, c1, [c2a, c2b], [c3a, c3b], c4): Channels) -> Concat {
    Concat::new()
        .inline(Sequential::new().named("p1_1", Conv2d::new(from, c1, 1)).named("relu1_1", Relu))
        .inline(
            Sequential::new()
                .named("p2_1", Conv2d::new(from, c2a, 1))
                .named("relu2_1", Relu)
                .named("p2_2", Conv2d::new(c2a, c2b, 3).padding(1))
                .named("relu2_2", Relu),
        )
        .inline(
            Sequential::new()
                .named("p3_1", Conv2d::new(from, c3a, 1))
                .named("relu3_1", Relu)
                .named("p3_2", Conv2d::new(c3a, c3b, 5).padding(2))
                .named("relu3_2", Relu),
        )
        .inline(
            Sequential::new()
                .named("p4_1", MaxPool2d::new(3).stride(1).padding(1))
                .named("p4_2", Conv2d::new(from, c4, 1))
                .named("relu4_2", Relu),
        )
}

fn torchvision(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let pool = |kernel| MaxPool2d::new(kernel).stride(2).ceil_mode();
    let mut net = Sequential::new()
        .named("conv1", basic(config.input[0], 64, 7, 2))
        .named("maxpool1", pool(3))
        .named("conv2", basic(64, 64, 1, 1))
        .named("conv3", basic(64, 192, 3, 1))
        .named("maxpool2", pool(3));
    for ((stage, blocks), before) in
        (3..).zip(STAGES).zip([None, Some(("maxpool3", 3)), Some(("maxpool4", 2))])
    {
        if let Some((name, kernel)) = before {
            net = net.named(name, pool(kernel));
        }
        for (letter, &channels) in ('a'..).zip(blocks) {
            net = net.named(&format!("inception{stage}{letter}"), tv_inception(channels));
        }
    }
    Ok(Box::new(
        net.named("avgpool", AdaptiveAvgPool2d::new(1))
            .named("flatten", Flatten)
            .named("dropout", Dropout(0.2))
            .named("fc", Linear::new(1024, config.classes)),
    ))
}

/// torchvision's `BasicConv2d`.
fn basic(from: usize, to: usize, kernel: usize, stride: usize) -> Sequential {
    Sequential::new()
        .named("conv", Conv2d::new(from, to, kernel).stride(stride).padding(kernel / 2).no_bias())
        .named("bn", BatchNorm2d::new(to).eps(0.001))
        .named("relu", Relu)
}

/// The third branch is 3x3, not 5x5 as in the paper. This mistake of torchvision's stays, because its weights were
/// trained with it.
fn tv_inception((from, c1, [c2a, c2b], [c3a, c3b], c4): Channels) -> Concat {
    let two = |a, b| Sequential::new().push(basic(from, a, 1, 1)).push(basic(a, b, 3, 1));
    let pool = MaxPool2d::new(3).stride(1).padding(1).ceil_mode();
    Concat::new()
        .branch("branch1", basic(from, c1, 1, 1))
        .branch("branch2", two(c2a, c2b))
        .branch("branch3", two(c3a, c3b))
        .branch("branch4", Sequential::new().push(pool).push(basic(from, c4, 1, 1)))
}
