//! Tests of updates in place: optimisers over many tensors at once, clipping, accumulation, running statistics.

use crate::cuda;
use receptive::nn::{BatchNorm2d, Ctx, Module, ModuleExt};
use receptive::optim::{Adam, Decay, Optimizer, Sgd, clip_grad_norm, clip_grad_value};
use receptive::testing::cases::checked_cpu;
use receptive::testing::{Place, Tolerance, close};
use receptive::{DType, Device, Key, Tensor};

/// More tensors than two launches can update. Their sizes are below and above a block's share, and some are not a
/// multiple of 4. There are matrices and vectors, to test the decay.
fn shapes() -> Vec<Vec<usize>> {
    let sizes = [1, 5, 64, 4095, 4096, 4099, 9001];
    (0..170).map(|i| if i % 2 == 0 { vec![sizes[i % 7]] } else { vec![1, sizes[i % 7]] }).collect()
}

fn drawn(device: &Device, dims: &[usize], key: Key) -> Tensor {
    let n = dims.iter().product::<usize>() as u64;
    let values: Vec<f32> = (0..n).map(|i| key.normal(i) as f32).collect();
    Tensor::from_vec(device, values, dims).unwrap()
}

/// Named parameters, with the same values on every device.
fn parameters(device: &Device) -> Vec<(String, Tensor)> {
    let draw = |(i, dims): (usize, Vec<usize>)| {
        let name = format!("p{i}");
        // One parameter starts at an address that is not a multiple of 16.
        let w = drawn(device, &dims, Key::new(1).child(&name));
        let w = if i == 3 { drawn(device, &[4096], Key::new(2)).narrow(0, 1, 4095).unwrap() } else { w };
        (name, w.requires_grad())
    };
    shapes().into_iter().enumerate().map(draw).collect()
}

/// Gives every parameter the gradient of this step.
fn set_gradients(params: &[(String, Tensor)], step: u64) {
    for (name, w) in params {
        w.zero_grad();
        let dw = drawn(w.device(), w.dims(), Key::new(7).child(name).step(step));
        w.mul(&dw)
            .unwrap()
            .backward_with(&Tensor::full(w.device(), 1.0, w.dims(), DType::F32).unwrap())
            .unwrap();
    }
}

fn agree(what: &str, got: &Tensor, want: &Tensor, relative: f64) {
    let place = Place { op: what, case: "many tensors", tensor: "values" };
    close(place, got, want, Tolerance::new(1e-7, relative)).unwrap();
}

#[test]
fn optimisers_take_the_cpus_steps() {
    let Some(device) = cuda() else { return };
    type Make = fn(Vec<(String, Tensor)>) -> Box<dyn Optimizer>;
    let makes: [(&str, Make); 4] = [
        ("sgd", |p| Box::new(Sgd::new(p, 0.0, false, 0.0).unwrap())),
        ("nesterov", |p| Box::new(Sgd::new(p, 0.9, true, 0.1).unwrap().decay(Decay::WeightsOnly))),
        ("adam", |p| Box::new(Adam::new(p, 0.1).unwrap())),
        ("adamw", |p| Box::new(Adam::decoupled(p, 0.1).unwrap().decay(Decay::WeightsOnly))),
    ];
    for (name, make) in makes {
        let run = |device: &Device| {
            let params = parameters(device);
            let mut optimizer = make(params.clone());
            for step in 0..3 {
                set_gradients(&params, step);
                optimizer.step(0.01 * (step + 1) as f64).unwrap();
            }
            (params, optimizer.memory().tensors())
        };
        let ((got, moments), (want, exact)) = (run(&device), run(&checked_cpu(1)));
        for ((_, got), (_, want)) in got.iter().zip(&want) {
            agree(name, got, want, 1e-6);
        }
        for (key, want) in &exact {
            agree(key, &moments[key], want, 1e-6);
        }
    }
}

#[test]
fn clipped_gradients_are_the_cpus() {
    let Some(device) = cuda() else { return };
    let clipped = |device: &Device, most: f64| {
        let params = parameters(device);
        set_gradients(&params, 0);
        let norm = clip_grad_norm(&params, most).unwrap();
        let after: Vec<Tensor> = params.iter().map(|(_, w)| w.grad().unwrap().copy().unwrap()).collect();
        clip_grad_value(&params, 0.001).unwrap();
        let limited: Vec<Tensor> = params.iter().map(|(_, w)| w.grad().unwrap()).collect();
        (norm, after, limited)
    };
    // The norm is about 750.
    for most in [1.0, 1e6] {
        let (got, want) = (clipped(&device, most), clipped(&checked_cpu(1), most));
        agree("norm", &got.0, &want.0, 1e-6);
        for (got, want) in got.1.iter().zip(&want.1).chain(got.2.iter().zip(&want.2)) {
            agree("clipped", got, want, 1e-6);
        }
    }
}

/// The gradients of a leaf that is used many times are added in place, in a fixed order.
#[test]
fn gradients_accumulate_in_place() {
    let Some(device) = cuda() else { return };
    let grad = |device: &Device| {
        let x = drawn(device, &[1003], Key::new(4)).requires_grad();
        let y = (0..5).fold(x.clone(), |y, _| y.mul(&x).unwrap());
        y.sum_all().unwrap().backward().unwrap();
        x.sum_all().unwrap().backward().unwrap();
        x.grad().unwrap()
    };
    agree("gradient", &grad(&device), &grad(&checked_cpu(1)), 1e-6);
}

/// Without momentum every batch has the same weight. This needs the number of batches on the device.
#[test]
fn running_statistics_are_the_cpus() {
    let Some(device) = cuda() else { return };
    for momentum in [Some(0.1), None] {
        let state = |device: &Device| {
            let norm = BatchNorm2d::new(5).momentum(momentum);
            norm.init(device, DType::F32, 0).unwrap();
            for step in 0..3 {
                let x = drawn(device, &[4, 5, 3, 3], Key::new(6).step(step));
                norm.forward(&Ctx::train("norm", Key::new(0)), &x).unwrap();
            }
            norm.state_dict().unwrap()
        };
        let (got, want) = (state(&device), state(&checked_cpu(1)));
        for (name, want) in &want {
            agree(name, &got[name], want, 1e-6);
        }
    }
}
