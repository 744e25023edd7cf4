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
use crate::core::{DType, Error, Key, Result};
use crate::ops::{Case, OpSpec};
use crate::tensor::Tensor;

/// Half the distance of a central difference. Inputs are multiples of 2^-16, so both ends can be represented exactly.
const STEP: f64 = 1.0 / (1 << 17) as f64;
/// Truncation (h^2) and rounding (2^-53 / h) both stay below 1e-9 for values near 1.
const TOLERANCE: Tolerance = Tolerance::new(1e-7, 1e-7);
/// The most elements of one input that are checked. Of a larger input, this many are chosen at random.
const ELEMENTS: usize = 400;

/// Checks the gradients of a function by central differences in f64, for each of these inputs. `f` may use an op of
/// your own. It gets the inputs as f64, on the CPU device where the first of them is; other tensors that it uses must be
/// f64 and on the same device. PyTorch: `torch.autograd.gradcheck`.
///
/// ```
/// use receptive::testing::gradcheck;
/// use receptive::{DType, Device, Key, Tensor};
/// let x = Tensor::randn(&Device::cpu()?, &[2, 3], DType::F64, Key::new(1))?;
/// gradcheck(|x| x[0].mul(&x[1])?.tanh(), &[x.clone(), x])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The worst element of the first gradient that is wrong; an error of `f`; no inputs; no elements in the
/// inputs or the output.
pub fn gradcheck(f: impl Fn(&[Tensor]) -> Result<Tensor>, inputs: &[Tensor]) -> Result<(), Failure> {
    let first = inputs.first().ok_or_else(|| Error::argument("gradcheck", "there are no inputs"))?;
    let device = first.device().clone();
    let f64s = |x: &Tensor| Tensor::from_vec(&device, x.to_f64()?, x.dims());
    let inputs = inputs.iter().map(f64s).collect::<Result<Vec<_>>>()?;
    let leaves: Vec<Tensor> = inputs.iter().map(Tensor::requires_grad).collect();
    let y = f(&leaves)?;
    let elements: usize = inputs.iter().map(Tensor::numel).sum();
    if elements == 0 || y.numel() == 0 {
        return Err(Error::argument(
            "gradcheck",
            "nothing was checked: the inputs or the output have no elements",
        )
        .help("use inputs with some elements, such as [2, 3]")
        .into());
    }
    let key = Key::new(0).child("gradcheck").child("dy");
    let dy = Tensor::rand(&device, y.dims(), DType::F64, key)?.sub_scalar(0.5)?;
    y.mul(&dy)?.sum_all()?.backward()?;
    for (k, leaf) in leaves.iter().enumerate() {
        let got = leaf.grad().map_or_else(|| Tensor::zeros(&device, leaf.dims(), DType::F64), Ok)?;
        let want = differences(&inputs[k], &dy.to_f64()?, got.to_f64()?, |moved| {
            let mut inputs = inputs.clone();
            inputs[k] = moved;
            f(&inputs)?.to_f64()
        })?;
        let place = Place { op: "gradcheck", case: "function", tensor: &format!("gradient of input {k}") };
        close(place, &got, &Tensor::from_vec(&device, want, got.dims())?, TOLERANCE)?;
    }
    Ok(())
}

/// Checks every gradient of one case of an op by central differences. It also checks that an input gets the same
/// gradient when it alone requires gradients.
///
/// # Errors
/// The worst element of the first gradient that is wrong.
pub fn gradcheck_case(spec: &'static OpSpec, case: &Case) -> Result<(), Failure> {
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
        let want = differences(&inputs[name], &dy.to_f64()?, got.to_f64()?, |moved| {
            let mut inputs = inputs.clone();
            inputs.insert(name.to_owned(), moved);
            spec.call_for(&case.attrs, &inputs, |_| false)?.output().to_f64()
        })?;
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

/// Replaces the chosen elements of `gradient` (the gradient of input `x`) by the central differences of
/// `sum(dy * output(x))`.
fn differences(
    x: &Tensor,
    dy: &[f64],
    mut gradient: Vec<f64>,
    output: impl Fn(Tensor) -> Result<Vec<f64>>,
) -> Result<Vec<f64>> {
    let mut values = x.to_f64()?;
    let output = |values: &[f64]| output(Tensor::from_slice(x.device(), values, x.dims())?);
    for i in elements(values.len()) {
        let centre = values[i];
        values[i] = centre + STEP;
        let above = output(&values)?;
        values[i] = centre - STEP;
        let below = output(&values)?;
        values[i] = centre;
        let change: f64 = dy.iter().zip(above).zip(below).map(|((dy, a), b)| dy * (a - b)).sum();
        gradient[i] = change / (2.0 * STEP);
    }
    Ok(gradient)
}
