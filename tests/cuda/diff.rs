//! Compares the CPU with CUDA, layer by layer.

use crate::cuda;
use receptive::inspect::{Computed, numerics_diff};
use receptive::models::{self, ModelConfig};
use receptive::nn::ModuleExt;
use receptive::{DType, Device, Key, Tensor};

/// Every layer's own error, and every gradient's error, is as small as f32 sums in another order allow.
#[test]
fn no_layer_differs_by_more_than_rounding() {
    let Some(device) = cuda() else { return };
    let cpu = Device::cpu().unwrap();
    for name in ["lenet5", "lenet5-bn"] {
        let network = models::find(name).unwrap();
        let build = || network.build(&ModelConfig::new(network.input, 10)).unwrap();
        let models = [build(), build()];
        let sides = [&device, &cpu].map(|device| device.clone());
        let [a, b] = [0, 1].map(|side| {
            models[side].init(&sides[side], DType::F32, 3).unwrap();
            Computed { model: &*models[side], device: sides[side].clone(), dtype: DType::F32 }
        });
        let [c, h, w] = network.input;
        let numbers = (0..c * h * w).map(|i| Key::new(5).normal(i as u64) as f32).collect();
        let x = Tensor::from_vec(&cpu, numbers, &[1, c, h, w]).unwrap();
        let found = numerics_diff(name, &a, &b, &x, true).unwrap();
        assert_eq!(found.beyond(1e-5), None, "{name}");
        assert!(found.parameters.len() == a.model.trainable().unwrap().len());
    }
}
