//! Lesson 6: transfer learning. A network that learned from many images of one kind needs fewer images of another kind.
//!
//!     cargo run --release --example 06_transfer
//!
//! Learns clothes, then shoes, from the embedded Fashion-MNIST sample; needs no data set.

use receptive::data::{
    DataDirs, Dataset, Image, ImageSet, Loader, LoaderOptions, Normalize, load, stratified,
};
use receptive::models::{self, ModelConfig};
use receptive::nn::{Loss, Module, ModuleExt};
use receptive::optim::Adam;
use receptive::train::{RunConfig, Trainer};
use receptive::{DType, Device, Key, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// T-shirts, trousers, pullovers, dresses, coats, shirts and bags: the classes of the first network.
const CLOTHES: [usize; 7] = [0, 1, 2, 3, 4, 6, 8];
/// Sandals, sneakers and ankle boots: the classes of the second network.
const SHOES: [usize; 3] = [5, 7, 9];
/// How many shoes of each kind it may see.
const FEW: usize = 5;
const SEEDS: u64 = 5;

fn main() -> Result<()> {
    let cpu = Device::cpu()?;
    let all = load("sample", &DataDirs::default())?;

    // Step 1: a network that has seen many clothes.
    let (clothes, clothes_val) = (only(&all.train, &CLOTHES)?, only(&all.val, &CLOTHES)?);
    let teacher = lenet(&cpu, CLOTHES.len(), 0)?;
    let accuracy = train(&*teacher, &clothes, &clothes_val, 0, 8, 0.001)?;
    println!("{} images of {} kinds of clothes: {:.1} %\n", clothes.len(), CLOTHES.len(), 100.0 * accuracy);

    // Step 2: copy its weights to a network for shoes. They are matched by name. Weights that do not fit are left
    // unchanged and listed. (`TensorFile::new(learned).write(path)` would make a file of them: it is PyTorch's
    // state_dict.)
    let learned = teacher.state_dict()?;
    println!("into a network for {} kinds of shoes:", SHOES.len());
    for line in lenet(&cpu, SHOES.len(), 0)?.load_matching(&learned)?.lines() {
        println!("  {line}");
    }

    // Step 3: train on a few shoes. The result of 15 images is partly chance. So repeat it with other images and other
    // first weights, and take the mean.
    println!("\n{FEW} shoes of each kind, mean validation accuracy of {SEEDS} seeds:");
    println!("  {:28} {:>10} {:>12}", "taken over", "rest alone", "then all");
    let (shoes, shoes_val) = (only(&all.train, &SHOES)?, only(&all.val, &SHOES)?);
    let taken: [&[&str]; 4] =
        [&[], &["conv1", "conv2"], &["conv1", "conv2", "fc1"], &["conv1", "conv2", "fc1", "fc2"]];
    for layers in taken {
        let is_taken = |name: &str| layers.iter().any(|layer| name.starts_with(layer));
        let part: BTreeMap<_, _> = learned.clone().into_iter().filter(|(name, _)| is_taken(name)).collect();
        let mut sums = [0.0; 2];
        for seed in 0..SEEDS {
            let few: Arc<dyn Dataset> =
                Arc::new(stratified(&shoes, FEW * SHOES.len(), Some(Key::new(seed)))?);
            let net = lenet(&cpu, SHOES.len(), seed)?;
            net.load_matching(&part)?;
            // First train only the new layers. A frozen parameter records nothing on the tape, and is not given to the
            // optimiser.
            let trunk = || net.params().into_iter().filter(|(name, _)| is_taken(name));
            trunk().for_each(|(_, parameter)| parameter.freeze(true));
            sums[0] += train(&*net, &few, &shoes_val, seed, 30, 0.001)?;
            // Then train all layers, slowly. It was too early for that while the head was random: it would have sent
            // random gradients into the copied layers.
            trunk().for_each(|(_, parameter)| parameter.freeze(false));
            sums[1] += train(&*net, &few, &shoes_val, seed, 30, 0.0003)?;
        }
        let [alone, then_all] = sums.map(|sum| 100.0 * sum / SEEDS as f64);
        let taken = if layers.is_empty() { "nothing".to_owned() } else { layers.join(" ") };
        println!("  {taken:28} {alone:8.1} % {then_all:10.1} %");
    }
    // Edges and textures are the same on a coat and on a boot, so it helps to copy the convolutions. Deeper layers are
    // more special to their task: features that distinguish shirts from coats do not help to distinguish boots.

    println!("\nOn the command line, torchvision's weights in a U-Net:");
    println!("  receptive train unet-resnet34 --init resnet34.safetensors --init-partial --freeze encoder");
    println!("Try: FEW = 100. What is left of the lead?");
    println!("Try: do not freeze, and train all at 0.001 at once. Which step can be saved?");
    Ok(())
}

/// The images of some classes, renumbered from 0.
fn only(set: &Arc<dyn Dataset>, classes: &[usize]) -> Result<Arc<dyn Dataset>> {
    let (mut pixels, mut labels, mut image) = (Vec::new(), Vec::new(), Image::default());
    for i in 0..set.len() {
        if let Some(label) = classes.iter().position(|&class| class == set.label(i)) {
            set.read(i, &mut image)?;
            pixels.extend_from_slice(&image.pixels);
            labels.push(label as u32);
        }
    }
    let names = classes.iter().map(|&class| set.classes()[class].clone()).collect();
    Ok(Arc::new(ImageSet::new(set.name(), image.size, pixels, labels, names)?))
}

/// LeNet-5 with weights drawn from `seed`.
fn lenet(cpu: &Device, classes: usize, seed: u64) -> Result<Box<dyn Module>> {
    let net = models::find("lenet5")?.build(&ModelConfig::new([1, 28, 28], classes))?;
    net.init(cpu, DType::F32, seed)?;
    Ok(net)
}

/// Trains the parameters that are not frozen. Returns the best validation accuracy.
fn train(
    net: &dyn Module,
    train: &Arc<dyn Dataset>,
    val: &Arc<dyn Dataset>,
    seed: u64,
    epochs: usize,
    lr: f64,
) -> Result<f64> {
    let trainable = net.trainable()?;
    let cpu = trainable[0].1.device().clone();
    let in_order = LoaderOptions::new(32, Normalize::unit(1), cpu);
    let shuffled = LoaderOptions { shuffle: Some(Key::new(seed).child("shuffle")), ..in_order.clone() };
    let train = Loader::new(Arc::clone(train), shuffled)?;
    let val = Loader::new(Arc::clone(val), in_order)?;
    let config = RunConfig { seed, ..RunConfig::plain("lenet5", epochs, lr) };
    let adam = Box::new(Adam::new(trainable, 0.0)?);
    Ok(Trainer::new(net, Loss::Nll, adam, config)?.fit(&train, &val)?.best.accuracy)
}
