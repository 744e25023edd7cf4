//! Compares gradients with central differences, in f64.
//!
//! For a fixed random cotangent `dy`, backward must compute `d/dx sum(dy * f(x))`. For one element the same number is
//!
//! ```math
//! \frac{1}{2 h} \sum \mathrm{dy} \, \bigl( f(x + h e_i) - f(x - h e_i) \bigr) + O(h^2)
//! ```
//!
//! The cotangent is random. If the loss were a plain `sum`, a gradient that is transposed, shifted or (for softmax)
//! missing would not be detected.

use super::cases::{self, Failure};
use super::close::{Place, Tolerance, close};
use crate::core::{DType, Key, Result};
use crate::ops::{Case, OpSpec};
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// Half the distance of a central difference. Inputs are multiples of 2^-16, so both ends can be represented exactly.
const STEP: f64 = 1.0 / (1 << 17) as f64;
/// Truncation (h^2) and rounding (2^-53 / h) both stay below 1e-9 for values near 1.
const TOLERANCE: Tolerance = Tolerance::new(1e-7, 1e-7);
/// The most elements of one input that are checked. Of a larger input, this many are chosen at random.
const ELEMENTS: usize = 400;

/// Checks every gradient of one case by central differences. It also checks that an input gets the same gradient when
/// it alone requires gradients.
///
/// # Errors
/// The worst element of the first gradient that is wrong.
pub fn gradcheck(spec: &'static OpSpec, case: &Case) -> Result<(), Failure> {
    let device = cases::checked_cpu(1);
    let inputs = cases::inputs(case, &device, DType::F64)?;
    let call = spec.call(&case.attrs, &inputs)?;
    if !call.tracks_grad() {
        return Ok(());
    }
    let dy = case.grad_output(call.output())?;
    for (key, got) in call.backward(&dy)? {
        let name = key.strip_prefix("grad.").expect("gradients are named grad.NAME");
        let place = Place { op: spec.name, case: case.label, tensor: &key };
        let alone = spec.call_for(&case.attrs, &inputs, |n| n == name)?.backward(&dy)?;
        close(Place { tensor: &format!("{key} alone"), ..place }, &alone[&key], &got, Tolerance::EXACT)?;
        let want = differences(spec, case, &inputs, name, &dy, got.to_f64()?)?;
        close(place, &got, &Tensor::from_vec(&device, want, got.dims())?, TOLERANCE)?;
    }
    Ok(())
}

fn elements(n: usize) -> Vec<usize> {
    if n <= ELEMENTS {
        return (0..n).collect();
    }
    let mut chosen = Key::new(0).child("gradcheck").permutation(n);
    chosen.truncate(ELEMENTS);
    chosen
}

/// Replaces the chosen elements of `gradient` (the gradient of input `name`) by the central differences of
/// `sum(dy * f)`.
fn differences(
    spec: &'static OpSpec,
    case: &Case,
    inputs: &BTreeMap<String, Tensor>,
    name: &str,
    dy: &Tensor,
    mut gradient: Vec<f64>,
) -> Result<Vec<f64>> {
    let dims = inputs[name].dims().to_vec();
    let mut x = inputs[name].to_f64()?;
    let mut moved = inputs.clone();
    let mut output = |x: &[f64]| -> Result<Vec<f64>> {
        moved.insert(name.to_owned(), Tensor::from_slice(dy.device(), x, &dims)?);
        spec.call_for(&case.attrs, &moved, |_| false)?.output().to_f64()
    };
    let dy = dy.to_f64()?;
    for i in elements(x.len()) {
        let centre = x[i];
        x[i] = centre + STEP;
        let above = output(&x)?;
        x[i] = centre - STEP;
        let below = output(&x)?;
        x[i] = centre;
        let change: f64 = dy.iter().zip(above).zip(below).map(|((dy, a), b)| dy * (a - b)).sum();
        gradient[i] = change / (2.0 * STEP);
    }
    Ok(gradient)
}
