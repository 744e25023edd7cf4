//! Which numbers a segmenter learns from a mask (`--masks`).
//!
//! The annotators of the pets marked every pixel with 1 (pet), 2 (background) or 3 (the border between them): a trimap.
//!
//! | `--masks` | target of a pixel | counts as object in a target | counts as object in a prediction |
//! |---|---|---|---|
//! | `binary` | 1 for pet and border, 0 for background | above 0.5 | logit above 0, which is sigmoid above 0.5 |
//! | `raw` | trimap / 255: 0.0039, 0.0078 or 0.0118 | not nearest to 2 / 255 | sigmoid not nearest to 2 / 255 |
//!
//! `raw` is what a notebook gets that reads the trimaps as pictures and forgets to make them binary. All targets are
//! then near 0, so a sigmoid never exceeds 0.5, and the usual rule would call every pixel background. With raw masks a
//! prediction is therefore read as a trimap, as the targets are: each pixel counts as the nearest of the three values.
//! So Dice and IoU say how well the network finds the pet, with either kind of mask.

use super::Target;
use crate::core::{Error, Named, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The byte of a trimap that marks the background.
pub(super) const BACKGROUND: u8 = 2;

/// What the targets of a segmenter are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Masks {
    /// 1 at the object, 0 elsewhere.
    #[default]
    Binary,
    /// The trimap over 255, as in the notebook: 1 / 255 object, 2 / 255 background, 3 / 255 border.
    Raw,
}

impl Named for Masks {
    const WHAT: &'static str = "masks";
    const NAMES: &'static [(&'static str, Masks)] = &[("binary", Masks::Binary), ("raw", Masks::Raw)];
}

impl fmt::Display for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Masks {
    type Err = Error;

    fn from_str(text: &str) -> Result<Masks> {
        Self::named(text)
    }
}

impl Masks {
    /// The loader's target for these masks.
    pub fn target(self) -> Target {
        match self {
            Masks::Binary => Target::Mask,
            Masks::Raw => Target::RawMask,
        }
    }

    /// Whether a pixel with this target is object.
    pub fn is_object(self, target: f64) -> bool {
        match self {
            Masks::Binary => target > 0.5,
            Masks::Raw => (255.0 * target - f64::from(BACKGROUND)).abs() > 0.5,
        }
    }

    /// Whether a pixel with this logit is predicted as object.
    pub fn predicts_object(self, logit: f64) -> bool {
        match self {
            Masks::Binary => logit > 0.0,
            Masks::Raw => self.is_object(1.0 / (1.0 + (-logit).exp())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The logit whose sigmoid is `p`.
    fn logit(p: f64) -> f64 {
        (p / (1.0 - p)).ln()
    }

    #[test]
    fn a_raw_mask_is_read_as_the_nearest_value_of_a_trimap() {
        let targets = [1.0, 2.0, 3.0].map(|byte| Masks::Raw.is_object(byte / 255.0));
        assert_eq!(targets, [true, false, true]);
        let predicted =
            [0.5, 1.4, 1.6, 2.4, 2.6, 128.0].map(|v| Masks::Raw.predicts_object(logit(v / 255.0)));
        assert_eq!(predicted, [true, true, false, false, true, true]);
        assert_eq!([0.0, 1.0].map(|target| Masks::Binary.is_object(target)), [false, true]);
        assert_eq!([0.1, -0.1].map(|logit| Masks::Binary.predicts_object(logit)), [true, false]);
    }
}
