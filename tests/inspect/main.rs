//! Tests of the instruments of `receptive::inspect`: each is compared with the definition of what it measures.

mod activations;
mod attribution;
mod attribution_errors;
#[cfg(feature = "cli")]
mod cli;
mod diagram;
mod diff;
mod graph;
mod health;
#[cfg(feature = "cli")]
mod page;
mod profile;
#[cfg(feature = "cli")]
mod profile_command;
#[cfg(feature = "cli")]
#[path = "../program/mod.rs"]
mod program;
mod receptive_fields;
mod steps;
#[cfg(feature = "cli")]
mod widths;

use receptive::models::{self, ModelConfig};
use receptive::nn::{Ctx, Module, ModuleExt, Scheme};
use receptive::{DType, Device, Key, Tensor};
use std::collections::BTreeMap;

/// A network of the zoo. Kaiming's initialisation keeps the size of activations from layer to layer. The running
/// statistics differ from their initial values.
fn network(
    name: &str,
    input: [usize; 3],
    width: Option<usize>,
    device: &Device,
    dtype: DType,
) -> Box<dyn Module> {
    let network = models::find(name).unwrap();
    let model = network.build(&ModelConfig { width, ..ModelConfig::new(input, network.classes) }).unwrap();
    model.init_with(device, dtype, 4, Scheme::Kaiming).unwrap();
    let mut statistics = BTreeMap::new();
    for (path, value) in model.state_dict().unwrap() {
        if path.ends_with("running_mean") {
            statistics.insert(path.clone(), noise(device, value.dims(), dtype).mul_scalar(0.1).unwrap());
        } else if path.ends_with("running_var") {
            let square = noise(device, value.dims(), dtype).pow_scalar(2.0).unwrap();
            statistics.insert(path.clone(), square.add_scalar(0.5).unwrap());
        }
    }
    model.load_matching(&statistics).unwrap();
    if network.loss.takes_masks() {
        // Shifts the logits so that the upper half of their range is the mask. In a network as narrow as this, all
        // ReLUs may be dead from the start; then the next seed is tried.
        let x = noise(device, &[1, input[0], input[1], input[2]], dtype);
        let [mut least, mut most] = [0.0; 2];
        for seed in 5.. {
            let logits = model.forward(&Ctx::eval(name), &x).unwrap().to_f64().unwrap();
            [least, most] = [f64::min, f64::max].map(|of| logits.iter().copied().reduce(of).unwrap());
            if least < most {
                break;
            }
            model.init_with(device, dtype, seed, Scheme::Kaiming).unwrap();
        }
        let bias = Tensor::full(device, -(least + most) / 2.0, &[1], dtype).unwrap();
        model.load_matching(&[("conv_final.bias".to_owned(), bias)].into()).unwrap();
    }
    model
}

/// Normally distributed values.
fn noise(device: &Device, dims: &[usize], dtype: DType) -> Tensor {
    let values = (0..dims.iter().product::<usize>() as u64).map(|i| Key::new(9).normal(i) as f32).collect();
    Tensor::from_vec(device, values, dims).unwrap().to_dtype(dtype).unwrap()
}
