//! Tests of segmentation: a U-Net learns masks with the loader, the losses and the trainer.

use receptive::data::{Dataset, Image, ImageSize, Loader, LoaderOptions, Normalize, Target};
use receptive::models::{self, ModelConfig};
use receptive::nn::{Loss, ModuleExt};
use receptive::optim::Adam;
use receptive::train::{RunConfig, Setup, Trainer};
use receptive::{DType, Device, ErrorKind, Key, Result};
use std::sync::Arc;

const SIDE: usize = 32;

/// Images of one bright square on dark noise. The mask is the square.
struct Squares {
    name: &'static str,
    n: usize,
    classes: Vec<String>,
}

impl Squares {
    fn shared(name: &'static str, n: usize) -> Arc<dyn Dataset> {
        Arc::new(Squares { name, n, classes: vec!["square".into()] })
    }

    fn inside(&self, i: usize, row: usize, column: usize) -> bool {
        let key = Key::new(7).child(self.name).step(i as u64);
        let [top, left, side] = [key.below(0, 16), key.below(1, 16), 6 + key.below(2, 10)];
        (top..top + side).contains(&row) && (left..left + side).contains(&column)
    }
}

impl Dataset for Squares {
    fn name(&self) -> &str {
        self.name
    }
    fn len(&self) -> usize {
        self.n
    }
    fn size(&self) -> ImageSize {
        ImageSize::Fixed([1, SIDE, SIDE])
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn label(&self, _i: usize) -> usize {
        0
    }
    fn read(&self, i: usize, image: &mut Image) -> Result<()> {
        let noise = Key::new(8).child(self.name).step(i as u64);
        for (at, pixel) in image.reset([1, SIDE, SIDE]).iter_mut().enumerate() {
            let bright = if self.inside(i, at / SIDE, at % SIDE) { 120 } else { 0 };
            *pixel = bright + noise.below(at as u64, 80) as u8;
        }
        Ok(())
    }
    fn has_masks(&self) -> bool {
        true
    }
    fn mask(&self, i: usize, mask: &mut Image) -> Result<()> {
        for (at, pixel) in mask.reset([1, SIDE, SIDE]).iter_mut().enumerate() {
            *pixel = u8::from(self.inside(i, at / SIDE, at % SIDE));
        }
        Ok(())
    }
}

fn loader(name: &'static str, n: usize, device: &Device) -> Loader {
    let options =
        LoaderOptions { target: Target::Mask, ..LoaderOptions::new(8, Normalize::unit(1), device.clone()) };
    Loader::new(Squares::shared(name, n), options).unwrap()
}

/// If a U-Net cannot find a bright square, its encoder, its decoder or its skip connections are broken. If every pixel
/// is called square, Dice is about 0.2. If no pixel is called square, the pixel accuracy is 0.9. So the test requires a
/// Dice above 0.9.
#[test]
fn a_unet_finds_squares_with_either_loss() {
    let cpu = Device::cpu().unwrap();
    for loss in [Loss::BceWithLogits, Loss::Dice, Loss::BceDice] {
        let shape = ModelConfig { width: Some(4), ..ModelConfig::new([1, SIDE, SIDE], 1) };
        let net = models::find("unet").unwrap().build(&shape).unwrap();
        net.init(&cpu, DType::F32, 0).unwrap();
        let adam = Box::new(Adam::new(net.trainable().unwrap(), 0.0).unwrap());
        let config = RunConfig::plain("unet", 6, 0.01);
        let mut trainer = Trainer::new(&*net, loss, adam, config).unwrap();
        let outcome = trainer.fit(&loader("train", 64, &cpu), &loader("val", 16, &cpu)).unwrap();
        let overlap = outcome.best.overlap.unwrap();
        assert!(overlap.dice > 0.9 && overlap.iou > 0.8, "{loss:?}: {}", outcome.best);
    }
}

/// A segmenter cannot be trained on the sample, which has labels but no masks.
#[test]
fn a_set_without_masks_is_refused() {
    let config = RunConfig::new(&models::find("unet").unwrap(), "sample");
    let setup = Setup::new(RunConfig { resize: Some(32), width: Some(4), ..config }).unwrap();
    let error = setup.loaders().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(error.to_string().contains("config.data = pets"), "{error}");
}
