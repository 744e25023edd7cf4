//! The image of the report.

use crate::core::{Error, Result};
use crate::data::{DataDirs, Dataset, Image, checked, load};
use crate::train::{Split, Trained};

/// An image with its known facts.
#[derive(Debug, Clone, PartialEq)]
pub struct InputImage {
    /// The image as a data set stores it.
    pub image: Image,
    /// Its true mask, 0 and 1.
    pub mask: Option<Image>,
    /// Its true class.
    pub label: Option<usize>,
    /// The image's name.
    pub what: String,
}

impl InputImage {
    /// An image of the network's own data set, with its mask for a segmenter.
    ///
    /// # Errors
    /// A network that was opened without images; an index out of range; a file that cannot be read.
    pub fn of_set(trained: &Trained, split: Split, index: usize) -> Result<InputImage> {
        let masks = trained.network.loss.takes_masks();
        InputImage::of(&**trained.split(split)?, index, masks)
    }

    /// The default image: the first validation image. If the set is not on this machine, an image of the embedded
    /// sample, if it fits the network; otherwise a test picture.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn any(trained: &Trained) -> Result<InputImage> {
        if trained.has_images() {
            return InputImage::of_set(trained, Split::Val, 0);
        }
        let sample = load("sample", &DataDirs::default())?.val;
        if trained.size == sample.size() {
            // The sample's labels are not those of the network's data set.
            return Ok(InputImage { label: None, ..InputImage::of(&*sample, 0, false)? });
        }
        let [c, h, w] = trained.size.fixed().unwrap_or(trained.image);
        let what = "a synthetic test picture (the data set is not on this machine)".to_owned();
        Ok(InputImage { image: test_picture([c, h, w]), mask: None, label: None, what })
    }

    fn of(set: &dyn Dataset, index: usize, masks: bool) -> Result<InputImage> {
        if index >= set.len() {
            return Err(Error::argument("`index`", format!("{} has no image {index}", set.name()))
                .expected(format!("0 to {}", set.len().saturating_sub(1))));
        }
        let mut image = Image::default();
        checked::read(set, index, &mut image)?;
        let mask = match masks {
            true => {
                let mut mask = Image::default();
                checked::mask(set, index, image.size, &mut mask)?;
                Some(mask)
            }
            false => None,
        };
        let what = format!("image {index} of {}", set.name());
        Ok(InputImage { image, mask, label: Some(checked::label(set, index)?), what })
    }
}

/// A picture of `[C, H, W]` with something for every filter: a disc, stripes and a ramp, slightly rotated in each
/// channel.
fn test_picture([c, h, w]: [usize; 3]) -> Image {
    let pixel = |channel: usize, row: usize, column: usize| {
        let (y, x) = ((row as f64 + 0.5) / h as f64 - 0.5, (column as f64 + 0.5) / w as f64 - 0.5);
        let turn = channel as f64 * 0.6;
        let (along, radius) = (x * turn.cos() + y * turn.sin(), x.hypot(y));
        let light = match (radius < 0.28, radius < 0.36) {
            (true, _) => 0.55 + 0.45 * (along * 40.0).sin(),
            (false, true) => 0.95 - 0.3 * turn.sin(),
            (false, false) => 0.15 + 0.5 * (along + 0.5),
        };
        (light.clamp(0.0, 1.0) * 255.0).round() as u8
    };
    let places = move |channel| (0..h).flat_map(move |row| (0..w).map(move |column| (channel, row, column)));
    let pixels = (0..c).flat_map(places).map(|(channel, row, column)| pixel(channel, row, column)).collect();
    Image { size: [c, h, w], pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_picture_has_light_and_dark_in_every_channel() {
        let image = test_picture([3, 32, 48]);
        assert_eq!((image.size, image.pixels.len()), ([3, 32, 48], 3 * 32 * 48));
        for plane in image.planes() {
            assert!(plane.iter().any(|&p| p < 64) && plane.iter().any(|&p| p > 192));
        }
    }
}
