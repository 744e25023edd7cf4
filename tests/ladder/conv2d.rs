//! Compares every rung of conv2d, at every SIMD level and in f64, with rung 01 in f64.

use super::levels;
use proptest::prelude::*;
use receptive::cpu::CpuOptions;
use receptive::cpu::conv2d::ladder::RUNGS;
use receptive::ops::{Case, OpSpec, Tag, find};
use receptive::testing::cases::run;
use receptive::testing::conformance::Reference;
use receptive::testing::{Place, Tolerance, close};
use receptive::{DType, Device, Result, Tensor};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// All outputs and gradients of a case with these options. New memory is filled with NaN.
fn run_with(spec: &'static OpSpec, case: &Case, options: CpuOptions) -> Result<BTreeMap<String, Tensor>> {
    run(spec, case, &Device::cpu_with(&CpuOptions { poison: true, ..options })?, DType::F64)
}

/// One device per rung and SIMD level, with its name.
fn devices() -> &'static [(String, Device)] {
    static DEVICES: OnceLock<Vec<(String, Device)>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let rungs = RUNGS.iter().flat_map(|rung| levels().map(move |level| (rung.number, level)));
        rungs
            .map(|(conv_rung, level)| {
                let options = CpuOptions {
                    conv_rung: Some(conv_rung),
                    simd: Some(level),
                    threads: 2,
                    poison: true,
                    ..Default::default()
                };
                (format!("rung {conv_rung:02}, {level}"), Device::cpu_with(&options).unwrap())
            })
            .collect()
    })
}

/// Runs an op on every rung and compares to the precision of f64 or f32. Returns true if the setting was accepted,
/// which must not depend on the rung.
fn check(op: &str, case: &Case) -> bool {
    let spec = find(op).unwrap();
    let by =
        |rung| run_with(spec, case, CpuOptions { conv_rung: Some(rung), threads: 2, ..Default::default() });
    let Ok(definition) = by(1) else {
        assert!(RUNGS.iter().all(|rung| by(rung.number).is_err()));
        return false;
    };
    let exact =
        Device::cpu_with(&CpuOptions { conv_rung: Some(1), threads: 1, ..Default::default() }).unwrap();
    let reference = Reference::new(spec, case, &exact).unwrap();
    for (label, device) in devices() {
        reference.check(device, 0.0).unwrap_or_else(|error| panic!("{label}: {error}"));
    }
    for rung in RUNGS {
        for (name, got) in by(rung.number).unwrap() {
            let label = format!("rung {:02} of {} {:?}", rung.number, case.label, case.attrs);
            let place = Place { op, case: &label, tensor: &name };
            close(place, &got, &definition[&name], Tolerance::new(1e-13, 1e-13)).unwrap();
        }
    }
    true
}

#[test]
fn conv_rungs_agree_on_every_case() {
    for op in ["conv2d", "conv2d_relu", "conv_transpose2d"] {
        let cases = (find(op).unwrap().cases)();
        for case in cases.iter().filter(|case| case.tag != Tag::Bench) {
            assert!(check(op, case), "{op}: {}", case.label);
        }
    }
}

fn layer(attrs: &'static str, input: [usize; 4], weight: [usize; 4]) -> Case {
    Case::new("layer", attrs).input("input", &input).input("weight", &weight).input("bias", &weight[..1])
}

/// Sizes that Winograd's tiles could get wrong: odd sizes, images of one tile and of many blocks, few channels and
/// partial registers of channels, no padding and more padding than a kernel needs.
#[test]
fn conv_rungs_agree_at_the_edges_of_tiles() {
    for (attrs, input, weight) in [
        ("padding=1", [3, 5, 7, 9], [11, 5, 3, 3]),
        ("padding=0,2", [2, 17, 13, 5], [33, 17, 3, 3]),
        ("padding=3,1", [3, 3, 1, 1], [2, 3, 3, 3]),
        ("padding=4", [2, 1, 2, 3], [1, 1, 3, 3]),
        ("padding=same", [70, 4, 2, 2], [5, 4, 3, 3]),
        ("", [9, 20, 5, 5], [40, 20, 3, 3]),
        ("", [1, 2, 3, 3], [3, 2, 3, 3]),
        ("padding=1", [1, 16, 5, 150], [16, 16, 3, 3]),
        ("padding=1", [1, 3, 150, 5], [50, 3, 3, 3]),
        ("padding=1", [2, 100, 6, 6], [130, 100, 3, 3]),
        ("padding=1", [1, 260, 4, 4], [9, 260, 3, 3]),
        ("padding=1", [1, 16, 32, 32], [528, 16, 3, 3]),
        ("padding=1", [2, 200, 6, 5], [170, 200, 3, 3]),
        ("padding=1", [0, 3, 4, 4], [2, 3, 3, 3]),
    ] {
        assert!(check("conv2d", &layer(attrs, input, weight)), "{input:?}");
    }
}

/// Sizes that need more than one tile, one block of images, one band of rows, or one part of the channels.
#[test]
fn conv_rungs_agree_beyond_a_block() {
    for (attrs, input, weight) in [
        ("padding=1", [20, 9, 19, 21], [50, 9, 3, 3]),
        ("padding=2", [1, 4, 70, 90], [30, 4, 5, 5]),
        ("padding=1 stride=2", [2, 32, 40, 44], [26, 32, 3, 3]),
        ("padding=1", [70, 16, 3, 3], [50, 16, 3, 3]),
        ("stride=2", [9, 40, 16, 16], [48, 40, 2, 2]),
        ("padding=1 groups=40", [3, 40, 17, 33], [40, 1, 3, 3]),
        ("", [5, 70, 9, 10], [33, 70, 1, 1]),
        ("dilation=5000 padding=5000", [2, 3, 4, 5], [6, 3, 3, 3]),
        ("stride=4 padding=3", [3, 1, 67, 66], [40, 1, 11, 11]),
    ] {
        assert!(check("conv2d", &layer(attrs, input, weight)), "{input:?}");
    }
}

/// Work is cut by size, never by threads: 1, 2 and 3 threads give the same bits. The shapes are large enough to be cut.
#[test]
fn conv_bits_do_not_depend_on_the_number_of_threads() {
    for (attrs, input, weight) in [
        ("padding=1", [5, 6, 19, 17], [20, 6, 3, 3]),
        ("padding=1", [9, 40, 20, 20], [40, 40, 3, 3]),
        ("padding=1", [1, 16, 32, 32], [528, 16, 3, 3]),
        ("padding=1", [2, 200, 6, 5], [170, 200, 3, 3]),
        ("padding=2 groups=2", [1, 8, 40, 40], [34, 4, 5, 5]),
        ("", [67, 8, 7, 7], [16, 8, 3, 3]),
        ("", [3, 20, 24, 24], [40, 20, 1, 1]),
    ] {
        let case = layer(attrs, input, weight);
        // Rung 01, the definition, is left out because it is slow.
        let rungs = RUNGS[1..].iter().map(|rung| Some(rung.number)).chain([None]);
        for (conv_rung, dtype) in rungs.flat_map(|rung| [(rung, DType::F32), (rung, DType::F64)]) {
            let by = |threads| {
                let device =
                    Device::cpu_with(&CpuOptions { threads, conv_rung, ..Default::default() }).unwrap();
                run(find("conv2d").unwrap(), &case, &device, dtype).unwrap()
            };
            let one = by(1);
            for threads in [2, 3] {
                for (name, got) in by(threads) {
                    let bits = |t: &Tensor| t.read_bytes(<[u8]>::to_vec).unwrap();
                    let what = format!("{name} of {input:?} by rung {conv_rung:?} with {threads} threads");
                    assert!(bits(&got) == bits(&one[&name]), "{what} in {dtype}");
                }
            }
        }
    }
}

#[test]
fn an_unknown_rung_lists_those_there_are() {
    let error = Device::cpu_with(&CpuOptions { conv_rung: Some(77), ..Default::default() }).unwrap_err();
    assert!(
        error.to_string().contains("expected 1 (direct), 2 (im2col), 3 (implicit GEMM), 4 (Winograd)"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// For random settings, all rungs give the same result or all refuse.
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
        check("conv2d", &case);
    }
}
