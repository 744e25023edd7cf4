//! Residual networks (He, Zhang, Ren, Sun 2016): two from the notebooks and five from torchvision.

use super::{CIFAR, IMAGENET, LayerChoice, ModelConfig, ModelSpec, Recipe};
use crate::core::Result;
use crate::nn::{
    AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Flatten, Linear, LogSoftmax, MaxPool2d, Module, Relu, Residual,
    Sequential,
};

const STAGES: &str = "for every stage, the number of blocks (two, if it is left out), x, and their channels";

const CIFAR_STAGES: LayerChoice = LayerChoice { own: "2x16,2x32,2x64", what: STAGES };

const RESNET18_STAGES: LayerChoice = LayerChoice { own: "2x64,2x128,2x256,2x512", what: STAGES };

/// Row C6. 195,738 parameters.
pub(super) static RESNET_CIFAR: ModelSpec = ModelSpec::new(
    "resnet-cifar",
    "a ResNet of 14 layers for 32x32 images",
    CIFAR,
    || Recipe::adam("cifar10", 100, 25, 0.001),
    resnet_cifar,
)
.layers(CIFAR_STAGES);

/// Row F4. 11,178,378 parameters.
pub(super) static RESNET18: ModelSpec = ModelSpec::new(
    "resnet18",
    "ResNet-18 (2016) for grey images, as in the notebook",
    [1, 224, 224],
    || Recipe::fashion(256, 5, 0.05).resize(96),
    resnet18,
)
.layers(RESNET18_STAGES)
.logits();

/// 11,689,512 parameters.
pub(super) static TV_RESNET18: ModelSpec = torchvision("tv-resnet18", "torchvision's ResNet-18", |config| {
    Ok(resnet(config, Block::Basic, [2, 2, 2, 2]))
});

/// 21,797,672 parameters.
pub(super) static TV_RESNET34: ModelSpec = torchvision("tv-resnet34", "torchvision's ResNet-34", |config| {
    Ok(resnet(config, Block::Basic, [3, 4, 6, 3]))
});

/// 25,557,032 parameters.
pub(super) static TV_RESNET50: ModelSpec = torchvision("tv-resnet50", "torchvision's ResNet-50", |config| {
    Ok(resnet(config, Block::Bottleneck, [3, 4, 6, 3]))
});

/// 44,549,160 parameters.
pub(super) static TV_RESNET101: ModelSpec =
    torchvision("tv-resnet101", "torchvision's ResNet-101", |config| {
        Ok(resnet(config, Block::Bottleneck, [3, 4, 23, 3]))
    });

/// 60,192,808 parameters.
pub(super) static TV_RESNET152: ModelSpec =
    torchvision("tv-resnet152", "torchvision's ResNet-152", |config| {
        Ok(resnet(config, Block::Bottleneck, [3, 8, 36, 3]))
    });

const fn torchvision(
    name: &'static str,
    about: &'static str,
    build: fn(&ModelConfig) -> Result<Box<dyn Module>>,
) -> ModelSpec {
    ModelSpec::new(name, about, IMAGENET, || Recipe::pets().kaiming(), build).logits().classes(1000)
}

/// The notebook ends in an average over 8x8, which is the whole feature map for its 32x32 images. Here the average is
/// over the whole feature map, so that other sizes work too.
fn resnet_cifar(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let stages = CIFAR_STAGES.stages(config, 2)?;
    let [_, mut from] = stages[0];
    let mut net = Sequential::new()
        .named("conv", conv3x3(config.input[0], from, 1))
        .named("bn", BatchNorm2d::new(from))
        .named("relu", Relu);
    for (number, [blocks, to]) in (1..).zip(stages) {
        let mut stage = Sequential::new();
        for i in 0..blocks {
            let stride = first_stride(number, i);
            let downsample = (stride != 1 || from != to).then(|| conv3x3(from, to, stride));
            stage = stage.push(basic(from, to, stride, downsample));
            from = to;
        }
        net = net.named(&format!("layer{number}"), stage);
    }
    Ok(Box::new(
        net.named("avg_pool", AdaptiveAvgPool2d::new(1))
            .named("flatten", Flatten)
            .named("fc", Linear::new(from, config.classes))
            .named("log_softmax", LogSoftmax(1)),
    ))
}

/// Its convolutions have a bias, and the shortcut is a single 1x1 convolution, as in the course book.
fn resnet18(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let block = |from, to, stride| {
        let body = Sequential::new()
            .named("conv1", Conv2d::new(from, to, 3).padding(1).stride(stride))
            .named("bn1", BatchNorm2d::new(to))
            .named("relu1", Relu)
            .named("conv2", Conv2d::new(to, to, 3).padding(1))
            .named("bn2", BatchNorm2d::new(to));
        let block = Residual::new(body).then("relu", Relu);
        if from == to && stride == 1 {
            block
        } else {
            block.shortcut("conv3", Conv2d::new(from, to, 1).stride(stride))
        }
    };
    let stages = RESNET18_STAGES.stages(config, 2)?;
    let [_, mut from] = stages[0];
    let stem = Sequential::new()
        .push(Conv2d::new(config.input[0], from, 7).stride(2).padding(3))
        .push(BatchNorm2d::new(from))
        .push(Relu)
        .push(MaxPool2d::new(3).stride(2).padding(1));
    let mut net = Sequential::new().push(stem);
    for (number, [blocks, to]) in (1..).zip(stages) {
        let mut stage = Sequential::new();
        for i in 0..blocks {
            stage = stage.push(block(from, to, first_stride(number, i)));
            from = to;
        }
        net = net.push(stage);
    }
    let pool = AdaptiveAvgPool2d::new(1);
    Ok(Box::new(net.push(pool).push(Flatten).push(Linear::new(from, config.classes))))
}

/// The stride of block `i` of a stage. The first block of every stage but the first halves the image.
fn first_stride(stage: usize, i: usize) -> usize {
    if stage > 1 && i == 0 { 2 } else { 1 }
}

/// The two kinds of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1 to a quarter of the channels, 3x3, 1x1 back. With four times the channels it costs as much as `Basic`.
    Bottleneck,
}

impl Block {
    /// Output channels per channel of the stage.
    fn expansion(self) -> usize {
        match self {
            Block::Basic => 1,
            Block::Bottleneck => 4,
        }
    }

    fn make(self, from: usize, width: usize, stride: usize) -> Residual {
        let to = width * self.expansion();
        let downsample =
            (stride != 1 || from != to).then(|| Conv2d::new(from, to, 1).stride(stride).no_bias());
        match self {
            Block::Basic => basic(from, to, stride, downsample),
            Block::Bottleneck => bottleneck(from, width, stride, downsample),
        }
    }
}

fn resnet(config: &ModelConfig, block: Block, counts: [usize; 4]) -> Box<dyn Module> {
    let mut net = Sequential::new();
    for (name, layer) in trunk(config.input[0], block, counts) {
        net = net.named(name, layer);
    }
    Box::new(
        net.named("avgpool", AdaptiveAvgPool2d::new(1))
            .named("flatten", Flatten)
            .named("fc", Linear::new(512 * block.expansion(), config.classes)),
    )
}

/// torchvision's ResNet up to its last stage, with its names. `counts` are the numbers of blocks per stage.
pub(super) fn trunk(
    channels: usize,
    block: Block,
    counts: [usize; 4],
) -> Vec<(&'static str, Box<dyn Module>)> {
    let mut layers: Vec<(&'static str, Box<dyn Module>)> = vec![
        ("conv1", Box::new(Conv2d::new(channels, 64, 7).stride(2).padding(3).no_bias())),
        ("bn1", Box::new(BatchNorm2d::new(64))),
        ("relu", Box::new(Relu)),
        ("maxpool", Box::new(MaxPool2d::new(3).stride(2).padding(1))),
    ];
    let mut from = 64;
    let stages = [("layer1", 64), ("layer2", 128), ("layer3", 256), ("layer4", 512)];
    for ((name, width), count) in stages.into_iter().zip(counts) {
        let mut stage = Sequential::new();
        for i in 0..count {
            let stride = if i == 0 && name != "layer1" { 2 } else { 1 };
            stage = stage.push(block.make(from, width, stride));
            from = width * block.expansion();
        }
        layers.push((name, Box::new(stage)));
    }
    layers
}

fn conv3x3(from: usize, to: usize, stride: usize) -> Conv2d {
    Conv2d::new(from, to, 3).stride(stride).padding(1).no_bias()
}

fn basic(from: usize, to: usize, stride: usize, downsample: Option<Conv2d>) -> Residual {
    let body = Sequential::new()
        .named("conv1", conv3x3(from, to, stride))
        .named("bn1", BatchNorm2d::new(to))
        .named("relu1", Relu)
        .named("conv2", conv3x3(to, to, 1))
        .named("bn2", BatchNorm2d::new(to));
    residual(body, downsample, to)
}

/// The 3x3 convolution has the stride, as in torchvision. (In the paper, the first 1x1 has it.)
fn bottleneck(from: usize, width: usize, stride: usize, downsample: Option<Conv2d>) -> Residual {
    let to = width * Block::Bottleneck.expansion();
    let body = Sequential::new()
        .named("conv1", Conv2d::new(from, width, 1).no_bias())
        .named("bn1", BatchNorm2d::new(width))
        .named("relu1", Relu)
        .named("conv2", conv3x3(width, width, stride))
        .named("bn2", BatchNorm2d::new(width))
        .named("relu2", Relu)
        .named("conv3", Conv2d::new(width, to, 1).no_bias())
        .named("bn3", BatchNorm2d::new(to));
    residual(body, downsample, to)
}

fn residual(body: Sequential, downsample: Option<Conv2d>, to: usize) -> Residual {
    let block = Residual::new(body).then("relu", Relu);
    match downsample {
        Some(conv) => block.shortcut("downsample", Sequential::new().push(conv).push(BatchNorm2d::new(to))),
        None => block,
    }
}
