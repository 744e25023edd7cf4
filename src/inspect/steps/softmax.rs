//! One probability of a softmax. The formulas are in [`crate::ops::softmax`].

use super::elements::{Elements, check_place, flat};
use crate::core::Result;
use crate::tensor::Tensor;
use serde::Serialize;

/// Everything behind one probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SoftmaxSteps {
    pub at: Vec<usize>,
    /// The largest score along the dimension. It is subtracted from all scores.
    pub max: f64,
    /// The scores along the dimension.
    pub terms: Vec<SoftmaxTerm>,
    /// Sum of the exponentials.
    pub sum: f64,
    /// The index of the term that the probability belongs to.
    pub index: usize,
    /// The term's exponential divided by the sum.
    pub probability: f64,
    /// The logarithm of the probability, computed as log_softmax does: `shifted - ln(sum)`.
    pub log_probability: f64,
}

/// One score and its exponential.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SoftmaxTerm {
    pub x: f64,
    /// `x - max`.
    pub shifted: f64,
    /// `exp(shifted)`.
    pub exp: f64,
}

/// The steps to element `at` of `x.softmax(dim)` and of `x.log_softmax(dim)`.
///
/// # Errors
/// A `dim` out of range; a place that x does not have.
pub fn softmax_steps(x: &Tensor, dim: isize, at: &[usize]) -> Result<SoftmaxSteps> {
    const OP: &str = "softmax";
    let dim = x.shape().dim(OP, dim)?;
    check_place(OP, "output", at, x.dims())?;
    let ([_, n, inner], index) = (x.shape().around(dim), at.get(dim).copied().unwrap_or(0));
    let first = flat(at, x.dims()) - index * inner;
    let values = Elements::of(x)?;
    let scores = || values.all()[first..].iter().step_by(inner).take(n).copied();
    let max = scores().fold(f64::NEG_INFINITY, f64::max);
    let term = |x: f64| SoftmaxTerm { x, shifted: x - max, exp: (x - max).exp() };
    let terms: Vec<SoftmaxTerm> = scores().map(term).collect();
    let sum: f64 = terms.iter().map(|term| term.exp).sum();
    let SoftmaxTerm { shifted, exp, .. } = terms[index];
    let (probability, log_probability) = (exp / sum, shifted - sum.ln());
    Ok(SoftmaxSteps { at: at.to_vec(), max, terms, sum, index, probability, log_probability })
}
