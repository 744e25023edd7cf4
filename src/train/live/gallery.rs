//! Snapshots of the network for the page: its first filters, and its predictions for a few validation images.

use super::events::{FilterGrid, LivePicture, Pictures, Predictions};
use crate::core::Result;
use crate::core::text::base64;
use crate::data::{Image, checked};
use crate::draw::data_url;
use crate::nn::{Ctx, Module};
use crate::tensor::Tensor;
use crate::train::Trainer;
use crate::train::pictures::{FirstLayer, Subject, mask_picture, prepare, sized};

/// Number of images whose classes are predicted.
const IMAGES: usize = 8;
/// Number of images whose masks are drawn.
const MASKS: usize = 4;
/// Number of classes shown per image.
const CLASSES: usize = 3;
/// The longest side of a picture sent to the page, in pixels.
const SIDE: usize = 128;
/// Number of filters shown.
const FILTERS: usize = 64;
/// The most weights sent in one snapshot of the filters.
const WEIGHTS: usize = 100_000;

/// A few validation images, prepared for the network.
pub(super) struct Gallery {
    /// `[N, C, H, W]`.
    images: Tensor,
    /// The images as the page shows them.
    pub pictures: Pictures,
}

impl Gallery {
    /// Chooses images of a subject, the same ones every time.
    ///
    /// # Errors
    /// No images; an image that cannot be read.
    pub fn new(subject: &Subject) -> Result<Gallery> {
        let masks = subject.network.loss.takes_masks();
        let (mut tensors, mut pictures) = (Vec::new(), Vec::new());
        for sample in subject.some(if masks { MASKS } else { IMAGES }) {
            let (mut image, mut mask) = (Image::default(), Image::default());
            checked::read(&*subject.data, sample, &mut image)?;
            // Show the set's own pixels. Beside a mask, show the prepared pixels that the mask belongs to.
            let own = (!masks).then(|| image.clone());
            if masks {
                checked::mask(&*subject.data, sample, image.size, &mut mask)?;
            }
            let truth = masks.then_some(&mut mask);
            tensors.push(prepare(subject.pipeline, subject.device, &mut image, truth)?);
            pictures.push(LivePicture {
                sample,
                image: address(&own.unwrap_or(image)),
                class: (!masks).then(|| checked::label(&*subject.data, sample)).transpose()?,
                mask: masks.then(|| shown(&mask)),
            });
        }
        let images = Tensor::cat(&tensors.iter().collect::<Vec<_>>(), 0)?;
        Ok(Gallery { images, pictures: Pictures { pictures } })
    }

    /// The size of the network's input, `[C, H, W]`.
    pub fn input(&self) -> [usize; 3] {
        let dims = self.images.dims();
        [dims[1], dims[2], dims[3]]
    }

    /// The network's current predictions for the images.
    ///
    /// # Errors
    /// Not enough memory for the network's outputs.
    pub fn ask(&self, trainer: &Trainer) -> Result<Predictions> {
        let output = trainer.model.forward(&Ctx::eval(&trainer.config.model), &self.images)?;
        let (step, n) = (trainer.state.step, self.images.dims()[0]);
        let kind = trainer.config.masks;
        let mut said = Predictions { step, classes: Vec::new(), masks: Vec::new() };
        // What the outputs of a loss of one's own mean is not known.
        let Some(loss) = trainer.criterion.loss() else { return Ok(said) };
        match (loss.takes_masks(), output.dims()) {
            (true, &[.., h, w]) => {
                let logits = output.to_f64()?;
                for image in logits.chunks_exact(logits.len() / n) {
                    let pixels = image[..h * w].iter().map(|&v| u8::from(kind.predicts_object(v))).collect();
                    said.masks.push(shown(&Image::new([1, h, w], pixels)?));
                }
            }
            _ => {
                let probabilities = loss.probabilities(&output)?.to_f64()?;
                said.classes = probabilities.chunks_exact(probabilities.len() / n).map(likeliest).collect();
            }
        }
        Ok(said)
    }
}

/// An image as a `data:` URL for the page.
fn address(image: &Image) -> String {
    data_url(&sized(image, SIDE).0, 1)
}

/// A mask of 0 and 1 as a `data:` URL for the page.
fn shown(mask: &Image) -> String {
    address(&mask_picture(mask))
}

/// The most likely classes, the highest probability first.
fn likeliest(probabilities: &[f64]) -> Vec<(usize, f64)> {
    let mut all: Vec<(usize, f64)> = probabilities.iter().copied().enumerate().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(CLASSES);
    all
}

/// The first filters, after `step` steps, of a model for images `[C, H, W]`.
///
/// # Errors
/// Weights that are not finite.
pub(super) fn filters(model: &dyn Module, image: [usize; 3], step: u64) -> Result<Option<FilterGrid>> {
    let Some(layer) = FirstLayer::of(model, image)? else { return Ok(None) };
    let largest = layer.largest()?;
    let [filters, c, h, w] = layer.dims;
    let shown = filters.min(FILTERS).min(WEIGHTS / (c * h * w).max(1)).max(1);
    let share = |v: f64| if largest > 0.0 { v / largest } else { 0.0 };
    let values = &layer.values[..shown.min(filters) * c * h * w];
    let levels: Vec<u8> = values.iter().map(|v| (128.0 + 127.0 * share(*v)).round() as u8).collect();
    let dims = [shown, c, h, w];
    Ok(Some(FilterGrid { step, path: layer.path, filters, dims, largest, levels: base64(&levels) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::DType;
    use crate::data::{Dataset, ImageSize, Masks, Normalize, Pipeline};
    use crate::models::{self, ModelConfig};
    use crate::nn::{Conv2d, Linear, ModuleExt, Sequential};
    use crate::optim::Sgd;
    use crate::tensor::Device;
    use crate::train::RunConfig;
    use std::sync::Arc;

    #[test]
    fn likeliest_classes_come_first() {
        assert_eq!(likeliest(&[0.1, 0.5, 0.0, 0.4]), [(1, 0.5), (3, 0.4), (0, 0.1)]);
        assert_eq!(likeliest(&[1.0]), [(0, 1.0)]);
    }

    /// For a large layer only as many filters are sent as the page can take, but at least one.
    #[test]
    fn filters_are_bounded() {
        let cpu = Device::cpu().unwrap();
        let grid = |net: Sequential, image: [usize; 3]| {
            net.init(&cpu, DType::F32, 0).unwrap();
            filters(&net, image, 7).unwrap()
        };
        let conv = grid(Sequential::new().push(Conv2d::new(3, 96, 11)), [3, 64, 64]).unwrap();
        assert_eq!((conv.step, conv.filters, conv.dims, &*conv.path), (7, 96, [64, 3, 11, 11], "0.weight"));
        assert!(conv.largest > 0.0 && conv.levels.len() == (64usize * 363).div_ceil(3) * 4);
        let linear = grid(Sequential::new().push(Linear::new(240 * 240, 2)), [1, 240, 240]).unwrap();
        assert_eq!((linear.filters, linear.dims), (2, [1, 1, 240, 240]));
        assert_eq!(grid(Sequential::new().push(Linear::new(10, 2)), [1, 4, 4]), None);
    }

    /// Images of 16 x 16 with a bright left half. The mask is that half.
    struct Halves;

    impl Dataset for Halves {
        fn name(&self) -> &str {
            "halves"
        }
        fn len(&self) -> usize {
            6
        }
        fn size(&self) -> ImageSize {
            ImageSize::Fixed([1, 16, 16])
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn label(&self, _i: usize) -> usize {
            0
        }
        fn read(&self, i: usize, image: &mut Image) -> Result<()> {
            self.mask(i, image)?;
            image.pixels.iter_mut().for_each(|pixel| *pixel *= 200 + i as u8);
            Ok(())
        }
        fn has_masks(&self) -> bool {
            true
        }
        fn mask(&self, _i: usize, mask: &mut Image) -> Result<()> {
            mask.reset([1, 16, 16])
                .iter_mut()
                .enumerate()
                .for_each(|(i, pixel)| *pixel = u8::from(i % 16 < 8));
            Ok(())
        }
    }

    /// A segmenter gets masks, equal to those it predicts for each image by itself. Predicting does not change the
    /// network.
    #[test]
    fn a_segmenter_is_asked_for_masks() {
        let cpu = Device::cpu().unwrap();
        let network = models::find("unet").unwrap();
        let shape = ModelConfig { width: Some(2), ..ModelConfig::new([1, 16, 16], 1) };
        let model = network.build(&shape).unwrap();
        model.init(&cpu, DType::F32, 3).unwrap();
        let pipeline = Pipeline::from(Normalize::unit(1));
        let subject = Subject {
            network: &network,
            model: &*model,
            device: &cpu,
            data: Arc::new(Halves),
            pipeline: &pipeline,
            outputs: 1,
            masks: Masks::Binary,
            batch_size: 4,
        };
        let gallery = Gallery::new(&subject).unwrap();
        let sgd = Box::new(Sgd::new(model.trainable().unwrap(), 0.0, false, 0.0).unwrap());
        let trainer = Trainer::new(&*model, network.loss, sgd, RunConfig::plain("unet", 1, 0.1)).unwrap();
        let state = || {
            let tensors = model.state_dict().unwrap().into_values();
            tensors.map(|tensor| tensor.to_f64().unwrap()).collect::<Vec<_>>()
        };
        let before = state();
        let said = gallery.ask(&trainer).unwrap();
        assert_eq!(state(), before);
        let alone = subject.segment_some(MASKS).unwrap();
        let masks: Vec<String> = alone.iter().map(|(_, masked)| shown(&masked.predicted)).collect();
        assert!(said.masks == masks && said.classes.is_empty());
        let shown: Vec<_> =
            gallery.pictures.pictures.iter().map(|picture| (picture.sample, &picture.mask)).collect();
        let truth: Vec<_> =
            alone.iter().map(|(i, masked)| (*i, masked.truth.as_ref().map(super::shown))).collect();
        assert!(shown.len() == MASKS && shown.iter().zip(&truth).all(|(a, b)| (a.0, a.1) == (b.0, &b.1)));
    }
}
