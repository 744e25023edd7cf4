//! Axes: the position of a value along a side of a picture, and the round numbers beside it.
//!
//! An axis works for any values, in bounded time: all equal, NaN, infinite, denormal, or so far apart that their
//! difference overflows. Each axis counts in its own power of ten, so that its arithmetic stays in the middle of f64's
//! range. It is never so short that neighbouring ticks would be the same number.

use std::ops::RangeInclusive;

/// Magnitudes that are written without a power of ten. For others, the axis's name states the power of ten.
const PLAIN: RangeInclusive<f64> = 1e-3..=1e5;
/// Smaller values count as 0: ten to the power of their exponent would not be a normal number.
const TINY: f64 = 1e-300;
/// The least margin above and below the values; `MARGIN_SHARE` is its share of their magnitude.
const MARGIN: f64 = 1e-3;
const MARGIN_SHARE: f64 = 2e-4;

/// A linear axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// The ends, in units of 10^`exponent`.
    low: f64,
    high: f64,
    exponent: i32,
}

/// A round number on an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// Its position: 0 at the lower end, 1 at the upper.
    pub share: f64,
    /// Its value in units of 10^[`Axis::exponent`].
    pub value: f64,
    /// The number of decimals that tells it from its neighbours.
    pub decimals: usize,
}

impl Axis {
    /// An axis with a small margin around these values. Values that are not finite are ignored. If no value is finite,
    /// it goes from 0 to 1.
    pub fn over(values: impl IntoIterator<Item = f64>) -> Axis {
        let finite = values.into_iter().filter(|v| v.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let largest = low.abs().max(high.abs());
        let exponent = match largest {
            v if v < TINY || PLAIN.contains(&v) => 0,
            v => v.log10().floor() as i32,
        };
        let unit = 10f64.powi(exponent);
        let (low, high, largest) = (low / unit, high / unit, largest / unit);
        let margin = ((high - low) * 0.06).max(MARGIN).max(largest * MARGIN_SHARE);
        Axis { low: low - margin, high: high + margin, exponent }
    }

    /// An axis of whole numbers from `first` to `last`. Its length is at least 1.
    pub fn counting(first: usize, last: usize) -> Axis {
        Axis { low: first as f64, high: last.max(first.saturating_add(1)) as f64, exponent: 0 }
    }

    /// The power of ten in which it counts.
    pub fn exponent(&self) -> i32 {
        self.exponent
    }

    /// The position of a value: 0 at the lower end, 1 at the upper. A value outside is at the nearer end, NaN at the
    /// upper.
    pub fn share(&self, value: f64) -> f64 {
        let share = self.share_of_units(value / 10f64.powi(self.exponent));
        if share.is_nan() { 1.0 } else { share.clamp(0.0, 1.0) }
    }

    fn share_of_units(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// Round numbers along the axis in rising order: `wanted` of them, or a few less.
    pub fn ticks(&self, wanted: u32) -> Vec<Tick> {
        let rough = (self.high - self.low) / f64::from(wanted.max(1));
        let power = 10f64.powf(rough.log10().floor());
        let step = power * [1.0, 2.0, 5.0].into_iter().find(|&m| m * power >= rough).unwrap_or(10.0);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.low / step).ceil();
        // No more than `wanted` ticks fit, because the step is at least the length divided by `wanted`.
        let values = (0..=wanted.max(1)).map(|i| (first + f64::from(i)) * step);
        let tick = |value| Tick { share: self.share_of_units(value).clamp(0.0, 1.0), value, decimals };
        values.take_while(|&value| value <= self.high).map(tick).collect()
    }

    /// As [`ticks`](Self::ticks), but only whole numbers.
    pub fn whole_ticks(&self, wanted: u32) -> Vec<Tick> {
        self.ticks(wanted).into_iter().filter(|tick| tick.value.fract() == 0.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(axis: Axis, wanted: u32) -> Vec<String> {
        axis.ticks(wanted).iter().map(|t| format!("{:.*}", t.decimals, t.value)).collect()
    }

    /// Random bits of any kind. Values that break scales are more frequent than by chance.
    fn value() -> impl Strategy<Value = f64> {
        let special = [
            0.0,
            -0.0,
            1.0,
            1e35,
            f64::MAX,
            -f64::MAX,
            1e308,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            -f64::from_bits(1),
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1.0 + f64::EPSILON,
            9007199254740993.0,
        ];
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            prop::sample::select(special.to_vec()),
            -10.0..10.0f64
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        /// The ticks are few, rising, distinct in print, and on the axis. Every value has a position.
        #[test]
        fn any_values_make_an_axis(
            values in prop::collection::vec(value(), 0..12), same in any::<bool>(), wanted in 0u32..50,
        ) {
            let values = if same { vec![values.first().copied().unwrap_or(0.0); 3] } else { values };
            let axis = Axis::over(values.iter().copied());
            let ticks = axis.ticks(wanted);
            prop_assert!(ticks.len() <= wanted as usize + 2, "{} ticks of {axis:?}", ticks.len());
            prop_assert!(wanted < 5 || ticks.len() >= 2, "{} ticks of {axis:?}", ticks.len());
            prop_assert!(ticks.iter().all(|t| (0.0..=1.0).contains(&t.share) && t.decimals <= 8));
            let texts = texts(axis, wanted);
            prop_assert!(texts.iter().all(|t| t.len() <= 10), "{texts:?}");
            prop_assert!(texts.windows(2).all(|pair| pair[0] != pair[1]), "{texts:?}");
            prop_assert!(ticks.windows(2).all(|pair| pair[0].share < pair[1].share), "{ticks:?}");
            for value in values {
                let share = axis.share(value);
                prop_assert!((0.0..=1.0).contains(&share), "{value} at {share} of {axis:?}");
                prop_assert!(!value.is_finite() || (0.0 < share && share < 1.0), "{value} at {share} of {axis:?}");
            }
        }

        #[test]
        fn counting_axes_have_whole_ticks(first in any::<usize>(), last in any::<usize>(), wanted in 0u32..50) {
            let axis = Axis::counting(first, last);
            prop_assert!(axis.whole_ticks(wanted).len() <= wanted as usize + 2);
        }
    }

    #[test]
    fn ticks_are_round_and_within() {
        let axis = |low, high| Axis { low, high, exponent: 0 };
        assert_eq!(texts(axis(0.13, 0.99), 6), ["0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(texts(axis(0.952, 0.9711), 6), ["0.955", "0.960", "0.965", "0.970"]);
        assert_eq!(texts(axis(-1.0, 1.0), 6), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(Axis::counting(1, 3).whole_ticks(8).len(), 3);
    }

    /// The losses of a run that diverged: its ticks were once one ulp apart, and their number was unbounded.
    #[test]
    fn equal_and_huge_values_are_in_the_middle() {
        for value in [1e35, -f64::MAX, 4.2e20, 1e-200, 0.0, 3.0] {
            let axis = Axis::over([value; 4]);
            assert!((axis.share(value) - 0.5).abs() < 1e-6, "{value}: {axis:?}");
        }
        let axis = Axis::over([1e35, 3e35]);
        assert_eq!(
            (axis.exponent(), texts(axis, 6)),
            (35, ["1.0", "1.5", "2.0", "2.5", "3.0"].iter().map(|t| (*t).to_owned()).collect())
        );
        let wide = Axis::over([-f64::MAX, f64::MAX, f64::NAN]);
        assert!(wide.share(-f64::MAX) < 0.1 && wide.share(f64::MAX) > 0.9 && wide.share(f64::NAN) == 1.0);
        assert_eq!(Axis::over([]), Axis::over([0.0, 1.0]));
    }
}
