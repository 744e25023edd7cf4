//! Reads a picture file as an image of a network's data set.

use super::say_on_stderr;
use crate::core::text::file_name;
use crate::data::{Image, picture};
use crate::report::InputImage;
use crate::train::Trained;
use anyhow::bail;
use std::path::Path;

/// Reads a picture in the form of the data set's images, and reports the changes made to it. `invert` swaps light and
/// dark.
///
/// # Errors
/// A file that is not a picture; a network for images with a number of channels other than 1 or 3.
pub fn read(trained: &Trained, file: &Path, invert: bool) -> anyhow::Result<InputImage> {
    let (mut image, name) = (Image::default(), file_name(file));
    picture::read(file, &mut image)?;
    let [_, h, w] = image.size;
    let channels = trained.size.channels();
    match channels {
        // Before resizing, so that values are rounded only once.
        1 => image = picture::grey(&image),
        3 => {}
        _ => bail!(
            "--image: a picture has 1 or 3 channels, not {channels}\n  help: use an image of the data set: --index I"
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
        image.invert();
    }
    if let Some(brightness) = trained.brightness.filter(|brightness| brightness.is_opposite(&image)) {
        let (trained_on, picture) =
            (brightness.word(), if brightness.word() == "dark" { "light" } else { "dark" });
        let help = if invert { "omit --invert" } else { "--invert swaps light and dark" };
        say_on_stderr(&format!(
            "{name} is {picture} at its edge, but all training images are {trained_on}: {help}"
        ));
    }
    let grey = if channels == 1 { " grey" } else { "" };
    let inverted = if invert { ", inverted" } else { "" };
    let [_, to_h, to_w] = trained.image;
    let what = format!("{name}, {w}x{h} pixels {how} to {to_w}x{to_h}{grey} (bilinear){inverted}");
    Ok(InputImage { image, mask: None, label: None, what })
}
