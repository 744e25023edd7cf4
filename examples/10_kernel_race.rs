//! Lesson 10: a race. The same LeNet-5, the same images, the same seed. Only the loops that compute it change, rung by
//! rung.
//!
//!     cargo run --release --example 10_kernel_race
//!
//! Trains on the embedded Fashion-MNIST sample; needs no data set.

use receptive::core::table::{WIDTH, wrapped};
use receptive::cpu::CpuOptions;
use receptive::cpu::conv2d::ladder as conv2d;
use receptive::cpu::gemm::ladder as gemm;
use receptive::data::{DataDirs, Loader, LoaderOptions, Splits, load};
use receptive::models::{self, ModelConfig};
use receptive::nn::{Ctx, Module, ModuleExt};
use receptive::optim::{Optimizer, Sgd};
use receptive::{DType, Device, Error, Key, Result};
use std::time::Instant;

/// The number of training steps per rung. The first is a warm-up: it allocates memory.
const STEPS: usize = 20;
/// The rung that computes a convolution entirely by matrix products.
const IM2COL: u32 = 2;

fn main() -> Result<()> {
    let splits = load("sample", &DataDirs::default())?;
    let default = CpuOptions::default;

    // Every linear layer is a matrix product, and so is a convolution whose taps were gathered into columns. The rungs
    // compute the same sums in a different order. The order decides which data are in a cache, how many sums are
    // computed at once, and how many cores take part.
    let rungs = gemm::RUNGS.iter().map(|rung| {
        let options = CpuOptions { gemm_rung: rung.number, conv_rung: Some(IM2COL), ..default() };
        (format!("{:02} {}", rung.number, rung.name), rung.teaches, options)
    });
    race("Matrix products, under convolution by im2col", rungs, &splits)?;

    // The rungs of the other ladder compute a convolution in other ways than by one matrix product.
    let rungs = conv2d::RUNGS.iter().map(|rung| {
        let options = CpuOptions { conv_rung: Some(rung.number), ..default() };
        (format!("{:02} {}", rung.number, rung.name), rung.teaches, options)
    });
    race("Convolutions, over the default matrix product", rungs, &splits)?;

    println!("On the command line: receptive train lenet5 --data sample --gemm-rung 1 --conv-rung 1");
    println!(
        "Each rung's file explains its step: src/cpu/gemm/, src/cpu/conv2d/. All layers: cargo bench --bench ladder"
    );
    println!("Try: RECEPTIVE_SIMD=portable before the command. Which rungs lose, and which do not notice?");
    println!("Try: models::find(\"minivgg\"). Which rung gains most, and why is it not the same as here?");
    Ok(())
}

/// Trains with each rung, and prints the times side by side.
fn race(
    title: &str,
    rungs: impl Iterator<Item = (String, &'static str, CpuOptions)>,
    splits: &Splits,
) -> Result<()> {
    println!("{title}:\n\n{:22} {:>9} {:>13} {:>9}", "rung", "ms a step", "times faster", "loss");
    let (mut before, mut first) = (None, None);
    for (rung, teaches, options) in rungs {
        // A rung may need instructions that this processor does not have.
        let device = match Device::cpu_with(&options) {
            Ok(device) => device,
            Err(error) => {
                println!("{rung:22} skipped: {error}");
                continue;
            }
        };
        let (ms, loss) = train(&device, splits)?;
        let faster = before.map_or("-".to_owned(), |before: f64| format!("{:.2}", before / ms));
        println!(
            "{rung:22} {ms:9.2} {faster:>13} {loss:9.5}\n    {}",
            wrapped(teaches, WIDTH - 4).join("\n    ")
        );
        // The rungs add in a different order, so the losses differ only by rounding.
        let first = *first.get_or_insert(loss);
        let agrees = (loss - first).abs() <= 1e-3;
        if !agrees {
            return Err(Error::argument(rung, format!("the loss is {loss}, not {first}")));
        }
        before = Some(ms);
    }
    println!();
    Ok(())
}

/// Milliseconds of the fastest step, and the loss of the last.
fn train(device: &Device, splits: &Splits) -> Result<(f64, f64)> {
    let network = models::find("lenet5")?;
    let net = network.build(&ModelConfig::new([1, 28, 28], 10))?;
    net.init(device, DType::F32, 0)?;
    let normalizer = splits.normalizer(splits.facts.normalization)?;
    let loader = Loader::new(splits.train.clone(), LoaderOptions::new(64, normalizer, device.clone()))?;
    let mut sgd = Sgd::new(net.trainable()?, 0.9, false, 0.0)?;
    let (mut fastest, mut last) = (f64::INFINITY, f64::NAN);
    for batch in loader.epoch(0, 0)?.take(STEPS) {
        let batch = batch?;
        let start = Instant::now();
        sgd.zero_grad();
        let cx = Ctx::train("lenet5", Key::new(0).child("forward").step(sgd.steps()));
        let loss = network.loss.compute(&net.forward(&cx, &batch.images)?, &batch.targets)?;
        loss.backward()?;
        sgd.step(0.1)?;
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e3);
        last = loss.item()?;
    }
    Ok((fastest, last))
}
