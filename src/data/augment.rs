//! From a set and three settings to its pipelines: what training sees, and what judges.
//!
//! | images | `--augment` | training | evaluation |
//! |---|---|---|---|
//! | of one size S | `none` | - | - |
//! | | `standard` | pad S/8, mirror, crop S | - |
//! | | `cutout` | as standard, and a square of S/4 blotted out | - |
//! | photographs that all have one size S | as above | as above | - |
//! | photographs, N = `--resize` | `none` | stretch to N x N | the same |
//! | | `standard` | a random window, resized to N x N; mirror | shorter side to N * 256 / 224, middle N x N |
//! | | `cutout` | as standard, and a square of N/4 blotted out | as standard |
//!
//! `--resize` stretches images of one size after that. Only sets whose images keep their meaning are mirrored: a digit does
//! not.

use super::{ImageSize, Normalization, Normalize, Pipeline, Transform};
use crate::core::{Error, Named, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How training images are varied (`--augment`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augment {
    None,
    Standard,
    Cutout,
}

impl Named for Augment {
    const WHAT: &'static str = "augment";
    const NAMES: &'static [(&'static str, Augment)] =
        &[("none", Augment::None), ("standard", Augment::Standard), ("cutout", Augment::Cutout)];
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Augment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Augment> {
        Self::named(text)
    }
}

/// What preparing a set's images takes. The program knows it of a known set that is not on the machine, too.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The size of the images.
    pub size: ImageSize,
    /// `[height, width]` of photographs that happen to have one size: what they are resized to unless another is asked for.
    pub common: Option<[usize; 2]>,
    /// Whether an image keeps its meaning when it is mirrored.
    pub flip: bool,
    /// Mean and deviation of each channel.
    pub statistics: Normalize,
    /// What the set's notebooks do with the pixels.
    pub normalization: Normalization,
}

impl Facts {
    /// The numbers that normalise.
    ///
    /// # Errors
    /// [`Normalization::Pixels`], which takes the training images: [`Splits::pipelines`](super::Splits::pipelines).
    pub fn normalize(&self, normalization: Normalization) -> Result<Normalize> {
        let channels = self.size.channels();
        match normalization {
            Normalization::Unit => Ok(Normalize::unit(channels)),
            Normalization::Statistics => Ok(self.statistics.clone()),
            Normalization::Half => Ok(Normalize::half(channels)),
            Normalization::Pixels => {
                Err(Error::argument("normalize", "`pixels` is measured on the training images")
                    .expected("a data set that is on this machine"))
            }
        }
    }

    /// What happens to images in training and in evaluation.
    ///
    /// # Errors
    /// Photographs without `resize`; sizes out of range; a normalisation for other images.
    pub fn pipelines(
        &self,
        augment: Augment,
        resize: Option<usize>,
        normalize: Normalize,
    ) -> Result<(Pipeline, Pipeline)> {
        let (train, eval) = match self.size {
            ImageSize::Fixed([_, h, w]) => {
                let stretch = resize.map(|n| Transform::Resize([n, n]));
                let mut train = self.fixed(augment, [h, w]);
                train.extend(stretch.clone());
                (train, stretch.into_iter().collect())
            }
            ImageSize::Varied { .. } => self.varied(augment, resize),
        };
        let (train, eval) =
            (Pipeline { steps: train, normalize: normalize.clone() }, Pipeline { steps: eval, normalize });
        train.output(self.size)?;
        eval.output(self.size)?;
        Ok((train, eval))
    }

    fn fixed(&self, augment: Augment, size: [usize; 2]) -> Vec<Transform> {
        if augment == Augment::None {
            return Vec::new();
        }
        let side = size[0].min(size[1]);
        let mut steps = vec![Transform::Pad { padding: side / 8, fill: 0 }];
        steps.extend(self.mirror());
        steps.push(Transform::RandomCrop(size));
        steps.extend(self.cutout(augment, side));
        steps
    }

    /// Without a size there are no steps, and the pipeline's check asks for `--resize`; unless all have the same.
    fn varied(&self, augment: Augment, resize: Option<usize>) -> (Vec<Transform>, Vec<Transform>) {
        match (resize, augment) {
            (None, _) => match self.common {
                None => (Vec::new(), Vec::new()),
                Some(size) => {
                    let same = vec![Transform::Resize(size)];
                    ([same.clone(), self.fixed(augment, size)].concat(), same)
                }
            },
            (Some(n), Augment::None) => {
                let stretch = vec![Transform::Resize([n, n])];
                (stretch.clone(), stretch)
            }
            (Some(n), _) => {
                let scale = [0.08, 1.0];
                let ratio = [3.0 / 4.0, 4.0 / 3.0];
                let mut train = vec![Transform::RandomResizedCrop { size: [n, n], scale, ratio }];
                train.extend(self.mirror());
                train.extend(self.cutout(augment, n));
                let shorter = n.saturating_mul(256) / 224;
                (train, vec![Transform::ResizeShorter(shorter), Transform::CenterCrop([n, n])])
            }
        }
    }

    fn mirror(&self) -> Option<Transform> {
        self.flip.then_some(Transform::RandomHorizontalFlip(0.5))
    }

    /// A square of the bytes nearest to the channels' means: about 0 once normalised by them.
    fn cutout(&self, augment: Augment, side: usize) -> Option<Transform> {
        let fill = self.statistics.mean.iter().map(|mean| (mean * 255.0).round() as u8).collect();
        (augment == Augment::Cutout).then_some(Transform::Cutout { side: (side / 4).max(1), fill })
    }
}
