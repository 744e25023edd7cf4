//! The GPU's ladders.

use crate::table::{Check, Line, print, words};
use receptive::core::{ConvShape, Precision};
use receptive::cuda::conv2d::ladder as convolutions;
use receptive::cuda::conv2d::{Forward, GradInput, GradWeight};
use receptive::cuda::gemm::ladder as products;
use receptive::cuda::gemm::{Mat, Product, Tiled};
use receptive::cuda::{CudaCtx, CudaOptions, DeviceBuffer, Ptr};
use receptive::inspect::Roof;
use receptive::testing::bench::{Arguments, Times};
use receptive::testing::layers::{Layer, few, noise};
use receptive::{Device, Result};

pub fn run(cx: &CudaCtx, arguments: &Arguments) -> Result<()> {
    let facts = cx.facts();
    let simulated = facts.is_simulated();
    if simulated {
        println!("This is a simulator: the checks are valid, but the times and rates are not meaningful.");
    }
    let roof = if simulated { None } else { Some(Roof::of(cx)?) };
    println!("{}, {} multiprocessors, driver {}", facts.name, facts.multiprocessors, facts.driver);
    if let Some(roof) = roof {
        println!("roof: {}", words(roof));
    }
    let exact = Device::cpu()?;
    for layer in few().iter().filter(|layer| arguments.chosen(&layer.name())) {
        if simulated && layer.flops() > 2e7 {
            continue;
        }
        let check = Check::new(layer, &exact)?;
        let [x, w, y] = layer.sizes().map(|n| filled(cx, n));
        let (x, w, y) = (x?, w?, y?);
        let mut lines = Vec::new();
        for precision in [Precision::F32, Precision::Bf16] {
            let pointers = [x.ptr(), w.ptr(), y.ptr()];
            if layer.op == "linear" {
                gemm_lines(cx, layer, precision, pointers, &check, &mut lines)?;
            } else {
                conv_lines(cx, layer, precision, pointers, &check, &mut lines)?;
            }
        }
        print(layer, &lines, &|layer, seconds| {
            roof.map(|roof| roof.seconds(layer.flops(), layer.bytes()) / seconds)
        });
    }
    Ok(())
}

/// Random numbers: with zeros the GPU would use less power and run faster.
fn filled(cx: &CudaCtx, n: usize) -> Result<DeviceBuffer> {
    let buffer = cx.scratch::<f32>(n)?;
    cx.upload(buffer.ptr(), &noise(n))?;
    Ok(buffer)
}

fn gemm_lines(
    cx: &CudaCtx,
    layer: &Layer,
    precision: Precision,
    [x, w, y]: [Ptr<f32>; 3],
    check: &Check,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let ConvShape { n: rows, c: i, o, .. } = layer.g;
    let products = [
        Product::new([rows, i, o], Mat::new(x, i), Mat::transposed(w, i), y),
        Product::new([rows, o, i], Mat::new(y, o), Mat::new(w, i), x),
        Product::new([o, rows, i], Mat::transposed(y, o), Mat::new(x, i), w),
    ];
    for rung in products::RUNGS.iter().filter(|r| precision == Precision::F32 || !r.version.bf16.is_empty()) {
        let (kernels, rounds_to) = rung.version.at(precision);
        let name = format!("{:02} {} {rounds_to}", rung.number, rung.name);
        let options = CudaOptions { precision, gemm_rung: Some(rung.number), ..CudaOptions::default() };
        check.passes(&name, &Device::cuda_with(&options)?, rounds_to.rounding());
        let [forward, grad_input, grad_weight] =
            products.each_ref().map(|product| time(cx, &|| Tiled::best(kernels, product).run(cx, product)));
        let trains = [products::default(precision) == rung.number; 3];
        lines.push(Line { rung: name, times: [forward?, grad_input?, grad_weight?], trains });
    }
    Ok(())
}

fn conv_lines(
    cx: &CudaCtx,
    layer: &Layer,
    precision: Precision,
    [x, weight, y]: [Ptr<f32>; 3],
    check: &Check,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let (g, bias) = (&layer.g, Ptr::NULL);
    let rungs =
        convolutions::RUNGS.iter().filter(|r| precision == Precision::F32 || r.version.bf16.is_some());
    for rung in rungs.filter(|rung| (rung.version.supports)(g)) {
        let (run, rounds_to) = rung.version.at(precision);
        let name = format!("{:02} {} {rounds_to}", rung.number, rung.name);
        let options = CudaOptions { precision, conv_rung: Some(rung.number), ..CudaOptions::default() };
        check.passes(&name, &Device::cuda_with(&options)?, rounds_to.rounding());
        let times = [
            time(cx, &|| (run.forward)(cx, g, Forward { x, weight, bias, relu: false, y }))?,
            time(cx, &|| (run.grad_input)(cx, g, GradInput { dy: y, weight, bias, dx: x }))?,
            time(cx, &|| (run.grad_weight)(cx, g, GradWeight { dy: y, x, dw: weight }))?,
        ];
        let trains = [convolutions::default(g, precision).number == rung.number; 3];
        lines.push(Line { rung: name, times, trains });
    }
    Ok(())
}

/// The seconds per run by the device's clock: at least 5 runs, about a fifth of a second in all.
fn time(cx: &CudaCtx, run: &dyn Fn() -> Result<()>) -> Result<Times> {
    let once = || -> Result<f64> {
        let start = cx.mark()?;
        run()?;
        Ok(start.milliseconds_to(&cx.mark()?)? / 1e3)
    };
    once()?;
    let runs = (0.2 / once()?.max(1e-6)).clamp(5.0, 200.0) as usize;
    (0..runs).map(|_| once()).collect::<Result<_>>().map(Times::of)
}
