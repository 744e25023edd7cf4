//! The layers whose kernels are timed.
//!
//! The networks' layers are not listed here. Each network runs on the meta device, where nothing is computed, and a
//! hook reads from the tape which convolutions and linear layers were recorded.

use super::step_cases::STEP_CASES;
use crate::core::{ConvShape, DType, Key, Result, Window};
use crate::nn::{Ctx, Hook, Module, ModuleExt};
use crate::ops::Case;
use crate::tensor::{Dependence, Device, Node, Tensor};
use serde::Serialize;
use std::cell::RefCell;

/// A layer. A linear layer is described as a convolution of single pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    pub label: String,
    /// `linear` or `conv2d`.
    pub op: &'static str,
    #[serde(rename = "geometry")]
    pub g: ConvShape,
}

/// The three computations of a training step.
pub const LOOPS: [&str; 3] = ["forward", "grad input", "grad weight"];

impl Layer {
    /// A product of `rows` rows with `i` features into `o` features.
    pub fn linear(label: impl Into<String>, rows: usize, i: usize, o: usize) -> Layer {
        let window = Window { kernel: [1; 2], stride: [1; 2], padding: [[0; 2]; 2], dilation: [1; 2] };
        let g = ConvShape { n: rows, c: i, h: 1, w: 1, o, oh: 1, ow: 1, groups: 1, window };
        Layer { label: label.into(), op: "linear", g }
    }

    /// A square kernel on a square image, padded by half its size.
    pub fn conv(
        label: &str,
        [n, c, size]: [usize; 3],
        [o, groups]: [usize; 2],
        kernel: usize,
        stride: usize,
    ) -> Layer {
        let padding = kernel / 2;
        let window =
            Window { kernel: [kernel; 2], stride: [stride; 2], padding: [[padding; 2]; 2], dilation: [1; 2] };
        let out = (size + 2 * padding - kernel) / stride + 1;
        let g = ConvShape { n, c, h: size, w: size, o, oh: out, ow: out, groups, window };
        Layer { label: label.to_owned(), op: "conv2d", g }
    }

    /// The op and the label.
    pub fn name(&self) -> String {
        format!("{} {}", self.op, self.label)
    }

    /// Input and weight, for example `[64, 1, 28, 28] x [6, 1, 5, 5]`.
    pub fn shapes(&self) -> String {
        let case = self.case();
        let shapes: Vec<String> = case.inputs.iter().map(|input| format!("{:?}", input.dims)).collect();
        shapes.join(" x ")
    }

    /// Number of elements of its input, its weight and its output.
    pub fn sizes(&self) -> [usize; 3] {
        let g = &self.g;
        [g.n * g.c * g.plane(), g.o * g.k(), g.n * g.o * g.out_plane()]
    }

    /// Floating point operations of each of the three computations.
    pub fn flops(&self) -> f64 {
        2.0 * self.g.work() as f64
    }

    /// Bytes of each of the three computations. They differ only in which of the three tensors is written.
    pub fn bytes(&self) -> f64 {
        4.0 * self.sizes().iter().sum::<usize>() as f64
    }

    /// The same layer as a case of its op, for the correctness check.
    pub fn case(&self) -> Case {
        let ConvShape { n, c, h, w, o, groups, window, .. } = self.g;
        let label = "a layer of the benches";
        if self.op == "linear" {
            return Case::new(label, "").input("input", &[n, c]).input("weight", &[o, c]);
        }
        let ([sh, sw], [[ph, _], [pw, _]], [dh, dw]) = (window.stride, window.padding, window.dilation);
        let attrs = format!("stride={sh},{sw} padding={ph},{pw} dilation={dh},{dw} groups={groups}");
        let [kh, kw] = window.kernel;
        Case::new(label, &attrs).input("input", &[n, c, h, w]).input("weight", &[o, c / groups, kh, kw])
    }
}

/// Random numbers around 0, for an operand of a product. Multiplying zeros takes less power, and is therefore faster.
pub fn noise(n: usize) -> Vec<f32> {
    (0..n as u64).map(|i| Key::new(1).bits(i) as f32 / u32::MAX as f32 - 0.5).collect()
}

/// A few layers of every kind, which the benchmarks of a GPU's ladder show.
pub fn few() -> Vec<Layer> {
    let mut layers = vec![
        Layer::linear("lenet5 fc1", 64, 400, 120),
        Layer::linear("lenet5 fc3", 64, 84, 10),
        Layer::linear("512", 512, 512, 512),
        Layer::linear("vgg fc2", 32, 4096, 4096),
        Layer::linear("1024", 1024, 1024, 1024),
        Layer::linear("4096", 4096, 4096, 4096),
        Layer::conv("lenet5 conv1", [64, 1, 28], [6, 1], 5, 1),
        Layer::conv("resnet-cifar", [128, 16, 32], [16, 1], 3, 1),
    ];
    layers.extend(others());
    layers
}

/// Layers that the networks of the step table do not have, or do not have in this size.
fn others() -> [Layer; 4] {
    [
        Layer::conv("resnet layer1", [32, 64, 56], [64, 1], 3, 1),
        Layer::conv("resnet layer3", [32, 256, 14], [256, 1], 3, 1),
        Layer::conv("resnet downsample", [32, 128, 28], [256, 1], 1, 2),
        Layer::conv("depthwise", [32, 128, 28], [128, 128], 3, 1),
    ]
}

/// Square products, each distinct linear layer and convolution of the step table's networks, and some others.
///
/// # Errors
/// None: all networks of the table can be built.
pub fn all() -> Result<Vec<Layer>> {
    let mut layers: Vec<Layer> = [512, 1024, 2048].map(|n| Layer::linear(n.to_string(), n, n, n)).into();
    for case in STEP_CASES {
        let (network, config) = case.network()?;
        let model = network.build(&config)?;
        let of_network = layers_of(&*model, case.model, case.batch_size, case.input)?;
        for layer in of_network {
            if !layers.iter().any(|known| (known.op, known.g) == (layer.op, layer.g)) {
                layers.push(layer);
            }
        }
    }
    layers.extend(others());
    // Products come first, because the ladder of convolutions builds on the ladder of products.
    layers.sort_by_key(|layer| layer.op != "linear");
    Ok(layers)
}

/// The linear layers and convolutions of a network, in the order they run. A transposed convolution is listed as the
/// convolution whose input gradient it computes.
///
/// # Errors
/// An image that does not fit the network.
pub fn layers_of(model: &dyn Module, name: &str, batch: usize, input: [usize; 3]) -> Result<Vec<Layer>> {
    let (meta, [c, h, w]) = (Device::meta(), input);
    model.init(&meta, DType::F32, 0)?;
    let x = Tensor::zeros(&meta, &[batch, c, h, w], DType::F32)?;
    let watch = CollectProducts { model: name, found: RefCell::default() };
    model.forward(&Ctx::eval(name).with_grad(true).with_hook(&watch), &x)?;
    Ok(watch.found.into_inner())
}

/// Collects the products. While a hook watches, layers are not fused.
struct CollectProducts<'a> {
    model: &'a str,
    found: RefCell<Vec<Layer>>,
}

impl Hook for CollectProducts<'_> {
    fn layer(&self, path: &str, module: &dyn Module, _: &Tensor, y: &Tensor) -> Result<()> {
        if module.is_leaf()
            && let Some(layer) = y.node().and_then(|node| of_node(format!("{} {path}", self.model), node))
        {
            self.found.borrow_mut().push(layer);
        }
        Ok(())
    }
}

fn of_node(label: String, node: &Node) -> Option<Layer> {
    let (inputs, output) = (node.inputs(), node.output());
    let image = |dims: &[usize]| <[usize; 4]>::try_from(dims).ok();
    match (node.op().name(), node.op().dependence(inputs)) {
        ("linear", _) => {
            let &[o, i] = inputs[1].dims() else { return None };
            Some(Layer::linear(label, output.numel() / o, i, o))
        }
        ("conv2d", Dependence::Window(window)) => {
            let ([n, c, h, w], [_, o, oh, ow]) = (image(inputs[0].dims())?, image(output.dims())?);
            let groups = c / inputs[1].dims()[1];
            let g = ConvShape { n, c, h, w, o, oh, ow, groups, window };
            Some(Layer { label, op: "conv2d", g })
        }
        ("conv_transpose2d", Dependence::Transposed(window)) => {
            let ([n, o, oh, ow], [_, c, h, w]) = (image(inputs[0].dims())?, image(output.dims())?);
            let groups = c / inputs[1].dims()[1];
            let g = ConvShape { n, c, h, w, o, oh, ow, groups, window };
            Some(Layer { label: label + " (transposed)", op: "conv2d", g })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{ModelConfig, find};

    fn of(model: &str, batch: usize, input: [usize; 3]) -> Vec<Layer> {
        let network = find(model).unwrap();
        let net = network.build(&ModelConfig::new(input, network.classes)).unwrap();
        layers_of(&*net, model, batch, input).unwrap()
    }

    #[test]
    fn the_layers_of_lenet5_are_those_of_its_paper() {
        let found = of("lenet5", 64, [1, 28, 28]);
        let labels: Vec<&str> = found.iter().map(|layer| &*layer.label).collect();
        let expected = ["lenet5 conv1", "lenet5 conv2", "lenet5 fc1", "lenet5 fc2", "lenet5 fc3"];
        assert_eq!(labels, expected);
        assert_eq!(found[0].g, Layer::conv("", [64, 1, 28], [6, 1], 5, 1).g);
        assert_eq!(found[1].flops(), 2.0 * 64.0 * 16.0 * 100.0 * 150.0);
        assert_eq!(found[2], Layer::linear("lenet5 fc1", 64, 400, 120));
    }

    /// A transposed convolution from 8x8 to 16x16 pixels is listed as the convolution from 16x16 to 8x8.
    #[test]
    fn a_transposed_convolution_is_turned_around() {
        let found = of("unet", 1, [3, 32, 32]);
        let up = found.iter().find(|layer| layer.label == "unet upconv4 (transposed)").unwrap();
        let ConvShape { c, h, o, oh, window, .. } = up.g;
        assert_eq!((c, h, o, oh, window.kernel, window.stride), (512, 4, 1024, 2, [2; 2], [2; 2]));
    }

    #[test]
    fn no_layer_is_listed_twice_and_every_network_has_some() {
        let layers = all().unwrap();
        for (i, layer) in layers.iter().enumerate() {
            assert!(!layers[..i].iter().any(|other| (other.op, other.g) == (layer.op, layer.g)), "{layer:?}");
        }
        for case in STEP_CASES {
            assert!(layers.iter().any(|layer| layer.label.starts_with(case.model)), "{}", case.model);
        }
        assert!(layers.len() > 40, "{}", layers.len());
    }
}
