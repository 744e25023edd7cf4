//! Feature maps for the page, within a number of bytes.
//!
//! If the bytes allow it, every value is kept exactly. Otherwise values become 256 levels, maps are made smaller by
//! means over squares, and if this is not enough, fewer maps are kept.

use super::base64_arrays::Base64Array;
use serde::Serialize;

/// Maps of this size are not made smaller; instead, fewer are shown.
const SMALLEST: usize = 16;
/// Maps are made smaller until this many fit.
const WANTED: usize = 32;

/// A layer's output, or the part of it that is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Maps {
    /// `[channels, rows, columns]`, or `[values]` for a layer without places.
    pub shown: Base64Array,
    /// Total number of channels, or of values; only the first of them are shown.
    pub of: usize,
    /// Each value is the mean of a square with this side.
    pub side: usize,
}

impl Maps {
    /// The maps of an output with these dimensions, without the batch, in at most about `budget` bytes.
    pub fn of(dims: &[usize], values: &[f32], budget: usize) -> Maps {
        let &[channels, h, w] = dims else { return Maps::vector(values, budget) };
        if size_of_val(values) <= budget {
            return Maps { shown: Base64Array::exact(dims, values.to_vec()), of: channels, side: 1 };
        }
        let (kept, side) = plan([channels, h, w], budget);
        let small: Vec<f32> =
            values.chunks_exact((h * w).max(1)).take(kept).flat_map(|map| means(map, [h, w], side)).collect();
        let dims = [kept, h.div_ceil(side), w.div_ceil(side)];
        Maps { shown: Base64Array::levels(&dims, &small), of: channels, side }
    }

    fn vector(values: &[f32], budget: usize) -> Maps {
        let kept = values.len().min((budget / size_of::<f32>()).max(1));
        Maps { shown: Base64Array::exact(&[kept], values[..kept].to_vec()), of: values.len(), side: 1 }
    }
}

/// The number of maps that are kept, and the side of the squares whose mean is one value of one byte.
fn plan([channels, h, w]: [usize; 3], budget: usize) -> (usize, usize) {
    let mut side = 1;
    loop {
        let [rows, columns] = [h, w].map(|n| n.div_ceil(side));
        let fits = channels.min(budget / (rows * columns).max(1));
        if fits >= channels.min(WANTED) || rows.max(columns) <= SMALLEST {
            return (fits.max(1), side);
        }
        side += 1;
    }
}

/// Means over squares. Squares at the right and lower edge may be cut off.
fn means(map: &[f32], [h, w]: [usize; 2], side: usize) -> Vec<f32> {
    let mean = |row: usize, column: usize| {
        let (rows, columns) = (row..h.min(row + side), column..w.min(column + side));
        let n = (rows.len() * columns.len()) as f32;
        rows.map(|r| map[r * w..][columns.clone()].iter().sum::<f32>()).sum::<f32>() / n
    };
    let places = (0..h).step_by(side).flat_map(|row| (0..w).step_by(side).map(move |column| (row, column)));
    places.map(|(row, column)| mean(row, column)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::base64_arrays::Base64Values;

    #[test]
    fn what_fits_is_exact() {
        let values: Vec<f32> = (0..18).map(|i| i as f32).collect();
        let maps = Maps::of(&[2, 3, 3], &values, 72);
        assert_eq!(maps, Maps { shown: Base64Array::exact(&[2, 3, 3], values.clone()), of: 2, side: 1 });
        let vector = Maps::of(&[18], &values, 40);
        assert_eq!((vector.of, vector.shown), (18, Base64Array::exact(&[10], values[..10].to_vec())));
    }

    /// 64 maps of 64x64 in 32 KiB: squares of side two need a quarter of the bytes, then half of the maps are dropped.
    #[test]
    fn what_does_not_fit_gets_smaller_then_fewer() {
        let values: Vec<f32> = (0..64 * 64 * 64).map(|i| (i % 2) as f32).collect();
        let maps = Maps::of(&[64, 64, 64], &values, 32 << 10);
        assert_eq!((&maps.shown.dims[..], maps.of, maps.side), (&[32, 32, 32][..], 64, 2));
        assert!(maps.shown.bytes() <= 32 << 10);
        // Every square contains as many ones as zeros.
        assert_eq!(
            maps.shown.values,
            Base64Values::Levels { levels: vec![0; 32 << 10], min: 0.5, max: 0.5, none: false }
        );
        // A single map is made smaller, too: 1 MiB in 256 KiB.
        assert_eq!(plan([1, 1024, 1024], 256 << 10), (1, 2));
        // However small the budget is, one small map is shown.
        let least = Maps::of(&[64, 64, 64], &values, 1);
        assert_eq!((&least.shown.dims[..], least.side), (&[1, 16, 16][..], 4));
    }

    #[test]
    fn squares_at_the_edge_are_cut_off() {
        assert_eq!(means(&[1.0, 3.0, 5.0, 1.0, 3.0, 7.0], [2, 3], 2), [2.0, 6.0]);
    }
}
