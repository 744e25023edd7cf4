//! U-Net (Ronneberger, Fischer, Brox 2015): downward steps find what is in the image, upward steps find where it is.
//!
//! ```text
//! image -> enc1 ---------------------------------> cat -> dec1 -> conv_final -> mask
//!           \ enc2 ---------------------> cat -> dec2 ^ upconv1
//!              \ enc3 -----------> cat -> dec3 ^ upconv2
//!                 \ enc4 -> cat -> dec4 ^ upconv3
//!                    \ bottleneck ^ upconv4
//! ```
//!
//! Each downward step halves the image, and each upward step doubles it. An upward step also receives the output of the
//! downward step with the same size. So with n halvings, the image's sides must be multiples of 2^n.

use super::resnet::{Block, trunk};
use super::{ModelConfig, ModelSpec, Recipe};
use crate::core::{Error, Result};
use crate::nn::{Conv2d, ConvTranspose2d, Ctx, Loss, MaxPool2d, Module, Relu, Sequential, Visitor};
use crate::tensor::Tensor;

/// Row P1. 31,031,745 parameters at width 64.
pub(super) static UNET: ModelSpec = ModelSpec {
    loss: Loss::BceWithLogits,
    classes: 1,
    width: Some(64),
    ..ModelSpec::new(
        "unet",
        "U-Net (2015): a mask for every pixel",
        [3, 128, 128],
        || Recipe::adam("pets", 4, 10, 0.001).resize(128),
        unet,
    )
};

/// The encoder is torchvision's ResNet-34, named `encoder`. Its trained weights can be loaded there.
pub(super) static UNET_RESNET34: ModelSpec = ModelSpec {
    loss: Loss::BceWithLogits,
    classes: 1,
    ..ModelSpec::new(
        "unet-resnet34",
        "U-Net over a ResNet-34 encoder, for transfer learning",
        [3, 128, 128],
        || Recipe::adam("pets", 4, 10, 0.001).resize(128),
        unet_resnet34,
    )
};

struct UNet {
    /// The downward steps, in order. The outputs of all but the last are kept for the upward steps.
    down: Vec<Sequential>,
    up: Vec<Up>,
    last: Sequential,
    /// The image's sides must be multiples of this number.
    multiple: usize,
}

/// One upward step: `upconv4` doubles the image, `dec4` combines it with the kept output of the same size.
struct Up {
    level: usize,
    upconv: ConvTranspose2d,
    dec: Sequential,
}

impl Up {
    fn new(level: usize, from: usize, skip: usize, to: usize) -> Up {
        let upconv = ConvTranspose2d::new(from, to, 2).stride(2);
        Up { level, upconv, dec: double(to + skip, to) }
    }
}

/// Two 3x3 convolutions with ReLU.
fn double(from: usize, to: usize) -> Sequential {
    let conv = |from| Conv2d::new(from, to, 3).padding(1);
    Sequential::new().push(conv(from)).push(Relu).push(conv(to)).push(Relu)
}

fn unet(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let width = config.width.unwrap_or(64);
    let mut down = vec![Sequential::new().named("enc1", double(config.input[0], width))];
    for (level, name) in ["enc2", "enc3", "enc4", "bottleneck"].into_iter().enumerate() {
        let from = width << level;
        let pool = Sequential::new().named(&format!("pool{}", level + 1), MaxPool2d::new(2));
        down.push(pool.named(name, double(from, 2 * from)));
    }
    let up =
        (1..=4).rev().map(|level| Up::new(level, width << level, width << (level - 1), width << (level - 1)));
    let last = Sequential::new().named("conv_final", Conv2d::new(width, config.classes, 1));
    UNet { down, up: up.collect(), last, multiple: 16 }.checked("unet", config)
}

fn unet_resnet34(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let mut down = vec![Sequential::new()];
    for (name, layer) in trunk(config.input[0], Block::Basic, [3, 4, 6, 3]) {
        // A step ends before the next layer that halves the image. The first step's output is already half the image's
        // size.
        if ["maxpool", "layer2", "layer3", "layer4"].contains(&name) {
            down.push(Sequential::new());
        }
        let step = down.pop().unwrap_or_default();
        down.push(step.named(&format!("encoder.{name}"), layer));
    }
    let up = vec![
        Up::new(4, 512, 256, 256),
        Up::new(3, 256, 128, 128),
        Up::new(2, 128, 64, 64),
        Up::new(1, 64, 64, 64),
    ];
    let last = Sequential::new()
        .named("upconv0", ConvTranspose2d::new(64, 32, 2).stride(2))
        .named("dec0", double(32, 32))
        .named("conv_final", Conv2d::new(32, config.classes, 1));
    UNet { down, up, last, multiple: 32 }.checked("unet-resnet34", config)
}

impl UNet {
    fn checked(self, name: &str, config: &ModelConfig) -> Result<Box<dyn Module>> {
        let [_, h, w] = config.input;
        self.check(name, [h, w])?;
        Ok(Box::new(self))
    }

    /// Returns an error for an image whose halves would not fit the kept outputs.
    fn check(&self, name: &str, image: [usize; 2]) -> Result<()> {
        let (m, [h, w]) = (self.multiple, image);
        if h > 0 && w > 0 && h.is_multiple_of(m) && w.is_multiple_of(m) {
            return Ok(());
        }
        let [nh, nw] = image.map(|side| side.next_multiple_of(m).max(m));
        Err(Error::shape(name, format!("the image is {w}x{h}: its sides must be multiples of {m}"))
            .help(format!("resize or pad it to {nw}x{nh}; `config.resize = {}` does this", nh.max(nw))))
    }
}

impl Module for UNet {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        if let &[_, _, h, w] = x.dims() {
            self.check("unet", [h, w])?;
        }
        let mut skips = Vec::new();
        let mut y = x.clone();
        for step in &self.down {
            y = step.forward(cx, &y)?;
            skips.push(y.clone());
        }
        skips.pop();
        for up in &self.up {
            y = cx.run(&format!("upconv{}", up.level), &up.upconv, &y)?;
            let skip = skips.pop().expect("a step up for every step down");
            y = cx.run(&format!("dec{}", up.level), &up.dec, &Tensor::cat(&[&y, &skip], 1)?)?;
        }
        self.last.forward(cx, &y)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        self.down.iter().for_each(|step| step.visit(visitor));
        for up in &self.up {
            visitor.child(&format!("upconv{}", up.level), &up.upconv);
            visitor.child(&format!("dec{}", up.level), &up.dec);
        }
        self.last.visit(visitor);
    }

    fn kind(&self) -> &'static str {
        "UNet"
    }
}
