//! `cargo bench --bench ops [FILTER]`: every large case of every op, forward and backward, in f32.
//!
//! `RECEPTIVE_DEVICE=cuda` runs them on a GPU; a run is timed until the device has finished it.
//!
//! `engine` is the exception: tensors of four elements, where all time goes to what is around a loop: checks, memory,
//! recording, and the way back.
//!
//! A case is checked against f64 before it is timed. Rates are floating point operations (`elem/s`) and bytes of inputs
//! and outputs a second.

use criterion::{BatchSize, Criterion, Throughput};
use receptive::ops::{Case, OPS, OpSpec, Tag};
use receptive::tensor::DeviceOptions;
use receptive::testing::{cases, conformance};
use receptive::{DType, Device, Tensor};
use std::time::Duration;

fn main() {
    if cfg!(debug_assertions) {
        eprintln!("error: timings of a debug build mean nothing\n  help: cargo bench --bench ops");
        std::process::exit(1);
    }
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let name = std::env::var("RECEPTIVE_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let device = Device::from_name(&name, &DeviceOptions::default()).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        std::process::exit(1);
    });
    for spec in OPS {
        for case in (spec.cases)().iter().filter(|case| case.tag == Tag::Bench) {
            bench(&mut criterion, spec, case, &device);
        }
    }
    engine(&mut criterion, &device);
    criterion.final_summary();
}

/// What an op costs besides its loop: one run of it, recorded or not, and a node's share of a backward pass.
fn engine(criterion: &mut Criterion, device: &Device) {
    const NODES: usize = 1000;
    let x = Tensor::zeros(device, &[4], DType::F32).expect("four numbers");
    let leaf = x.requires_grad();
    let mut group = criterion.benchmark_group("engine");
    group.bench_function("add", |b| b.iter(|| x.add(&x).expect("same shape")));
    group.bench_function("add, recorded", |b| b.iter(|| leaf.add(&x).expect("same shape")));
    group.throughput(Throughput::Elements(NODES as u64));
    group.bench_function("backward of a chain, elements are its nodes", |b| {
        let chain = || (0..NODES).fold(leaf.clone(), |y, _| y.relu().expect("f32"));
        let backward = |y: Tensor| y.backward_with(&x).expect("recorded");
        b.iter_batched(chain, backward, BatchSize::PerIteration);
    });
}

fn bench(criterion: &mut Criterion, spec: &'static OpSpec, case: &Case, device: &Device) {
    let mut group = criterion.benchmark_group(format!("{}/{}", spec.name, case.label));
    // Shapes alone say how much there is to do; elements are drawn only when the filter lets the case run.
    let shapes =
        cases::shapes(case, DType::F32).and_then(|x| spec.call(&case.attrs, &x)).expect("a valid case");
    let bytes = shapes.bytes().expect("a valid case");
    group.throughput(Throughput::ElementsAndBytes { elements: shapes.flops(), bytes });
    let prepare = || {
        let exact = cases::checked_cpu(0);
        if let Err(failure) = conformance::f32_against_f64(spec, case, device, &exact) {
            panic!("{}, case `{}` is wrong, so it is not timed: {failure}", spec.name, case.label);
        }
        cases::inputs(case, device, DType::F32).expect("a valid case")
    };
    group.bench_function("forward", |b| {
        let inputs = prepare();
        b.iter(|| {
            let call = spec.call_for(&case.attrs, &inputs, |_| false).expect("a checked case");
            device.synchronize().expect("a checked case");
            call
        });
    });
    if shapes.tracks_grad() {
        group.bench_function("backward", |b| {
            let inputs = prepare();
            let call = || spec.call(&case.attrs, &inputs).expect("a checked case");
            let dy = case.grad_output(call().output()).expect("a checked case");
            let backward = |call: receptive::ops::Call| {
                let grads = call.backward(&dy).expect("a checked case");
                device.synchronize().expect("a checked case");
                grads
            };
            b.iter_batched(call, backward, BatchSize::PerIteration);
        });
    }
}
