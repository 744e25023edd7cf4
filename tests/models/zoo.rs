//! Tests of the zoo's parameter counts, shapes and receptive fields.

use super::{CIFAR, MNIST, build};
use receptive::inspect::summary;
use receptive::models::{self, MODELS, ModelConfig, Network};
use receptive::nn::{Ctx, Loss, Module, ModuleExt};
use receptive::{DType, Device, Tensor};
use std::collections::BTreeSet;

const GREY: [usize; 3] = [1, 224, 224];
const RGB: [usize; 3] = [3, 224, 224];

/// The parameter counts that the notebooks print. They reveal a wrong padding or a missing bias.
const COUNTS: &[(&str, [usize; 3], usize)] = &[
    ("softmax", MNIST, 7_850),
    ("mlp2", MNIST, 39_760),
    ("mlp", MNIST, 575_050),
    ("mlp", CIFAR, 1_746_506),
    ("lenet5", MNIST, 61_706),
    ("lenet5", CIFAR, 83_126),
    ("lenet5-tanh", MNIST, 61_706),
    ("lenet5-tanh", CIFAR, 62_006),
    ("minivgg", MNIST, 123_502),
    ("minivgg", CIFAR, 166_030),
    ("alexnet", GREY, 46_764_746),
    ("vgg11", GREY, 128_806_154),
    ("vgg11-small", GREY, 43_093_322),
    ("lenet5-bn", MNIST, 44_878),
    ("resnet-cifar", CIFAR, 195_738),
    ("resnet9", CIFAR, 6_573_120),
    ("resnet18", GREY, 11_178_378),
    ("googlenet", [1, 96, 96], 5_977_530),
    // With two more input channels, each of the 64 filters of 7x7 in the first convolution has 2 * 49 more weights.
    ("googlenet", RGB, 5_977_530 + 64 * 2 * 49),
    ("unet", [3, 128, 128], 31_031_745),
    ("unet-resnet34", [3, 128, 128], UNET_RESNET34),
    ("tv-alexnet", RGB, 61_100_840),
    ("tv-vgg11", RGB, 132_863_336),
    ("tv-vgg13", RGB, 133_047_848),
    ("tv-vgg16", RGB, 138_357_544),
    ("tv-vgg19", RGB, 143_667_240),
    ("tv-resnet18", RGB, 11_689_512),
    ("tv-resnet34", RGB, RESNET34),
    ("tv-resnet50", RGB, 25_557_032),
    ("tv-resnet101", RGB, 44_549_160),
    ("tv-resnet152", RGB, 60_192_808),
    ("tv-googlenet", RGB, 6_624_904),
];

const RESNET34: usize = 21_797_672;

/// ResNet-34 without its classifier, four upsampling steps, a fifth one to the image's size, and the last 1x1
/// convolution.
const UNET_RESNET34: usize = {
    const fn conv(from: usize, to: usize, kernel: usize) -> usize {
        to * (from * kernel * kernel + 1)
    }
    const fn up(from: usize, beside: usize, to: usize) -> usize {
        conv(from, to, 2) + conv(to + beside, to, 3) + conv(to, to, 3)
    }
    let decoder = up(512, 256, 256) + up(256, 128, 128) + up(128, 64, 64) + up(64, 64, 64);
    RESNET34 - (512 * 1000 + 1000) + decoder + up(64, 0, 32) + conv(32, 1, 1)
};

#[test]
fn parameter_counts_are_the_notebooks() {
    for &(name, input, count) in COUNTS {
        assert_eq!(build(name, input).num_parameters(), count, "{name} for {input:?}");
    }
    for spec in MODELS {
        let counted = COUNTS.iter().any(|&(name, input, _)| name == spec.name && input == spec.input);
        assert!(counted, "{}: write its parameter count here", spec.name);
    }
}

type Stages = &'static [(&'static str, &'static [usize])];

/// The output shapes of some layers, and the input features of the first fully connected layer.
const STAGES: &[(&str, [usize; 3], Stages)] = &[
    (
        "lenet5",
        MNIST,
        &[("conv1", &[6, 28, 28]), ("pool1", &[6, 14, 14]), ("conv2", &[16, 10, 10]), ("flatten", &[400])],
    ),
    ("lenet5", CIFAR, &[("conv1", &[6, 32, 32]), ("pool2", &[16, 6, 6]), ("flatten", &[576])]),
    ("minivgg", MNIST, &[("conv12", &[16, 24, 24]), ("conv22", &[32, 10, 10]), ("flatten", &[800])]),
    ("minivgg", CIFAR, &[("pool1", &[16, 14, 14]), ("conv22", &[32, 12, 12]), ("flatten", &[1152])]),
    ("lenet5-tanh", MNIST, &[("layers.0", &[6, 28, 28]), ("layers.8", &[400])]),
    ("lenet5-tanh", CIFAR, &[("layers.0", &[6, 28, 28]), ("layers.8", &[400])]),
    (
        "alexnet",
        GREY,
        &[
            ("0", &[96, 54, 54]),
            ("2", &[96, 26, 26]),
            ("3", &[256, 26, 26]),
            ("5", &[256, 12, 12]),
            ("6", &[384, 12, 12]),
            ("8", &[384, 12, 12]),
            ("10", &[256, 12, 12]),
            ("12", &[256, 5, 5]),
        ],
    ),
    (
        "vgg11",
        GREY,
        &[
            ("0.2", &[64, 112, 112]),
            ("1.2", &[128, 56, 56]),
            ("2.4", &[256, 28, 28]),
            ("3.4", &[512, 14, 14]),
            ("4.4", &[512, 7, 7]),
        ],
    ),
    (
        "resnet18",
        GREY,
        &[
            ("0.0", &[64, 112, 112]),
            ("0.3", &[64, 56, 56]),
            ("1.1.relu", &[64, 56, 56]),
            ("2.1.relu", &[128, 28, 28]),
            ("3.1.relu", &[256, 14, 14]),
            ("4.1.relu", &[512, 7, 7]),
            ("5", &[512, 1, 1]),
        ],
    ),
    (
        "googlenet",
        [1, 96, 96],
        &[
            ("0.2", &[64, 24, 24]),
            ("1.4", &[192, 12, 12]),
            ("2.2", &[480, 6, 6]),
            ("3.5", &[832, 3, 3]),
            ("4.2", &[1024, 1, 1]),
        ],
    ),
    (
        "resnet-cifar",
        CIFAR,
        &[
            ("layer1.1.relu", &[16, 32, 32]),
            ("layer2.1.relu", &[32, 16, 16]),
            ("layer3.1.relu", &[64, 8, 8]),
            ("flatten", &[64]),
        ],
    ),
    (
        "unet",
        [3, 128, 128],
        &[
            ("enc1.3", &[64, 128, 128]),
            ("enc4.3", &[512, 16, 16]),
            ("bottleneck.3", &[1024, 8, 8]),
            ("upconv4", &[512, 16, 16]),
            ("dec1.3", &[64, 128, 128]),
            ("conv_final", &[1, 128, 128]),
        ],
    ),
    (
        "unet-resnet34",
        [3, 128, 96],
        &[
            ("encoder.relu", &[64, 64, 48]),
            ("encoder.layer4.2.relu", &[512, 4, 3]),
            ("upconv4", &[256, 8, 6]),
            ("conv_final", &[1, 128, 96]),
        ],
    ),
];

#[test]
fn shapes_after_each_stage_are_the_notebooks() {
    for &(name, input, expected) in STAGES {
        let summary = summary(&*build(name, input), name, input).unwrap();
        for (path, output) in expected {
            let layer = summary.layers.iter().find(|layer| layer.path == *path);
            let layer = layer.unwrap_or_else(|| panic!("{name} has no layer {path}"));
            assert_eq!(layer.output, *output, "{name} for {input:?}: {path}");
        }
    }
}

/// Runs every network on shapes, for two numbers of classes. The output has this number of classes, every parameter
/// belongs to a layer, and no two layers have the same name.
#[test]
fn every_network_runs_and_shows_all_its_layers() {
    for spec in MODELS {
        let network = Network::from(*spec);
        for classes in [spec.classes, 3] {
            let model = network.build(&ModelConfig::new(spec.input, classes)).unwrap();
            let summary = summary(&*model, spec.name, spec.input).unwrap();
            let last = summary.layers.last().unwrap();
            assert_eq!(last.output[0], classes, "{}", spec.name);
            let sum: usize = summary.layers.iter().map(|layer| layer.parameters).sum();
            assert_eq!(sum, summary.parameters, "{}: a parameter that no layer shows", spec.name);
            let paths: BTreeSet<&str> = summary.layers.iter().map(|layer| layer.path.as_str()).collect();
            assert_eq!(paths.len(), summary.layers.len(), "{}: two layers have one path", spec.name);
        }
    }
}

/// Small networks accept images of any size and any number of classes. They return log-probabilities or logits.
#[test]
fn small_networks_take_any_size() {
    let cpu = Device::cpu().unwrap();
    for name in ["softmax", "mlp2", "mlp", "lenet5", "lenet5-tanh", "lenet5-bn", "minivgg", "resnet-cifar"] {
        let network = models::find(name).unwrap();
        for (input, classes) in [(MNIST, 10), (CIFAR, 10), ([2, 33, 29], 3)] {
            let model = network.build(&ModelConfig::new(input, classes)).unwrap();
            model.init(&cpu, DType::F32, 0).unwrap();
            let x = Tensor::full(&cpu, 0.5, &[3, input[0], input[1], input[2]], DType::F32).unwrap();
            let y = model.forward(&Ctx::eval(name), &x).unwrap();
            assert_eq!(y.dims(), [3, classes], "{name} for {input:?}");
            let rows: Vec<f64> =
                y.to_f64().unwrap().chunks(classes).map(|row| row.iter().map(|v| v.exp()).sum()).collect();
            let normalised = rows.iter().all(|sum| (sum - 1.0).abs() < 1e-5);
            assert_eq!(normalised, network.loss == Loss::Nll, "{name}: {rows:?}");
        }
    }
}

/// If an image is too small for the convolutions, building the network fails.
#[test]
fn images_too_small_are_refused() {
    for name in ["lenet5", "lenet5-tanh", "minivgg", "alexnet", "vgg11-small"] {
        let network = models::find(name).unwrap();
        let error = network.build(&ModelConfig::new([1, 4, 4], 10)).err().unwrap();
        assert!(error.to_string().contains("too small"), "{error}");
    }
}

/// U-Nets halve the image several times and double it again, so its size must be a multiple. The width sets the number
/// of channels of the first stage.
#[test]
fn unets_name_the_multiple_and_take_a_width() {
    for (name, multiple) in [("unet", 16), ("unet-resnet34", 32)] {
        let network = models::find(name).unwrap();
        let error = network.build(&ModelConfig::new([3, 100, 128], 1)).err().unwrap().to_string();
        assert!(error.contains("128x100") && error.contains(&format!("multiples of {multiple}")), "{error}");
        // The same error comes if the network was built for another size and only the image is wrong.
        let model = network.build(&ModelConfig::new([3, 128, 128], 1)).unwrap();
        let stopped = summary(&*model, name, [3, 128, 90]).unwrap_err();
        assert!(stopped.error.to_string().contains(&format!("multiples of {multiple}")), "{}", stopped.error);
    }
    let narrow = ModelConfig { width: Some(8), ..ModelConfig::new([3, 64, 64], 1) };
    let unet = models::find("unet").unwrap().build(&narrow).unwrap();
    let summary = summary(&*unet, "unet", [3, 64, 64]).unwrap();
    assert_eq!(summary.layers[0].output, [8, 64, 64]);
    assert!(models::find("resnet18").unwrap().build(&narrow).is_err());
}

/// Where branches join, the receptive field is the union of theirs. In `resnet-cifar` the stem sees 3 pixels, and each
/// of two blocks adds 2 + 2 with its two 3x3 convolutions.
#[test]
fn fields_grow_through_residuals_and_concatenations() {
    let field = |name: &str, input: [usize; 3], path: &str| {
        let summary = summary(&*build(name, input), name, input).unwrap();
        summary.layers.iter().find(|layer| layer.path == path).unwrap().receptive_field
    };
    assert_eq!(field("resnet-cifar", CIFAR, "layer1.1.relu"), [11, 11].into());
    // After the stem the field has 27 pixels and the jump is 8. The widest branch of the next block, 5x5, adds 4 jumps.
    assert_eq!(field("googlenet", [1, 96, 96], "1.4"), [27, 27].into());
    assert_eq!(field("googlenet", [1, 96, 96], "2.1.p1_1"), [27 + 4 * 8, 27 + 4 * 8].into());
}
