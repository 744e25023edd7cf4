//! Compares the fast precision with the exact one: f32 with f64.

use super::cases::{self, Failure};
use super::close::{Place, Tolerance, close};
use crate::core::{DType, Result};
use crate::ops::{Case, OpSpec};
use crate::tensor::{Device, Tensor};
use std::collections::BTreeMap;

/// Runs a case in f32 on `device` and in f64 on `exact`, forward and backward, and compares.
///
/// An output or gradient is a sum of K products of numbers that are rounded at 2^-24, so the error grows with sqrt(K).
/// As an upper bound, K is the op's number of operations, or the size of its largest tensor, divided by the number of
/// elements of the result.
///
/// # Errors
/// The worst element of the first tensor that is wrong.
pub fn f32_against_f64(
    spec: &'static OpSpec,
    case: &Case,
    device: &Device,
    exact: &Device,
) -> Result<(), Failure> {
    rounded_against_f64(spec, case, device, exact, 0.0)
}

/// As [`f32_against_f64`], for a `device` that rounds each factor of a product by a relative error of up to `rounding`.
///
/// # Errors
/// The worst element of the first tensor that is wrong.
pub fn rounded_against_f64(
    spec: &'static OpSpec,
    case: &Case,
    device: &Device,
    exact: &Device,
    rounding: f64,
) -> Result<(), Failure> {
    Reference::new(spec, case, exact)?.check(device, rounding)
}

/// A case's outputs and gradients in f64, with which several devices are compared.
pub struct Reference {
    spec: &'static OpSpec,
    case: Case,
    want: BTreeMap<String, Tensor>,
    /// The op's number of operations, or the size of its largest tensor.
    work: u64,
}

impl Reference {
    /// Computes the reference on `exact`.
    ///
    /// # Errors
    /// An error of the op.
    pub fn new(spec: &'static OpSpec, case: &Case, exact: &Device) -> Result<Reference> {
        let shapes = cases::shapes(case, DType::F64)?;
        let call = spec.call(&case.attrs, &shapes)?;
        let sizes = shapes.values().chain([call.output()]).map(|x| x.numel() as u64);
        let work = sizes.chain([call.flops()]).max().unwrap_or(1);
        Ok(Reference { spec, case: case.clone(), want: cases::run(spec, case, exact, DType::F64)?, work })
    }

    /// Compares f32 on `device`, which rounds each factor of a product by up to `rounding`.
    ///
    /// # Errors
    /// The worst element of the first tensor that is wrong.
    pub fn check(&self, device: &Device, rounding: f64) -> Result<(), Failure> {
        let got = cases::run(self.spec, &self.case, device, DType::F32)?;
        for (name, want) in &self.want {
            let k = self.work as f64 / want.numel().max(1) as f64;
            // Both factors of each product are rounded.
            let relative = (1e-6 + 2.0 * rounding) * k.max(1.0).sqrt();
            let tolerance = Tolerance::new(1e-6, relative);
            let place = Place { op: self.spec.name, case: self.case.label, tensor: name };
            close(place, &got[name], want, tolerance)?;
        }
        Ok(())
    }
}

/// The limits of a test. Cases with more elements or operations are left to the benchmarks, which check before they
/// time.
#[derive(Debug, Clone, Copy)]
pub struct Affordable {
    pub elements: usize,
    pub flops: u64,
}

impl Affordable {
    /// Whether a case is within the limits.
    ///
    /// # Errors
    /// An error of the op.
    pub fn holds(self, spec: &'static OpSpec, case: &Case) -> Result<bool, Failure> {
        let elements: usize = case.inputs.iter().map(|x| x.dims.iter().product::<usize>()).sum();
        let flops = || spec.call(&case.attrs, &cases::shapes(case, DType::F32)?).map(|call| call.flops());
        Ok(elements <= self.elements && flops()? <= self.flops)
    }
}
