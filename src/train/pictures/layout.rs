//! What the pictures share: headings, cells in rows, numbers as text.

use crate::data::Image;
use crate::draw::chart::number;
use crate::draw::color::{FAINT, INK};
use crate::draw::font::fit;
use crate::draw::{Anchor, Svg, font};

/// Height of the heading.
pub(super) const TITLE: f64 = 40.0;
/// Font size of labels.
pub(super) const TEXT: f64 = 12.0;
/// Space between elements.
pub(super) const GAP: f64 = 16.0;

/// The title of a page of this width.
pub(super) fn heading(svg: &mut Svg, title: &str, width: f64) {
    let title = fit(title, 16.0, width - 2.0 * GAP);
    svg.text(&title, [GAP, 26.0], 16.0, Anchor::Start, INK);
}

/// A line below the heading.
pub(super) fn note(svg: &mut Svg, text: &str, width: f64) {
    svg.text(&fit(text, TEXT, width - 2.0 * GAP), [GAP, TITLE + 6.0], TEXT, Anchor::Start, FAINT);
}

/// A number with three digits. Very large and very small numbers get a power of ten.
pub(super) fn three_digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        1e-4..1e6 => number(value, (2.0 - value.abs().log10().floor()).clamp(0.0, 8.0) as usize),
        _ => format!("{value:.2e}").replace('-', "−"),
    }
}

/// The names of the classes in a picture. A class whose name has letters that cannot be drawn is shown by its number.
pub(super) fn class_names(classes: &[String], outputs: usize) -> Vec<String> {
    let name = |class: usize| match classes.get(class) {
        Some(name) if !name.trim().is_empty() && font::covers(name) => name.replace('_', " "),
        _ => class.to_string(),
    };
    (0..outputs.max(classes.len())).map(name).collect()
}

/// The factor that enlarges an image to a side of about `side` pixels. The returned image is made smaller if it is
/// larger than that.
pub fn sized(image: &Image, side: usize) -> (Image, usize) {
    let [_, h, w] = image.size;
    let longest = h.max(w).max(1);
    if longest <= side {
        return (image.clone(), side / longest);
    }
    let smaller = |n: usize| (n * side / longest).max(1);
    (image.resized([smaller(h), smaller(w)]), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            (number(-0.25, 1), number(-0.01, 1), number(1.5, 2)),
            ("−0.2".into(), "0.0".into(), "1.50".into())
        );
    }

    /// The text is short, whatever the value.
    #[test]
    fn any_number_is_short() {
        let cases = [0.0, -0.0, 1.0, -26.0, 0.04321, 1e308, -f64::from_bits(1), f64::NAN, f64::INFINITY];
        let texts = ["0", "0", "1.00", "−26.0", "0.0432", "1.00e308", "−4.94e−324", "NaN", "inf"];
        assert_eq!(cases.map(three_digits), texts);
    }

    #[test]
    fn classes_that_cannot_be_written_are_numbered() {
        let classes = ["great_pyrenees", "\u{732b}", " ", "café"].map(str::to_owned);
        assert_eq!(class_names(&classes, 5), ["great pyrenees", "1", "2", "café", "4"]);
    }

    #[test]
    fn small_images_grow_by_whole_factors_and_large_ones_shrink() {
        let sides = |h, w| {
            let (image, scale) = sized(&Image::new([1, h, w], vec![0; h * w]).unwrap(), 112);
            [image.size[1] * scale, image.size[2] * scale]
        };
        assert_eq!(sides(28, 28), [112, 112]);
        assert_eq!(sides(32, 32), [96, 96]);
        assert_eq!(sides(448, 224), [112, 56]);
        assert_eq!(sides(1, 9000), [1, 112]);
    }
}
