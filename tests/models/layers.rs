//! Tests of the sizes of layers that the user chooses.

use super::MNIST;
use receptive::inspect::{describe, summary};
use receptive::models::{self, LayerChoice, LayerSize, LayerSizes, ModelConfig, layer_choices};
use receptive::nn::ModuleExt;

/// A network's own sizes, written as a user would, give exactly its own layers.
#[test]
fn own_sizes_give_the_network_itself() {
    let choices: Vec<_> = layer_choices().collect();
    assert!(choices.len() >= 8, "{choices:?}");
    for (name, LayerChoice { own, .. }) in choices {
        let network = models::find(name).unwrap();
        let config = ModelConfig::new(network.input, network.classes);
        let sizes: LayerSizes = own.parse().unwrap();
        assert_eq!(sizes.to_string(), own);
        let chosen = network.build(&config.clone().with_layers(sizes)).unwrap();
        assert_eq!(describe(&*chosen), describe(&*network.build(&config).unwrap()), "{name}");
    }
}

/// Chosen sizes are the networks' sizes, and the layers keep the pattern of their names.
#[test]
fn chosen_sizes_are_those_of_the_layers() {
    let shape = |name: &str, layers: LayerSizes, weight: &str| {
        let network = models::find(name).unwrap();
        let config = ModelConfig::new(network.input, network.classes).with_layers(layers);
        let model = network.build(&config).unwrap();
        let dims =
            model.params().into_iter().find(|(path, _)| path == weight).map(|(_, p)| p.dims().to_vec());
        // The network must also run.
        summary(&*model, name, network.input).unwrap();
        dims.unwrap_or_else(|| panic!("{name} has no {weight}"))
    };
    assert_eq!(shape("mlp", [784, 128, 10].into(), "linears.1.weight"), [10, 128]);
    assert_eq!(shape("mlp2", [784, 30, 10].into(), "linear2.weight"), [10, 30]);
    assert_eq!(shape("lenet5", [4, 8, 50, 20].into(), "fc1.weight"), [50, 8 * 25]);
    assert_eq!(shape("lenet5-tanh", [4, 8, 50, 20].into(), "layers.4.weight"), [8, 4, 5, 5]);
    assert_eq!(shape("lenet5-bn", [4, 8, 50, 20].into(), "10.weight"), [50]);
    assert_eq!(shape("minivgg", [8, 12, 50, 20].into(), "conv21.weight"), [12, 8, 3, 3]);
    // A size without a count has the usual number of blocks: one convolution in VGG, two blocks in a ResNet.
    assert_eq!(
        shape("vgg11-small", [LayerSize::from(8), (3, 16).into()].into(), "1.4.weight"),
        [16, 16, 3, 3]
    );
    assert_eq!(shape("resnet-cifar", [8, 8, 8].into(), "layer3.1.conv2.weight"), [8, 8, 3, 3]);
    assert_eq!(shape("resnet-cifar", [(1, 8), (3, 16)].into(), "layer2.2.conv2.weight"), [16, 16, 3, 3]);
    assert_eq!(shape("resnet18", [(1, 8), (1, 8)].into(), "2.0.conv3.weight"), [8, 8, 1, 1]);
}

/// Each kind of mistake in the sizes has an error that says what would be right.
#[test]
fn sizes_that_do_not_fit_are_refused() {
    let refused = |name: &str, layers: &str| {
        let network = models::find(name).unwrap();
        let config = ModelConfig::new(network.input, network.classes);
        match layers.parse::<LayerSizes>() {
            Ok(layers) => network.build(&config.with_layers(layers)).err().unwrap().to_string(),
            Err(error) => error.to_string(),
        }
    };
    for (name, layers, expected) in [
        ("mlp", "100,50,10", "an image of 1x28x28 has 784 values"),
        ("mlp", "100,50,10", "`config.layers = 784,50,10` fits"),
        ("mlp", "784,50,7", "there are 10 classes"),
        ("mlp", "784", "one size is too few"),
        ("mlp", "784,2x50,10", "sizes without counts"),
        ("mlp2", "784,10", "it takes 3"),
        ("lenet5", "6,16,120", "it takes 4"),
        ("lenet5", "6,16,120", "for example 6,16,120,84"),
        ("vgg11-small", "4,4,4,4,4,4,4,4,4", "too small"),
        ("alexnet", "1,2", "cannot be chosen"),
        ("alexnet", "1,2", "mlp2, mlp, lenet5"),
        ("mlp", "", "not a list of sizes"),
        ("mlp", "784,-1,10", "not a list of sizes"),
        ("mlp", "784,0,10", "size 0 is out of range"),
        ("mlp", "784,1000001,10", "out of range"),
        ("resnet18", "0x64", "the number of layers"),
        ("resnet18", "1001x64", "the number of layers"),
        ("resnet18", "18446744073709551615x64,2x64", "the number of layers"),
    ] {
        let error = refused(name, layers);
        assert!(error.contains(expected), "{name} {layers}: {error}");
    }
    let none = ModelConfig { layers: Some(LayerSizes(vec![])), ..ModelConfig::new(MNIST, 10) };
    assert!(models::find("mlp").unwrap().build(&none).is_err());
}

/// A run with chosen sizes is resumed, tested and its weights are read; other runs have no such setting in their file.
#[cfg(feature = "cli")]
#[test]
fn runs_keep_their_sizes() {
    use super::program::{error, ok};
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (run, usual) = (file("run"), file("usual"));
    let train = ["train", "lenet5", "--data", "sample", "--epochs", "1", "--subset", "100", "--out"];
    ok(&[&train[..], &[&run, "--layers", "2,3,8,6"]].concat());
    ok(&["train", "--resume", &run, "--epochs", "2"]);
    let config = |run: &str| std::fs::read_to_string(format!("{run}/config.toml")).unwrap();
    assert!(config(&run).contains("layers = \"2,3,8,6\""), "{}", config(&run));
    let scores = |args: &[&str]| {
        let object: serde_json::Value =
            serde_json::from_str(&ok(&[&["eval"], args, &["--json"]].concat())).unwrap();
        object["loss"].as_f64().unwrap()
    };
    let weights = format!("{run}/best.safetensors");
    let of_file = ["--model", "lenet5", "--data", "sample", "--layers", "2,3,8,6"];
    assert_eq!(scores(&[&run]), scores(&[&[&*weights], &of_file[..]].concat()));
    // Without the sizes the weights do not fit.
    error(&["eval", &weights, "--model", "lenet5", "--data", "sample"]);
    ok(&[&train[..], &[&usual]].concat());
    assert!(!config(&usual).contains("layers"), "{}", config(&usual));
}

/// Errors name the flag, and the help has an example for every network.
#[cfg(feature = "cli")]
#[test]
fn the_flag_explains_itself() {
    use super::program::{error, ok};
    let help = ok(&["summary", "--help"]).split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, LayerChoice { own, .. }) in layer_choices() {
        assert!(help.contains(own) && help.contains(name), "{name}: {help}");
    }
    let said = error(&["summary", "mlp", "--layers", "100,10"]);
    assert!(said.contains("--layers 784,10 fits"), "{said}");
    let said = error(&["train", "alexnet", "--layers", "100,10"]);
    assert!(said.contains("--layers: the sizes of the layers of alexnet cannot be chosen"), "{said}");
    assert!(error(&["summary", "mlp", "--layers", "100;10"]).contains("is not a list of sizes"));
}
