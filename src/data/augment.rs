//! The pipelines for training and evaluation that follow from a set and three settings.
//!
//! | images | `--augment` | training | evaluation |
//! |---|---|---|---|
//! | of one size S | `none` | - | - |
//! | | `standard` | pad S/8, mirror, crop S | - |
//! | | `cutout` | as standard, and one square of side S/4 filled | - |
//! | photographs that all have the same size S | as above | as above | - |
//! | photographs, N = `--resize` | `none` | stretch to N x N | the same |
//! | | `standard` | a random window, resized to N x N; mirror | shorter side to N * 256 / 224, middle N x N |
//! | | `cutout` | as standard, and one square of side N/4 filled | as standard |
//!
//! For images of one size, `--resize` adds a stretch at the end. Only sets whose images keep their meaning are
//! mirrored: a digit does not keep it.

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

/// The facts that are needed to prepare a set's images. For known sets the program has them even if the set is not on
/// the machine.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetInfo {
    /// The size of the images.
    pub size: ImageSize,
    /// `[height, width]` of photographs that all have the same size. They are resized to it unless another size is
    /// asked for.
    pub common: Option<[usize; 2]>,
    /// Whether an image keeps its meaning when it is mirrored.
    pub flip: bool,
    /// Mean and deviation of each channel.
    pub statistics: Normalize,
    /// How the set's notebooks normalise the pixels.
    pub normalization: Normalization,
}

impl DatasetInfo {
    /// The numbers for this kind of normalisation.
    ///
    /// # Errors
    /// [`Normalization::Pixels`], which needs the training images: [`Splits::pipelines`](super::Splits::pipelines).
    pub fn normalize(&self, normalization: Normalization) -> Result<Normalize> {
        let channels = self.size.channels();
        match normalization {
            Normalization::Unit => Ok(Normalize::unit(channels)),
            Normalization::Statistics => Ok(self.statistics.clone()),
            Normalization::Half => Ok(Normalize::half(channels)),
            Normalization::Pixels => Err(Error::argument(
                "normalize",
                "`pixels` needs the training images, to compute each pixel's mean",
            )
            .expected("a data set that is on this machine")),
        }
    }

    /// The pipelines for training and for evaluation.
    ///
    /// # Errors
    /// Photographs without `resize`; sizes out of range; a normalisation that does not fit the images.
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

    /// Without `resize` and without a common size there are no steps, and the check of the pipeline asks for
    /// `--resize`.
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

    /// The square is filled with the bytes nearest to the channels' means, which are about 0 after normalisation by
    /// them.
    fn cutout(&self, augment: Augment, side: usize) -> Option<Transform> {
        let fill = self.statistics.mean.iter().map(|mean| (mean * 255.0).round() as u8).collect();
        (augment == Augment::Cutout).then_some(Transform::Cutout { side: (side / 4).max(1), fill })
    }
}
