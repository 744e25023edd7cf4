//! Tests of activations and filters, compared with layers that the test runs itself.

use super::{network, noise};
use receptive::inspect::{Activation, Array, activations, filters};
use receptive::nn::{Conv2d, ConvTranspose2d, Ctx, Module, ModuleExt, Sequential};
use receptive::{DType, Device, Tensor};

fn tensor(device: &Device, array: &Array) -> Tensor {
    Tensor::from_vec(device, array.values.clone(), &array.dims).unwrap()
}

fn find<'a>(all: &'a [Activation], path: &str) -> &'a Activation {
    all.iter().find(|activation| activation.path == path).unwrap()
}

/// A residual network. Each layer, run alone on its recorded input, gives its recorded output bit for bit. The output
/// of one layer is the input of the next, also across the sum of a residual block.
#[test]
fn activations_are_those_of_the_layers_run_one_by_one() {
    let cpu = Device::cpu().unwrap();
    let net = network("resnet-cifar", [3, 16, 16], None, &cpu, DType::F32);
    let x = noise(&cpu, &[2, 3, 16, 16], DType::F32);
    let all = activations(&*net, "net", &x).unwrap();
    let modules = net.modules();
    let leaves: Vec<_> = modules.iter().filter(|(_, module)| module.is_leaf()).collect();
    assert_eq!(all.len(), leaves.len());
    for (path, module) in leaves {
        let seen = find(&all, path);
        assert_eq!((seen.kind, &seen.describe), (module.kind(), &module.describe()), "{path}");
        let alone = module.forward(&Ctx::eval("alone"), &tensor(&cpu, &seen.input)).unwrap();
        assert_eq!(Array::of(&alone).unwrap(), seen.output, "{path}");
    }
    assert_eq!(all[0].input, Array::of(&x).unwrap());
    let whole = net.forward(&Ctx::eval("net"), &x).unwrap();
    assert_eq!(all.last().unwrap().output, Array::of(&whole).unwrap());
    for pair in
        [["conv", "bn"], ["bn", "relu"], ["relu", "layer1.0.conv1"], ["layer1.0.relu", "layer1.1.conv1"]]
    {
        let [before, after] = pair.map(|path| find(&all, path));
        assert_eq!(before.output, after.input, "{pair:?}");
    }
    // The sum of a block belongs to no layer. It is the input of the ReLU after it.
    let [body, shortcut, relu] =
        ["layer2.0.bn2", "layer2.0.downsample.1", "layer2.0.relu"].map(|path| find(&all, path));
    let sum = body.output.values.iter().zip(&shortcut.output.values).map(|(a, b)| a + b);
    assert_eq!(sum.collect::<Vec<_>>(), relu.input.values);
}

/// Filters are the weights of convolutions, in their own shapes. Linear layers have no filters.
#[test]
fn filters_are_the_weights_of_convolutions() {
    let cpu = Device::cpu().unwrap();
    let net = Sequential::new()
        .named("conv", Conv2d::new(4, 6, [3, 5]).groups(2))
        .named("block", Sequential::new().named("up", ConvTranspose2d::new(6, 2, 2).stride(2).no_bias()))
        .named("fc", receptive::nn::Linear::new(3, 3));
    net.init(&cpu, DType::F64, 0).unwrap();
    let all = filters(&net).unwrap();
    let shapes: Vec<_> = all.iter().map(|f| (&f.path[..], f.kind, &f.weight.dims[..])).collect();
    assert_eq!(
        shapes,
        [("conv", "Conv2d", &[6, 2, 3, 5][..]), ("block.up", "ConvTranspose2d", &[6, 2, 2, 2])]
    );
    let state = net.state_dict().unwrap();
    assert_eq!(all[0].weight, Array::of(&state["conv.weight"]).unwrap());
    assert_eq!(all[0].bias, Some(Array::of(&state["conv.bias"]).unwrap()));
    assert_eq!(all[1].bias, None);
}

/// For a network without values, the error says to initialise it.
#[test]
fn filters_need_values() {
    let error = filters(&Sequential::new().push(Conv2d::new(1, 1, 3))).unwrap_err();
    assert!(error.to_string().contains("model.init"), "{error}");
}
