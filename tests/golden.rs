//! Compares every op with PyTorch's outputs and gradients in `tests/golden/OP.safetensors`, written by
//! `tests/golden/generate.py`. It does this in f64 and in f32 on the CPU, and on a GPU or the simulator if there is one.

use receptive::io::TensorFile;
use receptive::ops::{Case, OpSpec, Tag};
use receptive::testing::cases::{self, Failure, checked_cpu, checked_cuda};
use receptive::testing::{Place, Tolerance, close, for_each_case};
use receptive::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// True for cases that have no vector because they are random.
fn is_random(spec: &OpSpec, case: &Case) -> bool {
    // A dropout mask comes from this crate's own keyed generator; PyTorch draws another. Its file tests the mask.
    let value = |key: &str| case.attrs.get(key).map(String::as_str);
    spec.name.starts_with("dropout")
        && value("training") != Some("false")
        && !matches!(value("p"), Some("0" | "1"))
}

fn vectors(
    spec: &OpSpec,
    case: &Case,
    device: &Device,
    dtype: DType,
) -> Result<BTreeMap<String, Tensor>, Failure> {
    let path = Path::new("tests/golden").join(spec.name).with_extension("safetensors");
    let start = format!("{}/", case.label);
    let mut found = BTreeMap::new();
    for (key, tensor) in TensorFile::read(&path, device)?.tensors {
        if let Some(name) = key.strip_prefix(&start) {
            let keep = if tensor.dtype().is_float() { dtype } else { tensor.dtype() };
            found.insert(name.to_owned(), tensor.to_dtype(keep)?);
        }
    }
    if found.is_empty() {
        return Err(format!("no vector in {}; run tests/golden/generate.py", path.display()).into());
    }
    Ok(found)
}

fn check(
    spec: &'static OpSpec,
    case: &Case,
    device: &Device,
    dtype: DType,
    tolerance: Tolerance,
) -> Result<(), Failure> {
    if is_random(spec, case) {
        return Ok(());
    }
    let mut want = vectors(spec, case, device, dtype)?;
    let mut inputs = BTreeMap::new();
    let mut renewed = BTreeMap::new();
    for (name, now) in cases::inputs(case, device, dtype)? {
        let then = want.remove(&name).ok_or("the vector is of other inputs; run tests/golden/generate.py")?;
        let what = format!("{name} (changed since tests/golden/generate.py ran?)");
        close(
            Place { op: spec.name, case: case.label, tensor: &what },
            &then,
            &now,
            Tolerance::new(1e-4, 0.0),
        )?;
        // An output that has the name of an input: running statistics.
        renewed.extend(want.remove(&format!("new.{name}")).map(|x| (name.clone(), x)));
        inputs.insert(name, then);
    }
    want.extend(renewed);
    if let Some(dy) = want.remove("grad_output") {
        inputs.insert("grad_output".to_owned(), dy);
    }
    let got = spec.run(&case.attrs, inputs)?;
    let names = |all: &BTreeMap<String, Tensor>| all.keys().cloned().collect::<Vec<_>>();
    if names(&got) != names(&want) {
        return Err(format!("got {:?}, PyTorch has {:?}", names(&got), names(&want)).into());
    }
    for (name, want) in &want {
        close(Place { op: spec.name, case: case.label, tensor: name }, &got[name], want, tolerance)?;
    }
    Ok(())
}

/// The tolerance for f32.
const SINGLE: Tolerance = Tolerance::new(1e-5, 3e-5);

#[test]
fn f64_agrees_with_pytorch() {
    let tolerance = Tolerance::new(1e-11, 1e-10);
    let cpu = checked_cpu(1);
    for_each_case(&[Tag::Grad, Tag::Edge], |spec, case| check(spec, case, &cpu, DType::F64, tolerance));
}

#[test]
fn f32_agrees_with_pytorch() {
    let cpu = checked_cpu(1);
    for_each_case(&[Tag::Grad, Tag::Edge], |spec, case| check(spec, case, &cpu, DType::F32, SINGLE));
}

#[test]
fn cuda_agrees_with_pytorch() {
    let Some(cuda) = checked_cuda() else { return };
    for_each_case(&[Tag::Grad, Tag::Edge], |spec, case| check(spec, case, &cuda, DType::F32, SINGLE));
}
