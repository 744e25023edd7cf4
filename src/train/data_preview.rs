//! What a data set holds, and what a run with some settings would see of it. No network is built.

use super::RunConfig;
use super::pictures::mask_picture;
use super::setup::{part, splits, train_options, train_set};
use crate::core::{DType, Error, Result};
use crate::data::{Dataset, Image, Loader, LoaderOptions, Scratch, Splits, Target, Transform, checked};
use crate::tensor::Device;
use serde::Serialize;
use std::sync::Arc;

/// The data of a run before it starts.
pub struct DataPreview {
    /// The data set, after `--fraction`.
    pub splits: Splits,
    /// The training set after `--subset`.
    pub train: Arc<dyn Dataset>,
    /// How the batches of training are made.
    options: LoaderOptions,
}

/// The numbers of a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataFacts {
    /// The set's name, or its folder.
    pub name: String,
    pub splits: Vec<SplitFacts>,
    /// The type of the stored pixels; all of its values, 0 to 255, may occur.
    pub stored: String,
    pub batch: BatchFacts,
    /// The batches of an epoch: how many, and of how many images.
    pub batches: Vec<(usize, usize)>,
    /// The images of each class in the training set.
    pub classes: Vec<ClassCount>,
}

/// The images of a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitFacts {
    pub split: &'static str,
    /// `N`, channels, height and width. `None`: it differs from image to image.
    pub images: [Option<usize>; 4],
    /// The shape of the targets: `N` classes, or the shape of the masks.
    pub targets: Vec<Option<usize>>,
}

/// The first batch of training, as the network receives it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchFacts {
    pub images: Vec<usize>,
    pub images_type: String,
    /// The lowest and the highest number in the images.
    pub images_range: [f64; 2],
    pub targets: Vec<usize>,
    pub targets_type: String,
    /// The lowest and the highest number in the targets.
    pub targets_range: [f64; 2],
}

/// The images of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassCount {
    pub class: String,
    pub images: usize,
}

/// A training image.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSample {
    pub image: Image,
    /// Its mask as a picture: the object is white. A raw mask has a grey border.
    pub mask: Option<Image>,
    pub label: usize,
}

impl DataPreview {
    /// Loads the data of these settings. Their device is not used.
    ///
    /// # Errors
    /// Settings out of range; an unknown model; data that are missing or damaged.
    pub fn new(config: &RunConfig) -> Result<DataPreview> {
        config.check()?;
        let network = config.network()?;
        let mut splits = splits(config)?;
        splits.check_headers()?;
        let (pipeline, _) = splits.pipelines(config.augment, config.resize, config.normalize)?;
        let splits = part(splits, config)?;
        let train = train_set(&splits, config)?;
        let options = train_options(config, &network, &Device::cpu()?, &pipeline);
        Ok(DataPreview { splits, train, options })
    }

    /// The numbers of the set. This makes the first batch of training.
    ///
    /// # Errors
    /// An image that cannot be read; a set without masks for a network that needs them.
    pub fn facts(&self) -> Result<DataFacts> {
        let loader = Loader::new(Arc::clone(&self.train), self.options.clone())?;
        let batch = loader.epoch(0, 0)?.next().ok_or_else(|| {
            Error::argument(self.train.name(), "holds no images").expected("at least one image")
        })??;
        let (n, each) = (self.train.len(), self.options.batch_size);
        let whole = Some((n / each, each)).filter(|(batches, _)| *batches > 0);
        let rest = Some((1, n % each)).filter(|(_, images)| *images > 0);
        let mut classes: Vec<ClassCount> =
            self.train.classes().iter().map(|class| ClassCount { class: class.clone(), images: 0 }).collect();
        for i in 0..n {
            classes[checked::label(&*self.train, i)?].images += 1;
        }
        let Splits { name, val, test, .. } = &self.splits;
        let sets = [("train", Some(&self.train)), ("val", Some(val)), ("test", test.as_ref())];
        let sets = sets.into_iter().filter_map(|(split, set)| Some(self.split(split, &**set?)));
        Ok(DataFacts {
            name: name.clone(),
            splits: sets.collect(),
            stored: DType::U8.to_string(),
            batch: BatchFacts {
                images: batch.images.dims().to_vec(),
                images_type: batch.images.dtype().to_string(),
                images_range: range(&batch.images.to_f64()?),
                targets: batch.targets.dims().to_vec(),
                targets_type: batch.targets.dtype().to_string(),
                targets_range: range(&batch.targets.to_f64()?),
            },
            batches: whole.into_iter().chain(rest).collect(),
            classes,
        })
    }

    fn split(&self, split: &'static str, set: &dyn Dataset) -> SplitFacts {
        let common = self.splits.facts.common;
        let [h, w] = match set.size().fixed() {
            Some([_, h, w]) => [Some(h), Some(w)],
            None => common.map_or([None; 2], |size| size.map(Some)),
        };
        let n = Some(set.len());
        let targets = match self.options.target {
            Target::Class => vec![n],
            Target::Mask | Target::RawMask => vec![n, Some(1), h, w],
        };
        SplitFacts { split, images: [n, Some(set.size().channels()), h, w], targets }
    }

    /// Whether the targets of training are masks.
    pub fn has_masks(&self) -> bool {
        self.options.target != Target::Class
    }

    /// Whether training sees another picture of an image in each epoch.
    pub fn augments(&self) -> bool {
        self.options.pipeline.steps.iter().any(is_random)
    }

    /// Training image `i` as the set stores it or, with an epoch (from 0), as that epoch of training sees it before the
    /// pixels are normalised.
    ///
    /// # Errors
    /// An image that cannot be read, or that is too small for a transform.
    pub fn sample(&self, i: usize, epoch: Option<u64>) -> Result<DataSample> {
        let (set, target) = (&*self.train, self.options.target);
        let (mut image, mut mask) = (Image::default(), Image::default());
        checked::read(set, i, &mut image)?;
        match target {
            Target::Class => {}
            Target::Mask => checked::mask(set, i, image.size, &mut mask)?,
            Target::RawMask => checked::trimap(set, i, image.size, &mut mask)?,
        }
        if let Some(epoch) = epoch {
            let key = self.options.augment_key.step(epoch);
            let mask = self.has_masks().then_some(&mut mask);
            self.options.pipeline.apply(key, i, &mut image, mask, &mut Scratch::default())?;
        }
        let mask = match target {
            Target::Class => None,
            Target::Mask => Some(mask_picture(&mask)),
            Target::RawMask => Some(trimap_picture(&mask)),
        };
        Ok(DataSample { image, mask, label: checked::label(set, i)? })
    }

    /// The first `most` training images of each class.
    ///
    /// # Errors
    /// A label that is not a class.
    pub fn of_each_class(&self, most: usize) -> Result<Vec<Vec<usize>>> {
        let mut found = vec![Vec::new(); self.train.classes().len()];
        for i in 0..self.train.len() {
            let class: &mut Vec<usize> = &mut found[checked::label(&*self.train, i)?];
            if class.len() < most {
                class.push(i);
            }
        }
        Ok(found)
    }
}

/// Whether a transform changes an image in another way in each epoch.
fn is_random(step: &Transform) -> bool {
    match step {
        Transform::RandomHorizontalFlip(_)
        | Transform::RandomCrop(_)
        | Transform::RandomResizedCrop { .. }
        | Transform::Cutout { .. } => true,
        Transform::Pad { .. }
        | Transform::Resize(_)
        | Transform::ResizeShorter(_)
        | Transform::CenterCrop(_) => false,
    }
}

/// A trimap as a picture: the object is white, its border grey, the background black.
fn trimap_picture(trimap: &Image) -> Image {
    let level = |&byte: &u8| match byte {
        1 => 255,
        3 => 128,
        _ => 0,
    };
    Image { size: trimap.size, pixels: trimap.pixels.iter().map(level).collect() }
}

fn range(values: &[f64]) -> [f64; 2] {
    values.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], &v| [low.min(v), high.max(v)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Augment;
    use crate::models;
    use crate::train::Setup;

    /// The preview of an epoch shows the images that the loader feeds to training in that epoch.
    #[test]
    fn an_augmented_image_is_the_one_that_training_gets() {
        let config = RunConfig::new(&models::find("lenet5").unwrap(), "sample");
        let config =
            RunConfig { augment: Augment::Standard, subset: Some(20), seed: 3, batch_size: 20, ..config };
        let (preview, setup) = (DataPreview::new(&config).unwrap(), Setup::new(config).unwrap());
        assert!(preview.augments());
        let (train, _) = setup.loaders().unwrap();
        let mut differ = 0;
        for epoch in 0..2 {
            let batch = train.epoch(epoch, 0).unwrap().next().unwrap().unwrap();
            let seen = batch.images.to_f64().unwrap();
            for (&i, seen) in batch.samples.iter().zip(seen.chunks_exact(28 * 28)) {
                let DataSample { image, .. } = preview.sample(i, Some(epoch)).unwrap();
                let same =
                    image.pixels.iter().zip(seen).all(|(&b, v)| (f64::from(b) / 255.0 - v).abs() < 1e-6);
                assert!(same, "image {i}, epoch {epoch}");
                differ += usize::from(image != preview.sample(i, None).unwrap().image);
            }
        }
        assert!(differ > 30, "only {differ} of 40 images were changed");
    }

    #[test]
    fn the_facts_of_a_subset_are_those_of_the_subset() {
        let config = RunConfig::new(&models::find("lenet5").unwrap(), "sample");
        let config = RunConfig { subset: Some(160), batch_size: 30, ..config };
        let preview = DataPreview::new(&config).unwrap();
        let facts = preview.facts().unwrap();
        assert!(facts.classes.len() == 10 && facts.classes.iter().all(|class| class.images == 16));
        assert_eq!(facts.batches, [(5, 30), (1, 10)]);
        assert_eq!((&facts.batch.images[..], &facts.batch.targets[..]), (&[30, 1, 28, 28][..], &[30][..]));
        assert_eq!(facts.splits[0].images, [160, 1, 28, 28].map(Some));
        assert_eq!(facts.splits[1].targets, [Some(1000)]);
        let found = preview.of_each_class(20).unwrap();
        assert!(found.iter().all(|class| class.len() == 16));
        assert!(!preview.augments() && !preview.has_masks());
    }
}
