//! Tests of normalisation layers: running statistics in training, and numbers for which a variance is hard to compute.

use receptive::nn::{BatchNorm1d, BatchNorm2d, Ctx, InstanceNorm2d, Module, ModuleExt, Role};
use receptive::ops::batch_norm::BatchNormOptions;
use receptive::optim::{Optimizer, Sgd};
use receptive::{DType, Device, ErrorKind, Key, Tensor};

const TRAINING: BatchNormOptions = BatchNormOptions { training: true, momentum: 0.1, eps: 1e-5 };

/// Four images of two channels, 2x2: element i of batch t is (7 i + 3 t) mod 11.
fn batch(cpu: &Device, t: usize) -> Tensor {
    let values: Vec<f64> = (0..32).map(|i| ((7 * i + 3 * t) % 11) as f64).collect();
    Tensor::from_vec(cpu, values, &[4, 2, 2, 2]).unwrap()
}

fn values(layer: &dyn Module, name: &str) -> Vec<f64> {
    layer.state_dict().unwrap()[name].to_f64().unwrap()
}

fn train(layer: &dyn Module, x: &Tensor) -> Tensor {
    layer.forward(&Ctx::train("norm", Key::new(0)), x).unwrap()
}

#[track_caller]
fn near(got: &[f64], want: &[f64]) {
    let worst = got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
    assert!(got.len() == want.len() && worst < 1e-12, "got {got:?}, want {want:?}");
}

/// Compares five steps of SGD and an evaluation with the numbers of PyTorch 2.15.
fn five_steps(layer: BatchNorm2d, mean: [f64; 2], var: [f64; 2], evaluated: [f64; 4]) {
    let cpu = Device::cpu().unwrap();
    layer.init(&cpu, DType::F64, 0).unwrap();
    let mut sgd = Sgd::new(layer.trainable().unwrap(), 0.0, false, 0.0).unwrap();
    let dy: Vec<f64> = (0..32).map(|i| i as f64 / 32.0 - 0.5).collect();
    let dy = Tensor::from_vec(&cpu, dy, &[4, 2, 2, 2]).unwrap();
    for t in 0..5 {
        layer.zero_grad().unwrap();
        // The running statistics are updated before backward, so backward must not read them.
        train(&layer, &batch(&cpu, t)).backward_with(&dy).unwrap();
        sgd.step(0.5).unwrap();
    }
    near(&values(&layer, "weight"), &[1.3336717899437758, 0.5880872257467751]);
    near(&values(&layer, "bias"), &[3.125, -1.875]);
    near(&values(&layer, "running_mean"), &mean);
    near(&values(&layer, "running_var"), &var);
    let counted = &layer.state_dict().unwrap()["num_batches_tracked"];
    assert_eq!((counted.dtype(), counted.dims(), counted.item().unwrap()), (DType::I64, &[][..], 5.0));
    let y = layer.forward(&Ctx::eval("norm"), &batch(&cpu, 9)).unwrap();
    near(&y.to_f64().unwrap()[..4], &evaluated);
    near(&values(&layer, "running_mean"), &mean);
}

#[test]
fn five_steps_and_an_evaluation_equal_pytorch_s() {
    five_steps(
        BatchNorm2d::new(2),
        [1.9616131250000002, 2.1200375],
        [4.9260638750000005, 4.690951250000001],
        [4.950751121499024, 2.5471715951109974, 6.7534357662900435, 4.349856239902017],
    );
    five_steps(
        BatchNorm2d::new(2).momentum(None),
        [4.8, 5.1625],
        [10.56666666666667, 10.080833333333334],
        [3.2070558883174725, 1.5659381219680146, 4.437894213079566, 2.7967764467301084],
    );
}

/// As in PyTorch, frozen weight and bias are not updated, but the statistics are. If the buffers are frozen too, the
/// statistics stay unchanged.
#[test]
fn frozen_weights_still_track_and_frozen_statistics_stay() {
    let cpu = Device::cpu().unwrap();
    let layer = BatchNorm2d::new(2);
    layer.init(&cpu, DType::F64, 0).unwrap();
    let freeze = |role| {
        layer.params().iter().filter(|(_, p)| p.role() == role).for_each(|(_, param)| param.freeze(true));
    };
    freeze(Role::Weight);
    let y = train(&layer, &batch(&cpu, 0));
    assert!(!y.tracks_grad());
    let mean = values(&layer, "running_mean");
    assert_ne!(mean, [0.0; 2]);
    assert_eq!(values(&layer, "num_batches_tracked"), [1.0]);
    freeze(Role::Buffer);
    let y = train(&layer, &batch(&cpu, 1));
    let evaluated = layer.forward(&Ctx::eval("norm"), &batch(&cpu, 1)).unwrap();
    assert_eq!(y.to_f64().unwrap(), evaluated.to_f64().unwrap());
    assert_eq!((values(&layer, "running_mean"), values(&layer, "num_batches_tracked")), (mean, vec![1.0]));
}

#[test]
fn without_running_statistics_evaluation_takes_the_batch_s() {
    let cpu = Device::cpu().unwrap();
    let layer = BatchNorm2d::new(2).no_running_stats().no_affine();
    layer.init(&cpu, DType::F64, 0).unwrap();
    assert!(layer.params().is_empty());
    let x = batch(&cpu, 1);
    let evaluated = layer.forward(&Ctx::eval("norm"), &x).unwrap();
    assert_eq!(evaluated.to_f64().unwrap(), train(&layer, &x).to_f64().unwrap());
}

/// On the meta device, layers run on shapes alone, in training mode too.
#[test]
fn shapes_alone_change_nothing() {
    let meta = Device::meta();
    let layer = BatchNorm1d::new(3).momentum(None);
    layer.init(&meta, DType::F32, 0).unwrap();
    let x = Tensor::zeros(&meta, &[4, 3], DType::F32).unwrap();
    assert_eq!(train(&layer, &x).dims(), [4, 3]);
}

#[test]
fn instance_norm_tracks_without_counting_and_takes_a_single_image() {
    let cpu = Device::cpu().unwrap();
    let layer = InstanceNorm2d::new(2).affine().track_running_stats();
    layer.init(&cpu, DType::F64, 0).unwrap();
    let x = batch(&cpu, 0);
    let whole = train(&layer, &x);
    // 0.1 times the mean over all samples of each channel.
    let channel = |c: usize| (0..4).flat_map(move |n| (0..4).map(move |p| 8 * n + 4 * c + p));
    let mean = |c| 0.1 * channel(c).map(|i| (7 * i % 11) as f64).sum::<f64>() / 16.0;
    near(&values(&layer, "running_mean"), &[mean(0), mean(1)]);
    assert_eq!(values(&layer, "num_batches_tracked"), [0.0]);
    let single = train(&layer, &x.narrow(0, 1, 1).unwrap().reshape(&[2, 2, 2]).unwrap());
    assert_eq!(single.dims(), [2, 2, 2]);
    assert_eq!(single.to_f64().unwrap(), whole.to_f64().unwrap()[8..16]);
}

/// For these numbers `E[x^2] - E[x]^2` would have no correct digit, and a mean rounded to f32 has an error of a
/// twentieth of the standard deviation.
#[test]
fn a_large_mean_costs_no_digits() {
    let cpu = Device::cpu().unwrap();
    let (n, len) = (8, 700);
    // The first element is 0, so that no single element can serve as the shift.
    let x: Vec<f32> =
        (0..n * 2 * len).map(|i| if i == 0 { 0.0 } else { 1e4 + ((i * 37) % 101) as f32 / 1024.0 }).collect();
    for x in [x.clone(), x.iter().map(|v| v.max(1e4)).collect()] {
        let x = Tensor::from_vec(&cpu, x, &[n, 2, len]).unwrap().requires_grad();
        let exact = x.detach().to_dtype(DType::F64).unwrap().requires_grad();
        let settings = BatchNormOptions { eps: 1e-8, ..TRAINING };
        let dy: Vec<f64> = (0..x.numel()).map(|i| ((i * 13) % 17) as f64 / 8.0 - 1.0).collect();
        let dy = Tensor::from_vec(&cpu, dy, &[n, 2, len]).unwrap();
        let run = |x: &Tensor| {
            let (y, _) = x.batch_norm(None, None, None, settings).unwrap();
            y.backward_with(&dy.to_dtype(x.dtype()).unwrap()).unwrap();
            [y, x.grad().unwrap()].map(|t| t.to_f64().unwrap())
        };
        for (got, want) in run(&x).iter().zip(run(&exact)) {
            let largest = want.iter().fold(0f64, |m, v| m.max(v.abs()));
            let worst = got.iter().zip(&want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-5 * largest, "{worst} of {largest}");
        }
    }
}

#[test]
fn what_cannot_be_normalised_is_refused() {
    let meta = Device::meta();
    let zeros = |dims: &[usize]| Tensor::zeros(&meta, dims, DType::F32).unwrap();
    let refused = |x: &Tensor, running, settings| x.batch_norm(running, None, None, settings).unwrap_err();
    let (mean, short) = (zeros(&[3]), zeros(&[2]));
    let single = refused(&zeros(&[1, 3, 1, 1]), None, TRAINING);
    assert_eq!(single.kind(), ErrorKind::Shape);
    assert!(single.to_string().contains("more than 1 value per channel when training"), "{single}");
    let x = zeros(&[4, 3, 2, 2]);
    assert_eq!(refused(&x, None, BatchNormOptions::default()).kind(), ErrorKind::Argument);
    assert_eq!(refused(&x, Some([&mean, &short]), TRAINING).kind(), ErrorKind::Shape);
    for eps in [0.0, -1.0, f64::NAN] {
        assert_eq!(
            refused(&x, None, BatchNormOptions { eps, ..TRAINING }).kind(),
            ErrorKind::Argument,
            "{eps}"
        );
    }
    assert_eq!(x.group_norm(2, None, None, 1e-5).unwrap_err().kind(), ErrorKind::Shape);
    assert_eq!(x.layer_norm(&[3], None, None, 1e-5).unwrap_err().kind(), ErrorKind::Shape);
    assert_eq!(x.layer_norm(&[2, 2], Some(&mean), None, 1e-5).unwrap_err().kind(), ErrorKind::Shape);
    let pixel = zeros(&[4, 3, 1, 1]).instance_norm(None, None, None, Default::default());
    assert_eq!(pixel.unwrap_err().kind(), ErrorKind::Shape);
    let layer = BatchNorm2d::new(3);
    layer.init(&meta, DType::F32, 0).unwrap();
    let features = layer.forward(&Ctx::eval("norm"), &zeros(&[4, 3])).unwrap_err();
    assert!(features.to_string().contains("[N, C, H, W]"), "{features}");
}

fn kinds(numbers: &[f32]) -> Vec<String> {
    numbers.iter().map(|x| if x.is_nan() { "nan".into() } else { format!("{x}") }).collect()
}

/// If weights, statistics or values are not finite, the same elements of the result are inf or NaN as in PyTorch 2.15.
#[test]
fn what_is_not_finite_stays_where_it_is_in_pytorch() {
    const INF: f32 = f32::INFINITY;
    let cpu = Device::cpu().unwrap();
    let evaluated = BatchNormOptions { training: false, ..TRAINING };
    for (weight, mean, var, bias, want) in [
        (INF, 0.5, 1.0, 0.0, ["nan", "nan", "nan", "-inf"]),
        (INF, 0.5, 1.0, INF, ["nan"; 4]),
        (-INF, 2.0, 1.0, 3.0, ["nan", "nan", "nan", "inf"]),
        (1.0, INF, 1.0, 0.0, ["-inf"; 4]),
        (1.0, 0.0, INF, 2.0, ["2"; 4]),
    ] {
        for dims in [&[4, 1][..], &[1, 1, 2, 2]] {
            let x = Tensor::from_vec(&cpu, vec![1f32, 2.0, 3.0, -4.0], dims).unwrap();
            let [weight, mean, var, bias] =
                [weight, mean, var, bias].map(|v: f32| Tensor::from_vec(&cpu, vec![v], &[1]).unwrap());
            let (y, _) = x.batch_norm(Some([&mean, &var]), Some(&weight), Some(&bias), evaluated).unwrap();
            assert_eq!(kinds(&y.to_vec::<f32>().unwrap()), want, "{dims:?}");
        }
    }
    let settings = BatchNormOptions { momentum: 0.5, ..TRAINING };
    for dims in [&[3, 1][..], &[3, 1, 1, 1], &[1, 1, 3, 1]] {
        let x = Tensor::from_vec(&cpu, vec![1f32, INF, 2.0], dims).unwrap();
        let [mean, var] = [0f32, 1.0].map(|v| Tensor::from_vec(&cpu, vec![v], &[1]).unwrap());
        let (y, running) = x.batch_norm(Some([&mean, &var]), None, None, settings).unwrap();
        let [mean, var] = running.unwrap().map(|r| kinds(&r.to_vec::<f32>().unwrap()));
        assert_eq!(
            (kinds(&y.to_vec().unwrap()), mean, var),
            (vec!["nan".into(); 3], vec!["inf".into()], vec!["nan".into()])
        );
    }
}
