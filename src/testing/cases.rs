//! Visits the cases of the op table.

use crate::core::{DType, Result};
use crate::cpu::CpuOptions;
use crate::cuda::CudaOptions;
use crate::ops::{Call, Case, CaseInput, OPS, OpSpec, Tag};
use crate::tensor::{Device, Tensor};
use std::collections::BTreeMap;

/// Why a check of one case failed: an [`Error`](crate::Error) of the op or a [`Mismatch`](super::Mismatch).
pub type Failure = Box<dyn std::error::Error>;

/// Runs `check` on every case of every op that has one of these tags, and panics with the list of all failures.
///
/// # Panics
/// If a check failed, or if there was no case to check.
pub fn for_each_case(tags: &[Tag], check: impl Fn(&'static OpSpec, &Case) -> Result<(), Failure>) {
    let mut failures = Vec::new();
    let mut checked = 0;
    for spec in OPS {
        for case in (spec.cases)().iter().filter(|case| tags.contains(&case.tag)) {
            checked += 1;
            if let Err(failure) = check(spec, case) {
                failures.push(format!("{}, case `{}` {:?}: {failure}", spec.name, case.label, case.attrs));
            }
        }
    }
    assert!(checked > 0, "no case has one of the tags {tags:?}");
    assert!(failures.is_empty(), "{} of {checked} cases failed:\n{}", failures.len(), failures.join("\n"));
}

/// A CPU device for checks. Its outputs are filled with NaN before an op writes them.
///
/// # Panics
/// If the operating system refuses the threads.
pub fn checked_cpu(threads: usize) -> Device {
    Device::cpu_with(&CpuOptions { threads, poison: true, ..CpuOptions::default() }).expect("a CPU device")
}

/// A CUDA device for checks, if there is one. Its outputs are filled with NaN before an op writes them, an error names
/// its kernel, and no buffer is larger than necessary.
///
/// # Panics
/// If there is none and `RECEPTIVE_REQUIRE_CUDA=1` requires one.
pub fn checked_cuda() -> Option<Device> {
    checked_cuda_with(CudaOptions { exact: true, ..CudaOptions::default() })
}

/// As [`checked_cuda`], with more settings in addition to the checks. Memory is recycled unless `exact` is set.
///
/// # Panics
/// As [`checked_cuda`].
pub fn checked_cuda_with(options: CudaOptions) -> Option<Device> {
    match Device::cuda_with(&CudaOptions { poison: true, check: true, ..options }) {
        Ok(device) => Some(device),
        Err(error) if std::env::var("RECEPTIVE_REQUIRE_CUDA").is_ok_and(|v| v == "1") => panic!("{error}"),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// A case's inputs by name.
///
/// # Errors
/// An impossible shape.
pub fn inputs(case: &Case, device: &Device, dtype: DType) -> Result<BTreeMap<String, Tensor>> {
    let tensors = case.tensors(device, dtype)?;
    Ok(case.inputs.iter().map(|input| input.name.to_owned()).zip(tensors).collect())
}

/// A case's inputs on the meta device: shapes, but no elements.
///
/// # Errors
/// An impossible shape.
pub fn shapes(case: &Case, dtype: DType) -> Result<BTreeMap<String, Tensor>> {
    let meta = Device::meta();
    let shape = |input: &CaseInput| {
        Ok((input.name.to_owned(), Tensor::zeros(&meta, &input.dims, input.fill.dtype(dtype))?))
    };
    case.inputs.iter().map(shape).collect()
}

/// Runs a case on its own inputs.
///
/// # Errors
/// An error of the op.
pub fn call(spec: &'static OpSpec, case: &Case, device: &Device, dtype: DType) -> Result<Call> {
    spec.call(&case.attrs, &inputs(case, device, dtype)?)
}

/// Runs a case forward, and backward if it is differentiable. Returns all outputs and gradients by name.
///
/// # Errors
/// An error of the op.
pub fn run(
    spec: &'static OpSpec,
    case: &Case,
    device: &Device,
    dtype: DType,
) -> Result<BTreeMap<String, Tensor>> {
    let call = call(spec, case, device, dtype)?;
    let mut all = call.outputs();
    if call.tracks_grad() {
        all.extend(call.backward(&case.grad_output(call.output())?)?);
    }
    Ok(all)
}
