//! From bytes to numbers: `x / 255`, then `(x - mean) / std`. (torchvision: `ToTensor`, `Normalize`; scikit-learn:
//! `StandardScaler`, which has a mean and a deviation per pixel.)

use super::transform::{Scratch, Transform};
use super::{Dataset, Image, checked};
use crate::core::{Error, Float, Key, Named, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The numbers that normalise a set's pixels (`--normalize`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Normalization {
    /// Only `/ 255`.
    #[serde(rename = "off")]
    Unit,
    /// With the set's mean and deviation per channel.
    #[serde(rename = "on")]
    Statistics,
    /// `(x - 0.5) / 0.5`: to the range `-1..=1`.
    #[serde(rename = "half")]
    Half,
    /// With the mean and deviation of each pixel over the training images.
    #[serde(rename = "pixels")]
    Pixels,
}

impl Named for Normalization {
    const WHAT: &'static str = "normalize";
    const NAMES: &'static [(&'static str, Normalization)] = &[
        ("off", Normalization::Unit),
        ("on", Normalization::Statistics),
        ("half", Normalization::Half),
        ("pixels", Normalization::Pixels),
    ];
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Normalization {
    type Err = Error;

    fn from_str(text: &str) -> Result<Normalization> {
        Self::named(text)
    }
}

/// Mean and deviation per channel or per pixel, for pixels in `0..=1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalize {
    /// The numbers to subtract: `C`, or `C * H * W` of them.
    pub mean: Vec<f64>,
    /// The numbers to divide by, equally many.
    pub std: Vec<f64>,
}

impl Normalize {
    /// Only `/ 255`.
    pub fn unit(channels: usize) -> Normalize {
        Normalize { mean: vec![0.0; channels], std: vec![1.0; channels] }
    }

    /// `(x - 0.5) / 0.5`.
    pub fn half(channels: usize) -> Normalize {
        Normalize { mean: vec![0.5; channels], std: vec![0.5; channels] }
    }

    /// The statistics of each channel over a set, for a set without published ones. The deviation of a constant channel
    /// is set to 1.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn measure(set: &dyn Dataset) -> Result<Normalize> {
        let mut moments = vec![ByteSums::default(); set.size().channels()];
        let mut image = Image::default();
        for i in 0..set.len() {
            checked::read(set, i, &mut image)?;
            for (moments, plane) in moments.iter_mut().zip(image.planes()) {
                plane.iter().for_each(|&byte| moments.add(byte));
            }
        }
        Ok(ByteSums::normalize(&moments))
    }

    /// The statistics of each pixel over a set after `steps`, which must not be random. The deviation of a constant
    /// pixel is set to 1. (scikit-learn: `StandardScaler`.)
    ///
    /// # Errors
    /// An image that cannot be read; images that differ in size after the steps.
    pub fn measure_pixels(set: &dyn Dataset, steps: &[Transform]) -> Result<Normalize> {
        let size = Transform::output_of_all(steps, set.size())?;
        let mut moments = vec![ByteSums::default(); size.iter().product()];
        let (mut image, mut scratch) = (Image::default(), Scratch::default());
        for i in 0..set.len() {
            checked::read(set, i, &mut image)?;
            Transform::apply_all(steps, Key::new(0), i, &mut image, None, &mut scratch)?;
            moments.iter_mut().zip(&image.pixels).for_each(|(moments, &byte)| moments.add(byte));
        }
        Ok(ByteSums::normalize(&moments))
    }

    /// Returns an error if these numbers cannot normalise images of this size.
    pub(crate) fn check(&self, size: [usize; 3]) -> Result<()> {
        let n = self.mean.len();
        if self.std.len() != n || (n != size[0] && n != size.iter().product::<usize>()) {
            return Err(Error::argument(
                "normalize",
                format!("the numbers of means and deviations do not fit images of {size:?}"),
            )
            .with("means", n)
            .with("deviations", self.std.len())
            .expected(format!(
                "one mean and one deviation for each of the {} channels, or for each pixel",
                size[0]
            )));
        }
        match self.std.iter().find(|std| !std.is_finite() || **std <= 0.0) {
            None => Ok(()),
            Some(std) => {
                Err(Error::argument("normalize", format!("the deviation {std} is not a number above 0")))
            }
        }
    }

    /// Prepares the table for images of this size.
    ///
    /// # Errors
    /// Neither one number per channel nor one per pixel; a deviation that is not above 0.
    pub(crate) fn table<T: Float>(&self, size: [usize; 3]) -> Result<PixelTable<T>> {
        self.check(size)?;
        let unit = |v: usize| T::from_f64(v as f64) / T::from_f64(255.0);
        let numbers = || self.mean.iter().zip(&self.std).map(|(&m, &s)| (T::from_f64(m), T::from_f64(s)));
        Ok(if self.mean.len() == size[0] {
            let row = |(mean, std): (T, T)| std::array::from_fn(|v| (unit(v) - mean) / std);
            PixelTable::Channels(numbers().map(row).collect())
        } else {
            PixelTable::Pixels { unit: std::array::from_fn(unit), numbers: numbers().collect() }
        })
    }
}

/// The number for each byte. Every step is rounded in `T`, as in PyTorch.
pub(crate) enum PixelTable<T> {
    /// The numbers of all 256 bytes, per channel.
    Channels(Vec<[T; 256]>),
    /// The bytes divided by 255, and mean and deviation of each pixel.
    Pixels { unit: [T; 256], numbers: Vec<(T, T)> },
}

impl<T: Float> PixelTable<T> {
    /// Writes an image's numbers to `out`, which must have the same length.
    pub(crate) fn write(&self, image: &Image, out: &mut [T]) {
        match self {
            PixelTable::Channels(tables) => {
                let size = image.pixels.len() / tables.len();
                for ((plane, table), out) in image.planes().zip(tables).zip(out.chunks_exact_mut(size)) {
                    out.iter_mut().zip(plane).for_each(|(out, &byte)| *out = table[usize::from(byte)]);
                }
            }
            PixelTable::Pixels { unit, numbers } => {
                for ((out, &byte), &(mean, std)) in out.iter_mut().zip(&image.pixels).zip(numbers) {
                    *out = (unit[usize::from(byte)] - mean) / std;
                }
            }
        }
    }
}

/// Exact sums over bytes.
#[derive(Clone, Copy, Default)]
struct ByteSums {
    n: u64,
    sum: u64,
    squares: u64,
}

impl ByteSums {
    fn add(&mut self, byte: u8) {
        let v = u64::from(byte);
        self.n += 1;
        self.sum += v;
        self.squares += v * v;
    }

    fn normalize(all: &[ByteSums]) -> Normalize {
        let mean = |m: &ByteSums| m.sum as f64 / m.n.max(1) as f64 / 255.0;
        // n^2 times the variance, without rounding, so it is exactly 0 for a constant pixel.
        let spread = |m: &ByteSums| u128::from(m.n) * u128::from(m.squares) - u128::from(m.sum).pow(2);
        let std = |m: &ByteSums| match spread(m) {
            0 => 1.0,
            spread => (spread as f64).sqrt() / m.n as f64 / 255.0,
        };
        Normalize { mean: all.iter().map(mean).collect(), std: all.iter().map(std).collect() }
    }
}
