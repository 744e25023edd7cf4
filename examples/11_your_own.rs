//! Lesson 11: your own parts. This file has a data set, an op with its gradient, a module and a callback, each as short
//! as it can be. Then they train together.
//!
//!     cargo run --release --example 11_your_own

use receptive::cpu::{CpuCtx, View, ViewMut};
use receptive::data::Examples;
use receptive::float_type;
use receptive::prelude::*;
use receptive::tensor::{Grads, Meta, Plan, Saved, Saves, apply, float_inputs};
use receptive::testing::gradcheck;
use std::sync::Arc;

/// The data set: noisy pictures of 12 x 12 pixels with a horizontal or a vertical bar. The class is the direction.
struct Bars {
    seed: u64,
    count: usize,
}

impl Examples for Bars {
    fn name(&self) -> &str {
        "bars"
    }

    fn len(&self) -> usize {
        self.count
    }

    fn input_shape(&self) -> &[usize] {
        &[1, 12, 12]
    }

    /// Every number of a picture depends on the seed and the picture's number alone, so any thread may make it.
    fn input(&self, i: usize, to: &mut [f32]) -> Result<()> {
        let (key, vertical) = (Key::new(self.seed).step(i as u64), i % 2 == 1);
        let bar = 2 + key.child("place").below(0, 8);
        for (pixel, to) in to.iter_mut().enumerate() {
            let (row, column) = (pixel / 12, pixel % 12);
            let light = if [row, column][usize::from(vertical)] == bar { 1.0 } else { 0.0 };
            *to = light + 0.8 * key.child("noise").normal(pixel as u64) as f32;
        }
        Ok(())
    }

    fn label(&self, i: usize) -> Result<usize> {
        Ok(i % 2)
    }
}

/// The op: `y = x |x|`, the square with the sign of x. The gradient is `dx = 2 |x| dy`.
#[derive(Debug)]
struct SignedSquare;

impl Op for SignedSquare {
    fn name(&self) -> &'static str {
        "signed_square"
    }

    /// The output's shape and type, and all checks: one input, of f32 or f64.
    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = float_inputs(self.name(), x, 1)?;
        Ok(Plan::new(x[0].shape, dtype))
    }

    /// The tensors that `backward` reads.
    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }

    /// The loop on the CPU. Training runs in f32, the check of the gradient in f64.
    fn cpu(&self, _: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => {
            y[0].get::<T>().iter_mut().zip(x[0].get::<T>()).for_each(|(y, x)| *y = x * x.abs());
            Ok(())
        })
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _: &[bool]) -> Result<Grads> {
        let slope = saved.input(0).abs()? * 2.0;
        Ok(Grads::from_iter([Some(dy * slope)]))
    }
}

fn signed_square(x: &Tensor) -> Result<Tensor> {
    Ok(apply(SignedSquare, &[x])?.remove(0))
}

/// The module: a convolution, the op, and a mean over each channel.
struct Detector {
    conv: Conv2d,
    fc: Linear,
}

impl Module for Detector {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        let maps = signed_square(&cx.run("conv", &self.conv, x)?)?;
        cx.run("fc", &self.fc, &maps.mean(&[2, 3], false)?)
    }

    /// The names of the parts: they are in `state_dict` and in every error.
    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        visitor.child("conv", &self.conv);
        visitor.child("fc", &self.fc);
    }

    fn kind(&self) -> &'static str {
        "Detector"
    }
}

/// The callback: it prints a line per epoch, and ends the run when the accuracy is good enough.
struct Until(f64);

impl Callback for Until {
    fn on_phase(&mut self, _: &Trainer, report: &PhaseReport) -> Result<()> {
        if report.phase == Phase::Val {
            println!("epoch {}  loss {:.4}  {}", report.epoch + 1, report.loss, report.scores);
        }
        Ok(())
    }

    fn on_epoch(&mut self, trainer: &Trainer) -> Result<Flow> {
        let best = trainer.outcome().best.accuracy;
        Ok(if best >= self.0 { Flow::Finish } else { Flow::Continue })
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let cpu = Device::cpu()?;

    // Before a new gradient is used, it is compared with finite differences of the function.
    let x = Tensor::randn(&cpu, &[4, 5], DType::F64, Key::new(0))?;
    gradcheck(|x| signed_square(&x[0]), &[x])?;
    println!("the gradient of signed_square is right");

    let net = Detector { conv: Conv2d::new(1, 8, 5), fc: Linear::new(8, 2) };
    net.init(&cpu, DType::F32, 0)?;
    let loader = |seed, count| {
        let options = LoaderOptions { shuffle: Some(Key::new(1)), ..LoaderOptions::plain(50, cpu.clone()) };
        Loader::from_examples(Arc::new(Bars { seed, count }), options)
    };
    let adam = Box::new(Adam::new(net.trainable()?, 0.0)?);
    let outcome = Trainer::new(&net, Loss::CrossEntropy, adam, RunConfig::plain("detector", 20, 0.01))?
        .callback(Until(0.95))
        .fit(&loader(0, 2000)?, &loader(1, 500)?)?;
    println!("best accuracy {:.1} % in epoch {}", 100.0 * outcome.best.accuracy, outcome.best_epoch + 1);
    Ok(())
}
