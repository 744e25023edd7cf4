//! Tests of the initial weights, and of frozen weights.

use super::{MNIST, build};
use receptive::nn::{Ctx, Module, ModuleExt, Scheme};
use receptive::{DType, Device, Key, Tensor};

/// Xavier's weights use their whole range. As in the notebooks, biases keep the layers' default initialisation.
#[test]
fn xavier_is_for_weights_alone() {
    let cpu = Device::cpu().unwrap();
    let [own, xavier] = [Scheme::Default, Scheme::Xavier].map(|scheme| {
        let net = build("lenet5", MNIST);
        net.init_with(&cpu, DType::F64, 3, scheme).unwrap();
        net.state_dict().unwrap()
    });
    assert_eq!(own["fc1.bias"].to_f64().unwrap(), xavier["fc1.bias"].to_f64().unwrap());
    // fan_in and fan_out: 400 and 120 for fc1; 6 * 25 and 16 * 25 for conv2.
    for (name, fans) in [("fc1.weight", 520.0), ("conv2.weight", 550.0)] {
        let bound = (6.0f64 / fans).sqrt();
        let largest = xavier[name].to_f64().unwrap().iter().fold(0.0, |max: f64, w| max.max(w.abs()));
        assert!(largest <= bound && largest > 0.98 * bound, "{name}: {largest} against {bound}");
    }
}

/// With Glorot, a bias has the same bound as the weight of its layer.
#[test]
fn glorot_is_for_biases_too() {
    let net = build("mlp", MNIST);
    net.init_with(&Device::cpu().unwrap(), DType::F64, 3, Scheme::Glorot).unwrap();
    let state = net.state_dict().unwrap();
    for name in ["linears.0.weight", "linears.0.bias"] {
        let bound = (6.0f64 / (784.0 + 512.0)).sqrt();
        let largest = state[name].to_f64().unwrap().iter().fold(0.0, |max: f64, w| max.max(w.abs()));
        assert!(largest <= bound && largest > 0.98 * bound, "{name}: {largest} against {bound}");
    }
}

/// A frozen parameter gets no gradient and is not passed to the optimiser. After unfreezing it gets both again.
#[test]
fn frozen_parameters_are_left_alone() {
    let cpu = Device::cpu().unwrap();
    let net = build("mlp2", MNIST);
    net.init(&cpu, DType::F32, 0).unwrap();
    let x = Tensor::full(&cpu, 1.0, &[2, 1, 28, 28], DType::F32).unwrap();
    for frozen in [true, false] {
        let params = net.params();
        let (_, first) = params.iter().find(|(name, _)| name == "linear1.weight").unwrap();
        first.freeze(frozen);
        net.zero_grad().unwrap();
        let output = net.forward(&Ctx::train("mlp2", Key::new(0)), &x).unwrap();
        output.sum_all().unwrap().backward().unwrap();
        assert_eq!(first.value().unwrap().grad().is_none(), frozen);
        let names: Vec<String> = net.trainable().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.contains(&"linear1.weight".to_owned()), !frozen);
        assert_eq!(names.len(), if frozen { 3 } else { 4 });
    }
}
