//! Tests of the names in `state_dict`: a PyTorch `state_dict` of the same network loads without changes.

use super::build;
use receptive::models;
use receptive::nn::{ModuleExt, Role};

/// The layers with `weight` and `bias`, in order. `a.0,2` stands for `a.0 a.2`; a layer marked `!` has no bias.
const LAYERS: &[(&str, &str)] = &[
    ("softmax", "linear"),
    ("mlp2", "linear1 linear2"),
    ("mlp", "linears.0,1,2,3,4"),
    ("lenet5", "conv1 conv2 fc1 fc2 fc3"),
    ("lenet5-tanh", "layers.0,4,9,11,13"),
    ("lenet5-bn", "0,1,4,5,9,10,12,13,15"),
    ("minivgg", "conv11 conv12 conv21 conv22 fc1 fc2 fc3"),
    ("alexnet", "0,3,6,8,10,14,17,20"),
    ("vgg11", "0.0 1.0 2.0,2 3.0,2 4.0,2 6 9 12"),
    ("vgg11-small", "0.0 1.0 2.0,2 3.0,2 4.0,2 6 9 12"),
    (
        "resnet-cifar",
        "conv! bn layer1.0.conv1!,bn1,conv2!,bn2 layer1.1.conv1!,bn1,conv2!,bn2 \
         layer2.0.conv1!,bn1,conv2!,bn2 layer2.0.downsample.0!,1 layer2.1.conv1!,bn1,conv2!,bn2 \
         layer3.0.conv1!,bn1,conv2!,bn2 layer3.0.downsample.0!,1 layer3.1.conv1!,bn1,conv2!,bn2 fc",
    ),
    (
        "resnet18",
        "0.0,1 1.0.conv1,bn1,conv2,bn2 1.1.conv1,bn1,conv2,bn2 \
         2.0.conv1,bn1,conv2,bn2,conv3 2.1.conv1,bn1,conv2,bn2 \
         3.0.conv1,bn1,conv2,bn2,conv3 3.1.conv1,bn1,conv2,bn2 \
         4.0.conv1,bn1,conv2,bn2,conv3 4.1.conv1,bn1,conv2,bn2 7",
    ),
    (
        "resnet9",
        "prep.conv!,bn layer1.conv!,bn layer1.residual.res1.conv!,bn layer1.residual.res2.conv!,bn layer2.conv!,bn \
         layer3.conv!,bn layer3.residual.res1.conv!,bn layer3.residual.res2.conv!,bn linear!",
    ),
    (
        "unet",
        "enc1.0,2 enc2.0,2 enc3.0,2 enc4.0,2 bottleneck.0,2 \
         upconv4 dec4.0,2 upconv3 dec3.0,2 upconv2 dec2.0,2 upconv1 dec1.0,2 conv_final",
    ),
    ("tv-alexnet", "features.0,3,6,8,10 classifier.1,4,6"),
    ("tv-vgg11", "features.0,3,6,8,11,13,16,18 classifier.0,3,6"),
    ("tv-vgg19", "features.0,2,5,7,10,12,14,16,19,21,23,25,28,30,32,34 classifier.0,3,6"),
];

/// The names of the trained parameters in a row of [`LAYERS`].
fn expand(layers: &str) -> Vec<String> {
    let mut names = Vec::new();
    for word in layers.split_whitespace() {
        let mut parts = word.split(',');
        let first = parts.next().unwrap_or_default();
        let prefix = first.rsplit_once('.').map_or(String::new(), |(prefix, _)| format!("{prefix}."));
        let rest = parts.map(|part| format!("{prefix}{part}"));
        for layer in std::iter::once(first.to_owned()).chain(rest) {
            let name = layer.trim_end_matches('!');
            names.push(format!("{name}.weight"));
            if name == layer {
                names.push(format!("{name}.bias"));
            }
        }
    }
    names
}

fn names(model: &str, role: Role) -> Vec<String> {
    let model = build(model, models::find(model).unwrap().input);
    let of_role = model.params().into_iter().filter(|(_, param)| param.role() == role);
    of_role.map(|(name, _)| name).collect()
}

#[test]
fn layers_are_named_as_in_the_notebooks() {
    for &(model, layers) in LAYERS {
        assert_eq!(names(model, Role::Weight), expand(layers), "{model}");
    }
}

/// torchvision's names: the first and the last of each kind of layer, and the number of all names.
#[test]
fn residual_and_inception_networks_are_named_as_in_torchvision() {
    let cases: &[(&str, usize, &[&str])] = &[
        ("tv-resnet18", 62, &["conv1.weight", "bn1.bias", "layer2.0.downsample.1.weight", "fc.bias"]),
        ("tv-resnet50", 161, &["layer1.0.conv3.weight", "layer1.0.downsample.0.weight", "layer4.2.bn3.bias"]),
        ("tv-resnet152", 467, &["layer2.7.conv1.weight", "layer3.35.bn3.weight"]),
        (
            "tv-googlenet",
            173,
            &["conv1.conv.weight", "inception3a.branch1.conv.weight", "inception5b.branch4.1.bn.bias"],
        ),
        ("googlenet", 116, &["0.0.weight", "1.2.bias", "2.0.p1_1.weight", "4.1.p4_2.bias", "5.weight"]),
        (
            "unet-resnet34",
            108 + 5 * 6 + 2,
            &["encoder.conv1.weight", "encoder.layer4.2.bn2.bias", "upconv0.weight", "dec0.2.bias"],
        ),
    ];
    for &(model, count, some) in cases {
        let names = names(model, Role::Weight);
        assert_eq!(names.len(), count, "{model}");
        for name in some {
            assert!(names.iter().any(|n| n == name), "{model} has no {name}");
        }
    }
    let buffers = names("tv-resnet18", Role::Buffer);
    assert_eq!(buffers[..3], ["bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked"]);
    assert_eq!(buffers.len(), 3 * 20);
}
