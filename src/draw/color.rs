//! Colours, chosen so that colour-blind readers tell them apart (Okabe and Ito; ColorBrewer's RdBu).

use std::fmt;

/// Red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(pub [u8; 3]);

/// Text.
pub const INK: Rgb = Rgb([34, 34, 34]);
/// Less important text, and axes.
pub const FAINT: Rgb = Rgb([105, 105, 105]);
/// Grid lines.
pub const HAIR: Rgb = Rgb([224, 224, 224]);
/// NaN.
pub const NO_NUMBER: Rgb = Rgb([128, 128, 128]);
pub const WHITE: Rgb = Rgb([255, 255, 255]);
/// The first of a pair: training, correct.
pub const BLUE: Rgb = Rgb([0, 95, 160]);
/// The second of a pair: validation, wrong.
pub const VERMILION: Rgb = Rgb([198, 76, 0]);

impl Rgb {
    /// This colour at 0, `other` at 1; grey for NaN.
    pub fn mix(self, other: Rgb, t: f64) -> Rgb {
        if t.is_nan() {
            return NO_NUMBER;
        }
        let channel = |i: usize| {
            let (from, to) = (f64::from(self.0[i]), f64::from(other.0[i]));
            (from + (to - from) * t.clamp(0.0, 1.0)).round() as u8
        };
        Rgb([channel(0), channel(1), channel(2)])
    }

    /// Whether light text is easier to read on it than dark text.
    pub fn is_dark(self) -> bool {
        let [r, g, b] = self.0.map(f64::from);
        0.2126 * r + 0.7152 * g + 0.0722 * b < 140.0
    }
}

impl fmt::Display for Rgb {
    /// Writes it as `#005fa0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

/// Blue at -1, white at 0, red at 1.
pub fn diverging(t: f64) -> Rgb {
    let (blue, red) = (Rgb([33, 102, 172]), Rgb([178, 24, 43]));
    WHITE.mix(if t < 0.0 { blue } else { red }, t.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diverging_scale_is_white_at_zero_and_ends_at_one() {
        assert_eq!(diverging(0.0), WHITE);
        assert_eq!((diverging(-1.0).to_string(), diverging(7.0)), ("#2166ac".to_owned(), diverging(1.0)));
        assert_eq!(
            [f64::INFINITY, -f64::MAX, f64::NAN].map(diverging),
            [diverging(1.0), diverging(-1.0), NO_NUMBER]
        );
        assert!(diverging(1.0).is_dark() && !diverging(0.2).is_dark());
    }
}
