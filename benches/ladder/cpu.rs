//! The CPU's ladders.

use crate::table::{Check, Line, print, words};
use receptive::core::{ConvShape, Loop};
use receptive::cpu::conv2d::ladder::{self as convolutions, ConvVersion};
use receptive::cpu::conv2d::{Finish, GradInput};
use receptive::cpu::gemm::ladder::{self as products, GemmVersion};
use receptive::cpu::gemm::{Mat, gemm};
use receptive::cpu::{CpuCtx, CpuOptions, Simd};
use receptive::inspect::Roof;
use receptive::ladder;
use receptive::testing::bench::{Arguments, Provenance, Times};
use receptive::testing::layers::{LOOPS, Layer, all, noise};
use receptive::{Device, Error, Result};
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// A loop is not timed on a rung where one run would take more seconds than this.
const PATIENCE: f64 = 0.5;
/// In the order of [`LOOPS`].
const THREE: [Loop; 3] = [Loop::Forward, Loop::GradInput, Loop::GradWeight];
/// The small layer from which a rung's speed is estimated.
const PROBE: [usize; 3] = [8, 16, 32];

/// A rung of either ladder.
struct Rung {
    number: u32,
    name: &'static str,
    /// The options of a context that runs it.
    options: CpuOptions,
    /// Estimated seconds per floating point operation, from a small layer.
    pace: f64,
    /// True if it can compute a layer.
    supports: fn(&ConvShape) -> bool,
}

/// One figure: a rung on one loop of a layer.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    layer: &'a Layer,
    r#loop: &'static str,
    rung: u32,
    name: &'static str,
    /// True if training uses it.
    trains: bool,
    flops: f64,
    seconds: Times,
}

#[derive(Serialize)]
struct Report<'a> {
    provenance: Provenance,
    /// The peak of all threads, and of one.
    roof: Roof,
    roof_of_one: Roof,
    rows: Vec<Row<'a>>,
}

pub fn run(threads: usize, arguments: &Arguments, json: Option<&str>) -> Result<()> {
    let cx = CpuCtx::new(&CpuOptions::with_threads(threads))?;
    let provenance = Provenance::new(cx.threads(), cx.simd(), "median of 5 to 200 runs");
    println!("{provenance}");
    let (roof, roof_of_one) = (Roof::of_cpu(&cx), Roof::of_cpu(&CpuCtx::new(&CpuOptions::with_threads(1))?));
    println!("roof, {} threads: {}", cx.threads(), words(roof));
    println!("roof, one thread: {}", words(roof_of_one));
    let layers = all()?;
    let ladders = [gemm_rungs(&cx)?, conv_rungs(&cx)?];
    let exact = Device::cpu()?;
    let mut rows = Vec::new();
    for layer in layers.iter().filter(|layer| arguments.chosen(&layer.name())) {
        let check = Check::new(layer, &exact)?;
        let mut lines = Vec::new();
        let rungs = &ladders[usize::from(layer.op != "linear")];
        let can = |rung: &&Rung| (rung.supports)(&layer.g) && rung.pace * layer.flops() < PATIENCE;
        for rung in rungs.iter().filter(can) {
            let name = format!("{:02} {}", rung.number, rung.name);
            check.passes(&name, &Device::cpu_with(&rung.options)?, 0.0);
            let times = time(layer, &CpuCtx::new(&rung.options)?, clock);
            let trains = in_training(layer, cx.simd()).map(|number| number == rung.number);
            rows.extend(LOOPS.into_iter().zip(times).zip(trains).map(|((r#loop, seconds), trains)| Row {
                layer,
                r#loop,
                rung: rung.number,
                name: rung.name,
                trains,
                flops: layer.flops(),
                seconds,
            }));
            lines.push(Line { rung: name, times, trains });
        }
        print(layer, &lines, &|layer, seconds| Some(layer.flops() / roof.flops / seconds));
    }
    print_missed(&rows);
    match json {
        Some(file) => write(file, &Report { provenance, roof, roof_of_one, rows }),
        None => Ok(()),
    }
}

/// The numbers of the rungs that training uses for a layer's loops.
fn in_training(layer: &Layer, simd: Simd) -> [u32; 3] {
    match layer.op {
        "linear" => [products::DEFAULT; 3],
        _ => THREE.map(|which| convolutions::choose(None, simd, &layer.g, which).number),
    }
}

/// Lists the loops whose fastest rung is not the one that training uses, if the difference is large enough.
fn print_missed(rows: &[Row]) {
    println!("\nloops where another rung is more than 5 % faster than the rung that training uses:");
    for row in rows.iter().filter(|row| row.trains) {
        let same = |other: &&Row| (other.layer, other.r#loop) == (row.layer, row.r#loop);
        let median = |row: &&Row| row.seconds.median;
        let best = rows.iter().filter(same).min_by(|a, b| median(a).total_cmp(&median(b)));
        if let Some(best) = best.filter(|best| row.seconds.median > 1.05 * best.seconds.median) {
            let times = row.seconds.median / best.seconds.median;
            let of = format!("{} {}, {}", row.layer.name(), row.layer.shapes(), row.r#loop);
            println!(
                "  {of}: {:02} {} takes {times:.2} times as long as {:02} {}",
                row.rung, row.name, best.rung, best.name
            );
        }
    }
}

fn write(file: &str, report: &Report) -> Result<()> {
    let text = serde_json::to_string_pretty(report).map_err(|e| Error::format(file, e.to_string()))?;
    std::fs::write(file, text).map_err(|e| Error::io(Path::new(file), "write", e))
}

/// The rungs whose instructions this processor has.
fn gemm_rungs(cx: &CpuCtx) -> Result<Vec<Rung>> {
    let probe = Layer::linear("probe", 128, 128, 128);
    let new = |rung: &ladder::Rung<GemmVersion>| {
        let options = CpuOptions { gemm_rung: rung.number, ..CpuOptions::with_threads(cx.threads()) };
        paced(Rung { number: rung.number, name: rung.name, options, pace: 0.0, supports: |_| true }, &probe)
    };
    products::RUNGS.iter().filter(|rung| rung.version.needs <= cx.simd()).map(new).collect()
}

fn conv_rungs(cx: &CpuCtx) -> Result<Vec<Rung>> {
    let probe = Layer::conv("probe", PROBE, [16, 1], 3, 1);
    let new = |rung: &ladder::Rung<ConvVersion>| {
        let options = CpuOptions { conv_rung: Some(rung.number), ..CpuOptions::with_threads(cx.threads()) };
        paced(
            Rung {
                number: rung.number,
                name: rung.name,
                options,
                pace: 0.0,
                supports: rung.version.supports,
            },
            &probe,
        )
    };
    convolutions::RUNGS.iter().map(new).collect()
}

/// The rung with its pace on `probe`, which is the pace of its slowest loop.
fn paced(rung: Rung, probe: &Layer) -> Result<Rung> {
    let once = |run: &mut dyn FnMut()| {
        let mut seconds = || {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        };
        Times::of(vec![seconds(), seconds(), seconds()])
    };
    let times = time(probe, &CpuCtx::new(&rung.options)?, once);
    let slowest = times.iter().map(|times| times.min).fold(0.0, f64::max);
    Ok(Rung { pace: slowest / probe.flops(), ..rung })
}

/// The times of a layer's three loops, measured by `clock`.
fn time(layer: &Layer, cx: &CpuCtx, clock: impl Fn(&mut dyn FnMut()) -> Times) -> [Times; 3] {
    let [mut x, mut w, mut y] = layer.sizes().map(noise);
    let g = &layer.g;
    if layer.op == "linear" {
        let ConvShape { n: rows, c: i, o, .. } = *g;
        return [
            clock(&mut || gemm(cx, [rows, i, o], Mat::new(&x, i), Mat::transposed(&w, i), 0.0, &mut y)),
            clock(&mut || gemm(cx, [rows, o, i], Mat::new(&y, o), Mat::new(&w, i), 0.0, &mut x)),
            clock(&mut || gemm(cx, [o, rows, i], Mat::transposed(&y, o), Mat::new(&x, i), 0.0, &mut w)),
        ];
    }
    let [forward, grad_input, grad_weight] =
        THREE.map(|which| convolutions::choose(cx.conv_rung(), cx.simd(), g, which).version.f32);
    [
        clock(&mut || (forward.forward)(cx, g, &x, &w, Finish::NONE, &mut y)),
        clock(&mut || (grad_input.grad_input)(cx, g, GradInput { dy: &y, weight: &w, bias: None }, &mut x)),
        clock(&mut || (grad_weight.grad_weight)(cx, g, &y, &x, &mut w)),
    ]
}

/// The seconds of 5 to 200 runs, about a fifth of a second in all, after one run to warm up.
fn clock(run: &mut dyn FnMut()) -> Times {
    run();
    let (mut times, begin) = (Vec::new(), Instant::now());
    while times.len() < 5 || (times.len() < 200 && begin.elapsed().as_secs_f64() < 0.2) {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64());
    }
    Times::of(times)
}
