//! Tests of numerics_diff: equal networks show no error, and an injected error is found in its layer.

use receptive::inspect::{Computed, NumericsDiff, numerics_diff};
use receptive::models::{self, ModelConfig};
use receptive::nn::{Linear, Module, ModuleExt, Relu, Sequential};
use receptive::{DType, Device, ErrorKind, Key, Tensor};

fn network(name: &str) -> Box<dyn Module> {
    let network = models::find(name).unwrap();
    network.build(&ModelConfig::new(network.input, network.classes)).unwrap()
}

fn computed<'a>(model: &'a dyn Module, device: &Device, dtype: DType) -> Computed<'a> {
    model.init(device, dtype, 3).unwrap();
    Computed { model, device: device.clone(), dtype }
}

fn image(device: &Device, name: &str) -> Tensor {
    let [c, h, w] = models::find(name).unwrap().input;
    let numbers = (0..c * h * w).map(|i| Key::new(5).normal(i as u64) as f32).collect();
    Tensor::from_vec(device, numbers, &[1, c, h, w]).unwrap()
}

fn diff(name: &str, a: &Computed, b: &Computed) -> NumericsDiff {
    numerics_diff(name, a, b, &image(&a.device, name), true).unwrap()
}

#[test]
fn a_network_does_not_differ_from_itself() {
    let (cpu, [a, b]) = (Device::cpu().unwrap(), [network("resnet-cifar"), network("resnet-cifar")]);
    let [a, b] = [&a, &b].map(|model| computed(&**model, &cpu, DType::F32));
    let found = diff("resnet-cifar", &a, &b);
    assert_eq!(found.beyond(0.0), None);
    let all =
        found.layers.iter().flat_map(|layer| [Some(layer.accumulated), Some(layer.own), layer.gradient]);
    let all = all.flatten().chain(found.parameters.iter().map(|p| p.gradient));
    assert!(
        all.into_iter().all(|d| d.max_abs == 0.0 && d.max_rel == 0.0 && d.rms_rel == 0.0 && d.max_ulp == 0)
    );
    assert_eq!(found.parameters.len(), a.model.trainable().unwrap().len());
}

/// One bias is changed. Only its layer has an own error; that layer and all later ones have an accumulated error.
#[test]
fn an_injected_error_is_found_at_its_layer() {
    let (cpu, [a, b]) = (Device::cpu().unwrap(), [network("lenet5"), network("lenet5")]);
    let [a, b] = [&a, &b].map(|model| computed(&**model, &cpu, DType::F32));
    let bias = a.model.state_dict().unwrap().remove("conv2.bias").unwrap();
    bias.copy_from(&bias.add_scalar(0.5).unwrap()).unwrap();
    let found = diff("lenet5", &a, &b);
    let place = found.layers.iter().position(|layer| layer.path == "conv2").unwrap();
    for (i, layer) in found.layers.iter().enumerate() {
        assert_eq!(layer.own.max_abs > 0.0, i == place, "{layer:?}");
        assert_eq!(layer.accumulated.max_abs > 0.0, i >= place, "{layer:?}");
    }
    let own = found.layers[place].own;
    assert!((own.max_abs - 0.5).abs() < 1e-6, "{own:?}");
    let beyond = found.beyond(1e-3).unwrap();
    assert!(beyond.contains("own error of conv2"), "{beyond}");
}

/// f32 against f64: the errors and the distances in ulp are small, as f32 rounding allows.
#[test]
fn f32_rounds_and_f64_tells() {
    let (cpu, [a, b]) = (Device::cpu().unwrap(), [network("lenet5"), network("lenet5")]);
    let a = computed(&*a, &cpu, DType::F32);
    let b = computed(&*b, &cpu, DType::F64);
    b.model.load_state_dict(&a.model.state_dict().unwrap()).unwrap();
    let found = diff("lenet5", &a, &b);
    assert_eq!(found.beyond(1e-5), None);
    let (first, last) = (&found.layers[0], found.layers.last().unwrap());
    assert_eq!(first.own, first.accumulated, "no layer is before the first");
    assert!(first.own.rms_rel > 1e-9 && last.accumulated.rms_rel > 1e-9, "{first:?} {last:?}");
    let flatten = found.layers.iter().find(|layer| layer.kind == "Flatten").unwrap();
    assert!(flatten.own.max_ulp == 0 && flatten.accumulated.max_abs > 0.0, "{flatten:?}");
    for d in found.layers.iter().map(|layer| layer.own) {
        // Half an ulp is at most 6e-8 of the largest element.
        assert!(d.max_rel <= 6e-7 && d.median_ulp <= 8 && d.rms_rel <= d.max_rel * 100.0, "{d:?}");
    }
    assert!(found.layers.iter().all(|layer| layer.gradient.is_some()));
    assert!(found.parameters.iter().any(|p| p.gradient.max_abs > 0.0));
    let without = numerics_diff("lenet5", &a, &b, &image(&cpu, "lenet5"), false).unwrap();
    assert!(without.parameters.is_empty() && without.layers.iter().all(|layer| layer.gradient.is_none()));
    assert_eq!(without.layers[3].accumulated, found.layers[3].accumulated);
}

#[test]
fn other_layers_are_no_other_numbers() {
    let cpu = Device::cpu().unwrap();
    let [a, b] =
        [Sequential::new().push(Linear::new(4, 2)), Sequential::new().push(Linear::new(4, 2)).push(Relu)];
    let [a, b] = [&a, &b].map(|model| computed(model, &cpu, DType::F32));
    let x = Tensor::full(&cpu, 1.0, &[1, 4], DType::F32).unwrap();
    let error = numerics_diff("net", &a, &b, &x, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
}
