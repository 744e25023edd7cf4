//! `masks.svg`: input, true mask, predicted mask.

use super::layout::{GAP, TEXT, TITLE, heading, note};
use crate::data::Image;
use crate::draw::color::{FAINT, INK};
use crate::draw::{Anchor, Svg};
use crate::train::Overlap;

/// An image with its masks.
#[derive(Debug, Clone)]
pub struct Masked {
    /// The image as the network receives it, before normalising.
    pub image: Image,
    /// The true mask, 0 and 1, as large as the image. `None` if the picture is not from a data set.
    pub truth: Option<Image>,
    pub predicted: Image,
}

impl Masked {
    /// The fraction of pixels that are predicted as object.
    pub fn share(&self) -> f64 {
        let of_object = self.predicted.pixels.iter().filter(|&&p| p > 0).count();
        of_object as f64 / self.predicted.pixels.len().max(1) as f64
    }

    /// The overlap of the predicted with the true mask, if the true one is known.
    pub fn overlap(&self) -> Option<Overlap> {
        let count = |mask: &Image| mask.pixels.iter().filter(|&&p| p > 0).count() as u64;
        let truth = self.truth.as_ref()?;
        let both = truth.pixels.iter().zip(&self.predicted.pixels).filter(|&(&t, &p)| t > 0 && p > 0);
        Some(Overlap::of(both.count() as u64, count(&self.predicted), count(truth)))
    }
}

/// A mask of 0 and 1 as a black and white picture: the object is white.
pub fn mask_picture(mask: &Image) -> Image {
    Image { size: mask.size, pixels: mask.pixels.iter().map(|&p| if p > 0 { 255 } else { 0 }).collect() }
}

/// Draws a row of pictures for each image. Two rows stand beside each other if there is room.
pub fn draw_triptychs(title: &str, remark: &str, masked: &[Masked]) -> String {
    let side = masked.iter().flat_map(|m| m.image.size[1..].to_vec()).max().unwrap_or(1).max(1);
    let scale = (128 / side).max(1);
    let side = (side * scale) as f64;
    let row = [3.0 * (side + 6.0) + 2.0 * GAP, side + 22.0 + GAP];
    let columns = if masked.len() > 1 && row[0] < 640.0 { 2 } else { 1 };
    let page = (GAP + row[0] * columns as f64).max(360.0);
    let top = TITLE + 22.0;
    let mut svg = Svg::new(page, top + row[1] * masked.len().div_ceil(columns) as f64);
    heading(&mut svg, title, page);
    note(&mut svg, remark, page);
    for (i, masked) in masked.iter().enumerate() {
        let [x, y] = [GAP + (i % columns) as f64 * row[0], top + (i / columns) as f64 * row[1]];
        let overlap = masked.overlap();
        let dice = overlap.map(|o| format!(", Dice {:.3}", o.dice)).unwrap_or_default();
        let truth = masked.truth.as_ref().map(mask_picture);
        let predicted = mask_picture(&masked.predicted);
        let panels = [
            (Some(&masked.image), "input".to_owned()),
            (truth.as_ref(), "true mask".to_owned()),
            (Some(&predicted), format!("predicted{dice}")),
        ];
        let panels = panels.into_iter().filter_map(|(image, name)| Some((image?, name)));
        for (j, (image, name)) in panels.enumerate() {
            let x = x + j as f64 * (side + 6.0);
            svg.image(image, [x, y], scale);
            let [h, w] = [image.size[1], image.size[2]].map(|n| (n * scale) as f64);
            svg.frame([x, y], [w, h], FAINT);
            svg.text(&name, [x, y + side + 16.0], TEXT, Anchor::Start, INK);
        }
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(truth: Option<Vec<u8>>, predicted: Vec<u8>) -> Masked {
        let image = |channels, pixels| Image::new([channels, 2, 2], pixels).unwrap();
        Masked {
            image: image(3, (0..12).collect()),
            truth: truth.map(|pixels| image(1, pixels)),
            predicted: image(1, predicted),
        }
    }

    #[test]
    fn a_triptych_has_three_pictures_and_its_dice() {
        let known = masked(Some(vec![1, 1, 0, 0]), vec![1, 0, 0, 0]);
        assert_eq!(known.overlap(), Some(Overlap { dice: 2.0 / 3.0, iou: 0.5 }));
        let svg = draw_triptychs("t", "r", &[known, masked(None, vec![0; 4])]);
        assert_eq!(svg.matches("<image").count(), 3 + 2);
        assert!(svg.contains("predicted, Dice 0.667") && svg.contains(r#"aria-label="predicted""#));
        assert!(!draw_triptychs("t", "r", &[]).contains("<image"));
        assert_eq!(mask_picture(&masked(None, vec![0, 1, 1, 0]).predicted).pixels, [0, 255, 255, 0]);
    }
}
