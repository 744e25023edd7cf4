//! Statistics of a tensor's elements, and sums over them in f64, for the inspection tools.

use super::Tensor;
use crate::core::{Element, Error, Float, Result};
use crate::float_type;
use serde::Serialize;

/// Number of bins of a [`Histogram`].
pub const BINS: usize = 32;

/// Number of partial sums and counters that run side by side, so that no addition waits for the one before.
const LANES: usize = 8;

/// Mean, deviation and range of the elements.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub mean: f64,
    /// The square root of the mean squared distance from the mean.
    pub std: f64,
    pub min: f64,
    pub max: f64,
    /// The fraction of elements that are exactly 0.
    pub zeros: f64,
}

/// A histogram: bins of equal width from the smallest finite element to the largest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    pub from: f64,
    pub to: f64,
    /// [`BINS`] counts. NaN and infinite elements are not counted.
    pub counts: Vec<u64>,
}

/// The spread and the histogram of a tensor's elements.
///
/// # Errors
/// A dtype other than f32 and f64; a meta tensor.
pub fn distribution(x: &Tensor) -> Result<(Spread, Histogram)> {
    float_type!("distribution", x.dtype(), T => x.read::<T, _>(of))
}

/// As [`distribution`], for a slice.
pub fn distribution_of(values: &[f32]) -> (Spread, Histogram) {
    of(values)
}

fn of<T: Float>(x: &[T]) -> (Spread, Histogram) {
    let (spread, range) = spread(x);
    (spread, histogram(x, range))
}

/// The sum of the squares of the elements.
///
/// # Errors
/// As [`distribution`].
pub fn squares(x: &Tensor) -> Result<f64> {
    float_type!("squares", x.dtype(), T => x.read::<T, _>(|x| sum(x, |v| v * v)))
}

/// The sum of the squared differences of two tensors.
///
/// # Errors
/// As [`distribution`]; different shapes or dtypes.
pub fn squares_between(x: &Tensor, before: &Tensor) -> Result<f64> {
    if x.meta() != before.meta() {
        return Err(Error::shape("squares_between", "the two tensors differ in shape or dtype")
            .with("now", format_args!("{} {}", x.shape(), x.dtype()))
            .with("before", format_args!("{} {}", before.shape(), before.dtype())));
    }
    float_type!("squares_between", x.dtype(), T => {
        x.read::<T, _>(|x| before.read::<T, _>(|y| {
            let square = |a: T, b: T| (a.to_f64() - b.to_f64()).powi(2);
            let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
            let mut lanes = [0.0; LANES];
            for (x, y) in x.iter().zip(y) {
                for lane in 0..LANES {
                    lanes[lane] += square(x[lane], y[lane]);
                }
            }
            lanes.iter().sum::<f64>() + x_rest.iter().zip(y_rest).map(|(&a, &b)| square(a, b)).sum::<f64>()
        }))?
    })
}

/// The fraction of units (dimension 1) that have no positive element; `None` if there are no units.
///
/// # Errors
/// As [`distribution`].
pub fn dead_units(x: &Tensor) -> Result<Option<f64>> {
    let &[n, units, ref place @ ..] = x.dims() else { return Ok(None) };
    if n == 0 || units == 0 {
        return Ok(None);
    }
    let place: usize = place.iter().product();
    float_type!("dead_units", x.dtype(), T => {
        x.read::<T, _>(|x| {
            let on = |row: &[T]| row.iter().any(|&v| v > T::ZERO);
            let at = |unit: usize, image: usize| &x[(image * units + unit) * place..][..place];
            let dead = (0..units).filter(|&unit| !(0..n).any(|image| on(at(unit, image)))).count();
            Some(dead as f64 / units as f64)
        })
    })
}

/// The sum of `f` over the elements, in f64.
fn sum<T: Float>(x: &[T], f: impl Fn(f64) -> f64) -> f64 {
    let (vectors, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for vector in vectors {
        for lane in 0..LANES {
            lanes[lane] += f(vector[lane].to_f64());
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|v| f(v.to_f64())).sum::<f64>()
}

/// The spread of all elements, and the smallest and the largest finite element.
fn spread<T: Float>(x: &[T]) -> (Spread, [f64; 2]) {
    if x.is_empty() {
        return (Spread { mean: 0.0, std: 0.0, min: 0.0, max: 0.0, zeros: 0.0 }, [0.0; 2]);
    }
    let n = x.len() as f64;
    let (vectors, rest) = x.as_chunks::<LANES>();
    let mut all = Lanes::new();
    vectors.iter().for_each(|vector| all.add(vector));
    rest.iter().for_each(|&v| all.add_one(v));
    let mean = all.sums.iter().sum::<f64>() / n;
    let std = (sum(x, |v| (v - mean) * (v - mean)) / n).sqrt();
    let [min, max] = all.range();
    let finite = match mean.is_finite() {
        true => [min, max],
        false => {
            let mut finite = Lanes::new();
            x.iter().filter(|v| v.is_finite()).for_each(|&v| finite.add_one(v));
            finite.range()
        }
    };
    let zeros = all.zeros.iter().map(|&count| f64::from(count)).sum::<f64>() / n;
    (Spread { mean, std, min, max, zeros }, finite)
}

/// Sums, zeros and extremes, each in [`LANES`] parts, from one pass over the elements.
struct Lanes<T> {
    sums: [f64; LANES],
    zeros: [u32; LANES],
    min: [T; LANES],
    max: [T; LANES],
}

impl<T: Float> Lanes<T> {
    fn new() -> Lanes<T> {
        let (min, max) = ([T::ZERO - T::NEG_INFINITY; LANES], [T::NEG_INFINITY; LANES]);
        Lanes { sums: [0.0; LANES], zeros: [0; LANES], min, max }
    }

    #[inline(always)]
    fn add(&mut self, vector: &[T; LANES]) {
        for (lane, &v) in vector.iter().enumerate() {
            self.add_to(lane, v);
        }
    }

    fn add_one(&mut self, v: T) {
        self.add_to(0, v);
    }

    #[inline(always)]
    fn add_to(&mut self, lane: usize, v: T) {
        self.sums[lane] += v.to_f64();
        self.zeros[lane] += u32::from(v == T::ZERO);
        self.min[lane] = if v < self.min[lane] { v } else { self.min[lane] };
        self.max[lane] = if v > self.max[lane] { v } else { self.max[lane] };
    }

    /// The smallest and the largest element. NaN is ignored.
    fn range(&self) -> [f64; 2] {
        let min = self.min.iter().map(|v| v.to_f64()).fold(f64::INFINITY, f64::min);
        let max = self.max.iter().map(|v| v.to_f64()).fold(f64::NEG_INFINITY, f64::max);
        [min, max]
    }
}

fn histogram<T: Float>(x: &[T], [from, to]: [f64; 2]) -> Histogram {
    let mut lanes = [[0u64; BINS]; LANES];
    if from <= to {
        // If all elements are equal, they are all counted in the first bin. If `to - from` overflows, all values are
        // halved first; otherwise they are multiplied by 1, which changes no bit.
        let unit = if (to - from).is_finite() { 1.0 } else { 0.5 };
        let scale = if from < to { BINS as f64 / (to * unit - from * unit) } else { 0.0 };
        for (i, v) in x.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            lanes[i % LANES][(((v.to_f64() * unit - from * unit) * scale) as usize).min(BINS - 1)] += 1;
        }
    }
    let counts = (0..BINS).map(|bin| lanes.iter().map(|lane| lane[bin]).sum()).collect();
    Histogram { from, to, counts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_and_histogram_of_known_numbers() {
        let x: Vec<f32> = (0..64).map(|i| i as f32 - 16.0).collect();
        let (spread, range) = spread(&x);
        assert_eq!((spread.mean, spread.min, spread.max, spread.zeros), (15.5, -16.0, 47.0, 1.0 / 64.0));
        assert!((spread.std - ((64.0 * 64.0 - 1.0) / 12.0f64).sqrt()).abs() < 1e-12);
        let histogram = histogram(&x, range);
        assert_eq!((histogram.from, histogram.to), (-16.0, 47.0));
        assert_eq!((histogram.counts.len(), histogram.counts.iter().sum::<u64>()), (BINS, 64));
        assert!(histogram.counts.iter().all(|&count| count == 2), "{histogram:?}");
    }

    /// Every finite element is counted. The smallest lies in the first bin and the largest in the last.
    #[test]
    fn extreme_outputs_have_histograms() {
        let tiny = f64::from_bits(1);
        for values in [
            vec![-f64::MAX, 0.0, f64::MAX],
            vec![0.0, tiny],
            vec![-tiny, f64::NAN, tiny],
            vec![f64::INFINITY, 1.0, f64::NEG_INFINITY, 2.0],
            vec![1e308, 1e308],
            vec![-0.0, 0.0],
            vec![f64::NAN],
        ] {
            let histogram = histogram(&values, spread(&values).1);
            let finite = values.iter().filter(|v| v.is_finite()).count() as u64;
            assert_eq!(histogram.counts.iter().sum::<u64>(), finite, "{values:?}");
            let ends = histogram.from < histogram.to;
            assert!(!ends || (histogram.counts[0] > 0 && histogram.counts[BINS - 1] > 0), "{values:?}");
        }
    }

    /// Equal elements have a range of width 0, and an empty tensor has no elements: neither may divide by 0.
    #[test]
    fn degenerate_outputs_have_finite_numbers() {
        let (alike, range) = spread(&[3.0f64; 5]);
        assert_eq!((alike.mean, alike.std, range), (3.0, 0.0, [3.0; 2]));
        assert_eq!(histogram(&[3.0f64; 5], range).counts[0], 5);
        let (empty, range) = spread::<f32>(&[]);
        assert_eq!((empty.mean, histogram::<f32>(&[], range).counts), (0.0, vec![0; BINS]));
    }

    /// NaN and infinity show in the mean. They do not change the histogram of the other elements.
    #[test]
    fn infinite_outputs_are_told_and_not_counted() {
        let x = [1.0f32, f32::NAN, 2.0, f32::INFINITY];
        let (spread, range) = spread(&x);
        assert!(!spread.mean.is_finite() && !spread.std.is_finite());
        assert_eq!(range, [1.0, 2.0]);
        let histogram = histogram(&x, range);
        assert_eq!((histogram.counts[0], histogram.counts[BINS - 1]), (1, 1));
        assert_eq!(histogram.counts.iter().sum::<u64>(), 2);
        let (nothing, range) = super::spread(&[f32::NAN]);
        assert!(nothing.mean.is_nan());
        assert_eq!(super::histogram(&[f32::NAN], range).counts, [0; BINS]);
    }
}
