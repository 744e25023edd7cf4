//! Tests of segmentation: a U-Net learns masks with the loader, the losses and the trainer.

use receptive::data::{
    Dataset, Image, ImageSize, Loader, LoaderOptions, Masks, Normalize, Pipeline, Target, Transform,
};
use receptive::models::{self, ModelConfig};
use receptive::nn::{Loss, ModuleExt};
use receptive::optim::Adam;
use receptive::reproduce::{ExperimentReport, Options, SeedResult, find};
use receptive::train::{RunConfig, Setup, Tally, Trainer};
use receptive::{DType, Device, ErrorKind, Key, Result, Tensor};
use std::path::Path;
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
    fn has_trimaps(&self) -> bool {
        self.name != "no trimaps"
    }
    /// The top row of each square is border.
    fn trimap(&self, i: usize, trimap: &mut Image) -> Result<()> {
        for (at, pixel) in trimap.reset([1, SIDE, SIDE]).iter_mut().enumerate() {
            let (row, column) = (at / SIDE, at % SIDE);
            let above = row > 0 && self.inside(i, row - 1, column);
            *pixel = if !self.inside(i, row, column) {
                2
            } else if above {
                1
            } else {
                3
            };
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

/// Raw masks are the trimaps over 255. They mark the same pixels as binary masks, also after transforms, and what a
/// transform adds around an image is background.
#[test]
fn raw_masks_are_trimaps_over_255() {
    let cpu = Device::cpu().unwrap();
    let steps = vec![Transform::Pad { padding: 4, fill: 0 }, Transform::Resize([24, 24])];
    let masks = |target| {
        let pipeline = Pipeline { steps: steps.clone(), normalize: Normalize::unit(1) };
        let options = LoaderOptions { target, ..LoaderOptions::new(8, pipeline, cpu.clone()) };
        let loader = Loader::new(Squares::shared("train", 8), options).unwrap();
        (loader.masks(), loader.epoch(0, 0).unwrap().next().unwrap().unwrap().targets)
    };
    let ((kind, raw), (_, binary)) = (masks(Masks::Raw.target()), masks(Masks::Binary.target()));
    let (raw, binary) = (raw.to_vec::<f32>().unwrap(), binary.to_vec::<f32>().unwrap());
    assert_eq!(kind, Masks::Raw);
    for byte in 1..=3u8 {
        assert!(raw.contains(&(f32::from(byte) / 255.0)), "no pixel has the value {byte}");
    }
    for (&raw, &binary) in raw.iter().zip(&binary) {
        assert!([1u8, 2, 3].iter().any(|&byte| raw == f32::from(byte) / 255.0), "{raw}");
        assert_eq!(kind.is_object(raw.into()), binary == 1.0, "{raw}");
    }

    let options = LoaderOptions { target: Target::RawMask, ..LoaderOptions::new(8, Normalize::unit(1), cpu) };
    let error = Loader::new(Squares::shared("no trimaps", 8), options).err().unwrap().to_string();
    assert!(error.contains("has no trimaps") && error.contains("config.masks = binary"), "{error}");
}

/// A perfect prediction of raw targets has a Dice of 1, although no sigmoid is above one half. A network that says one
/// half everywhere calls every pixel pet.
#[test]
fn raw_predictions_are_scored_as_trimaps() {
    let cpu = Device::cpu().unwrap();
    let targets = [1.0f32, 2.0, 3.0, 2.0].map(|byte| byte / 255.0);
    let tensor = |values: &[f32]| Tensor::from_slice(&cpu, values, &[1, 1, 2, 2]).unwrap();
    let dice = |masks, logits: &[f32]| {
        let mut tally = Tally::of(masks);
        tally.add(0.0, &tensor(logits), &tensor(&targets)).unwrap();
        tally.scores().overlap.unwrap().dice
    };
    let perfect = targets.map(|p| (p / (1.0 - p)).ln());
    assert_eq!(dice(Masks::Raw, &perfect), 1.0);
    assert_eq!(dice(Masks::Raw, &[0.0; 4]), 2.0 / 3.0);
    assert_eq!(dice(Masks::Raw, &[perfect[1]; 4]), 0.0);
}

/// Training on raw masks goes on to the notebook's loss: the targets are near 0, and so is the loss.
#[test]
fn a_unet_trains_on_raw_masks() {
    let cpu = Device::cpu().unwrap();
    let shape = ModelConfig { width: Some(4), ..ModelConfig::new([1, SIDE, SIDE], 1) };
    let net = models::find("unet").unwrap().build(&shape).unwrap();
    net.init(&cpu, DType::F32, 0).unwrap();
    let adam = Box::new(Adam::new(net.trainable().unwrap(), 0.0).unwrap());
    let config = RunConfig { masks: Masks::Raw, ..RunConfig::plain("unet", 4, 0.01) };
    let mut trainer = Trainer::new(&*net, Loss::BceWithLogits, adam, config).unwrap();
    let raw = |name, n| {
        let options = LoaderOptions::new(8, Normalize::unit(1), cpu.clone());
        let options = LoaderOptions { target: Target::RawMask, ..options };
        Loader::new(Squares::shared(name, n), options).unwrap()
    };
    trainer.fit(&raw("train", 64), &raw("val", 16)).unwrap();
    let evaluated =
        receptive::train::evaluate(&*net, "unet", Loss::BceWithLogits, &raw("val", 16), |_, _, tally| {
            assert_eq!(tally.masks, Masks::Raw);
            Ok(receptive::train::Flow::Continue)
        });
    let loss = evaluated.unwrap().unwrap().mean_loss();
    // Targets of 2 / 255 everywhere have an entropy of 0.046.
    assert!((0.03..0.1).contains(&loss), "{loss}");
}

/// Settings from before masks could be chosen have binary masks. Other masks are another run. A classifier has none.
#[test]
fn masks_are_a_setting_of_the_run() {
    let unet = RunConfig::new(&models::find("unet").unwrap(), "pets");
    let raw = RunConfig { masks: Masks::Raw, ..unet.clone() };
    let (new, text) = (raw.to_toml(), unet.to_toml());
    assert!(new.contains("masks = \"raw\""), "{new}");
    assert_eq!(RunConfig::from_toml(&new, "new").unwrap(), raw);
    let old = text.replace("masks = \"binary\"\n", "");
    assert!(old.len() < text.len());
    assert_eq!(RunConfig::from_toml(&old, "old").unwrap(), unet);
    assert!(!raw.trains_like(&unet) && raw.trains_like(&raw));

    let lenet = RunConfig::new(&models::find("lenet5").unwrap(), "mnist");
    let error = RunConfig { masks: Masks::Raw, ..lenet }.check().unwrap_err().to_string();
    assert!(error.contains("predicts classes") && error.contains("omit it"), "{error}");
}

/// An experiment with raw masks has a folder of its own, and the table says so.
#[test]
fn an_experiment_with_raw_masks_is_told_from_the_others() {
    let options = |masks| Options {
        out: "runs".into(),
        epochs: None,
        fraction: None,
        width: None,
        masks,
        data_dir: None,
        device: "cpu".to_owned(),
        threads: 1,
    };
    let row = find("P1").unwrap();
    assert_eq!(options(Masks::Raw).folder(row, 0), Path::new("runs/P1-seed0-masksraw"));
    assert_eq!(options(Masks::Binary).folder(row, 0), Path::new("runs/P1-seed0"));
    assert_eq!(options(Masks::Raw).runs(row, 0).unwrap()[0].1.masks, Masks::Raw);
    assert!(options(Masks::Raw).runs(find("M7").unwrap(), 0).is_err());

    let old = r#"{"id": "P1", "seed": 0, "figures": [70, 50], "seconds": 1, "epochs": 10, "fraction": null,
        "width": null, "images_per_second": 9, "machine": "", "device": "cpu", "threads": 1, "receptive": ""}"#;
    let binary: SeedResult = serde_json::from_str(old).unwrap();
    let raw = SeedResult { masks: Masks::Raw, ..binary.clone() };
    let settings = |result| ExperimentReport::of(row, &[result]).unwrap().rows[0].settings.clone();
    assert_eq!((settings(binary), settings(raw)), (String::new(), "raw masks, 9 images/s".to_owned()));
}
