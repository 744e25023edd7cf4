//! Parameter counts, shapes, and the names in `state_dict`.

use super::{CIFAR, MNIST, build};
use receptive::inspect::summary;
use receptive::models::{self, MODELS, ModelConfig, Network};
use receptive::nn::{Ctx, Loss, Module, ModuleExt, Role};
use receptive::{DType, Device, Tensor};
use std::collections::BTreeSet;

const GREY: [usize; 3] = [1, 224, 224];

/// The counts the notebooks print. A wrong padding or a missing bias shows here first.
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
];

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

/// Image size after the stages, and the features the first FC takes.
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

/// Every network follows the number of classes, and is run by shape through all its layers: every layer reports where it
/// is, every parameter belongs to a layer, and no two layers have one name.
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

/// Sizes a network was not made for: a batch goes in, log-probabilities of its classes, or logits, come out.
#[test]
fn small_networks_take_any_size() {
    let cpu = Device::cpu().unwrap();
    for name in ["softmax", "mlp2", "mlp", "lenet5", "lenet5-tanh", "minivgg"] {
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

/// `a.0,2` for `a.0` and `a.2`: the layers with weight and bias.
fn expand(layers: &str) -> Vec<String> {
    let (mut names, mut prefix) = (Vec::new(), "");
    for word in layers.split_whitespace().flat_map(|word| word.split(',').enumerate()) {
        let name = match word {
            (0, first) => {
                prefix = first.rsplit_once('.').map_or("", |(prefix, _)| prefix);
                first.to_owned()
            }
            (_, more) if prefix.is_empty() => more.to_owned(),
            (_, more) => format!("{prefix}.{more}"),
        };
        names.push(name);
    }
    names
}

/// PyTorch's `state_dict` of the notebooks' classes loads by these names, in this order. Layers with weight and bias.
const NAMES: &[(&str, &str)] = &[
    ("softmax", "linear"),
    ("mlp2", "linear1 linear2"),
    ("mlp", "linears.0,1,2,3,4"),
    ("lenet5", "conv1 conv2 fc1 fc2 fc3"),
    ("lenet5-tanh", "layers.0,4,9,11,13"),
    ("minivgg", "conv11 conv12 conv21 conv22 fc1 fc2 fc3"),
    ("alexnet", "0,3,6,8,10,14,17,20"),
    ("vgg11", "0.0 1.0 2.0,2 3.0,2 4.0,2 6 9 12"),
    ("vgg11-small", "0.0 1.0 2.0,2 3.0,2 4.0,2 6 9 12"),
];

#[test]
fn state_dict_names_are_pytorchs() {
    for &(name, layers) in NAMES {
        let model = build(name, models::find(name).unwrap().input);
        let weights = model.params().into_iter().filter(|(_, param)| param.role() == Role::Weight);
        let names: Vec<String> = weights.map(|(name, _)| name).collect();
        let expected: Vec<String> =
            expand(layers).iter().flat_map(|l| [format!("{l}.weight"), format!("{l}.bias")]).collect();
        assert_eq!(names, expected, "{name}");
    }
}

/// An image that vanishes in the convolutions is refused where the network is described.
#[test]
fn images_too_small_are_refused() {
    for name in ["lenet5", "lenet5-tanh", "minivgg", "alexnet", "vgg11-small"] {
        let network = models::find(name).unwrap();
        let error = network.build(&ModelConfig::new([1, 4, 4], 10)).err().unwrap();
        assert!(error.to_string().contains("too small"), "{error}");
    }
}
