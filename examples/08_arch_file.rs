//! Lesson 8: a network as a file. Describe the layers, read the summary, see how mistakes are reported, train.
//!
//!     cargo run --release --example 08_arch_file
//!
//! Trains on the embedded Fashion-MNIST sample; needs no data set.

use receptive::data::{DataDirs, Loader, LoaderOptions, load};
use receptive::inspect::{Extent, summary};
use receptive::models::{ModelConfig, from_arch};
use receptive::nn::ModuleExt;
use receptive::optim::Adam;
use receptive::train::{Callback, PhaseReport, RunConfig, Trainer};
use receptive::{DType, Device, Key, Result};

/// Open it beside this file.
const FILE: &str = "examples/arch/residual.toml";
const TEXT: &str = include_str!("arch/residual.toml");

fn main() -> Result<()> {
    let network = from_arch(TEXT, FILE)?;
    let config = ModelConfig::new(network.input, network.classes);
    let net = network.build(&config)?;

    // The summary follows one image through the network without computing anything: on the meta device, tensors have
    // shapes but no values. `sees` is the receptive field: how much of the image one output depends on.
    let seen = summary(&*net, &network.name, network.input).map_err(|stopped| stopped.error)?;
    println!("{:16} {:10} {:12} {:>10} {:>7}", "layer", "kind", "output", "parameters", "sees");
    for layer in &seen.layers {
        let sees = match layer.receptive_field {
            Extent::Square(n) => format!("{n}x{n}"),
            Extent::Rectangle([h, w]) => format!("{w}x{h}"),
        };
        let output = format!("{:?}", layer.output);
        println!("{:16} {:10} {output:12} {:10} {sees:>7}", layer.path, layer.kind, layer.parameters);
    }
    println!("{} parameters, {} FLOPs an image", seen.parameters, seen.flops);
    // Two things to notice. Nearly half of the parameters belong to the last layer, which has a weight for every
    // position. And with each stride of 2, a 3x3 kernel after it widens the field by twice as many pixels: 2, then 4,
    // then 8.

    // The file does not state input channels and features: they follow from the layer before. So it also takes colour
    // images.
    let colour = network.build(&ModelConfig { input: [3, 32, 32], ..config.clone() })?;
    println!("the same layers for 3x32x32 images: {} parameters", colour.num_parameters());

    // Every mistake is found before anything is computed, and reported with its line.
    let mistakes = [
        ("a word that does not exist", "padding = \"same\"", "pading = \"same\""),
        ("a kernel larger than its image", "kernel_size = 3, stride = 2", "kernel_size = 31, stride = 2"),
        ("a sum of two shapes", "kernel_size = 1, stride = 2", "kernel_size = 1"),
        ("an image where a row is expected", "{ kind = \"flatten\" },", ""),
    ];
    for (what, right, wrong) in mistakes {
        let error = from_arch(&TEXT.replace(right, wrong), FILE).expect_err(what);
        println!("\n{what}:\n{error}");
    }

    // Now it is used like any other network.
    let cpu = Device::cpu()?;
    let splits = load("sample", &DataDirs::default())?;
    let in_order = LoaderOptions::new(64, splits.normalizer(splits.facts.normalization)?, cpu.clone());
    let shuffled = LoaderOptions { shuffle: Some(Key::new(0).child("shuffle")), ..in_order.clone() };
    let (train, val) = (Loader::new(splits.train, shuffled)?, Loader::new(splits.val, in_order)?);
    let net = network.build(&config)?;
    net.init(&cpu, DType::F32, 0)?;
    let adam = Box::new(Adam::new(net.trainable()?, 0.0)?);
    println!();
    let config = RunConfig::plain(&*network.name, 3, 0.003);
    Trainer::new(&*net, network.loss, adam, config)?.callback(Print).fit(&train, &val)?;

    println!("\nOn the command line: receptive train --arch {FILE}");
    println!(
        "Try: times = 3 in the file. What does the last convolution see, and how large is the linear layer?"
    );
    println!("Try: {{ kind = \"batch_norm2d\" }} behind each conv2d. In which epoch is 83 % passed now?");
    Ok(())
}

struct Print;

impl Callback for Print {
    fn on_phase(&mut self, _: &Trainer, report: &PhaseReport) -> Result<()> {
        let PhaseReport { epoch, phase, loss, scores, .. } = report;
        println!("epoch {} {:5}  loss {loss:.4}  {scores}", epoch + 1, format!("{phase:?}"));
        Ok(())
    }
}
