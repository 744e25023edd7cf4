//! Compares the zoo with the notebooks, and arch files with the zoo.

mod arch;
#[cfg(feature = "cli")]
mod cli;
mod init;
mod layers;
mod names;
#[cfg(feature = "cli")]
#[path = "../program/mod.rs"]
mod program;
#[cfg(feature = "cli")]
mod weights;
mod zoo;

use receptive::models::{self, ModelConfig};
use receptive::nn::Module;

const MNIST: [usize; 3] = [1, 28, 28];
const CIFAR: [usize; 3] = [3, 32, 32];

fn build(name: &str, input: [usize; 3]) -> Box<dyn Module> {
    let network = models::find(name).unwrap();
    network.build(&ModelConfig::new(input, network.classes)).unwrap()
}
