//! Every rung of the GPU's ladders, on a GPU or on the simulator. Without either, these tests do nothing and pass,
//! unless `RECEPTIVE_REQUIRE_CUDA=1` makes that a failure.

use proptest::prelude::*;
use receptive::Device;
use receptive::core::Precision;
use receptive::cuda::CudaOptions;
use receptive::cuda::conv2d::ladder as conv2d;
use receptive::cuda::gemm::ladder as gemm;
use receptive::ops::{Case, Tag, find};
use receptive::testing::Failure;
use receptive::testing::cases::{self, checked_cpu, checked_cuda, checked_cuda_with};
use receptive::testing::conformance::rounded_against_f64;
use receptive::{DType, Tensor};
use std::sync::OnceLock;

/// A device that runs one rung, its name, and the relative rounding error of its factors.
struct Rung {
    label: String,
    device: Device,
    rounding: f64,
}

impl Rung {
    fn new(label: String, options: CudaOptions, rounds_to: Precision) -> Option<Rung> {
        let options = CudaOptions { exact: true, ..options };
        Some(Rung { label, device: checked_cuda_with(options)?, rounding: rounds_to.rounding() })
    }

    fn check(&self, op: &str, case: &Case, cpu: &Device) -> Result<(), Failure> {
        rounded_against_f64(find(op).unwrap(), case, &self.device, cpu, self.rounding)
            .inspect_err(|_| eprintln!("{}: {op}, `{}` {:?}", self.label, case.label, case.attrs))
    }
}

/// All rungs of both ladders in f32, and in bf16 if a rung has it. Empty without a GPU.
struct Ladders {
    gemm: Vec<Rung>,
    conv: Vec<Rung>,
    cpu: Device,
}

fn ladders() -> &'static Ladders {
    static LADDERS: OnceLock<Ladders> = OnceLock::new();
    LADDERS.get_or_init(|| {
        let precisions = [Precision::F32, Precision::Bf16];
        let gemm = gemm::RUNGS.iter().flat_map(|rung| {
            let new = |precision| {
                let rounds_to = rung.version.at(precision).1;
                let options = CudaOptions { gemm_rung: Some(rung.number), precision, ..Default::default() };
                Rung::new(format!("gemm rung {:02} in {rounds_to:?}", rung.number), options, rounds_to)
            };
            precisions
                .into_iter()
                .filter(|p| *p == Precision::F32 || !rung.version.bf16.is_empty())
                .filter_map(new)
        });
        let conv = conv2d::RUNGS.iter().flat_map(|rung| {
            let new = |precision| {
                let rounds_to = rung.version.at(precision).1;
                let options = CudaOptions { conv_rung: Some(rung.number), precision, ..Default::default() };
                Rung::new(format!("conv rung {:02} in {rounds_to:?}", rung.number), options, rounds_to)
            };
            precisions
                .into_iter()
                .filter(|p| *p == Precision::F32 || rung.version.bf16.is_some())
                .filter_map(new)
        });
        Ladders { gemm: gemm.collect(), conv: conv.collect(), cpu: checked_cpu(1) }
    })
}

fn linear(rows: usize, i: usize, o: usize) -> Case {
    let label = "linear";
    Case::new(label, "").input("input", &[rows, i]).input("weight", &[o, i]).input("bias", &[o])
}

fn conv(attrs: &str, input: [usize; 4], weight: [usize; 4]) -> Case {
    Case::new("conv", attrs).input("input", &input).input("weight", &weight).input("bias", &weight[..1])
}

/// Forward and the two gradients need different transposes of their operands. Some sizes exceed a tile in both
/// directions.
#[test]
fn gemm_rungs_agree_with_the_definition() {
    let Ladders { gemm, cpu, .. } = ladders();
    let sizes = [(1, 1, 1), (3, 1, 7), (64, 84, 10), (33, 20, 130), (130, 36, 132), (37, 70, 129)];
    for rung in gemm {
        for (rows, i, o) in sizes {
            rung.check("linear", &linear(rows, i, o), cpu).unwrap();
        }
        for case in (find("matmul").unwrap().cases)().iter().filter(|case| case.tag != Tag::Bench) {
            rung.check("matmul", case, cpu).unwrap();
        }
    }
}

/// A sum over more than a thousand rows is cut into parts. The bias must still be added only once.
#[test]
fn long_sums_are_cut_and_joined() {
    let Ladders { gemm, conv: convs, cpu } = ladders();
    for rung in gemm.iter().filter(|rung| !rung.label.contains("rung 03")) {
        rung.check("linear", &linear(1100, 5, 9), cpu).unwrap();
        rung.check("linear", &linear(3, 1500, 4), cpu).unwrap();
    }
    for rung in convs {
        rung.check("conv2d", &conv("padding=1", [3, 2, 17, 15], [5, 2, 3, 3]), cpu).unwrap();
    }
}

#[test]
fn conv_rungs_agree_with_the_definition_on_every_case() {
    let Ladders { conv, cpu, .. } = ladders();
    for op in ["conv2d", "conv_transpose2d"] {
        for case in (find(op).unwrap().cases)().iter().filter(|case| case.tag != Tag::Bench) {
            for rung in conv {
                rung.check(op, case, cpu).unwrap();
            }
        }
    }
}

/// Cases with more channels and pixels than a tile has rows and columns.
#[test]
fn conv_rungs_cross_the_edges_of_their_tiles() {
    let Ladders { conv: rungs, cpu, .. } = ladders();
    for case in [
        conv("padding=1", [2, 34, 9, 8], [70, 34, 3, 3]),
        conv("stride=2 padding=1", [2, 66, 8, 8], [33, 66, 3, 3]),
        conv("groups=2 stride=2,3 padding=2 dilation=2,1", [1, 24, 9, 10], [40, 12, 5, 4]),
        conv("", [1, 130, 5, 6], [132, 130, 1, 1]),
    ] {
        for rung in rungs {
            rung.check("conv2d", &case, cpu).unwrap();
        }
    }
}

/// The errors stay within the bounds that the header of 05_winograd.cu states.
#[test]
fn winograd_rounds_little_more_than_plain_sums() {
    let Ladders { conv: rungs, cpu, .. } = ladders();
    let (spec, case) = (find("conv2d").unwrap(), conv("padding=1", [1, 64, 8, 8], [64, 64, 3, 3]));
    let values = |device: &Device, dtype| -> Vec<Vec<f64>> {
        cases::run(spec, &case, device, dtype)
            .unwrap()
            .values()
            .map(|t: &Tensor| t.to_f64().unwrap())
            .collect()
    };
    let exact = values(cpu, DType::F64);
    let errors = |number: &str| -> Option<Vec<f64>> {
        let rung = rungs.iter().find(|rung| rung.label.contains(number))?;
        let worst = |(got, want): (&Vec<f64>, &Vec<f64>)| {
            let largest = want.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
            got.iter().zip(want).fold(0.0, |m: f64, (g, w)| m.max((g - w).abs())) / largest
        };
        Some(values(&rung.device, DType::F32).iter().zip(&exact).map(worst).collect())
    };
    let (Some(plain), Some(winograd)) = (errors("rung 03"), errors("rung 05")) else { return };
    eprintln!("largest errors over the largest value: rung 03 {plain:?}, rung 05 {winograd:?}");
    assert!(winograd.iter().all(|error| *error <= 2e-6), "{winograd:?}");
    assert!(plain.iter().all(|error| *error <= 1e-6), "{plain:?}");
}

/// Parts of sums are added in a fixed order, so a second run gives the same bits.
#[test]
fn the_same_bits_every_time() {
    let Ladders { gemm, conv: convs, .. } = ladders();
    for (op, case, rungs) in [
        ("linear", linear(1100, 20, 10), gemm),
        ("conv2d", conv("padding=1", [4, 3, 16, 16], [6, 3, 3, 3]), convs),
    ] {
        for rung in rungs {
            let bits = || -> Vec<Vec<u32>> {
                let tensors = cases::run(find(op).unwrap(), &case, &rung.device, DType::F32).unwrap();
                let bits = |t: &Tensor| t.to_vec::<f32>().unwrap().iter().map(|v| v.to_bits()).collect();
                tensors.values().map(bits).collect()
            };
            assert!(bits() == bits(), "{} gives other bits the second time", rung.label);
        }
    }
}

#[test]
fn an_unknown_rung_lists_those_there_are() {
    if checked_cuda().is_none() {
        return;
    }
    let options = CudaOptions { conv_rung: Some(77), ..Default::default() };
    let error = Device::cuda_with(&options).unwrap_err();
    assert!(error.to_string().contains("3 (implicit GEMM)"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Random strides, paddings, dilations and groups.
    #[test]
    fn conv_rungs_agree_on_random_settings(
        (n, groups, cg, og) in (1..3usize, 1..3usize, 1..5usize, 1..5usize),
        (h, w, kh, kw) in (1..10usize, 1..10usize, 1..5usize, 1..5usize),
        (sh, sw, dh, dw) in (1..4usize, 1..4usize, 1..4usize, 1..4usize),
        padding in prop_oneof![(0..4usize, 0..4usize).prop_map(|(h, w)| format!("{h},{w}")), Just("same".into())],
    ) {
        let attrs = format!("stride={sh},{sw} padding={padding} dilation={dh},{dw} groups={groups}");
        let case = conv(&attrs, [n, groups * cg, h, w], [groups * og, cg, kh, kw]);
        let Ladders { conv, cpu, .. } = ladders();
        if cases::run(find("conv2d").unwrap(), &case, cpu, DType::F64).is_ok() {
            for rung in conv {
                rung.check("conv2d", &case, cpu).unwrap();
            }
        }
    }
}
