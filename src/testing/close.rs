//! Compares tensors. The condition is `!(error <= allowed)`, so that NaN fails.

use crate::core::Result;
use crate::tensor::Tensor;
use std::fmt;

/// What is compared, for the message of a failure.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub op: &'a str,
    pub case: &'a str,
    pub tensor: &'a str,
}

/// How far a value may be from the expected one: `absolute + relative * largest`. `largest` is the greatest finite
/// magnitude in the expected tensor. (A tolerance relative to each element would fail for sums that cancel.)
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    pub absolute: f64,
    pub relative: f64,
}

impl Tolerance {
    /// All bits must be equal, except that -0 equals 0.
    pub const EXACT: Tolerance = Tolerance { absolute: 0.0, relative: 0.0 };

    /// `absolute + relative * largest`.
    pub const fn new(absolute: f64, relative: f64) -> Tolerance {
        Tolerance { absolute, relative }
    }

    fn allowed(&self, want: &[f64]) -> f64 {
        let largest = want.iter().map(|w| w.abs()).filter(|w| w.is_finite()).fold(0.0, f64::max);
        self.absolute + self.relative * largest
    }
}

/// A comparison that failed: op, case, tensor, index, actual value and expected value.
#[derive(Debug)]
pub struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

/// Compares `got` with `want`, which may differ in precision but not in shape. Infinities must be equal. Where NaN is
/// expected (such as the mean of no values), the value must be NaN. Integers are compared exactly.
///
/// # Errors
/// The worst element, and the number of wrong elements.
pub fn close(place: Place, got: &Tensor, want: &Tensor, tolerance: Tolerance) -> Result<(), Mismatch> {
    let Place { op, case, tensor } = place;
    let start = format!("{op}, case `{case}`, {tensor}");
    let fail = |text: String| Err(Mismatch(format!("{start}{text}")));
    if got.shape() != want.shape() || got.dtype().is_float() != want.dtype().is_float() {
        let (g, w) = (got.meta(), want.meta());
        return fail(format!(": got {} {}, want {} {}", g.shape, g.dtype, w.shape, w.dtype));
    }
    let tolerance = if want.dtype().is_float() { tolerance } else { Tolerance::EXACT };
    let read = |t: &Tensor| t.to_f64().map_err(|e| Mismatch(format!("{start}: {e}")));
    let (g, w) = (read(got)?, read(want)?);
    let allowed = tolerance.allowed(&w);
    let error = |i: usize| if same(g[i], w[i]) { 0.0 } else { (g[i] - w[i]).abs() };
    #[allow(clippy::neg_cmp_op_on_partial_ord)] // a NaN error must count as wrong
    let wrong: Vec<usize> = (0..g.len()).filter(|&i| !(error(i) <= allowed)).collect();
    // NaN is worse than any number. `max_by` keeps the last, so order by magnitude with NaN at the top.
    let rank = |i: usize| if error(i).is_nan() { f64::INFINITY } else { error(i) };
    let Some(&worst) = wrong.iter().max_by(|&&a, &&b| rank(a).total_cmp(&rank(b))) else { return Ok(()) };
    fail(format!(
        "{:?}: got {:?}, want {:?}; error {:.3e} > {allowed:.3e} ({} of {} elements wrong)",
        index(want.dims(), worst),
        g[worst],
        w[worst],
        error(worst),
        wrong.len(),
        g.len()
    ))
}

fn same(got: f64, want: f64) -> bool {
    got == want || got.is_nan() && want.is_nan()
}

/// The index of flat element `i` in a tensor of these dimensions.
pub fn index(dims: &[usize], mut i: usize) -> Vec<usize> {
    let mut position = vec![0; dims.len()];
    for (place, &d) in position.iter_mut().zip(dims).rev() {
        *place = i % d;
        i /= d;
    }
    position
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    const PLACE: Place = Place { op: "relu", case: "plain", tensor: "output" };

    fn compare(got: &[f64], want: &[f64], tolerance: Tolerance) -> Result<(), Mismatch> {
        let cpu = Device::cpu().unwrap();
        let tensor = |x: &[f64]| Tensor::from_slice(&cpu, x, &[x.len() / 2, 2]).unwrap();
        close(PLACE, &tensor(got), &tensor(want), tolerance)
    }

    /// An output that no kernel wrote is NaN. A comparison written as `err > tol` would accept it.
    #[test]
    fn nan_fails() {
        let error = compare(&[1.0, f64::NAN], &[1.0, 2.0], Tolerance::new(1e9, 0.0)).unwrap_err();
        assert!(error.to_string().contains("[0, 1]: got NaN, want 2.0"), "{error}");
        assert!(compare(&[1.0, 2.0], &[1.0, f64::NAN], Tolerance::new(1e9, 0.0)).is_err());
    }

    #[test]
    fn nan_and_infinity_pass_where_they_are_expected() {
        let odd = [f64::NAN, f64::INFINITY];
        compare(&odd, &odd, Tolerance::EXACT).unwrap();
        assert!(compare(&[0.0, -f64::INFINITY], &[0.0, f64::INFINITY], Tolerance::new(1.0, 1.0)).is_err());
    }

    #[test]
    fn the_worst_element_is_named() {
        let error = compare(&[0.0, 0.2, 0.0, 9.0], &[0.0; 4], Tolerance::new(0.1, 0.0)).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("relu, case `plain`, output[1, 1]: got 9.0, want 0.0"), "{text}");
        assert!(text.contains("2 of 4"), "{text}");
    }

    #[test]
    fn tolerance_is_relative_to_the_largest_value() {
        compare(&[100.0, 1.009], &[100.0, 1.0], Tolerance::new(0.0, 1e-4)).unwrap();
        assert!(compare(&[1.0, 1.009], &[1.0, 1.0], Tolerance::new(0.0, 1e-4)).is_err());
    }
}
