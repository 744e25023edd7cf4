//! Arrays in a page: bytes in base64, which a browser turns into typed arrays.
//!
//! `{"dims":[..],"f32":"..."}` holds every number, little-endian. `{"dims":[..],"u8":"...","min":m,"max":M}` holds each
//! number as one of 256 levels from m to M. This is four times smaller, and precise enough to look at. With
//! `"none":255`, level 255 stands for numbers that are not finite, and the others use 255 levels from m to M.

use crate::core::text::base64;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// An array, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Base64Array {
    pub dims: Vec<usize>,
    pub values: Base64Values,
}

/// The numbers of a [`Base64Array`].
#[derive(Debug, Clone, PartialEq)]
pub enum Base64Values {
    Exact(Vec<f32>),
    /// `none`: whether the highest level stands for numbers that are not finite.
    Levels {
        levels: Vec<u8>,
        min: f32,
        max: f32,
        none: bool,
    },
}

impl Base64Array {
    /// Stores every number exactly.
    pub fn exact(dims: &[usize], values: Vec<f32>) -> Base64Array {
        debug_assert_eq!(dims.iter().product::<usize>(), values.len());
        Base64Array { dims: dims.to_vec(), values: Base64Values::Exact(values) }
    }

    /// Stores each number as the nearest of 256 levels between the smallest and the largest.
    pub fn levels(dims: &[usize], values: &[f32]) -> Base64Array {
        debug_assert_eq!(dims.iter().product::<usize>(), values.len());
        let (min, max) = range(values);
        let none = values.iter().any(|v| !v.is_finite());
        // In f64, so that the difference cannot overflow.
        let [low, high] = [min, max].map(f64::from);
        let scale = if max > min { f64::from(255 - u8::from(none)) / (high - low) } else { 0.0 };
        let level = |v: f32| if v.is_finite() { ((f64::from(v) - low) * scale).round() as u8 } else { 255 };
        let levels = values.iter().map(|&v| level(v)).collect();
        Base64Array { dims: dims.to_vec(), values: Base64Values::Levels { levels, min, max, none } }
    }

    /// Number of bytes of its numbers, before base64.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Base64Values::Exact(values) => size_of_val(&values[..]),
            Base64Values::Levels { levels, .. } => levels.len(),
        }
    }
}

/// The smallest and the largest of the finite numbers; 0 and 0 if there are none.
fn range(values: &[f32]) -> (f32, f32) {
    let finite = values.iter().copied().filter(|v| v.is_finite());
    finite.map(|v| (v, v)).reduce(|(min, max), (v, _)| (min.min(v), max.max(v))).unwrap_or((0.0, 0.0))
}

impl Serialize for Base64Array {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("dims", &self.dims)?;
        match &self.values {
            Base64Values::Exact(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                map.serialize_entry("f32", &base64(&bytes))?;
            }
            Base64Values::Levels { levels, min, max, none } => {
                map.serialize_entry("u8", &base64(levels))?;
                map.serialize_entry("min", min)?;
                map.serialize_entry("max", max)?;
                if *none {
                    map.serialize_entry("none", &255)?;
                }
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_little_endian_and_levels_span_the_range() {
        let json = |packed: &Base64Array| serde_json::to_value(packed).unwrap();
        let exact = json(&Base64Array::exact(&[2], vec![1.0, -2.0]));
        assert_eq!(exact, serde_json::json!({ "dims": [2], "f32": "AACAPwAAAMA=" }));
        let levels = Base64Array::levels(&[3], &[-1.0, 0.0, 1.0]);
        assert_eq!(
            levels.values,
            Base64Values::Levels { levels: vec![0, 128, 255], min: -1.0, max: 1.0, none: false }
        );
        assert_eq!(json(&levels), serde_json::json!({ "dims": [3], "u8": "AID/", "min": -1.0, "max": 1.0 }));
        // A constant array has one level, an empty array has none.
        assert_eq!(
            Base64Array::levels(&[2], &[7.0, 7.0]).values,
            Base64Values::Levels { levels: vec![0, 0], min: 7.0, max: 7.0, none: false }
        );
        assert_eq!(Base64Array::levels(&[0], &[]).bytes(), 0);
    }

    /// The widest range of f32. Numbers that are not finite do not affect the others.
    #[test]
    fn any_numbers_have_levels() {
        let levels = |values: &[f32]| Base64Array::levels(&[values.len()], values).values;
        let max = f32::MAX;
        let wide = Base64Values::Levels { levels: vec![0, 128, 255], min: -max, max, none: false };
        assert_eq!(levels(&[-max, 0.0, max]), wide);
        let some =
            Base64Values::Levels { levels: vec![255, 0, 254, 255, 255], min: 1.0, max: 3.0, none: true };
        assert_eq!(levels(&[f32::NAN, 1.0, 3.0, f32::INFINITY, f32::NEG_INFINITY]), some);
        let none = Base64Values::Levels { levels: vec![255], min: 0.0, max: 0.0, none: true };
        assert_eq!(levels(&[f32::NAN]), none);
    }
}
