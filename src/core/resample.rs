//! Resizing along one axis as a sparse matrix: which inputs each output mixes, and with which weights.
//!
//! Nearest, bilinear, antialiased bilinear and area resizing of an image are separable and linear. They need one small
//! matrix for the rows (R) and one for the columns (C): `Y = R X C^T`. Each row of such a matrix has a short run of
//! weights, stored here as (start, weights). The gradient is the same product with the matrices transposed.
//!
//! With `scale = input / output` (or `1 / scale_factor`), output i lies at this place in the input:
//!
//! ```math
//! \begin{aligned}
//! \text{nearest} &: \lfloor i \, \mathrm{scale} \rfloor \\
//! \text{nearest-exact} &: \bigl\lfloor (i + \tfrac12) \, \mathrm{scale} \bigr\rfloor
//!   \quad \text{pixel centres, as Pillow} \\
//! \text{bilinear} &: \max\bigl( (i + \tfrac12) \, \mathrm{scale} - \tfrac12, \, 0 \bigr)
//!   \quad \text{between two neighbours} \\
//! \text{align\_corners} &: i \, (\mathrm{input} - 1) / (\mathrm{output} - 1) \\
//! \text{antialias} &: (i + \tfrac12) \, \mathrm{scale}
//!   \quad \text{the centre of a triangle of half-width } \max(\mathrm{scale}, 1) \text{, normalised} \\
//! \text{area} &: \lfloor i \, \mathrm{scale} \rfloor \text{ up to } \lceil (i + 1) \, \mathrm{scale} \rceil
//!   \quad \text{the mean}
//! \end{aligned}
//! ```

use super::dtype::Float;
use std::ops::Range;

/// How an axis is resized. PyTorch: `mode`, `align_corners` and `antialias` of `F.interpolate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The input pixel at or before the place.
    Nearest,
    /// The input pixel that covers the place.
    NearestExact,
    /// A weighted mean of the two neighbours of the place.
    Bilinear { align_corners: bool, antialias: bool },
    /// The mean of all inputs that the output covers.
    Area,
}

/// The sparse matrix `[outputs, inputs]` of one axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResampleWeights<T = f64> {
    inputs: usize,
    /// For each output, the first input that it mixes, and the range of its weights in `values`.
    runs: Vec<(usize, Range<usize>)>,
    values: Vec<T>,
}

impl ResampleWeights {
    /// The matrix from `inputs` to `outputs`, both at least 1. `scale` is the distance between two outputs, measured in
    /// inputs. By default it is `inputs / outputs`. With `align_corners` and for area it is not used.
    pub fn new(inputs: usize, outputs: usize, filter: Filter, scale: Option<f64>) -> ResampleWeights {
        let mut all = ResampleWeights { inputs, runs: Vec::with_capacity(outputs), values: Vec::new() };
        let scale = match filter {
            Filter::Bilinear { align_corners: true, .. } if outputs < 2 => 0.0,
            Filter::Bilinear { align_corners: true, .. } => (inputs - 1) as f64 / (outputs - 1) as f64,
            _ => scale.unwrap_or(inputs as f64 / outputs as f64),
        };
        let last = inputs - 1;
        for i in 0..outputs {
            match filter {
                // PyTorch rounds to f32 here, for every dtype.
                Filter::Nearest if inputs == outputs => all.push(i, [1.0]),
                Filter::Nearest if outputs == 2 * inputs => all.push(i / 2, [1.0]),
                Filter::Nearest => all.push(((i as f32 * scale as f32) as usize).min(last), [1.0]),
                Filter::NearestExact => {
                    let place = ((i as f64 + 0.5) * f64::from(scale as f32)) as f32;
                    all.push((place as usize).min(last), [1.0]);
                }
                Filter::Bilinear { antialias: true, .. } => all.push_triangle(i, scale),
                Filter::Bilinear { .. } if inputs == outputs => all.push(i, [1.0]),
                Filter::Bilinear { align_corners, .. } => {
                    let centre = if align_corners { 0.0 } else { 0.5 };
                    all.push_between((scale * (i as f64 + centre) - centre).max(0.0));
                }
                Filter::Area => {
                    let (start, end) = (i * inputs / outputs, ((i + 1) * inputs).div_ceil(outputs));
                    let share = 1.0 / (end - start) as f64;
                    all.push(start, std::iter::repeat_n(share, end - start));
                }
            }
        }
        all
    }

    fn push(&mut self, start: usize, values: impl IntoIterator<Item = f64>) {
        let first = self.values.len();
        self.values.extend(values);
        self.runs.push((start, first..self.values.len()));
    }

    /// The two neighbours of a place. Beyond the last input there is only one.
    fn push_between(&mut self, place: f64) {
        let start = place as usize;
        if start + 1 >= self.inputs {
            return self.push(self.inputs - 1, [1.0]);
        }
        let after = place - start as f64;
        self.push(start, [1.0 - after, after]);
    }

    /// A triangle around the place of output `i`. It is at least as wide as the inputs that the output covers.
    fn push_triangle(&mut self, i: usize, scale: f64) {
        let (width, centre) = (scale.max(1.0), scale * (i as f64 + 0.5));
        let start = (centre - width + 0.5).max(0.0) as usize;
        let end = ((centre + width + 0.5) as usize).min(self.inputs);
        let height = |p: usize| (1.0 - ((p as f64 - centre + 0.5) / width).abs()).max(0.0);
        let total: f64 = (start..end).map(height).sum();
        self.push(start, (start..end).map(|p| height(p) / total));
    }

    /// The matrix `[inputs, outputs]` that computes the gradient.
    pub fn transposed(&self) -> ResampleWeights {
        let outputs = self.runs.len();
        let mut all =
            ResampleWeights { inputs: outputs, runs: Vec::with_capacity(self.inputs), values: Vec::new() };
        let mut first = 0;
        for p in 0..self.inputs {
            // Runs start and end in rising order, so the outputs that mix p are adjacent.
            while first < outputs && self.of(first).0 + self.of(first).1.len() <= p {
                first += 1;
            }
            let weight = |i: usize| p.checked_sub(self.of(i).0).map(|at| self.of(i).1[at]);
            all.push(first, (first..outputs).map_while(weight));
        }
        all
    }

    /// The same runs, with `f` applied to every weight.
    pub fn map<T>(&self, f: impl Fn(f64) -> T) -> ResampleWeights<T> {
        let values = self.values.iter().map(|&w| f(w)).collect();
        ResampleWeights { inputs: self.inputs, runs: self.runs.clone(), values }
    }

    /// The same weights in another type.
    pub fn cast<T: Float>(&self) -> ResampleWeights<T> {
        self.map(T::from_f64)
    }
}

impl<T> ResampleWeights<T> {
    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.runs.len()
    }

    /// The first input that output `i` mixes, and the weights of that input and the following ones.
    #[inline]
    pub fn of(&self, i: usize) -> (usize, &[T]) {
        let (start, place) = &self.runs[i];
        (*start, &self.values[place.clone()])
    }

    /// The result of [`of`](Self::of) for every output.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[T])> {
        (0..self.outputs()).map(|i| self.of(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BILINEAR: Filter = Filter::Bilinear { align_corners: false, antialias: false };
    const CORNERS: Filter = Filter::Bilinear { align_corners: true, antialias: false };
    const SMOOTH: Filter = Filter::Bilinear { align_corners: false, antialias: true };

    /// Resizes 0, 1, 2, ...: each value is the place in the input that the output shows.
    fn places(inputs: usize, outputs: usize, filter: Filter, scale: Option<f64>) -> Vec<f64> {
        let weights = ResampleWeights::new(inputs, outputs, filter, scale);
        let place = |i: usize| {
            let (start, weights) = weights.of(i);
            weights.iter().zip(start..).map(|(w, p)| w * p as f64).sum::<f64>()
        };
        (0..outputs).map(|i| (place(i) * 1e4).round() / 1e4).collect()
    }

    /// Values of `F.interpolate(torch.arange(5.), ...)`, PyTorch 2.15.
    #[test]
    fn places_follow_pytorch() {
        assert_eq!(places(5, 3, Filter::Nearest, None), [0.0, 1.0, 3.0]);
        assert_eq!(places(5, 3, Filter::NearestExact, None), [0.0, 2.0, 4.0]);
        assert_eq!(places(5, 3, BILINEAR, None), [0.3333, 2.0, 3.6667]);
        assert_eq!(places(5, 3, SMOOTH, None), [0.4286, 2.0, 3.5714]);
        assert_eq!(places(5, 3, CORNERS, None), [0.0, 2.0, 4.0]);
        assert_eq!(places(5, 8, BILINEAR, None), [0.0, 0.4375, 1.0625, 1.6875, 2.3125, 2.9375, 3.5625, 4.0]);
        let by_factor = Some(1.0 / 1.7);
        assert_eq!(
            places(5, 8, BILINEAR, by_factor),
            [0.0, 0.3824, 0.9706, 1.5588, 2.1471, 2.7353, 3.3235, 3.9118]
        );
        assert_eq!(places(5, 8, Filter::Nearest, by_factor), [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 4.0]);
        assert_eq!(places(5, 2, Filter::Area, None), [1.0, 3.0]);
    }

    /// Every output is a mean of inputs, and the transposed matrix has the same entries.
    #[test]
    fn rows_sum_to_one_and_transpose() {
        let filters = [Filter::Nearest, Filter::NearestExact, BILINEAR, CORNERS, SMOOTH, Filter::Area];
        for filter in filters {
            for (inputs, outputs) in [(1, 1), (1, 4), (5, 1), (7, 3), (3, 8), (16, 5), (6, 6), (4, 8)] {
                let weights = ResampleWeights::new(inputs, outputs, filter, None);
                let transposed = weights.transposed();
                assert_eq!((weights.outputs(), transposed.outputs()), (outputs, inputs));
                let entry = |w: &ResampleWeights, i: usize, p: usize| {
                    let (start, values) = w.of(i);
                    p.checked_sub(start).and_then(|at| values.get(at)).copied().unwrap_or(0.0)
                };
                for i in 0..outputs {
                    let sum: f64 = weights.of(i).1.iter().sum();
                    assert!(
                        (sum - 1.0).abs() < 1e-12,
                        "{filter:?} {inputs} to {outputs}: row {i} sums to {sum}"
                    );
                    for p in 0..inputs {
                        let same = entry(&weights, i, p) == entry(&transposed, p, i);
                        assert!(same, "{filter:?} {inputs} to {outputs} at {i}, {p}");
                    }
                }
            }
        }
    }
}
