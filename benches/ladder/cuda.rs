//! The GPU's ladders.

use crate::predicted::{self, Predicted, PredictedLine};
use crate::table::{Check, Line, print, words};
use receptive::core::{ConvShape, Precision};
use receptive::cuda::conv2d::ladder as convolutions;
use receptive::cuda::conv2d::{Forward, GradInput, GradWeight};
use receptive::cuda::gemm::ladder as products;
use receptive::cuda::gemm::{Mat, Product, Tiled};
use receptive::cuda::{CudaCtx, CudaOptions, DeviceBuffer, Ptr};
use receptive::inspect::Roof;
use receptive::inspect::gpu_time::KernelRow;
use receptive::testing::bench::{Arguments, Times};
use receptive::testing::layers::{Layer, few, noise};
use receptive::{Device, Result};

pub fn run(cx: &CudaCtx, arguments: &Arguments) -> Result<()> {
    let facts = cx.facts();
    let simulated = facts.is_simulated();
    let predicted = Predicted::find(cx, arguments)?;
    if let Some(Predicted { card, .. }) = &predicted {
        println!("Times are predicted for the {} from counts of this simulator, not measured.", card.title);
        println!("us: predicted; what follows is of the slowest kernel; *: training uses this rung");
        println!("{}", KernelRow::LEGEND);
    } else if simulated {
        println!("This is a simulator: the checks are valid, but the times and rates are not meaningful.");
    }
    let roof = if simulated { None } else { Some(Roof::of(cx)?) };
    println!("{}, {} multiprocessors, driver {}", facts.name, facts.multiprocessors, facts.driver);
    if let Some(roof) = roof {
        println!("roof: {}", words(roof));
    }
    let exact = Device::cpu()?;
    for layer in few().iter().filter(|layer| arguments.chosen(&layer.name())) {
        let small = layer.flops() <= 2e7;
        if simulated && predicted.is_none() && !small {
            continue;
        }
        // The simulator computes as slowly as one CPU core.
        let check = if simulated && !small { Check::none(layer) } else { Check::new(layer, &exact)? };
        let [x, w, y] = layer.sizes().map(|n| filled(cx, n));
        let (x, w, y) = (x?, w?, y?);
        let mut lines = Lines { times: Vec::new(), predicted: Vec::new(), by: predicted.as_ref() };
        for precision in [Precision::F32, Precision::Bf16] {
            let pointers = [x.ptr(), w.ptr(), y.ptr()];
            if layer.op == "linear" {
                gemm_lines(cx, layer, precision, pointers, &check, &mut lines)?;
            } else {
                conv_lines(cx, layer, precision, pointers, &check, &mut lines)?;
            }
        }
        if predicted.is_some() {
            predicted::print(layer, &lines.predicted);
            continue;
        }
        print(layer, &lines.times, &|layer, seconds| {
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
    lines: &mut Lines,
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
        let run = |product| Tiled::best(kernels, product).run(cx, product);
        let trains = products::default(precision) == rung.number;
        lines.add(cx, name, trains, products.each_ref().map(|product| move || run(product)))?;
    }
    Ok(())
}

fn conv_lines(
    cx: &CudaCtx,
    layer: &Layer,
    precision: Precision,
    [x, weight, y]: [Ptr<f32>; 3],
    check: &Check,
    lines: &mut Lines,
) -> Result<()> {
    let (g, bias) = (&layer.g, Ptr::NULL);
    let rungs =
        convolutions::RUNGS.iter().filter(|r| precision == Precision::F32 || r.version.bf16.is_some());
    for rung in rungs.filter(|rung| (rung.version.supports)(g)) {
        let (run, rounds_to) = rung.version.at(precision);
        let name = format!("{:02} {} {rounds_to}", rung.number, rung.name);
        let options = CudaOptions { precision, conv_rung: Some(rung.number), ..CudaOptions::default() };
        check.passes(&name, &Device::cuda_with(&options)?, rounds_to.rounding());
        let trains = convolutions::default(g, precision).number == rung.number;
        let loops: [&dyn Fn() -> Result<()>; 3] = [
            &|| (run.forward)(cx, g, Forward { x, weight, bias, relu: false, y }),
            &|| (run.grad_input)(cx, g, GradInput { dy: y, weight, bias, dx: x }),
            &|| (run.grad_weight)(cx, g, GradWeight { dy: y, x, dw: weight }),
        ];
        lines.add(cx, name, trains, loops)?;
    }
    Ok(())
}

/// The rungs of a layer so far: timed on a GPU, or predicted.
struct Lines<'a> {
    times: Vec<Line>,
    predicted: Vec<PredictedLine>,
    by: Option<&'a Predicted>,
}

impl Lines<'_> {
    fn add(
        &mut self,
        cx: &CudaCtx,
        rung: String,
        trains: bool,
        [forward, grad_input, grad_weight]: [impl Fn() -> Result<()>; 3],
    ) -> Result<()> {
        let trains = [trains; 3];
        if let Some(by) = self.by {
            let loops = [by.table(&forward)?, by.table(&grad_input)?, by.table(&grad_weight)?];
            self.predicted.push(PredictedLine { rung, loops, trains });
        } else {
            let times = [time(cx, &forward)?, time(cx, &grad_input)?, time(cx, &grad_weight)?];
            self.times.push(Line { rung, times, trains });
        }
        Ok(())
    }
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
