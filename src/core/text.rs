//! Names and numbers as people read and write them.

use super::{Error, Result};
use std::path::Path;

/// A type with a few values, each with a name. One table serves reading, writing and error messages.
pub trait Named: Copy + PartialEq + 'static {
    /// What the type is called in messages, for example `augment`.
    const WHAT: &'static str;
    /// Every value with its name.
    const NAMES: &'static [(&'static str, Self)];

    /// The name.
    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }

    /// The value with this name.
    fn find(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|&(_, value)| value)
    }

    /// The list of known names, for an error about an unknown name.
    fn known() -> String {
        let names: Vec<&str> = Self::NAMES.iter().map(|(name, _)| *name).collect();
        format!("one of {}", names.join(", "))
    }

    /// The value with this name, or an error.
    ///
    /// # Errors
    /// No value has this name. The message lists all names.
    fn named(name: &str) -> Result<Self> {
        let unknown = || {
            let names: Vec<&str> = Self::NAMES.iter().map(|(known, _)| *known).collect();
            let error = Error::argument(Self::WHAT, format!("there is no `{name}`"));
            error.expected(Self::known()).like(name, &names)
        };
        Self::find(name).ok_or_else(unknown)
    }
}

/// `61,706`.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let part = |(i, digit): (usize, char)| {
        let comma = i > 0 && (digits.len() - i).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(part).collect()
}

/// `2.3026`. From a million on in the form `1.0000e35`, because an f64 can have 309 digits before the point.
pub fn four_decimals(value: f64) -> String {
    if value.abs() < 1e6 || !value.is_finite() { format!("{value:.4}") } else { format!("{value:.4e}") }
}

/// The name of a file or a folder: the last part of its path. The rest is left out of texts that a person may pass on.
pub fn file_name(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    // A path such as `.` or `..` is resolved first.
    let whole = || path.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_owned()));
    let name = path.file_name().map(ToOwned::to_owned).or_else(whole);
    name.map_or_else(|| "a folder".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Bytes as text, in base64 with padding (RFC 4648).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().enumerate().fold(0u32, |bits, (i, &b)| bits | u32::from(b) << (16 - 8 * i));
        for digit in 0..4 {
            let known = digit <= three.len();
            text.push(if known { DIGITS[(bits >> (18 - 6 * digit) & 63) as usize] as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 4648.
    #[test]
    fn base64_pads() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        cases.iter().for_each(|(plain, coded)| assert_eq!(base64(plain.as_bytes()), *coded));
    }

    #[test]
    fn numbers_have_commas() {
        let numbers = [0, 999, 1000, 61_706, 1_234_567].map(thousands);
        assert_eq!(numbers, ["0", "999", "1,000", "61,706", "1,234,567"]);
    }

    #[test]
    fn names_are_without_places() {
        let names = ["/home/ann/photos", "photos/", "a.png", "mnist", "/"].map(file_name);
        assert_eq!(names, ["photos", "photos", "a.png", "mnist", "a folder"]);
        let here = std::env::current_dir().unwrap();
        assert_eq!(file_name("."), here.file_name().unwrap().to_str().unwrap());
    }

    #[test]
    fn losses_are_short() {
        let losses =
            [2.51239, -1e35, f64::MAX, f64::NAN, f64::INFINITY, f64::from_bits(1)].map(four_decimals);
        assert_eq!(losses, ["2.5124", "-1.0000e35", "1.7977e308", "NaN", "inf", "0.0000"]);
    }

    impl Named for bool {
        const WHAT: &'static str = "switch";
        const NAMES: &'static [(&'static str, bool)] = &[("on", true), ("off", false)];
    }

    #[test]
    fn names_are_found_both_ways() {
        assert_eq!((true.name(), bool::named("off").unwrap()), ("on", false));
        let error = bool::named("up").unwrap_err().to_string();
        assert!(error.contains("switch: there is no `up`") && error.contains("one of on, off"), "{error}");
    }
}
