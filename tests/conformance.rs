//! The fast against the exact, on every case of every op: f32 against f64, and any number of threads against one.

use receptive::ops::{Case, OpSpec, Tag};
use receptive::testing::cases::{self, Failure, checked_cpu};
use receptive::testing::{Place, Tolerance, close, for_each_case};
use receptive::{DType, Device, Tensor};

/// Large cases with more elements or operations than this are left to the benches, which check before they time.
const AFFORDABLE: (usize, u64) = (1 << 20, 100_000_000);

fn affordable(spec: &'static OpSpec, case: &Case) -> Result<bool, Failure> {
    let elements: usize = case.inputs.iter().map(|x| x.dims.iter().product::<usize>()).sum();
    let flops = || cases::call(spec, case, &Device::meta(), DType::F32).map(|call| call.flops());
    Ok(elements <= AFFORDABLE.0 && flops()? <= AFFORDABLE.1)
}

/// An output or gradient is a sum of K products of operations that round at 2^-24: the error grows with sqrt(K). K is at
/// most the op's operations, or its largest tensor, over the elements of the result.
fn f32_against_f64(spec: &'static OpSpec, case: &Case) -> Result<(), Failure> {
    if !affordable(spec, case)? {
        return Ok(());
    }
    let device = checked_cpu(2);
    let call = cases::call(spec, case, &device, DType::F64)?;
    let sizes = cases::inputs(case, &device, DType::F64)?.into_values().map(|x| x.numel() as u64);
    let work = sizes.chain([call.flops(), call.output().numel() as u64]).max().unwrap_or(1);
    let want = cases::run(spec, case, &device, DType::F64)?;
    let got = cases::run(spec, case, &device, DType::F32)?;
    for (name, want) in &want {
        let k = work as f64 / want.numel().max(1) as f64;
        let tolerance = Tolerance::new(1e-6, 1e-6 * k.max(1.0).sqrt());
        close(Place { op: spec.name, case: case.label, tensor: name }, &got[name], want, tolerance)?;
    }
    Ok(())
}

#[test]
fn f32_conforms_to_f64() {
    for_each_case(&[Tag::Grad, Tag::Edge, Tag::Bench], f32_against_f64);
}

/// Work is cut by the problem's size, so the threads that do it leave no trace.
fn threads_leave_no_trace(spec: &'static OpSpec, case: &Case) -> Result<(), Failure> {
    if !affordable(spec, case)? {
        return Ok(());
    }
    let bits = |x: &Tensor| x.read_bytes(<[u8]>::to_vec);
    let want = cases::run(spec, case, &checked_cpu(1), DType::F32)?;
    for threads in [2, 3] {
        let got = cases::run(spec, case, &checked_cpu(threads), DType::F32)?;
        for (name, want) in &want {
            if bits(&got[name])? != bits(want)? {
                let place = Place { op: spec.name, case: case.label, tensor: name };
                close(place, &got[name], want, Tolerance::EXACT)?;
                return Err(
                    format!("{name}: {threads} threads differ from one in a sign of zero or a NaN").into()
                );
            }
        }
    }
    Ok(())
}

#[test]
fn threads_give_identical_bits() {
    for_each_case(&[Tag::Grad, Tag::Edge, Tag::Bench], threads_leave_no_trace);
}
