//! A picture file as an image of a network's data set.

use super::args::image_text;
use crate::data::{Image, picture};
use crate::inspect::report::Shown;
use crate::train::Trained;
use anyhow::bail;
use std::path::Path;

/// Reads a picture as the data set would hold it, and says what was done to it. `invert` swaps light and dark.
///
/// # Errors
/// A file that is no picture; a network for images of other than 1 or 3 channels.
pub fn read(trained: &Trained, file: &Path, invert: bool) -> anyhow::Result<Shown> {
    let mut image = Image::default();
    picture::read(file, &mut image)?;
    let [_, h, w] = image.size;
    let channels = trained.size.channels();
    match channels {
        // Before resizing, so that rounding happens once.
        1 => image = picture::grey(&image),
        3 => {}
        _ => bail!(
            "--image: a picture has 1 or 3 channels, not {channels}\n  help: use --index to take an image of the data set"
        ),
    }
    let how = match trained.size.fixed() {
        Some([_, h, w]) => {
            image = image.resized([h, w]);
            "stretched"
        }
        None => "resized",
    };
    if invert {
        image.pixels.iter_mut().for_each(|byte| *byte = !*byte);
    }
    let grey = if channels == 1 { " grey" } else { "" };
    let inverted = if invert { ", inverted" } else { "" };
    let to = image_text(trained.image);
    let what = format!("{}, {h}x{w} pixels {how} to {to}{grey} (bilinear){inverted}", file.display());
    Ok(Shown { image, mask: None, label: None, what })
}
