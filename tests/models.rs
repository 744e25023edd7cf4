//! The zoo against the notebooks: parameter counts, shapes and the names in their `state_dict`.

use receptive::inspect::summary;
use receptive::models::{self, MODELS, ModelConfig};
use receptive::nn::{Ctx, Module, ModuleExt, Scheme};
use receptive::{DType, Device, Key, Tensor};

const MNIST: [usize; 3] = [1, 28, 28];
const CIFAR: [usize; 3] = [3, 32, 32];

fn build(name: &str, input: [usize; 3]) -> Box<dyn Module> {
    models::find(name).unwrap().build(&ModelConfig::new(input, 10)).unwrap()
}

/// The counts the notebooks print. A wrong padding or a missing bias shows here first.
#[test]
fn parameter_counts_are_the_notebooks() {
    let counts = [
        ("softmax", MNIST, 7_850),
        ("mlp2", MNIST, 39_760),
        ("mlp", MNIST, 575_050),
        ("mlp", CIFAR, 1_746_506),
        ("lenet5", MNIST, 61_706),
        ("lenet5", CIFAR, 83_126),
        ("minivgg", MNIST, 123_502),
        ("minivgg", CIFAR, 166_030),
    ];
    for (name, input, count) in counts {
        assert_eq!(build(name, input).num_parameters(), count, "{name} for {input:?}");
    }
}

/// Image size after the convolutions, and the features the first FC takes.
#[test]
fn shapes_after_each_stage_are_the_notebooks() {
    type Stage<'a> = (&'a str, &'a [usize]);
    let stages: [(&str, [usize; 3], &[Stage]); 4] = [
        (
            "lenet5",
            MNIST,
            &[
                ("conv1", &[6, 28, 28]),
                ("pool1", &[6, 14, 14]),
                ("conv2", &[16, 10, 10]),
                ("flatten", &[400]),
            ],
        ),
        ("lenet5", CIFAR, &[("conv1", &[6, 32, 32]), ("pool2", &[16, 6, 6]), ("flatten", &[576])]),
        ("minivgg", MNIST, &[("conv12", &[16, 24, 24]), ("conv22", &[32, 10, 10]), ("flatten", &[800])]),
        ("minivgg", CIFAR, &[("pool1", &[16, 14, 14]), ("conv22", &[32, 12, 12]), ("flatten", &[1152])]),
    ];
    for (name, input, expected) in stages {
        let summary = summary(&*build(name, input), name, input).unwrap();
        for (path, output) in expected {
            let layer = summary.layers.iter().find(|layer| layer.path == *path).unwrap();
            assert_eq!(layer.output, *output, "{name} for {input:?}: {path}");
        }
    }
}

/// Every network, on every size it may meet: a batch goes in, log-probabilities of its classes come out.
#[test]
fn a_batch_becomes_log_probabilities() {
    let cpu = Device::cpu().unwrap();
    for spec in MODELS {
        for (input, classes) in [(MNIST, 10), (CIFAR, 10), ([2, 33, 29], 3)] {
            let model = (spec.build)(&ModelConfig::new(input, classes)).unwrap();
            model.init(&cpu, DType::F32, 0).unwrap();
            let x = Tensor::full(&cpu, 0.5, &[3, input[0], input[1], input[2]], DType::F32).unwrap();
            let y = model.forward(&Ctx::eval(spec.name), &x).unwrap();
            assert_eq!(y.dims(), [3, classes], "{} for {input:?}", spec.name);
            let sums: Vec<f64> =
                y.to_f64().unwrap().chunks(classes).map(|row| row.iter().map(|v| v.exp()).sum()).collect();
            assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{}: {sums:?}", spec.name);
        }
    }
}

/// PyTorch's `state_dict` of the notebooks' classes loads by these names, in this order.
#[test]
fn state_dict_names_are_the_notebooks() {
    let layers = |name: &str| match name {
        "softmax" => vec!["linear"],
        "mlp2" => vec!["linear1", "linear2"],
        "mlp" => vec!["linears.0", "linears.1", "linears.2", "linears.3", "linears.4"],
        "lenet5" => vec!["conv1", "conv2", "fc1", "fc2", "fc3"],
        "minivgg" => vec!["conv11", "conv12", "conv21", "conv22", "fc1", "fc2", "fc3"],
        other => panic!("{other}: write its notebook's names here"),
    };
    for spec in MODELS {
        let names: Vec<String> = build(spec.name, MNIST).params().into_iter().map(|(name, _)| name).collect();
        let expected: Vec<String> =
            layers(spec.name).iter().flat_map(|l| [format!("{l}.weight"), format!("{l}.bias")]).collect();
        assert_eq!(names, expected, "{}", spec.name);
    }
}

/// An image that vanishes in the convolutions is refused where the network is described.
#[test]
fn images_too_small_are_refused() {
    for name in ["lenet5", "minivgg"] {
        let network = models::find(name).unwrap();
        let error = network.build(&ModelConfig::new([1, 4, 4], 10)).err().unwrap();
        assert!(error.to_string().contains("too small"), "{error}");
    }
}

/// Xavier fills its whole range and leaves the biases to the layers' own rule, as the notebooks do.
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

/// A frozen parameter receives no gradient and is not handed to the optimiser; unfrozen, both again.
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
