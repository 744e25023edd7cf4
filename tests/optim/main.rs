//! Compares the optimisers with PyTorch's, step by step (vectors made by `generate.py`), and tests their other
//! guarantees.

mod schedules;

use receptive::io::TensorFile;
use receptive::optim::{Adam, Decay, Optimizer, Sgd, clip_grad_norm, clip_grad_value};
use receptive::{DType, Device, ErrorKind, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

type Make = fn(Vec<(String, Tensor)>) -> Box<dyn Optimizer>;

const SETTINGS: [(&str, Make); 9] = [
    ("sgd", |p| Box::new(Sgd::new(p, 0.0, false, 0.0).unwrap())),
    ("sgd_momentum", |p| Box::new(Sgd::new(p, 0.9, false, 0.0).unwrap())),
    ("sgd_nesterov", |p| Box::new(Sgd::new(p, 0.9, true, 0.01).unwrap())),
    ("sgd_decay", |p| Box::new(Sgd::new(p, 0.5, false, 0.1).unwrap())),
    ("adam", |p| Box::new(Adam::new(p, 0.0).unwrap())),
    ("adam_decay", |p| Box::new(Adam::new(p, 0.1).unwrap())),
    ("adamw", |p| Box::new(Adam::decoupled(p, 0.1).unwrap())),
    ("sgd_cycled", |p| Box::new(Sgd::new(p, 0.0, false, 0.0).unwrap())),
    ("adam_cycled", |p| Box::new(Adam::new(p, 0.0).unwrap())),
];
/// The momentum of each step of the settings that end in `_cycled`.
const MOMENTA: [f64; 5] = [0.95, 0.9, 0.85, 0.875, 0.95];

fn vectors(device: &Device) -> BTreeMap<String, Tensor> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/optim/vectors.safetensors");
    TensorFile::read(&path, device).unwrap().tensors
}

/// A leaf whose gradient is `grad`. It is the gradient of `sum(leaf * grad)`.
fn set_grad(leaf: &Tensor, grad: &Tensor) {
    leaf.zero_grad();
    leaf.mul(grad).unwrap().sum_all().unwrap().backward().unwrap();
}

fn assert_close(what: &str, got: &Tensor, want: &Tensor, tolerance: f64) {
    for (got, want) in got.to_f64().unwrap().iter().zip(want.to_f64().unwrap()) {
        let error = (got - want).abs();
        assert!(error <= tolerance, "{what}: {got} is not {want}");
    }
}

#[test]
fn every_step_equals_pytorch() {
    let cpu = Device::cpu().unwrap();
    let vectors = vectors(&cpu);
    for (dtype, tolerance) in [(DType::F64, 1e-14), (DType::F32, 2e-6)] {
        let get = |name: &str| vectors[name].to_dtype(dtype).unwrap();
        for (name, make) in SETTINGS {
            let w = get("w0").copy().unwrap().requires_grad();
            let mut optimizer = make(vec![("w".into(), w.clone())]);
            let address = w.read_bytes(|bytes| bytes.as_ptr() as usize).unwrap();
            for step in 0..5 {
                set_grad(&w, &get(&format!("grad.{step}")));
                if name.ends_with("_cycled") {
                    optimizer.set_momentum(MOMENTA[step]).unwrap();
                }
                optimizer.step(0.1).unwrap();
                assert_close(
                    &format!("{name} step {step}"),
                    &w,
                    &vectors[&format!("{name}.{step}")],
                    tolerance,
                );
            }
            assert_eq!(
                w.read_bytes(|bytes| bytes.as_ptr() as usize).unwrap(),
                address,
                "{name} moved the weights"
            );
        }
    }
}

/// A checkpoint holds the complete state: an optimiser restored from it takes the same next step, bit for bit.
#[test]
fn a_restored_optimizer_goes_on_bit_for_bit() {
    let cpu = Device::cpu().unwrap();
    let vectors = vectors(&cpu);
    for (name, make) in SETTINGS {
        let w = vectors["w0"].copy().unwrap().requires_grad();
        let mut optimizer = make(vec![("w".into(), w.clone())]);
        for step in 0..3 {
            set_grad(&w, &vectors[&format!("grad.{step}")]);
            optimizer.step(0.1).unwrap();
        }
        let copy = w.copy().unwrap().requires_grad();
        let mut restored = make(vec![("w".into(), copy.clone())]);
        restored.memory_mut().restore(&optimizer.memory().tensors(), optimizer.steps()).unwrap();
        for (optimizer, w) in [(&mut optimizer, &w), (&mut restored, &copy)] {
            set_grad(w, &vectors["grad.3"]);
            optimizer.step(0.1).unwrap();
        }
        assert_eq!(w.to_vec::<f64>().unwrap(), copy.to_vec::<f64>().unwrap(), "{name}");
        let missing = restored.memory_mut().restore(&BTreeMap::new(), 1);
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::Missing, "{name}");
    }
}

/// With `WeightsOnly` a matrix decays, and a bias takes the same steps as without decay.
#[test]
fn biases_can_be_left_out_of_weight_decay() {
    type Decaying = fn(Vec<(String, Tensor)>, f64, Decay) -> Box<dyn Optimizer>;
    let makes: [Decaying; 3] = [
        |p, w, on| Box::new(Sgd::new(p, 0.9, true, w).unwrap().decay(on)),
        |p, w, on| Box::new(Adam::new(p, w).unwrap().decay(on)),
        |p, w, on| Box::new(Adam::decoupled(p, w).unwrap().decay(on)),
    ];
    let vectors = vectors(&Device::cpu().unwrap());
    for make in makes {
        let run = |weight_decay, on| {
            let matrix = vectors["w0"].copy().unwrap().requires_grad();
            let bias = vectors["w0"].reshape(&[12]).unwrap().copy().unwrap().requires_grad();
            let params = vec![("weight".into(), matrix.clone()), ("bias".into(), bias.clone())];
            let mut optimizer = make(params, weight_decay, on);
            for step in 0..3 {
                let grad = &vectors[&format!("grad.{step}")];
                set_grad(&matrix, grad);
                set_grad(&bias, &grad.reshape(&[12]).unwrap());
                optimizer.step(0.1).unwrap();
            }
            [matrix, bias].map(|w| w.to_vec::<f64>().unwrap())
        };
        let [none, all, weights] = [(0.0, Decay::All), (0.1, Decay::All), (0.1, Decay::WeightsOnly)]
            .map(|(weight_decay, on)| run(weight_decay, on));
        assert_eq!(weights, [all[0].clone(), none[1].clone()]);
        assert_ne!(all, none);
    }
}

#[test]
fn clipping_equals_pytorch() {
    let cpu = Device::cpu().unwrap();
    let vectors = vectors(&cpu);
    let w = vectors["w0"].copy().unwrap().requires_grad();
    let params = [("w".to_owned(), w.clone())];
    set_grad(&w, &vectors["grad.0"]);
    let norm = clip_grad_norm(&params, 0.5).unwrap().item().unwrap();
    let squares: f64 = vectors["grad.0"].to_f64().unwrap().iter().map(|g| g * g).sum();
    assert!((norm - squares.sqrt()).abs() < 1e-12);
    assert_close("clip_grad_norm", &w.grad().unwrap(), &vectors["clip_norm"], 1e-12);
    set_grad(&w, &vectors["grad.0"]);
    clip_grad_value(&params, 0.5).unwrap();
    assert_close("clip_grad_value", &w.grad().unwrap(), &vectors["clip_value"], 0.0);
    assert!(clip_grad_norm(&params, f64::NAN).is_err() && clip_grad_value(&params, 0.0).is_err());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (momentum, nesterov, decay) in [
        (-0.1, false, 0.0),
        (1.0, false, 0.0),
        (2.0, true, 0.0),
        (f64::NAN, false, 0.0),
        (0.0, true, 0.0),
        (0.9, false, -1.0),
    ] {
        assert!(Sgd::new(Vec::new(), momentum, nesterov, decay).is_err(), "{momentum} {nesterov} {decay}");
    }
    assert!(Adam::new(Vec::new(), f64::INFINITY).is_err());
}
