//! Compares fast with exact results, on every case of every op: f32 with f64, and several threads with one.

use receptive::ops::{Case, OpSpec, Tag};
use receptive::testing::cases::{self, Failure, checked_cpu};
use receptive::testing::conformance::{Affordable, f32_against_f64};
use receptive::testing::{Place, Tolerance, close, for_each_case};
use receptive::{DType, Tensor};

const AFFORDABLE: Affordable = Affordable { elements: 1 << 20, flops: 100_000_000 };

#[test]
fn f32_conforms_to_f64() {
    for_each_case(&[Tag::Grad, Tag::Edge, Tag::Bench], |spec, case| {
        let cpu = checked_cpu(2);
        if AFFORDABLE.holds(spec, case)? { f32_against_f64(spec, case, &cpu, &cpu) } else { Ok(()) }
    });
}

/// Work is cut by the problem's size, so the result does not depend on the number of threads.
fn threads_leave_no_trace(spec: &'static OpSpec, case: &Case) -> Result<(), Failure> {
    if !AFFORDABLE.holds(spec, case)? {
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
