//! An SVG page that contains its letters as outlines and its images as data: one file, no fonts, always the same bytes.
//!
//! Each letter that occurs is defined once and then referenced. The text itself is kept as `aria-label`, for screen
//! readers and for searching.

use super::color::{Rgb, WHITE};
use super::font::{EM, glyph, width};
use super::png::data_url;
use crate::data::Image;
use std::collections::BTreeSet;
use std::fmt::{Display, Formatter, Write};

/// The part of a text that is placed at its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A page in pixels. x goes to the right, y downwards.
#[derive(Debug)]
pub struct Svg {
    size: [f64; 2],
    body: String,
    letters: BTreeSet<char>,
}

impl Svg {
    /// A white page.
    pub fn new(width: f64, height: f64) -> Svg {
        Svg { size: [width, height], body: String::new(), letters: BTreeSet::new() }
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        self.body.write_fmt(element).expect("a string takes all");
        self.body.push('\n');
    }

    /// A filled rectangle.
    pub fn rect(&mut self, [x, y]: [f64; 2], [w, h]: [f64; 2], fill: Rgb) {
        let [x, y, w, h] = [x, y, w, h].map(Num);
        self.add(format_args!(r#"<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="{fill}"/>"#));
    }

    /// The outline of a rectangle, one pixel wide, drawn outside the rectangle.
    pub fn frame(&mut self, [x, y]: [f64; 2], [w, h]: [f64; 2], color: Rgb) {
        let [x, y, w, h] = [x - 0.5, y - 0.5, w + 1.0, h + 1.0].map(Num);
        self.add(format_args!(
            r#"<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="none" stroke="{color}"/>"#
        ));
    }

    /// A line through these points.
    pub fn line(&mut self, points: &[[f64; 2]], color: Rgb, width: f64) {
        let points: Vec<String> = points.iter().map(|&[x, y]| format!("{},{}", Num(x), Num(y))).collect();
        let (points, width) = (points.join(" "), Num(width));
        self.add(format_args!(
            r#"<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{width}"/>"#
        ));
    }

    /// A disc.
    pub fn dot(&mut self, [x, y]: [f64; 2], radius: f64, color: Rgb) {
        let [x, y, r] = [x, y, radius].map(Num);
        self.add(format_args!(r#"<circle cx="{x}" cy="{y}" r="{r}" fill="{color}"/>"#));
    }

    /// A text on a horizontal base line.
    pub fn text(&mut self, text: &str, at: [f64; 2], size: f64, anchor: Anchor, color: Rgb) {
        self.letters_of(text, at, size, anchor, color, "");
    }

    /// A text that is written upwards.
    pub fn text_upwards(&mut self, text: &str, at: [f64; 2], size: f64, anchor: Anchor, color: Rgb) {
        self.letters_of(text, at, size, anchor, color, " rotate(-90)");
    }

    fn letters_of(
        &mut self,
        text: &str,
        [x, y]: [f64; 2],
        size: f64,
        anchor: Anchor,
        color: Rgb,
        turn: &str,
    ) {
        let back = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width(text, size) / 2.0,
            Anchor::End => width(text, size),
        };
        let mut uses = String::new();
        let mut pen = -back * EM / size;
        for glyph in text.chars().map(glyph) {
            if !glyph.outline.is_empty() {
                self.letters.insert(glyph.character);
                write!(uses, r##"<use href="#u{:x}" x="{}"/>"##, glyph.character as u32, pen.round())
                    .expect("a string takes all");
            }
            pen += f64::from(glyph.advance);
        }
        let (x, y, scale) = (Num(x), Num(y), size / EM);
        let label = Escaped(text);
        self.add(format_args!(
            r#"<g role="img" aria-label="{label}" fill="{color}" transform="translate({x} {y}){turn} scale({scale:.5})">{uses}</g>"#
        ));
    }

    /// An image. Every pixel becomes a square of `scale` by `scale`.
    pub fn image(&mut self, image: &Image, [x, y]: [f64; 2], scale: usize) {
        let [_, h, w] = image.size.map(|side| side * scale);
        let (x, y, data) = (Num(x), Num(y), data_url(image, scale));
        // The PNG is enlarged already. The style is for screens with more than one dot per pixel.
        self.add(format_args!(
            r#"<image x="{x}" y="{y}" width="{w}" height="{h}" style="image-rendering:pixelated" href="{data}"/>"#
        ));
    }

    /// The document.
    pub fn finish(self) -> String {
        let [w, h] = self.size.map(|side| Num(side.ceil()));
        let mut page = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\">\n<defs>\n"
        );
        for &letter in &self.letters {
            let (code, outline) = (letter as u32, glyph(letter).outline);
            writeln!(page, r#"<path id="u{code:x}" d="{outline}"/>"#).expect("a string takes all");
        }
        page + &format!(
            "</defs>\n<rect width=\"{w}\" height=\"{h}\" fill=\"{WHITE}\"/>\n{}</svg>\n",
            self.body
        )
    }
}

/// A number written with at most two decimals.
struct Num(f64);

impl Display for Num {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        // Adding 0 turns -0 into 0.
        write!(f, "{}", (self.0 * 100.0).round() / 100.0 + 0.0)
    }
}

/// Escapes a text for an XML attribute. XML cannot represent most control characters.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::color::INK;

    /// There is no `<text>`, because a viewer would need a font for it. Each letter is defined once, whatever the text
    /// is.
    #[test]
    fn letters_are_outlines_and_texts_are_escaped() {
        let mut svg = Svg::new(100.0, 50.0);
        svg.text("a<a & \"b\"\u{1}\u{4e2d}", [50.0, 20.0], 12.0, Anchor::Middle, INK);
        svg.text_upwards("ab", [0.0, 0.0], 12.0, Anchor::End, INK);
        let page = svg.finish();
        assert!(page.contains("aria-label=\"a&lt;a &amp; &quot;b&quot;\u{fffd}\u{4e2d}\""), "{page}");
        assert!(!page.contains("<text") && !page.contains("font-family"));
        assert_eq!(page.matches(r#"id="u61""#).count(), 1);
        assert_eq!(page.matches(r##"href="#u61""##).count(), 3);
        assert_eq!(page.matches(r##"href="#ufffd""##).count(), 2);
    }
}
