//! Lesson 7: segmentation. A yes or no for every pixel, and why the share of correct pixels misleads.
//!
//!     cargo run --release --example 07_segmentation
//!
//! Draws its own images, so that the masks are exact and no data set is needed: bright discs in noise.

use receptive::data::{Dataset, Image, ImageSize, Loader, LoaderOptions, Normalize, Target};
use receptive::models::{self, ModelConfig};
use receptive::nn::{Ctx, Module, ModuleExt};
use receptive::optim::Adam;
use receptive::train::{Callback, Phase, PhaseReport, RunConfig, Tally, Trainer};
use receptive::{DType, Device, Key, Result, Tensor};
use std::sync::Arc;

const SIDE: usize = 32;

/// A data set is a type that knows how many images it has and can make each one. This one draws image `i` from a key of
/// its own, so it is the same image in every epoch and on every thread.
struct Discs {
    classes: Vec<String>,
    key: Key,
    len: usize,
}

impl Discs {
    fn new(name: &str, len: usize) -> Arc<Discs> {
        Arc::new(Discs { classes: vec!["disc".to_owned()], key: Key::new(0).child(name), len })
    }

    /// True if the pixel is on the disc of image `i`.
    fn inside(&self, i: usize, pixel: usize) -> bool {
        let key = self.key.step(i as u64);
        let [row, column] = [0, 1].map(|axis| 6.0 + 20.0 * key.uniform(axis));
        let radius = 3.0 + 4.0 * key.uniform(2);
        ((pixel / SIDE) as f64 - row).hypot((pixel % SIDE) as f64 - column) <= radius
    }
}

impl Dataset for Discs {
    fn name(&self) -> &str {
        "discs"
    }
    fn len(&self) -> usize {
        self.len
    }
    fn size(&self) -> ImageSize {
        ImageSize::Fixed([1, SIDE, SIDE])
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn label(&self, _: usize) -> usize {
        0
    }
    fn has_masks(&self) -> bool {
        true
    }
    /// A disc is 60 levels brighter than the ground, and the noise has a deviation of 50, so no threshold finds the
    /// disc.
    fn read(&self, i: usize, image: &mut Image) -> Result<()> {
        let noise = self.key.step(i as u64).child("noise");
        for (p, byte) in image.reset([1, SIDE, SIDE]).iter_mut().enumerate() {
            let level = if self.inside(i, p) { 150.0 } else { 90.0 };
            *byte = (level + 50.0 * noise.normal(p as u64)).clamp(0.0, 255.0) as u8;
        }
        Ok(())
    }
    fn mask(&self, i: usize, mask: &mut Image) -> Result<()> {
        let pixels = mask.reset([1, SIDE, SIDE]).iter_mut().enumerate();
        pixels.for_each(|(p, byte)| *byte = u8::from(self.inside(i, p)));
        Ok(())
    }
}

fn main() -> Result<()> {
    let cpu = Device::cpu()?;
    let in_order = LoaderOptions {
        target: Target::Mask, // [B, 1, H, W] of 0 and 1 in place of class numbers
        ..LoaderOptions::new(16, Normalize::half(1), cpu.clone())
    };
    let shuffled = LoaderOptions { shuffle: Some(Key::new(0).child("shuffle")), ..in_order.clone() };
    let train = Loader::new(Discs::new("train", 400), shuffled)?;
    let val = Loader::new(Discs::new("val", 100), in_order)?;

    // Before any network: how good are answers that ignore the image? Logits below 0 mean no, above 0 yes.
    for (answer, logit) in [("no disc anywhere", -1.0), ("disc everywhere", 1.0)] {
        let mut tally = Tally::default();
        for batch in val.epoch(0, 0)? {
            let masks = batch?.targets;
            tally.add(0.0, &Tensor::full(&cpu, logit, masks.dims(), DType::F32)?, &masks)?;
        }
        println!("{answer:18} {}", tally.scores());
    }
    // "No" is right for 9 pixels of 10 and finds nothing. P is the predicted disc and T the true one. Then
    // Dice = 2 |P and T| / (|P| + |T|) and IoU = |P and T| / |P or T| leave out the pixels that are in neither. A
    // network must beat the Dice of "everywhere".

    // U-Net: the way down finds what is in the image, and the way up finds where it is. Each step up also gets the
    // features of the same size from the way down. Width 4 instead of the paper's 64: 1/250 of its parameters.
    let spec = models::find("unet")?;
    let unet = spec.build(&ModelConfig { width: Some(4), ..ModelConfig::new([1, SIDE, SIDE], 1) })?;
    unet.init(&cpu, DType::F32, 0)?;
    println!("\nU-Net of width 4: {} parameters", unet.num_parameters());
    let adam = Box::new(Adam::new(unet.trainable()?, 0.0)?);
    Trainer::new(&*unet, spec.loss, adam, RunConfig::plain("unet", 10, 0.003))?
        .callback(Print)
        .fit(&train, &val)?;

    // Look at the masks. A network that finds the middle and misses the rim has a good IoU but a bad outline.
    let batch = val.epoch(0, 0)?.next().expect("100 images")?;
    let logits = unet.forward(&Ctx::eval("unet"), &batch.images)?.to_f64()?;
    let (pixels, mask) = (batch.images.to_f64()?, batch.targets.to_f64()?);
    println!("\n{:SIDE$}  {:SIDE$}  what the network says", "the first image", "its mask");
    for row in (0..SIDE).step_by(2).map(|row| row * SIDE..(row + 1) * SIDE) {
        let draw = |values: &[f64], shades: &[u8], from: f64, to: f64| {
            let last = shades.len() as f64 - 1.0;
            let shade =
                |v: &f64| shades[((v - from) / (to - from) * last).round().clamp(0.0, last) as usize] as char;
            values[row.clone()].iter().map(shade).collect::<String>()
        };
        let (image, truth) = (draw(&pixels, b" .:-=+*#", -1.0, 0.7), draw(&mask, b".#", 0.0, 1.0));
        println!("{image}  {truth}  {}", draw(&logits, b".#", -1e-9, 1e-9));
    }

    println!("\nPhotographs of pets: receptive data fetch pets; receptive train unet --data pets --width 16");
    println!("Try: noise with a deviation of 100 in place of 50. Which of the three numbers hardly notices?");
    println!(
        "Try: Loss::Dice in place of spec.loss. It trains the overlap itself; what does it do to the first epoch?"
    );
    Ok(())
}

struct Print;

impl Callback for Print {
    fn on_phase(&mut self, _: &Trainer, report: &PhaseReport) -> Result<()> {
        if report.phase == Phase::Val {
            println!("epoch {:<12} {}", report.epoch + 1, report.scores);
        }
        Ok(())
    }
}
