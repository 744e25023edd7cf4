//! Lesson 5: a residual network. Why deep networks need the shortcut, and what a real training run adds to the five
//! steps of lesson 4: images varied at random, batch norm, a learning rate that rises and falls.
//!
//!     cargo run --release --example 05_cifar_resnet
//!
//! Trains on 1,000 images of CIFAR-10 if it is on this machine, else of the embedded Fashion-MNIST sample.

use receptive::data::{Augment, DataDirs, Dataset, Loader, LoaderOptions, Normalization, load, stratified};
use receptive::models::{self, ModelConfig};
use receptive::nn::{Conv2d, Ctx, Module, ModuleExt, Relu, Residual, Sequential};
use receptive::optim::{Adam, Schedule};
use receptive::train::{Callback, Confusion, Flow, PhaseReport, RunConfig, Trainer, evaluate};
use receptive::{DType, Device, Key, Result, Tensor};
use std::sync::Arc;

fn main() -> Result<()> {
    let cpu = Device::cpu()?;

    // Before any training: send a gradient of norm 1 back through a stack of convolutions. Measure its norm at the
    // input, without and with shortcuts.
    println!("gradient that arrives at the input, of norm 1 at the output:");
    println!("{:>6} {:>12} {:>16}", "layers", "one by one", "with shortcuts");
    for depth in [1, 4, 16, 64] {
        println!("{depth:6} {:12.1e} {:16.1e}", arriving(&cpu, depth, false)?, arriving(&cpu, depth, true)?);
    }
    // Each layer shrinks the gradient, and after 64 factors below 1 it is too small to learn from. A block x + f(x) has
    // the derivative 1 + f'(x): whatever f does, the 1 lets the gradient through. Now the gradient grows from block to
    // block instead. Batch norm inside the blocks limits that.

    let dirs = DataDirs::from_env(None);
    let splits = load("cifar10", &dirs).or_else(|_| {
        println!(
            "\nCIFAR-10 is not here (`receptive data fetch cifar10` gets it): the sample instead, in grey."
        );
        load("sample", &dirs)
    })?;
    let train = Arc::new(stratified(&splits.train, 1000, Some(Key::new(0)))?);
    let val = Arc::new(stratified(&splits.val, 500, None)?);

    // The notebook's ResNet: 14 layers with weights in three stages. Each stage has half the side and twice the
    // channels of the one before. At the end it averages over all remaining pixels, so it takes 28x28 images as well as
    // 32x32 ones.
    let image = splits.facts.size.fixed().expect("both sets have images of one size");
    let spec = models::find("resnet-cifar")?;
    let net = spec.build(&ModelConfig::new(image, splits.train.classes().len()))?;
    net.init(&cpu, DType::F32, 0)?;
    println!("\n{}: {} images of {image:?}, {} parameters", splits.name, train.len(), net.num_parameters());

    // In each epoch, every image is padded, perhaps mirrored, and cropped at random: a cat moved by two pixels is still
    // a cat. Validation uses the unchanged images. `Statistics` makes the mean of each channel 0 and its deviation 1.
    let (varied, plain) = splits.pipelines(Augment::Standard, None, Normalization::Statistics)?;
    let shuffle = Some(Key::new(0).child("shuffle"));
    let train_options = LoaderOptions { shuffle, ..LoaderOptions::new(50, varied, cpu.clone()) };
    let train = Loader::new(train, train_options)?;
    let val = Loader::new(val, LoaderOptions::new(250, plain, cpu.clone()))?;

    // The trainer is lesson 4's loop, and keeps the weights of the best epoch. The learning rate starts low, because
    // the weights are random and gradients large. It ends low, because a large step would jump over the minimum.
    let config =
        RunConfig { scheduler: Schedule::OneCycle.to_string(), ..RunConfig::plain("resnet-cifar", 5, 0.003) };
    let adam = Box::new(Adam::new(net.trainable()?, 0.0)?);
    Trainer::new(&*net, spec.loss, adam, config)?.callback(Print).fit(&train, &val)?;

    // The accuracy does not say which classes the network confuses. The confusion matrix does.
    let mut confusion = Confusion::new(splits.train.classes().len());
    evaluate(&*net, "resnet-cifar", spec.loss, &val, |batch, output, _| {
        confusion.add(output, &batch.targets).map(|()| Flow::Continue)
    })?;
    println!("most often confused, of 50 images a class:");
    for (label, class, count) in confusion.worst(3) {
        let classes = splits.train.classes();
        println!("  {count:2} times {} was taken for {}", classes[label], classes[class]);
    }

    println!("\nThe whole of it, 50,000 images for 25 epochs: receptive reproduce C6");
    println!("Try: Augment::None above. Training accuracy rises, validation accuracy need not: why?");
    println!("Try: Schedule::Constant. How do the first and the last epochs differ?");
    Ok(())
}

/// The norm at the input of a gradient that has norm 1 at the output, after `depth` layers.
fn arriving(cpu: &Device, depth: usize, shortcuts: bool) -> Result<f64> {
    let mut net = Sequential::new();
    for _ in 0..depth {
        let layer = Sequential::new().push(Conv2d::new(8, 8, 3).padding(1)).push(Relu);
        net = if shortcuts { net.push(Residual::new(layer)) } else { net.push(layer) };
    }
    net.init(cpu, DType::F32, 0)?;
    let noise = |name| {
        let key = Key::new(0).child(name);
        Tensor::from_vec(cpu, (0..8 * 256).map(|i| key.normal(i) as f32).collect(), &[1, 8, 16, 16])
    };
    let (x, dy) = (noise("input")?.requires_grad(), noise("gradient")?);
    net.forward(&Ctx::train("pile", Key::new(0)), &x)?.backward_with(&dy)?;
    let norm = |t: &Tensor| Ok(t.to_f64()?.iter().map(|v| v * v).sum::<f64>().sqrt());
    Ok(norm(&x.grad().expect("x is a leaf"))? / norm(&dy)?)
}

/// Callbacks watch the trainer. This one prints; that of the command line draws a progress bar.
struct Print;

impl Callback for Print {
    fn on_phase(&mut self, trainer: &Trainer, report: &PhaseReport) -> Result<()> {
        let PhaseReport { epoch, phase, loss, scores, .. } = report;
        let rate = trainer.learning_rate();
        println!("epoch {} {:5}  loss {loss:.4}  {scores}  rate {rate:.5}", epoch + 1, format!("{phase:?}"));
        Ok(())
    }
}
