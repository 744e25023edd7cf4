//! Letters as outlines, so that a picture needs no font, neither where it is made nor where it is shown.
//!
//! `font/glyphs.txt` holds 204 characters of DejaVu Sans as SVG path data (ASCII, Latin-1 and some signs).
//! `font/generate.py` made it from the font; `font/LICENSE` is the font's licence. Each line has a character, its
//! advance width and its outline.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Units of the outlines per font size.
pub const EM: f64 = 512.0;

/// Is drawn instead of every character that is not in the table.
const MISSING: char = '\u{fffd}';

/// A letter.
#[derive(Debug, Clone, Copy)]
pub struct Glyph {
    /// The character, or `MISSING` for one that is not in the table.
    pub character: char,
    /// The distance to the next letter.
    pub advance: u32,
    /// SVG path data, relative to the letter's origin on the base line. Empty for a space.
    pub outline: &'static str,
}

static GLYPHS: LazyLock<BTreeMap<char, Glyph>> = LazyLock::new(|| {
    let glyph = |line: &'static str| {
        let (character, rest) = line.split_once('\t')?;
        let (advance, outline) = rest.split_once('\t')?;
        let character = character.chars().next()?;
        Some((character, Glyph { character, advance: advance.parse().ok()?, outline }))
    };
    include_str!("font/glyphs.txt").lines().filter_map(glyph).collect()
});

/// The glyph of a character.
pub fn glyph(character: char) -> Glyph {
    *GLYPHS.get(&character).unwrap_or(&GLYPHS[&MISSING])
}

/// Whether every character is in the table.
pub fn covers(text: &str) -> bool {
    text.chars().all(|c| GLYPHS.contains_key(&c))
}

/// The width of a text at this font size.
pub fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|c| f64::from(glyph(c).advance)).sum::<f64>() * size / EM
}

/// The text, cut and ended by `…` if it is longer than `most`.
pub fn fit(text: &str, size: f64, most: f64) -> Cow<'_, str> {
    if width(text, size) <= most {
        return text.into();
    }
    let room = most * EM / size - f64::from(glyph('…').advance);
    let mut used = 0.0;
    let kept = text.chars().take_while(|&c| {
        used += f64::from(glyph(c).advance);
        used <= room
    });
    let kept: String = kept.collect();
    format!("{}…", kept.trim_end()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line that cannot be parsed would be a missing letter.
    #[test]
    fn every_line_of_the_table_is_a_glyph() {
        assert_eq!(GLYPHS.len(), include_str!("font/glyphs.txt").lines().count());
        assert!((' '..='~').chain("éß×…✓✗−".chars()).all(|c| glyph(c).character == c));
        assert!(GLYPHS.values().all(|g| g.outline.is_empty() || g.outline.starts_with('m')));
        assert_eq!(glyph('\u{4e2d}').character, MISSING);
        assert!(covers("a b") && !covers("a\nb"));
    }

    #[test]
    fn a_text_is_cut_to_its_room() {
        assert_eq!(width("000", 512.0), 3.0 * f64::from(glyph('0').advance));
        assert_eq!(fit("short", 12.0, 100.0), "short");
        let cut = fit("a very long name of a class", 12.0, 60.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0) <= 60.0 && cut.chars().count() > 5, "{cut}");
        assert_eq!(fit("none", 12.0, 0.0), "…");
    }
}
