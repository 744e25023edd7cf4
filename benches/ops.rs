//! `cargo bench --bench ops -- [--save-baseline NAME] [--baseline NAME] [--sample-size N] [FILTER]`: every large case
//! of every op, forward and backward, in f32.
//!
//! `RECEPTIVE_DEVICE=cuda` runs them on a GPU. A run is timed until the device has finished it.
//!
//! `engine` is different: it uses tensors of four elements, so that all time goes to the work around a loop: checks,
//! memory, recording, and backward.
//!
//! A case is checked against f64 before it is timed. Rates are per second: floating point operations (`elem/s`), and
//! bytes of inputs and outputs.

use criterion::{BatchSize, Criterion, Throughput};
use receptive::ops::{Call, Case, OPS, OpSpec, Tag};
use receptive::tensor::DeviceOptions;
use receptive::testing::bench::{Arguments, release_build};
use receptive::testing::{cases, conformance, measure_alone};
use receptive::{DType, Device, Error, Result, Tensor};
use std::time::Duration;

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let known = ["--save-baseline NAME", "--baseline NAME", "--sample-size N"];
    let arguments = Arguments::parse(std::env::args().skip(1), &known)?;
    let usage = "cargo bench --bench ops -- [--save-baseline NAME] [--baseline NAME] [--sample-size N]";
    let names: Vec<String> =
        names()?.into_iter().chain(ENGINE.map(|name| format!("engine/{name}"))).collect();
    if let Some(answer) = arguments.answer(usage, names.iter().map(String::as_str))? {
        println!("{answer}");
        return Ok(());
    }
    release_build("cargo bench --bench ops")?;
    let _alone = measure_alone()?;
    let size = arguments.number("--sample-size")?.unwrap_or(20);
    if size < 10 {
        return Err(Error::argument("--sample-size", format!("{size} is too small")).expected("10 or more"));
    }
    let mut criterion = Criterion::default()
        .sample_size(size)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .with_filter(literal(&arguments.filter));
    if let Some(name) = arguments.text("--save-baseline") {
        criterion = criterion.save_baseline(name.to_owned());
    }
    if let Some(name) = arguments.text("--baseline") {
        criterion = criterion.retain_baseline(name.to_owned(), false);
    }
    let name = std::env::var("RECEPTIVE_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let device = Device::from_name(&name, &DeviceOptions::default())?;
    for (spec, case) in large_cases() {
        bench(&mut criterion, spec, &case, &device);
    }
    engine(&mut criterion, &device);
    criterion.final_summary();
    Ok(())
}

fn large_cases() -> impl Iterator<Item = (&'static OpSpec, Case)> {
    let large = |spec: &'static OpSpec| {
        (spec.cases)().into_iter().filter(|case| case.tag == Tag::Bench).map(move |case| (spec, case))
    };
    OPS.iter().copied().flat_map(large)
}

/// The names of all cases, forward and backward.
fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (spec, case) in large_cases() {
        let group = group(spec, &case);
        names.push(format!("{group}/forward"));
        if shapes(spec, &case)?.tracks_grad() {
            names.push(format!("{group}/backward"));
        }
    }
    Ok(names)
}

fn group(spec: &OpSpec, case: &Case) -> String {
    format!("{}/{}", spec.name, case.label)
}

/// The call of a case on tensors without data. It tells how much work there is.
fn shapes(spec: &'static OpSpec, case: &Case) -> Result<Call> {
    spec.call(&case.attrs, &cases::shapes(case, DType::F32)?)
}

/// The filter as a regular expression for Criterion that matches exactly this text.
fn literal(filter: &str) -> String {
    let escaped = |c: char| if r"\.+*?()|[]{}^$#&-~".contains(c) { format!("\\{c}") } else { c.to_string() };
    filter.chars().map(escaped).collect()
}

/// The benches of [`engine`].
const ENGINE: [&str; 3] = ["add", "add, recorded", "backward of a chain, elements are its nodes"];

/// The cost of an op besides its loop: one run, recorded or not, and a node's share of a backward pass.
fn engine(criterion: &mut Criterion, device: &Device) {
    const NODES: usize = 1000;
    let x = Tensor::zeros(device, &[4], DType::F32).expect("four numbers");
    let leaf = x.requires_grad();
    let mut group = criterion.benchmark_group("engine");
    group.bench_function(ENGINE[0], |b| b.iter(|| x.add(&x).expect("same shape")));
    group.bench_function(ENGINE[1], |b| b.iter(|| leaf.add(&x).expect("same shape")));
    group.throughput(Throughput::Elements(NODES as u64));
    group.bench_function(ENGINE[2], |b| {
        let chain = || (0..NODES).fold(leaf.clone(), |y, _| y.relu().expect("f32"));
        let backward = |y: Tensor| y.backward_with(&x).expect("recorded");
        b.iter_batched(chain, backward, BatchSize::PerIteration);
    });
}

fn bench(criterion: &mut Criterion, spec: &'static OpSpec, case: &Case, device: &Device) {
    let mut group = criterion.benchmark_group(group(spec, case));
    // Elements are drawn only if the filter selects the case.
    let shapes = shapes(spec, case).expect("a valid case");
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
            let backward = |call: Call| {
                let grads = call.backward(&dy).expect("a checked case");
                device.synchronize().expect("a checked case");
                grads
            };
            b.iter_batched(call, backward, BatchSize::PerIteration);
        });
    }
}
