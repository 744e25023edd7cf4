//! The inputs that the instruments refuse, and their error messages.

use super::{network, noise};
use receptive::inspect::{Goal, Heatmap, OcclusionOptions, gradcam, gradcam_layer, occlusion, saliency};
use receptive::nn::{Conv2d, Ctx, Flatten, Linear, Module, ModuleExt, Sequential, Visitor};
use receptive::{DType, Device, Error, ErrorKind, Result, Tensor};

const CLASS: Goal = Goal::Class(0);
const PATCH: OcclusionOptions = OcclusionOptions { size: 4, stride: 2, fill: 0.0 };

fn refused<T>(result: Result<T>, kind: ErrorKind, parts: &[&str]) {
    let error: Error = result.err().expect("an error");
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "{text}\n  lacks {part}");
    }
}

/// Each instrument on the same network, image and goal.
fn all(net: &dyn Module, layer: &str, x: &Tensor, goal: Goal) -> [Result<Heatmap>; 3] {
    [
        gradcam(net, "net", x, layer, goal),
        saliency(net, "net", x, goal),
        occlusion(net, "net", x, goal, &PATCH),
    ]
}

fn lenet(dtype: DType) -> (Device, Box<dyn Module>) {
    let cpu = Device::cpu().unwrap();
    let net = network("lenet5", [1, 28, 28], None, &cpu, dtype);
    (cpu, net)
}

#[test]
fn one_image_at_a_time() {
    let (cpu, net) = lenet(DType::F32);
    for dims in [&[2, 1, 28, 28][..], &[0, 1, 28, 28], &[1, 1, 0, 28], &[1, 28, 28]] {
        let x = Tensor::zeros(&cpu, dims, DType::F32).unwrap();
        for result in all(&*net, "conv1", &x, CLASS) {
            refused(result, ErrorKind::Shape, &["one image", "[1, C, H, W]", "x.narrow(0, i, 1)"]);
        }
        refused(gradcam_layer(&*net, "net", &x), ErrorKind::Shape, &["one image"]);
    }
    // For an image of another size, the error comes from the network and names the layer.
    let x = Tensor::zeros(&cpu, &[1, 1, 32, 32], DType::F32).unwrap();
    for result in all(&*net, "conv1", &x, CLASS) {
        refused(result, ErrorKind::Shape, &["linear", "at net/fc1"]);
    }
}

#[test]
fn a_class_that_is_there() {
    let (cpu, net) = lenet(DType::F32);
    let x = noise(&cpu, &[1, 1, 28, 28], DType::F32);
    for result in all(&*net, "conv1", &x, Goal::Class(10)) {
        refused(result, ErrorKind::Argument, &["there is no class 10", "0 to 9"]);
    }
}

#[test]
fn a_goal_that_the_network_has() {
    let (cpu, classifier) = lenet(DType::F32);
    let x = noise(&cpu, &[1, 1, 28, 28], DType::F32);
    for result in all(&*classifier, "conv1", &x, Goal::Mask) {
        refused(result, ErrorKind::Shape, &["no scores for a mask", "output [1, 10]", "Goal::Class"]);
    }
    let segmenter = network("unet", [3, 16, 16], Some(2), &cpu, DType::F32);
    let x = noise(&cpu, &[1, 3, 16, 16], DType::F32);
    for result in all(&*segmenter, "dec1", &x, CLASS) {
        refused(result, ErrorKind::Shape, &["no scores for classes", "output [1, 1, 16, 16]", "Goal::Mask"]);
    }
}

/// The error lists the layers that can be used and names the usual choice. For a deep network it lists only the last
/// ones.
#[test]
fn a_layer_with_places() {
    let (cpu, net) = lenet(DType::F32);
    let x = noise(&cpu, &[1, 1, 28, 28], DType::F32);
    let list = "one of conv1, relu1, pool1, conv2, relu2, pool2\n";
    let unknown = gradcam(&*net, "net", &x, "conv3", CLASS);
    refused(unknown, ErrorKind::Missing, &["there is no layer `conv3`", list, "usual choice: pool2"]);
    let flat = gradcam(&*net, "net", &x, "fc1", CLASS);
    refused(flat, ErrorKind::Shape, &["the output of fc1 has no rows and columns", "output [1, 120]", list]);
    let deep = network("resnet-cifar", [3, 16, 16], None, &cpu, DType::F32);
    let x = noise(&cpu, &[1, 3, 16, 16], DType::F32);
    let pooled = gradcam(&*deep, "net", &x, "avg_pool", CLASS);
    refused(
        pooled,
        ErrorKind::Shape,
        &["output [1, 64, 1, 1]", " before, ", "layer3.1.relu, layer3.1, layer3\n"],
    );
    let mlp = network("mlp", [1, 28, 28], None, &cpu, DType::F32);
    let x = noise(&cpu, &[1, 1, 28, 28], DType::F32);
    refused(gradcam(&*mlp, "net", &x, "flatten", CLASS), ErrorKind::Shape, &["use saliency or occlusion"]);
    assert_eq!(gradcam_layer(&*mlp, "net", &x).unwrap(), None);
}

/// A layer that does not affect the output, like an auxiliary classifier.
#[test]
fn a_layer_that_the_score_depends_on() {
    struct Beside {
        aside: Conv2d,
        net: Sequential,
    }
    impl Module for Beside {
        fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
            cx.run("aside", &self.aside, x)?;
            cx.run("net", &self.net, x)
        }
        fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
            visitor.child("aside", &self.aside);
            visitor.child("net", &self.net);
        }
        fn kind(&self) -> &'static str {
            "Beside"
        }
    }
    let cpu = Device::cpu().unwrap();
    let net = Beside {
        aside: Conv2d::new(1, 1, 1),
        net: Sequential::new().named("flatten", Flatten).named("fc", Linear::new(16, 2)),
    };
    net.init(&cpu, DType::F32, 0).unwrap();
    let x = noise(&cpu, &[1, 1, 4, 4], DType::F32);
    refused(gradcam(&net, "net", &x, "aside", CLASS), ErrorKind::NoGradient, &["does not depend", "aside"]);
}

#[test]
fn a_patch_that_covers_every_pixel_within_the_image() {
    let (cpu, net) = lenet(DType::F32);
    let x = noise(&cpu, &[1, 1, 28, 28], DType::F32);
    let with = |options: OcclusionOptions| occlusion(&*net, "net", &x, CLASS, &options);
    refused(
        with(OcclusionOptions { size: 0, ..PATCH }),
        ErrorKind::Argument,
        &["size 0 is out of range", "1 to 28"],
    );
    refused(
        with(OcclusionOptions { size: 29, ..PATCH }),
        ErrorKind::Argument,
        &["size 29 is out of range", "1 to 28"],
    );
    refused(
        with(OcclusionOptions { stride: 0, ..PATCH }),
        ErrorKind::Argument,
        &["stride 0 is out of range", "1 to 4"],
    );
    refused(
        with(OcclusionOptions { stride: 5, ..PATCH }),
        ErrorKind::Argument,
        &["stride 5 is out of range", "1 to 4"],
    );
    refused(
        with(OcclusionOptions { fill: f64::NAN, ..PATCH }),
        ErrorKind::Argument,
        &["fill NaN is out of range"],
    );
    assert!(with(OcclusionOptions { size: 28, stride: 28, fill: 0.0 }).is_ok());
}

/// If the score is not finite, as after a training that diverged, the result is an error and not a map of zeros.
#[test]
fn a_score_that_is_finite() {
    let (cpu, net) = lenet(DType::F64);
    let bias = Tensor::full(&cpu, f64::NAN, &[10], DType::F64).unwrap();
    net.load_matching(&[("fc3.bias".to_owned(), bias)].into()).unwrap();
    let x = noise(&cpu, &[1, 1, 28, 28], DType::F64);
    for result in all(&*net, "conv1", &x, CLASS) {
        refused(result, ErrorKind::NonFinite, &["the score is not finite", "diverged"]);
    }
}

/// The image must have the network's dtype: instruments do not convert it silently.
#[test]
fn an_image_of_the_networks_type() {
    let (cpu, net) = lenet(DType::F64);
    let x = noise(&cpu, &[1, 1, 28, 28], DType::F32);
    for result in all(&*net, "conv1", &x, CLASS) {
        refused(result, ErrorKind::DType, &["at net/conv1"]);
    }
}
