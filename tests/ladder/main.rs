//! Every rung of a ladder against its definition, rung 01, in f64: the CPU's here, the GPU's in `cuda.rs`.

mod cuda;
mod gemm;

use proptest::prelude::*;
use receptive::cpu::CpuOptions;
use receptive::ladder;
use receptive::ops::{Case, OpSpec, Tag, find};
use receptive::testing::cases::run;
use receptive::testing::{Place, Tolerance, close};
use receptive::{DType, Device, Result, Tensor};
use std::collections::BTreeMap;

/// All outputs and gradients of a case with these options, starting from NaN.
fn run_with(spec: &'static OpSpec, case: &Case, options: CpuOptions) -> Result<BTreeMap<String, Tensor>> {
    run(spec, case, &Device::cpu_with(&CpuOptions { poison: true, ..options })?, DType::F64)
}

/// Runs conv2d by every rung and compares. Returns whether the setting was accepted, which must not depend on the rung.
fn check_conv(case: &Case) -> bool {
    let spec = find("conv2d").unwrap();
    let by = |conv_rung| run_with(spec, case, CpuOptions { conv_rung, threads: 2, ..Default::default() });
    let Ok(definition) = by(1) else {
        assert!(ladder::conv2d::RUNGS.iter().all(|rung| by(rung.number).is_err()));
        return false;
    };
    for rung in ladder::conv2d::RUNGS {
        for (name, got) in by(rung.number).unwrap() {
            let label = format!("rung {:02} of {} {:?}", rung.number, case.label, case.attrs);
            let place = Place { op: "conv2d", case: &label, tensor: &name };
            close(place, &got, &definition[&name], Tolerance::new(1e-13, 1e-13)).unwrap();
        }
    }
    true
}

#[test]
fn conv_rungs_agree_on_every_case() {
    let cases = (find("conv2d").unwrap().cases)();
    for case in cases.iter().filter(|case| case.tag != Tag::Bench) {
        assert!(check_conv(case), "{}", case.label);
    }
}

/// Cut by size, never by threads: the same bits with 1, 2 and 3. The shapes are large enough to be cut.
#[test]
fn conv_bits_do_not_depend_on_the_number_of_threads() {
    for (attrs, input, weight) in [
        ("padding=1", [5, 6, 19, 17], [20, 6, 3, 3]),
        ("padding=2 groups=2", [1, 8, 40, 40], [34, 4, 5, 5]),
        ("", [67, 8, 7, 7], [16, 8, 3, 3]),
        ("", [3, 20, 24, 24], [40, 20, 1, 1]),
    ] {
        let case = Case::new("threads", attrs)
            .input("input", &input)
            .input("weight", &weight)
            .input("bias", &weight[..1]);
        let by = |threads| {
            let options = CpuOptions { threads, ..Default::default() };
            run_with(find("conv2d").unwrap(), &case, options).unwrap()
        };
        let one = by(1);
        for threads in [2, 3] {
            for (name, got) in by(threads) {
                let bits = |t: &Tensor| t.read_bytes(<[u8]>::to_vec).unwrap();
                assert_eq!(bits(&got), bits(&one[&name]), "{name} of {input:?} with {threads} threads");
            }
        }
    }
}

#[test]
fn an_unknown_rung_lists_those_there_are() {
    let error = Device::cpu_with(&CpuOptions { conv_rung: 77, ..Default::default() }).unwrap_err();
    assert!(error.to_string().contains("expected 1 (direct), 2 (im2col)"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any setting at all: rungs agree, or all refuse.
    #[test]
    fn conv_rungs_agree_on_random_settings(
        (n, groups, cg, og) in (0..4usize, 1..3usize, 1..4usize, 1..4usize),
        (h, w, kh, kw) in (1..12usize, 1..12usize, 1..5usize, 1..5usize),
        (sh, sw, dh, dw) in (1..4usize, 1..4usize, 1..4usize, 1..4usize),
        padding in prop_oneof![(0..4usize, 0..4usize).prop_map(|(h, w)| format!("{h},{w}")), Just("same".into())],
    ) {
        let attrs = format!("stride={sh},{sw} padding={padding} dilation={dh},{dw} groups={groups}");
        let case = Case::new("random", &attrs)
            .input("input", &[n, groups * cg, h, w])
            .input("weight", &[groups * og, cg, kh, kw])
            .input("bias", &[groups * og]);
        check_conv(&case);
    }
}
