//! Tests of arch files: the networks built from a list of layers, and the errors that a file can have.

use super::{CIFAR, MNIST, build};
use receptive::ErrorKind;
use receptive::inspect::{describe, summary};
use receptive::models::{ModelConfig, OptimizerKind, from_arch};
use receptive::nn::{Loss, Module, ModuleExt};

const LENET: &str = include_str!("../../examples/arch/lenet5_tanh.toml");

fn names(model: &dyn Module) -> Vec<String> {
    model.params().into_iter().map(|(name, _)| name).collect()
}

/// The text of an arch file with these layers; the first is on line 3.
fn file(layers: &[&str]) -> String {
    format!("input = [2, 12, 12]\nlayers = [\n{}\n]\n", layers.join(",\n"))
}

#[test]
fn the_example_is_lenet5_tanh() {
    let network = from_arch(LENET, "lenet5_tanh.toml").unwrap();
    assert_eq!((network.name.as_str(), network.input, network.classes), ("lenet5-tanh", MNIST, 10));
    assert_eq!((network.loss, network.arch.as_deref()), (Loss::CrossEntropy, Some(LENET)));
    let recipe = &network.recipe;
    assert_eq!((&*recipe.data, recipe.batch_size, recipe.epochs), ("mnist", 10, 3));
    assert_eq!((recipe.optimizer, recipe.lr), (OptimizerKind::Adam, 0.001));
    let (ours, zoo) = (network.build(&ModelConfig::new(MNIST, 10)).unwrap(), build("lenet5-tanh", MNIST));
    assert_eq!(describe(&*ours), describe(&*zoo));
    assert_eq!(names(&*ours), names(&*zoo));
    assert_eq!(ours.num_parameters(), 61_706);
    // For images of another size, the first fully connected layer adapts.
    let cifar = network.build(&ModelConfig::new(CIFAR, 10)).unwrap();
    assert_eq!(summary(&*cifar, "lenet5-tanh", CIFAR).unwrap().layers[8].output, [16 * 6 * 6]);
}

/// Blocks nest. A repetition counts as if it were written out. A parameter's name is its layer's place.
#[test]
fn blocks_are_named_by_their_places() {
    let conv = r#"{ kind = "conv2d", out_channels = 4, kernel_size = 3, padding = "same", bias = false }"#;
    let shortcut = r#"{ kind = "conv2d", out_channels = 4, kernel_size = 1 }"#;
    let text = file(&[
        &format!(
            r#"{{ kind = "residual", layers = [{conv}, {{ kind = "relu" }}], shortcut = [{shortcut}] }}"#
        ),
        &format!(r#"{{ kind = "repeat", times = 2, layers = [{conv}, {{ kind = "relu" }}] }}"#),
        &format!(r#"{{ kind = "sequential", layers = [{conv}, {{ kind = "flatten" }}] }}"#),
        r#"{ kind = "linear", out_features = 7, in_features = 576 }"#,
        r#"{ kind = "log_softmax" }"#,
    ]);
    let network = from_arch(&text, "net.toml").unwrap();
    assert_eq!((network.classes, network.loss), (7, Loss::Nll));
    let model = network.build(&ModelConfig::new([2, 12, 12], 7)).unwrap();
    let expected = [
        "layers.0.0.weight",
        "layers.0.shortcut.0.weight",
        "layers.0.shortcut.0.bias",
        "layers.1.weight",
        "layers.3.weight",
        "layers.5.0.weight",
        "layers.6.weight",
        "layers.6.bias",
    ];
    assert_eq!(names(&*model), expected);
    let error = network.build(&ModelConfig::new([2, 12, 12], 10)).err().unwrap().to_string();
    assert!(error.contains("7 outputs, but 10 are needed"), "{error}");
}

/// Every kind of layer with all its keys: checks the output shapes, and the settings as PyTorch prints them.
#[test]
fn every_kind_takes_its_keys() {
    let kinds: &[(&str, &[usize], &str)] = &[
        (
            r#"{ kind = "conv2d", in_channels = 2, out_channels = 4, kernel_size = [3, 5], stride = 2, padding = [1, 2], dilation = 1, groups = 2, bias = false }"#,
            &[4, 6, 6],
            "Conv2d(2, 4, kernel_size=(3, 5), stride=2, padding=(1, 2), groups=2, bias=False)",
        ),
        (
            r#"{ kind = "conv_transpose2d", in_channels = 4, out_channels = 4, kernel_size = 3, stride = 2, padding = 1, output_padding = 1, dilation = 1, groups = 2, bias = false }"#,
            &[4, 12, 12],
            "ConvTranspose2d(4, 4, kernel_size=3, stride=2, padding=1, output_padding=1, groups=2, bias=False)",
        ),
        (
            r#"{ kind = "max_pool2d", kernel_size = 3, stride = 2, padding = 1, ceil_mode = true }"#,
            &[4, 7, 7],
            "MaxPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True)",
        ),
        (
            r#"{ kind = "avg_pool2d", kernel_size = 2, stride = 1, padding = 1, ceil_mode = false }"#,
            &[4, 8, 8],
            "AvgPool2d(kernel_size=2, stride=1, padding=1)",
        ),
        (
            r#"{ kind = "batch_norm2d", num_features = 4, eps = 1, momentum = 0.5, affine = false, track_running_stats = false }"#,
            &[4, 8, 8],
            "BatchNorm2d(4",
        ),
        (
            r#"{ kind = "group_norm", num_groups = 2, num_channels = 4, eps = 0.5, affine = false }"#,
            &[4, 8, 8],
            "GroupNorm(2, 4",
        ),
        (
            r#"{ kind = "instance_norm2d", num_features = 4, eps = 0.5, momentum = 0.5, affine = true, track_running_stats = true }"#,
            &[4, 8, 8],
            "InstanceNorm2d(4",
        ),
        (
            r#"{ kind = "local_response_norm", size = 2, alpha = 0.5, beta = 0.5, k = 2 }"#,
            &[4, 8, 8],
            "LocalResponseNorm(2, alpha=0.5, beta=0.5, k=2.0)",
        ),
        (r#"{ kind = "layer_norm", eps = 0.5, elementwise_affine = false }"#, &[4, 8, 8], "LayerNorm("),
        (
            r#"{ kind = "adaptive_max_pool2d", output_size = [6, 4] }"#,
            &[4, 6, 4],
            "AdaptiveMaxPool2d(output_size=(6, 4))",
        ),
        (
            r#"{ kind = "adaptive_avg_pool2d", output_size = 3 }"#,
            &[4, 3, 3],
            "AdaptiveAvgPool2d(output_size=3)",
        ),
        (
            r#"{ kind = "upsample", scale_factor = 2, mode = "bilinear", align_corners = true }"#,
            &[4, 6, 6],
            "Upsample(scale_factor=2.0, mode='bilinear')",
        ),
        (r#"{ kind = "upsample", size = 3 }"#, &[4, 3, 3], "Upsample(size=3, mode='nearest')"),
        (r#"{ kind = "relu" }"#, &[4, 3, 3], "ReLU()"),
        (r#"{ kind = "leaky_relu", negative_slope = 0.5 }"#, &[4, 3, 3], "LeakyReLU(negative_slope=0.5)"),
        (r#"{ kind = "sigmoid" }"#, &[4, 3, 3], "Sigmoid()"),
        (r#"{ kind = "tanh" }"#, &[4, 3, 3], "Tanh()"),
        (r#"{ kind = "gelu" }"#, &[4, 3, 3], "GELU(approximate=none)"),
        (r#"{ kind = "gelu", approximate = "tanh" }"#, &[4, 3, 3], "GELU(approximate=tanh)"),
        (r#"{ kind = "silu" }"#, &[4, 3, 3], "SiLU()"),
        (r#"{ kind = "dropout2d", p = 0.25 }"#, &[4, 3, 3], "Dropout2d(p=0.25)"),
        (r#"{ kind = "softmax" }"#, &[4, 3, 3], "Softmax(dim=1)"),
        (r#"{ kind = "flatten" }"#, &[36], "Flatten()"),
        (
            r#"{ kind = "linear", in_features = 36, out_features = 5, bias = false }"#,
            &[5],
            "Linear(in_features=36, out_features=5, bias=False)",
        ),
        (
            r#"{ kind = "batch_norm1d", num_features = 5, eps = 1, momentum = 0.5, affine = false, track_running_stats = true }"#,
            &[5],
            "BatchNorm1d(5",
        ),
        (r#"{ kind = "dropout", p = 0.25 }"#, &[5], "Dropout(p=0.25)"),
        (r#"{ kind = "log_softmax" }"#, &[5], "LogSoftmax(dim=1)"),
    ];
    let lines: Vec<&str> = kinds.iter().map(|(line, _, _)| *line).collect();
    let network = from_arch(&file(&lines), "all.toml").unwrap();
    let model = network.build(&ModelConfig::new([2, 12, 12], 5)).unwrap();
    let layers = summary(&*model, "all", [2, 12, 12]).unwrap().layers;
    assert_eq!(layers.len(), kinds.len());
    let printed = describe(&*model);
    for ((layer, (line, shape, text)), print) in layers.iter().zip(kinds).zip(printed.lines().skip(2)) {
        assert_eq!(layer.output, *shape, "{line}");
        assert!(print.contains(text), "{print} is not {text}");
    }
}

/// Each error names the file and the line, and says what would be right.
#[test]
fn what_is_wrong_is_named_with_its_line() {
    let relu = r#"{ kind = "relu" }"#;
    let flatten = r#"{ kind = "flatten" }"#;
    let linear = r#"{ kind = "linear", out_features = 3 }"#;
    let nested =
        (0..40).fold(relu.to_owned(), |inner, _| format!(r#"{{ kind = "sequential", layers = [{inner}] }}"#));
    let layers: &[(&[&str], usize, &str)] = &[
        (
            &[relu, r#"{ kind = "convolution" }"#],
            4,
            "there is no kind `convolution`\n  expected one of conv2d,",
        ),
        (&[r#"{ kind = "relu", slope = 1 }"#], 3, "layers.0 (relu): there is no key `slope`"),
        (
            &[r#"{ kind = "conv2d", out_channel = 1 }"#],
            3,
            "no key `out_channel`\n  expected one of kind, in_channels",
        ),
        (&[relu, r#"{ kind = "conv2d", out_channels = 1 }"#], 4, "`kernel_size` is missing"),
        (
            &[r#"{ kind = "conv2d", out_channels = "six", kernel_size = 3 }"#],
            3,
            "out_channels = \"six\" is not allowed",
        ),
        (
            &[r#"{ kind = "conv2d", out_channels = -6, kernel_size = 3 }"#],
            3,
            "out_channels = -6 is not allowed",
        ),
        (
            &[r#"{ kind = "conv2d", out_channels = 6, kernel_size = [3, 3, 3] }"#],
            3,
            "or two as [vertical, horizontal]",
        ),
        (
            &[r#"{ kind = "conv2d", out_channels = 9999999999, kernel_size = 3 }"#],
            3,
            "out_channels = 9999999999",
        ),
        (&[r#"{ kind = "conv2d", out_channels = 6, kernel_size = 0 }"#], 3, "layers.0 (conv2d): "),
        (
            &[r#"{ kind = "conv2d", out_channels = 6, kernel_size = 3, stride = 0 }"#],
            3,
            "layers.0 (conv2d): ",
        ),
        (
            &[r#"{ kind = "conv2d", out_channels = 6, kernel_size = 3, groups = 4 }"#],
            3,
            "layers.0 (conv2d): ",
        ),
        (
            &[relu, r#"{ kind = "conv2d", in_channels = 3, out_channels = 6, kernel_size = 3 }"#],
            4,
            "expected in_channels = 2",
        ),
        (&[relu, r#"{ kind = "conv2d", out_channels = 6, kernel_size = 13 }"#], 4, "the kernel is larger"),
        (&[relu, r#"{ kind = "max_pool2d", kernel_size = 30 }"#], 4, "layers.1 (max_pool2d): "),
        (&[linear], 3, "needs an input of features, but its input is [2, 12, 12]"),
        (
            &[flatten, r#"{ kind = "conv2d", out_channels = 6, kernel_size = 3 }"#],
            4,
            "needs an image, but its input is [288]",
        ),
        (
            &[flatten, r#"{ kind = "linear", in_features = 5, out_features = 3 }"#],
            4,
            "expected in_features = 288",
        ),
        (&[r#"{ kind = "dropout", p = 1.5 }"#], 3, "p = 1.5 is not a probability"),
        (&[r#"{ kind = "dropout", p = nan }"#], 3, "p = nan is not allowed"),
        (&[r#"{ kind = "leaky_relu", negative_slope = inf }"#], 3, "negative_slope = inf is not allowed"),
        (
            &[relu, r#"{ kind = "leaky_relu", negative_slope = "flat" }"#],
            4,
            "negative_slope=flat is malformed",
        ),
        (&[r#"{ kind = "gelu", approximate = "erf" }"#], 3, "layers.0 (gelu): "),
        (&[r#"{ out_channels = 1 }"#], 3, "layers.0: `kind` is missing"),
        (&[r#"{ kind = "upsample" }"#], 3, "one of `size` and `scale_factor`"),
        (&[r#"{ kind = "upsample", size = 4, mode = "cubic" }"#], 3, "there is no mode `cubic`"),
        (&["3"], 3, "layers.0 is not a layer"),
        (
            &[relu, r#"{ kind = "residual", layers = [{ kind = "max_pool2d", kernel_size = 2 }] }"#],
            4,
            "[2, 6, 6] and cannot be added to [2, 12, 12]",
        ),
        (&[r#"{ kind = "repeat", times = 9, layers = [] }"#], 3, "the list has no layers"),
        (&[r#"{ kind = "sequential" }"#], 3, "`layers` is missing"),
        (
            &[r#"{ kind = "repeat", times = 1000000, layers = [{ kind = "relu" }] }"#],
            3,
            "more than 10000 layers",
        ),
        (&[&nested], 3, "recursion"),
    ];
    for (layers, line, expected) in layers {
        refused(&file(layers), *line, expected);
    }
}

fn refused(text: &str, line: usize, expected: &str) {
    let error = from_arch(text, "net.toml").unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with(&format!("net.toml:{line}: ")), "{message}\nfor\n{text}");
    assert!(message.contains(expected), "{message}\nhas not: {expected}");
    assert!(matches!(error.kind(), ErrorKind::Format | ErrorKind::Shape | ErrorKind::Argument), "{message}");
}

#[test]
fn the_file_as_a_whole_can_be_wrong() {
    let relu = "layers = [{ kind = \"relu\" }]";
    for (text, line, expected) in [
        ("", 1, "`input` is missing"),
        ("input = [1, 2, 3]", 1, "`layers` is missing"),
        ("input = [1, 2, 3]\nlayers = []", 2, "the list has no layers"),
        ("input = [1, 2, 3]\nlayers = 5", 2, "layers = 5 is not allowed"),
        ("input = [1, 2\nlayers", 2, "is not valid TOML"),
        (&format!("name = \"../up\"\ninput = [1, 2, 3]\n{relu}"), 1, "is not allowed"),
        ("\u{0}\u{1}", 1, "is not valid TOML"),
        (&format!("input = [1, 0, 3]\n{relu}"), 1, "is not an image size"),
        (&format!("input = [1, 2]\n{relu}"), 1, "is not an image size"),
        (&format!("input = \"1x2x3\"\n{relu}"), 1, "is not allowed"),
        (&format!("input = [1, 2, 3]\ninputs = 3\n{relu}"), 2, "there is no key `inputs`"),
        (&format!("input = [1, 2, 3]\nloss = \"l2\"\n{relu}"), 2, "there is no loss `l2`"),
        (&format!("input = [1, 2, 3]\noptimizer = \"sdg\"\n{relu}"), 2, "expected one of sgd, adam, adamw"),
        (&format!("input = [1, 2, 3]\nlr = \"fast\"\n{relu}"), 2, "expected a finite number"),
        (&format!("input = [1, 2, 3]\nscheduler = \"step\"\n{relu}"), 2, "expected step:EVERY:GAMMA"),
        (&format!("input = [1048576, 1048576, 1048576]\n{relu}"), 1, "is not an image size"),
    ] {
        refused(text, line, expected);
    }
}
