//! Lesson 4: a network, from layers to a trained LeNet-5, with the whole training loop written out.
//!
//!     cargo run --release --example 04_lenet_mnist
//!
//! Trains on MNIST if it is on this machine (`receptive data fetch mnist`), else on the embedded Fashion-MNIST sample.

use receptive::data::{DataDirs, Loader, LoaderOptions, load};
use receptive::nn::{Conv2d, Ctx, Flatten, Linear, LogSoftmax, Loss, MaxPool2d, ModuleExt, Relu, Sequential};
use receptive::optim::{Adam, Optimizer};
use receptive::train::{Flow, evaluate};
use receptive::{DType, Device, Key, Result};

fn main() -> Result<()> {
    let cpu = Device::cpu()?;
    let dirs = DataDirs::from_env(None);
    let splits = load("mnist", &dirs).or_else(|_| load("sample", &dirs))?;
    println!("{}: {} training images", splits.name, splits.train.len());

    // The network: two convolutions find strokes and their combinations, three linear layers decide.
    let net = Sequential::new()
        .named("conv1", Conv2d::new(1, 6, 5).padding(2)) // 6 x 28 x 28
        .named("relu1", Relu)
        .named("pool1", MaxPool2d::new(2)) //               6 x 14 x 14
        .named("conv2", Conv2d::new(6, 16, 5)) //          16 x 10 x 10
        .named("relu2", Relu)
        .named("pool2", MaxPool2d::new(2)) //              16 x 5 x 5
        .named("flatten", Flatten) //                      400
        .named("fc1", Linear::new(400, 120))
        .named("relu3", Relu)
        .named("fc2", Linear::new(120, 84))
        .named("relu4", Relu)
        .named("fc3", Linear::new(84, 10))
        .named("log_softmax", LogSoftmax(1));
    net.init(&cpu, DType::F32, 0)?;
    println!("{} parameters", net.num_parameters());

    // A separate thread makes batches in advance. Training images come in a new random order in every epoch.
    let options = LoaderOptions::new(64, splits.normalizer(splits.facts.normalization)?, cpu.clone());
    let shuffled = LoaderOptions { shuffle: Some(Key::new(0).child("shuffle")), ..options.clone() };
    let train = Loader::new(splits.train.clone(), shuffled)?;
    let val = Loader::new(splits.val.clone(), options)?;

    let mut adam = Adam::new(net.trainable()?, 0.0)?;
    for epoch in 0..2 {
        for batch in train.epoch(epoch, 0)? {
            let batch = batch?;
            // The five steps of every training loop: clear old gradients, forward, loss, backward, update.
            adam.zero_grad();
            let cx = Ctx::train("lenet5", Key::new(0).child("forward").step(adam.steps()));
            let loss = Loss::Nll
                .compute(&receptive::nn::Module::forward(&net, &cx, &batch.images)?, &batch.targets)?;
            loss.backward()?;
            adam.step(0.001)?;
            if batch.index % 200 == 0 {
                println!("epoch {epoch}  batch {:4}  loss {:.4}", batch.index, loss.item()?);
            }
        }
        let tally =
            evaluate(&net, "lenet5", Loss::Nll, &val, |_, _, _| Ok(Flow::Continue))?.unwrap_or_default();
        println!("epoch {epoch}  validation accuracy {:.2} %", 100.0 * tally.accuracy());
    }
    Ok(())
}
