//! `predictions.svg` and `mistakes.svg`: images with their true and their predicted class.

use super::layout::{GAP, TEXT, TITLE, heading, note, sized};
use crate::data::Image;
use crate::draw::color::{BLUE, FAINT, INK, VERMILION};
use crate::draw::font::{fit, width};
use crate::draw::{Anchor, Svg};

const SIDE: usize = 112;
const COLUMNS: usize = 5;
/// Height of the two lines of text below an image.
const LINES: f64 = 38.0;
const WIDEST: f64 = 176.0;

/// An image with its true and its predicted class.
#[derive(Debug, Clone)]
pub struct ClassifiedImage {
    /// The image as the data set stores it.
    pub image: Image,
    pub truth: String,
    pub predicted: String,
    /// The probability of the predicted class.
    pub probability: f64,
    pub right: bool,
}

/// Draws images in rows, each with its true and predicted class. `remark` goes below the title.
pub fn draw_grid(title: &str, remark: &str, cells: &[ClassifiedImage]) -> String {
    let labels: Vec<[String; 2]> = cells.iter().map(labels).collect();
    let widest = labels.iter().flatten().map(|label| width(label, TEXT)).fold(SIDE as f64, f64::max);
    let images: Vec<(Image, usize)> = cells.iter().map(|judged| sized(&judged.image, SIDE)).collect();
    let tallest = images.iter().map(|(image, scale)| image.size[1] * scale).max().unwrap_or(0) as f64;
    let cell = [widest.min(WIDEST) + GAP, tallest + LINES + GAP];
    let rows = cells.len().div_ceil(COLUMNS);
    let page = GAP + COLUMNS as f64 * cell[0];
    let top = TITLE + 22.0;
    let mut svg = Svg::new(page, top + rows as f64 * cell[1]);
    heading(&mut svg, title, page);
    note(&mut svg, remark, page);
    for (i, ((judged, [truth, predicted]), (image, scale))) in
        cells.iter().zip(&labels).zip(&images).enumerate()
    {
        let [x, y] = [GAP + (i % COLUMNS) as f64 * cell[0], top + (i / COLUMNS) as f64 * cell[1]];
        let [h, w] = [image.size[1] * scale, image.size[2] * scale].map(|side| side as f64);
        let y = y + tallest - h;
        svg.image(image, [x, y], *scale);
        let (color, below) = (if judged.right { BLUE } else { VERMILION }, y + h);
        svg.frame([x, y], [w, h], FAINT);
        svg.text(truth, [x, below + 16.0], TEXT, Anchor::Start, INK);
        svg.text(predicted, [x, below + 32.0], TEXT, Anchor::Start, color);
    }
    svg.finish()
}

/// The labels below an image. The sign says the same as the colour. A name that is too long is cut, but never the
/// number after it.
fn labels(judged: &ClassifiedImage) -> [String; 2] {
    let sign = if judged.right { '✓' } else { '✗' };
    let percent = format!(", {} %", (100.0 * judged.probability).round());
    let name = format!("{sign} {}", judged.predicted);
    let name = fit(&name, TEXT, WIDEST - width(&percent, TEXT));
    [fit(&format!("true: {}", judged.truth), TEXT, WIDEST).into_owned(), format!("{name}{percent}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(name: &str, right: bool) -> ClassifiedImage {
        let image = Image::new([1, 2, 2], vec![0, 80, 160, 255]).unwrap();
        let name = name.to_owned();
        ClassifiedImage { image, truth: name.clone(), predicted: name, probability: 0.987, right }
    }

    #[test]
    fn right_and_wrong_differ_in_colour_and_sign() {
        let svg = draw_grid("t", "r", &[judged("<cat>", true), judged("dog", false)]);
        assert!(
            svg.contains("✓ &lt;cat&gt;, 99 %") && svg.contains("✗ dog, 99 %") && svg.contains("true: dog")
        );
        assert!(svg.contains(&BLUE.to_string()) && svg.contains(&VERMILION.to_string()));
    }

    /// No images at all, fewer than a row, names longer than a cell.
    #[test]
    fn any_number_of_images_and_any_name_fit() {
        assert!(!draw_grid("none", "", &[]).contains("<image"));
        let svg = draw_grid("t", "r", &vec![judged(&"long ".repeat(40), false); 26]);
        assert_eq!(svg.matches("<image").count(), 26);
        let size =
            |name: &str| svg.split(name).nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap();
        assert!(size(" width=\"") <= GAP + 5.0 * (WIDEST + GAP));
        assert!(svg.contains("true: long long") && svg.contains("…, 99 %"));
    }
}
