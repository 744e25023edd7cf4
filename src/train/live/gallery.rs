//! What the page shows of the network itself: its first filters, and what it says of a few validation images.

use super::events::{FilterGrid, Picture, Pictures, Png, Predictions};
use crate::core::Result;
use crate::core::text::base64;
use crate::data::Image;
use crate::nn::{Ctx, Module};
use crate::tensor::Tensor;
use crate::train::Trainer;
use crate::train::pictures::{FirstLayer, Subject, mask_picture, prepare, sized};

/// Images that a classifier is asked about.
const IMAGES: usize = 8;
/// Images whose masks are drawn.
const MASKS: usize = 4;
/// Classes shown of each image.
const CLASSES: usize = 3;
/// The longest side of a picture on its way to the page.
const SIDE: usize = 128;
/// Filters shown.
const FILTERS: usize = 64;
/// The most weights sent of them.
const WEIGHTS: usize = 100_000;

/// A few validation images, ready for the network.
pub(super) struct Gallery {
    /// `[N, C, H, W]`.
    images: Tensor,
    /// As the page shows them.
    pub pictures: Pictures,
}

impl Gallery {
    /// Takes images of a subject, the same ones every time.
    ///
    /// # Errors
    /// No images; one that cannot be read.
    pub fn new(subject: &Subject) -> Result<Gallery> {
        let masks = subject.network.loss.takes_masks();
        let (mut tensors, mut pictures) = (Vec::new(), Vec::new());
        for sample in subject.some(if masks { MASKS } else { IMAGES }) {
            let (mut image, mut mask) = (Image::default(), Image::default());
            subject.data.read(sample, &mut image)?;
            // The set's own pixels; beside a mask those that it belongs to.
            let own = (!masks).then(|| image.clone());
            if masks {
                subject.data.mask(sample, &mut mask)?;
            }
            let truth = masks.then_some(&mut mask);
            tensors.push(prepare(subject.pipeline, subject.device, &mut image, truth)?);
            pictures.push(Picture {
                sample,
                image: Png(sized(&own.unwrap_or(image), SIDE).0),
                class: (!masks).then(|| subject.data.label(sample)),
                mask: masks.then(|| shown(&mask)),
            });
        }
        let images = Tensor::cat(&tensors.iter().collect::<Vec<_>>(), 0)?;
        Ok(Gallery { images, pictures: Pictures { pictures } })
    }

    /// What the network says of them now.
    ///
    /// # Errors
    /// No memory for its outputs.
    pub fn ask(&self, trainer: &Trainer) -> Result<Predictions> {
        let output = trainer.model.forward(&Ctx::eval(&trainer.options.name), &self.images)?;
        let probabilities = trainer.loss.probabilities(&output)?.to_f64()?;
        let of_image = probabilities.chunks_exact(probabilities.len() / self.images.dims()[0]);
        let step = trainer.state.step;
        if !trainer.loss.takes_masks() {
            return Ok(Predictions { step, classes: of_image.map(likeliest).collect(), masks: Vec::new() });
        }
        let [.., h, w] = *output.dims() else {
            return Ok(Predictions { step, classes: Vec::new(), masks: Vec::new() });
        };
        let mask = |pixels: &[f64]| {
            let pixels = pixels[..h * w].iter().map(|&p| u8::from(p > 0.5)).collect();
            Ok(shown(&Image::new([1, h, w], pixels)?))
        };
        Ok(Predictions { step, classes: Vec::new(), masks: of_image.map(mask).collect::<Result<_>>()? })
    }
}

/// A mask of 0 and 1 as the page shows it.
fn shown(mask: &Image) -> Png {
    Png(sized(&mask_picture(mask), SIDE).0)
}

/// The likeliest classes, falling.
fn likeliest(probabilities: &[f64]) -> Vec<(usize, f64)> {
    let mut all: Vec<(usize, f64)> = probabilities.iter().copied().enumerate().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(CLASSES);
    all
}

/// The first filters of a model for images `[C, H, W]`, after so many steps.
///
/// # Errors
/// Weights that are not finite.
pub(super) fn filters(model: &dyn Module, image: [usize; 3], step: u64) -> Result<Option<FilterGrid>> {
    let Some(layer) = FirstLayer::of(model, image)? else { return Ok(None) };
    let largest = layer.largest()?;
    let [filters, c, h, w] = layer.dims;
    let shown = filters.min(FILTERS).min(WEIGHTS / (c * h * w).max(1)).max(1);
    let scale = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    let values = &layer.values[..shown.min(filters) * c * h * w];
    let levels: Vec<u8> = values.iter().map(|v| (128.0 + v * scale).round() as u8).collect();
    let dims = [shown, c, h, w];
    Ok(Some(FilterGrid { step, path: layer.path, filters, dims, largest, levels: base64(&levels) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::DType;
    use crate::nn::{Conv2d, Linear, ModuleExt, Sequential};
    use crate::tensor::Device;

    #[test]
    fn likeliest_classes_come_first() {
        assert_eq!(likeliest(&[0.1, 0.5, 0.0, 0.4]), [(1, 0.5), (3, 0.4), (0, 0.1)]);
        assert_eq!(likeliest(&[1.0]), [(0, 1.0)]);
    }

    /// Of a large layer as many filters as the page can take, and at least one.
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
}
