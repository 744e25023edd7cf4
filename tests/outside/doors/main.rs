//! Everything that a user may write for himself, each as a user would: with the public library alone.

mod callback;
mod data;
mod finite;
mod hook;
mod image;
mod loss;
mod module;
mod numbers;
mod op;
mod operator;
mod optimizer;
mod page;
mod schedule;
mod threads;

use receptive::prelude::*;
use std::sync::{Arc, LazyLock};

/// The device of all tests: tensors that meet must be on the same one.
fn cpu() -> Device {
    static CPU: LazyLock<Device> = LazyLock::new(|| Device::cpu().expect("a CPU"));
    CPU.clone()
}

/// Points `[N, 2]` of a square, and on which side of its diagonal each is: a task that a linear layer learns.
fn points(n: usize) -> Result<[Tensor; 2]> {
    let cpu = cpu();
    let x = Tensor::rand(&cpu, &[n, 2], DType::F32, Key::new(1))?;
    let side = |p: &[f32]| i64::from(p[0] > p[1]);
    let classes: Vec<i64> = x.to_vec::<f32>()?.chunks(2).map(side).collect();
    Ok([x, Tensor::from_vec(&cpu, classes, &[n])?])
}

/// The points in batches of 20, as the trainer takes them.
fn batches(n: usize) -> Result<Loader> {
    let [x, classes] = points(n)?;
    let mut options = LoaderOptions::plain(20, cpu());
    options.shuffle = Some(Key::new(2));
    Loader::from_examples(Arc::new(TensorDataset::new(&x, &classes)?), options)
}

/// A linear classifier of the points, with its first weights drawn.
fn classifier() -> Result<Sequential> {
    let net = Sequential::new().named("fc", Linear::new(2, 2));
    net.init(&cpu(), DType::F32, 0)?;
    Ok(net)
}

/// Plain SGD.
fn sgd(net: &dyn Module) -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(Sgd::new(net.trainable()?, 0.9, false, 0.0)?))
}
