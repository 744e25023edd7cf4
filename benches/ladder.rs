//! `cargo bench --bench ladder -- [--device auto|cpu|cuda] [FILTER]`: both ladders, rung by rung.
//!
//! A rung is checked against f64 before it is timed. A line gives the median time of one loop, operations and bytes a second
//! (inputs and outputs counted once), the percentage of the fastest rung, and on a GPU the percentage of the roof that
//! this very run measured: of the time that f32 multiply-adds or memory would need if nothing else were in the way. Tensor
//! cores may pass it.

use receptive::core::{Geometry, Key, Window};
use receptive::cpu::conv2d::ConvFns;
use receptive::cpu::{CpuCtx, CpuOptions, gemm as cpu_gemm};
use receptive::cuda::conv2d::{Forward, GradInput, GradWeight};
use receptive::cuda::gemm::{Mat, Product, Tiled};
use receptive::cuda::{CudaCtx, CudaOptions, DeviceBuffer, Ptr};
use receptive::ladder::{self, Precision};
use receptive::ops::{Case, find};
use receptive::testing::conformance::rounded_against_f64;
use receptive::testing::roofline::Roof;
use receptive::{Device, Result};
use std::time::{Duration, Instant};

/// A layer: a linear one is a convolution of single pixels.
struct Layer {
    label: &'static str,
    op: &'static str,
    g: Geometry,
}

fn linear(label: &'static str, rows: usize, i: usize, o: usize) -> Layer {
    let window = Window { kernel: [1; 2], stride: [1; 2], padding: [[0; 2]; 2], dilation: [1; 2] };
    let g = Geometry { n: rows, c: i, h: 1, w: 1, o, oh: 1, ow: 1, groups: 1, window };
    Layer { label, op: "linear", g }
}

fn conv(label: &'static str, [n, c, size]: [usize; 3], o: usize, kernel: usize, stride: usize) -> Layer {
    let (padding, groups) = (kernel / 2, if label.contains("depthwise") { c } else { 1 });
    let window =
        Window { kernel: [kernel; 2], stride: [stride; 2], padding: [[padding; 2]; 2], dilation: [1; 2] };
    let out = (size + 2 * padding - kernel) / stride + 1;
    let g = Geometry { n, c, h: size, w: size, o, oh: out, ow: out, groups, window };
    Layer { label, op: "conv2d", g }
}

fn layers() -> Vec<Layer> {
    vec![
        linear("lenet5 fc1", 64, 400, 120),
        linear("lenet5 fc3", 64, 84, 10),
        linear("512", 512, 512, 512),
        linear("vgg fc2", 32, 4096, 4096),
        linear("1024", 1024, 1024, 1024),
        linear("4096", 4096, 4096, 4096),
        conv("lenet5 conv1", [64, 1, 28], 6, 5, 1),
        conv("resnet-cifar", [128, 16, 32], 16, 3, 1),
        conv("resnet layer1", [32, 64, 56], 64, 3, 1),
        conv("resnet layer3", [32, 256, 14], 256, 3, 1),
        conv("resnet downsample", [32, 128, 28], 256, 1, 2),
        conv("depthwise", [32, 128, 28], 128, 3, 1),
    ]
}

/// The three loops of a training step.
const LOOPS: [&str; 3] = ["forward", "grad input", "grad weight"];

impl Layer {
    fn x(&self) -> usize {
        self.g.n * self.g.c * self.g.plane()
    }

    fn y(&self) -> usize {
        self.g.n * self.g.o * self.g.out_plane()
    }

    fn weights(&self) -> usize {
        self.g.o * self.g.k()
    }

    /// Of each loop.
    fn flops(&self) -> f64 {
        2.0 * self.g.work() as f64
    }

    /// Of each loop: they differ in which of the three is written.
    fn bytes(&self) -> f64 {
        4.0 * (self.x() + self.y() + self.weights()) as f64
    }

    /// The same layer as a case of its op, for the check.
    fn case(&self) -> Case {
        let Geometry { n, c, h, w, o, groups, window, .. } = self.g;
        if self.op == "linear" {
            return Case::new(self.label, "").input("input", &[n, c]).input("weight", &[o, c]);
        }
        let [stride, padding] = [window.stride[0], window.padding[0][0]];
        let attrs = format!("stride={stride} padding={padding} groups={groups}");
        let [kh, kw] = window.kernel;
        Case::new(self.label, &attrs).input("input", &[n, c, h, w]).input("weight", &[o, c / groups, kh, kw])
    }
}

/// One rung, and the seconds of each loop.
struct Line {
    rung: String,
    seconds: [f64; 3],
}

fn main() -> Result<()> {
    if cfg!(debug_assertions) {
        eprintln!("error: timings of a debug build mean nothing\n  help: cargo bench --bench ladder");
        std::process::exit(1);
    }
    let mut args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let mut named = "auto".to_owned();
    if let Some(at) = args.iter().position(|arg| arg == "--device").filter(|at| at + 1 < args.len()) {
        named = args.remove(at + 1);
        args.remove(at);
    }
    let filter = args.pop().unwrap_or_default();
    let device = Device::from_name(&named, &Default::default())?;
    let chosen = |layer: &Layer| format!("{} {}", layer.op, layer.label).contains(&filter);
    match device.as_cuda() {
        Some(cx) => cuda(cx, chosen),
        None => cpu(chosen),
    }
}

/// The most f64 work that a check may cost.
const CHECKED: f64 = 2e11;

/// The rung's answer on this layer, against f64.
fn check(layer: &Layer, rung: &str, device: &Device, exact: &Device, rounds_to: Precision) {
    let spec = find(layer.op).expect("an op of the table");
    if layer.flops() > CHECKED {
        println!("{rung}: too large to be checked here");
    } else if let Err(failure) = rounded_against_f64(spec, &layer.case(), device, exact, rounds_to.rounding())
    {
        panic!("{rung} is wrong on {} {}, so it is not timed: {failure}", layer.op, layer.label);
    }
}

fn cuda(cx: &CudaCtx, chosen: impl Fn(&Layer) -> bool) -> Result<()> {
    let facts = cx.facts();
    let simulated = facts.name.contains("simulated");
    if simulated {
        println!("This is a simulator: the checks count, the times and rates mean nothing.");
    }
    let roof = if simulated { None } else { Some(Roof::of(cx)?) };
    println!("{}, {} multiprocessors, driver {}", facts.name, facts.multiprocessors, facts.driver);
    if let Some(Roof { flops, bytes }) = roof {
        println!("roof: {:.1} TFLOP/s of f32 multiply-adds, {:.0} GB/s copied", flops / 1e12, bytes / 1e9);
    }
    let exact = Device::cpu()?;
    for layer in layers().iter().filter(|layer| chosen(layer)) {
        if simulated && layer.flops() > 2e7 {
            continue;
        }
        let [x, w, y] = [layer.x(), layer.weights(), layer.y()].map(|n| filled(cx, n));
        let (x, w, y) = (x?, w?, y?);
        let mut lines = Vec::new();
        for precision in [Precision::F32, Precision::Bf16] {
            let pointers = [x.ptr(), w.ptr(), y.ptr()];
            if layer.op == "linear" {
                gemm_lines(cx, layer, precision, pointers, &exact, &mut lines)?;
            } else {
                conv_lines(cx, layer, precision, pointers, &exact, &mut lines)?;
            }
        }
        print(layer, &lines, roof);
    }
    Ok(())
}

/// Random numbers: zeros would be multiplied with less power, and faster.
fn filled(cx: &CudaCtx, n: usize) -> Result<DeviceBuffer> {
    let buffer = cx.scratch::<f32>(n)?;
    cx.upload(buffer.ptr(), &noise(n))?;
    Ok(buffer)
}

fn noise(n: usize) -> Vec<f32> {
    (0..n as u64).map(|i| Key::new(1).bits(i) as f32 / u32::MAX as f32 - 0.5).collect()
}

fn gemm_lines(
    cx: &CudaCtx,
    layer: &Layer,
    precision: Precision,
    [x, w, y]: [Ptr<f32>; 3],
    exact: &Device,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let Geometry { n: rows, c: i, o, .. } = layer.g;
    let products = [
        Product::new([rows, i, o], Mat::new(x, i), Mat::transposed(w, i), y),
        Product::new([rows, o, i], Mat::new(y, o), Mat::new(w, i), x),
        Product::new([o, rows, i], Mat::transposed(y, o), Mat::new(x, i), w),
    ];
    for rung in ladder::gemm::CUDA.iter().filter(|r| precision == Precision::F32 || !r.bf16.is_empty()) {
        let (kernels, rounds_to) = rung.at(precision);
        let name = format!("{:02} {} {rounds_to}", rung.number, rung.name);
        let options = CudaOptions { precision, gemm_rung: Some(rung.number), ..CudaOptions::default() };
        check(layer, &name, &Device::cuda_with(&options)?, exact, rounds_to);
        let mut seconds = [0.0; 3];
        for (seconds, product) in seconds.iter_mut().zip(&products) {
            *seconds = time(cx, &|| Tiled::best(kernels, product).run(cx, product))?;
        }
        lines.push(Line { rung: name, seconds });
    }
    Ok(())
}

fn conv_lines(
    cx: &CudaCtx,
    layer: &Layer,
    precision: Precision,
    [x, weight, y]: [Ptr<f32>; 3],
    exact: &Device,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let (g, bias) = (&layer.g, Ptr::NULL);
    let rungs = ladder::conv2d::CUDA.iter().filter(|r| precision == Precision::F32 || r.bf16.is_some());
    for rung in rungs.filter(|rung| (rung.supports)(g)) {
        let (run, rounds_to) = rung.at(precision);
        let name = format!("{:02} {} {rounds_to}", rung.number, rung.name);
        let options = CudaOptions { precision, conv_rung: Some(rung.number), ..CudaOptions::default() };
        check(layer, &name, &Device::cuda_with(&options)?, exact, rounds_to);
        let seconds = [
            time(cx, &|| (run.forward)(cx, g, Forward { x, weight, bias, relu: false, y }))?,
            time(cx, &|| (run.grad_input)(cx, g, GradInput { dy: y, weight, bias, dx: x }))?,
            time(cx, &|| (run.grad_weight)(cx, g, GradWeight { dy: y, x, dw: weight }))?,
        ];
        lines.push(Line { rung: name, seconds });
    }
    Ok(())
}

/// The median seconds of a run by the device's clock: at least 5 runs, about a fifth of a second of them.
fn time(cx: &CudaCtx, run: &dyn Fn() -> Result<()>) -> Result<f64> {
    let once = || -> Result<f64> {
        let start = cx.mark()?;
        run()?;
        Ok(start.milliseconds_to(&cx.mark()?)? / 1e3)
    };
    once()?;
    let runs = (0.2 / once()?.max(1e-6)).clamp(5.0, 200.0) as usize;
    (0..runs).map(|_| once()).collect::<Result<Vec<f64>>>().map(median)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Work beyond which the slowest loops of a CPU would take minutes.
const CPU_FLOPS: f64 = 2.5e9;

fn cpu(chosen: impl Fn(&Layer) -> bool) -> Result<()> {
    let exact = Device::cpu()?;
    let open = |options: CpuOptions| CpuCtx::new(&options);
    println!("CPU, {} threads", open(CpuOptions::default())?.threads());
    for layer in layers().iter().filter(|layer| chosen(layer) && layer.flops() < CPU_FLOPS) {
        let [mut x, mut w, mut y] = [layer.x(), layer.weights(), layer.y()].map(noise);
        let mut lines = Vec::new();
        if layer.op == "linear" {
            for rung in ladder::gemm::RUNGS {
                let options = CpuOptions { gemm_rung: rung.number, ..CpuOptions::default() };
                let name = format!("{:02} {}", rung.number, rung.name);
                check(layer, &name, &Device::cpu_with(&options)?, &exact, Precision::F32);
                let (cx, Geometry { n: rows, c: i, o, .. }) = (open(options)?, layer.g);
                use cpu_gemm::{Mat, gemm};
                let seconds = [
                    clock(&mut || {
                        gemm(&cx, [rows, i, o], Mat::new(&x, i), Mat::transposed(&w, i), 0.0, &mut y)
                    }),
                    clock(&mut || gemm(&cx, [rows, o, i], Mat::new(&y, o), Mat::new(&w, i), 0.0, &mut x)),
                    clock(&mut || {
                        gemm(&cx, [o, rows, i], Mat::transposed(&y, o), Mat::new(&x, i), 0.0, &mut w)
                    }),
                ];
                lines.push(Line { rung: name, seconds });
            }
        } else {
            for rung in ladder::conv2d::RUNGS {
                let options = CpuOptions { conv_rung: rung.number, ..CpuOptions::default() };
                let name = format!("{:02} {}", rung.number, rung.name);
                check(layer, &name, &Device::cpu_with(&options)?, &exact, Precision::F32);
                let (cx, g, run) = (open(options)?, &layer.g, rung.f32);
                let ConvFns { forward, grad_input, grad_weight } = run;
                let seconds = [
                    clock(&mut || forward(&cx, g, &x, &w, None, &mut y)),
                    clock(&mut || grad_input(&cx, g, &y, &w, &mut x)),
                    clock(&mut || grad_weight(&cx, g, &y, &x, &mut w)),
                ];
                lines.push(Line { rung: name, seconds });
            }
        }
        print(layer, &lines, None);
    }
    Ok(())
}

/// As [`time`], by the host's clock.
fn clock(run: &mut dyn FnMut()) -> f64 {
    let mut once = || {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    let first = once();
    let runs = (0.2 / first.max(Duration::from_micros(1)).as_secs_f64()).clamp(3.0, 200.0) as usize;
    median((0..runs).map(|_| once().as_secs_f64()).collect())
}

fn print(layer: &Layer, lines: &[Line], roof: Option<Roof>) {
    let (flops, bytes) = (layer.flops(), layer.bytes());
    for (which, name) in LOOPS.iter().enumerate() {
        println!("\n{} {}, {name}: {:.3} GFLOP, {:.2} MB", layer.op, layer.label, flops / 1e9, bytes / 1e6);
        println!(
            "  {:<28} {:>10} {:>10} {:>9} {:>9} {:>9}",
            "rung", "ms", "GFLOP/s", "GB/s", "% of best", "% of roof"
        );
        let best = lines.iter().map(|line| line.seconds[which]).fold(f64::INFINITY, f64::min);
        for line in lines {
            let seconds = line.seconds[which];
            let of_roof = roof.map_or("-".to_owned(), |roof| {
                format!("{:.1}", 100.0 * roof.seconds(flops, bytes) / seconds)
            });
            println!(
                "  {:<28} {:>10.4} {:>10.1} {:>9.1} {:>9.1} {:>9}",
                line.rung,
                seconds * 1e3,
                flops / seconds / 1e9,
                bytes / seconds / 1e9,
                100.0 * best / seconds,
                of_roof
            );
        }
    }
}
