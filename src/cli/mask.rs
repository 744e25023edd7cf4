//! The output of `receptive predict` for a segmenter: the share of object pixels, the overlap, and the mask as a
//! picture.

use super::print_line;
use crate::core::text::file_name;
use crate::data::Image;
use crate::draw::png;
use crate::io::write_atomically;
use crate::train::Trained;
use crate::train::pictures::{Masked, draw_triptychs, mask_picture};
use anyhow::bail;
use serde_json::json;
use std::path::Path;

/// Segments an image, given as a data set stores it; `what` is its name.
///
/// # Errors
/// An image that does not fit the network; a file that cannot be written, or that is neither PNG nor SVG.
pub fn run(
    trained: &Trained,
    image: Image,
    truth: Option<Image>,
    what: &str,
    out: Option<&Path>,
    json: bool,
) -> anyhow::Result<()> {
    let extension = out.map(|out| out.extension().unwrap_or_default().to_ascii_lowercase());
    if extension.as_ref().is_some_and(|extension| extension != "png" && extension != "svg") {
        bail!("--out: the file's name must end in .png (the mask) or .svg (the mask next to the image)");
    }
    let [_, h, w] = image.size;
    let masked = trained.segment(image, truth)?;
    if let Some(out) = out {
        let bytes = match extension.is_some_and(|extension| extension == "svg") {
            true => draw_triptychs(&trained.network.name, what, std::slice::from_ref(&masked)).into_bytes(),
            false => png(&of_size(&masked, [h, w]), 1),
        };
        write_atomically(out, &bytes)?;
    }
    let (share, overlap) = (masked.share(), masked.overlap());
    if json {
        let [dice, iou] = [overlap.map(|o| o.dice), overlap.map(|o| o.iou)];
        let out = out.map(file_name);
        let object =
            json!({ "object_share": share, "height": h, "width": w, "dice": dice, "iou": iou, "out": out });
        return print_line(&object.to_string());
    }
    let overlap = overlap.map(|o| format!(", Dice {:.4}, IoU {:.4}", o.dice, o.iou)).unwrap_or_default();
    print_line(&format!("{what}: {:.2} % of the pixels are the object{overlap}", 100.0 * share))?;
    out.map_or(Ok(()), |out| print_line(&format!("written to {}", out.display())))
}

/// The mask in the size of the original picture. Its edge is where a smoothly enlarged mask would have the value one
/// half.
fn of_size(masked: &Masked, size: [usize; 2]) -> Image {
    let mut mask = mask_picture(&masked.predicted).resized(size);
    mask.pixels.iter_mut().for_each(|p| *p = if *p < 128 { 0 } else { 255 });
    mask
}
