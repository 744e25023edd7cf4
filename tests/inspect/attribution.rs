//! Tests of Grad-CAM, saliency and occlusion: each is compared with its definition.

use super::{network, noise};
use receptive::inspect::{
    Goal, Heatmap, OcclusionOptions, activations, gradcam, gradcam_layer, occlusion, saliency,
};
use receptive::models::{self, MODELS, ModelConfig};
use receptive::nn::{
    Conv2d, Ctx, Flatten, Fusion, Linear, LogSoftmax, Module, ModuleExt, Sequential, Softmax,
};
use receptive::{DType, Device, Tensor};

/// A convolution with two channels and a linear layer, with weights that are easy to compute by hand.
fn by_hand(device: &Device, dtype: DType) -> Sequential {
    let net = Sequential::new()
        .named("features", Sequential::new().named("conv", Conv2d::new(1, 2, 1)))
        .named("flatten", Flatten)
        .named("fc", Linear::new(8, 2));
    net.init(device, dtype, 0).unwrap();
    let set = |name: &str, values: &[f64], dims: &[usize]| {
        let tensor = Tensor::from_slice(device, values, dims).unwrap();
        assert!(net.load_matching(&[(name.to_owned(), tensor)].into()).unwrap().misshapen.is_empty());
    };
    set("features.conv.weight", &[1.0, -1.0], &[2, 1, 1, 1]);
    set("features.conv.bias", &[0.0, 5.0], &[2]);
    let weight = [1.0, 0.0, 0.0, -2.0, 0.0, 0.0, 0.0, 2.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0];
    set("fc.weight", &weight, &[2, 8]);
    set("fc.bias", &[0.5, -0.5], &[2]);
    net
}

/// The two maps are A0 = [[1, 2], [3, 4]] and A1 = [[4, 3], [2, 1]]. The means of the score's gradient over them are
/// (1 - 2) / 4 and 2 / 4. So Grad-CAM is max(0, A1 / 2 - A0 / 4): 1.75, 1, 0.25, and 0 in place of -0.5. The score is
/// 1 - 2 * 4 + 2 * 1 + 0.5. A softmax or log_softmax at the end changes nothing, because the score is the logit.
#[test]
fn gradcam_of_two_layers_by_hand() {
    let cpu = Device::cpu().unwrap();
    for dtype in [DType::F32, DType::F64] {
        let x = Tensor::from_slice(&cpu, &[1f64, 2.0, 3.0, 4.0], &[1, 1, 2, 2]).unwrap();
        let x = x.to_dtype(dtype).unwrap();
        let nets = [
            by_hand(&cpu, dtype),
            by_hand(&cpu, dtype).named("log_softmax", LogSoftmax(1)),
            by_hand(&cpu, dtype).named("softmax", Softmax(1)),
        ];
        for net in &nets {
            for layer in ["features.conv", "features"] {
                let heat = gradcam(net, "net", &x, layer, Goal::Class(0)).unwrap();
                assert_eq!((heat.goal, heat.score), (Goal::Class(0), -4.5));
                assert_eq!(
                    (&heat.map.dims[..], &heat.map.values[..]),
                    (&[2, 2][..], &[1.75, 1.0, 0.25, 0.0][..])
                );
            }
            assert_eq!(gradcam_layer(net, "net", &x).unwrap().as_deref(), Some("features"));
        }
    }
}

/// The network's output before its log_softmax, computed as in the trainer.
fn scores(net: &dyn Module, x: &Tensor) -> Vec<f64> {
    let cx = Ctx::eval("net");
    let scores = match net.fusion() {
        Fusion::BeforeLoss(net) => net.scores(&cx, x),
        _ => net.forward(&cx, x),
    };
    scores.unwrap().to_f64().unwrap()
}

/// The score of one goal for every image of a batch. `mask` holds the logits of the unchanged image.
fn score(net: &dyn Module, x: &Tensor, goal: Goal, mask: &[f64]) -> Vec<f64> {
    let logits = scores(net, x);
    let each = logits.chunks_exact(logits.len() / x.dims()[0]);
    each.map(|logits| match goal {
        Goal::Class(class) => logits[class],
        Goal::Mask => logits.iter().zip(mask).filter(|(_, m)| **m > 0.0).map(|(logit, _)| logit).sum(),
    })
    .collect()
}

/// Small networks of every kind, with one goal each: smooth and not smooth, with logits or log_softmax at the end, with
/// residuals and batch norm, and a segmenter.
const CASES: &[(&str, [usize; 3], Option<usize>, Goal)] = &[
    ("lenet5-tanh", [1, 28, 28], None, Goal::Class(3)),
    ("lenet5", [1, 20, 20], None, Goal::Class(0)),
    ("resnet-cifar", [3, 8, 8], None, Goal::Class(9)),
    ("mlp", [1, 6, 5], None, Goal::Class(7)),
    ("unet", [3, 16, 16], Some(4), Goal::Mask),
];

fn close(got: &Heatmap, want: &[f64], tolerance: f64, what: &str) {
    let largest = want.iter().fold(0f64, |a, b| a.max(b.abs()));
    assert!(largest > 0.0 && got.map.values.len() == want.len(), "{what}: nothing to compare");
    for (i, (got, want)) in got.map.values.iter().zip(want).enumerate() {
        let error = (f64::from(*got) - want).abs();
        assert!(error <= tolerance * largest, "{what} at {i}: {got}, not {want}");
    }
}

/// Compares with central differences of the score for each pixel, in f64. The maps are f32.
#[test]
fn saliency_is_the_derivative_by_each_pixel() {
    let (cpu, step) = (Device::cpu().unwrap(), 1e-5);
    for &(name, input, width, goal) in CASES {
        let net = network(name, input, width, &cpu, DType::F64);
        let [c, h, w] = input;
        let x = noise(&cpu, &[1, c, h, w], DType::F64);
        let pixels = x.to_f64().unwrap();
        let mask = scores(&*net, &x);
        let mut want = vec![0f64; h * w];
        for first in (0..pixels.len()).step_by(32) {
            let some: Vec<usize> = (first..pixels.len().min(first + 32)).collect();
            let moved = |by: f64| {
                let images = some.iter().flat_map(|&i| {
                    let mut image = pixels.clone();
                    image[i] += by;
                    image
                });
                let x = Tensor::from_vec(&cpu, images.collect(), &[some.len(), c, h, w]).unwrap();
                score(&*net, &x, goal, &mask)
            };
            for ((&i, up), down) in some.iter().zip(moved(step)).zip(moved(-step)) {
                let most = &mut want[i % (h * w)];
                *most = most.max(((up - down) / (2.0 * step)).abs());
            }
        }
        let got = saliency(&*net, name, &x, goal).unwrap();
        assert_eq!((got.goal, &got.map.dims[..]), (goal, &[h, w][..]));
        assert!((got.score - score(&*net, &x, goal, &mask)[0]).abs() <= 1e-9, "{name}");
        close(&got, &want, 1e-6, name);
    }
}

/// Compares with the definition: one forward pass per patch. The last patches are cut off at the edge.
#[test]
fn occlusion_is_the_mean_drop_under_the_patches() {
    let cpu = Device::cpu().unwrap();
    let options = OcclusionOptions { size: 5, stride: 3, fill: 0.25 };
    for &(name, input, width, goal) in CASES {
        let net = network(name, input, width, &cpu, DType::F64);
        let [c, h, w] = input;
        let x = noise(&cpu, &[1, c, h, w], DType::F64);
        let mask = scores(&*net, &x);
        let whole = score(&*net, &x, goal, &mask)[0];
        let begins = |side: usize| {
            let first_to_reach = (0..).map(|i| 3 * i).find(|begin| begin + 5 >= side).unwrap();
            (0..=first_to_reach).step_by(3)
        };
        let (mut sum, mut count) = (vec![0f64; h * w], vec![0f64; h * w]);
        for (top, left) in begins(h).flat_map(|top| begins(w).map(move |left| (top, left))) {
            let under = |i: usize| {
                let (row, column) = (i / w % h, i % w);
                (top..top + 5).contains(&row) && (left..left + 5).contains(&column)
            };
            let mut pixels = x.to_f64().unwrap();
            pixels.iter_mut().enumerate().filter(|(i, _)| under(*i)).for_each(|(_, pixel)| *pixel = 0.25);
            let covered = Tensor::from_vec(&cpu, pixels, &[1, c, h, w]).unwrap();
            let drop = whole - score(&*net, &covered, goal, &mask)[0];
            for i in (0..h * w).filter(|&i| under(i)) {
                sum[i] += drop;
                count[i] += 1.0;
            }
        }
        let want: Vec<f64> = sum.iter().zip(&count).map(|(sum, count)| sum / count).collect();
        let got = occlusion(&*net, name, &x, goal, &options).unwrap();
        assert_eq!((got.goal, &got.map.dims[..]), (goal, &[h, w][..]));
        close(&got, &want, 1e-6, name);
    }
}

/// Grad-CAM of a segmenter. Only a 1x1 convolution follows `dec1`. So the gradient at `dec1` is the convolution's
/// weight inside the mask and 0 outside.
#[test]
fn gradcam_of_a_mask_by_its_last_convolution() {
    let cpu = Device::cpu().unwrap();
    let net = network("unet", [3, 16, 16], Some(4), &cpu, DType::F64);
    let x = noise(&cpu, &[1, 3, 16, 16], DType::F64);
    let logits = scores(&*net, &x);
    let mask: Vec<f64> = logits.iter().map(|&v| f64::from(v > 0.0)).collect();
    let share = mask.iter().sum::<f64>() / 256.0;
    assert!(share > 0.0 && share < 1.0, "{share}");
    let weight = net.state_dict().unwrap()["conv_final.weight"].to_f64().unwrap();
    let all = activations(&*net, "unet", &x).unwrap();
    let last = &all.last().unwrap().input.values;
    let sum = |i: usize| -> f64 { (0..4).map(|k| share * weight[k] * f64::from(last[256 * k + i])).sum() };
    let want: Vec<f64> = (0..256).map(|i| sum(i).max(0.0)).collect();
    let got = gradcam(&*net, "unet", &x, "dec1", Goal::Mask).unwrap();
    close(&got, &want, 1e-6, "dec1");
    let score: f64 = logits.iter().zip(&mask).map(|(logit, m)| logit * m).sum();
    assert!((got.score - score).abs() <= 1e-9, "{} is not {score}", got.score);
}

/// If the mask is empty, the score is 0 and so is every map.
#[test]
fn a_mask_without_pixels_scores_nothing() {
    let cpu = Device::cpu().unwrap();
    let net = network("unet", [3, 16, 16], Some(4), &cpu, DType::F32);
    let bias = Tensor::full(&cpu, -1e3, &[1], DType::F32).unwrap();
    net.load_matching(&[("conv_final.bias".to_owned(), bias)].into()).unwrap();
    let x = noise(&cpu, &[1, 3, 16, 16], DType::F32);
    for heat in [saliency(&*net, "unet", &x, Goal::Mask), gradcam(&*net, "unet", &x, "dec1", Goal::Mask)] {
        let heat = heat.unwrap();
        assert_eq!((heat.score, heat.map.values), (0.0, vec![0.0; 256]));
    }
}

/// The instruments leave the gradients of the network and of the caller's image unchanged.
#[test]
fn gradients_of_parameters_are_left_alone() {
    let cpu = Device::cpu().unwrap();
    let net = network("resnet-cifar", [3, 8, 8], None, &cpu, DType::F32);
    let x = noise(&cpu, &[1, 3, 8, 8], DType::F32).requires_grad();
    let look = || {
        gradcam(&*net, "net", &x, "layer1", Goal::Class(1)).unwrap();
        saliency(&*net, "net", &x, Goal::Class(1)).unwrap();
        occlusion(&*net, "net", &x, Goal::Class(1), &OcclusionOptions::default()).unwrap();
        activations(&*net, "net", &x).unwrap();
        gradcam_layer(&*net, "net", &x).unwrap();
    };
    let gradients = || -> Vec<Option<Vec<f32>>> {
        let params = net.params();
        let all = params.iter().map(|(_, param)| param.value().unwrap()).chain([&x]);
        all.map(|value| value.grad().map(|gradient| gradient.to_vec().unwrap())).collect()
    };
    look();
    assert!(gradients().iter().all(Option::is_none));
    let y = net.forward(&Ctx::eval("net").with_grad(true), &x).unwrap();
    y.narrow(1, 2, 1).unwrap().sum_all().unwrap().backward().unwrap();
    let before = gradients();
    assert!(before.iter().flatten().flatten().any(|&v| v != 0.0));
    look();
    assert_eq!(gradients(), before);
}

/// Grad-CAM's default layer for every network. It is found on the meta device, without computing.
#[test]
fn the_last_layer_with_places_is_the_default() {
    let expected = |name: &str| match name {
        "softmax" | "mlp2" | "mlp" => None,
        "lenet5" | "minivgg" => Some("pool2"),
        "lenet5-tanh" => Some("layers.7"),
        "lenet5-bn" => Some("7"),
        "alexnet" => Some("12"),
        "vgg11" | "vgg11-small" => Some("4"),
        // The last block with all its branches, not the branch that ran last.
        "googlenet" => Some("4.1"),
        "tv-googlenet" => Some("inception5b"),
        "resnet-cifar" => Some("layer3"),
        "resnet9" => Some("layer3"),
        "resnet18" => Some("4"),
        "unet" => Some("dec1"),
        "unet-resnet34" => Some("dec0"),
        name if name.starts_with("tv-resnet") => Some("layer4"),
        name if name.starts_with("tv-") => Some("features"),
        _ => panic!("write the layer of {name} here"),
    };
    let meta = Device::meta();
    for spec in MODELS {
        let network = models::find(spec.name).unwrap();
        let model = network.build(&ModelConfig::new(spec.input, spec.classes)).unwrap();
        model.init(&meta, DType::F32, 0).unwrap();
        let [c, h, w] = spec.input;
        let x = Tensor::zeros(&meta, &[1, c, h, w], DType::F32).unwrap();
        let layer = gradcam_layer(&*model, spec.name, &x).unwrap();
        assert_eq!(layer.as_deref(), expected(spec.name), "{}", spec.name);
    }
}

/// In JSON a goal is `{"class": 3}` or `"mask"`.
#[test]
fn goals_have_a_json_form() {
    let json = |goal| serde_json::to_string(&goal).unwrap();
    assert_eq!((json(Goal::Class(3)), json(Goal::Mask)), (r#"{"class":3}"#.into(), r#""mask""#.into()));
}
