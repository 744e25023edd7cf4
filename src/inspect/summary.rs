//! A summary of a network, as the notebooks print it, and more: each layer's output shape, parameters, FLOPs, memory
//! and receptive field.
//!
//! The network runs on the meta device, so a summary allocates and computes nothing, however large the network is.
//! FLOPs and fields come from the ops that the layer recorded on the tape. There is no second description of any layer.

use super::dry_run::dry_run_image;
use super::receptive_field::Fields;
use super::tape::ops_before;
use crate::core::{Error, Result};
use crate::nn::{Ctx, Hook, Module, ModuleExt};
use crate::tensor::{Node, Tensor};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A network, layer by layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The network's name.
    pub model: String,
    /// Channels, height, width.
    pub input: [usize; 3],
    /// Number of trained values.
    pub parameters: usize,
    /// Floating point operations of a forward pass on one image.
    pub flops: u64,
    /// Bytes of all layers' outputs for one image, in f32.
    pub activation_bytes: usize,
    /// The leaf layers, in the order they ran.
    pub layers: Vec<LayerSummary>,
}

/// One layer, for one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerSummary {
    /// The layer's path, as in `state_dict`: `layer1.0.conv1`.
    pub path: String,
    /// PyTorch's name for the kind of layer.
    pub kind: &'static str,
    /// The output's shape without the batch dimension.
    pub output: Vec<usize>,
    /// Number of trained values.
    pub parameters: usize,
    /// The shapes of its parameters and buffers by name.
    pub shapes: BTreeMap<String, Vec<usize>>,
    /// Floating point operations of the forward pass; a multiply-add counts as two.
    pub flops: u64,
    /// The least number of bytes that its ops move between memory and the processor: inputs and weights are read once,
    /// and outputs are written once (see [`Op::bytes`](crate::tensor::Op::bytes)).
    pub bytes: u64,
    /// Bytes of the output, in f32; 0 if the layer's output shares its input's memory (Flatten, Dropout in evaluation).
    pub activation_bytes: usize,
    /// Rows and columns of the image that an output depends on.
    pub receptive_field: Extent,
}

/// A height and a width. In JSON it is one number if they are equal, else a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Extent {
    Square(usize),
    Rectangle([usize; 2]),
}

impl From<[usize; 2]> for Extent {
    fn from([h, w]: [usize; 2]) -> Extent {
        if h == w { Extent::Square(h) } else { Extent::Rectangle([h, w]) }
    }
}

/// A dry run that failed: the layers that ran, and the error that ended it.
#[derive(Debug)]
pub struct FailedDryRun {
    /// The layers before the failing one.
    pub layers: Vec<LayerSummary>,
    pub error: Error,
}

impl From<Error> for FailedDryRun {
    fn from(error: Error) -> FailedDryRun {
        FailedDryRun { layers: Vec::new(), error }
    }
}

/// Follows one image of shape `[C, H, W]` through a network. If the network has no values, nothing is computed, however
/// large it is. If it has values, it keeps them.
///
/// # Errors
/// A shape that does not fit: the layers before it, and the failing layer's error. For a linear layer the error answers
/// the notebooks' question "which size does the first FC need".
pub fn summary(model: &dyn Module, name: &str, input: [usize; 3]) -> Result<Summary, FailedDryRun> {
    let [_, h, w] = input;
    // Recording needs a tensor that requires gradients, also in layers without parameters.
    let x = dry_run_image(model, input)?.requires_grad();
    let watch = Summarise { fields: RefCell::new(Fields::new([h, w])), layers: RefCell::default() };
    let result = model.forward(&Ctx::eval(name).with_grad(true).with_hook(&watch), &x);
    let layers = watch.layers.into_inner();
    match result {
        Err(error) => Err(FailedDryRun { layers, error }),
        Ok(y) => Ok(Summary {
            model: name.to_owned(),
            input,
            parameters: model.num_parameters(),
            // Count from the tape, not from the rows: a residual's addition belongs to no leaf layer.
            flops: ops_before(&y, |_| false).map(flops).sum(),
            activation_bytes: layers.iter().map(|layer| layer.activation_bytes).sum(),
            layers,
        }),
    }
}

fn flops(node: Arc<Node>) -> u64 {
    node.op().flops(node.inputs(), &[node.output()])
}

/// Bytes that an op moves. Hidden outputs are not on the tape, so the op plans its outputs again.
fn bytes(node: Arc<Node>) -> Result<u64> {
    Ok(node.op().infer(node.inputs())?.bytes(node.op(), node.inputs()))
}

/// Records every leaf layer that runs.
struct Summarise {
    fields: RefCell<Fields>,
    layers: RefCell<Vec<LayerSummary>>,
}

impl Hook for Summarise {
    fn layer(&self, path: &str, module: &dyn Module, x: &Tensor, y: &Tensor) -> Result<()> {
        if !module.is_leaf() {
            return Ok(());
        }
        let before = x.node().map(|node| node.sequence());
        let shapes = module.params().into_iter().map(|(name, param)| (name, param.dims().to_vec()));
        self.layers.borrow_mut().push(LayerSummary {
            path: path.to_owned(),
            kind: module.kind(),
            output: y.dims()[1..].to_vec(),
            parameters: module.num_parameters(),
            shapes: shapes.collect(),
            flops: ops_before(y, |seq| Some(seq) == before).map(flops).sum(),
            bytes: ops_before(y, |seq| Some(seq) == before).map(bytes).sum::<Result<u64>>()?,
            activation_bytes: if y.shares_storage(x) { 0 } else { y.meta().bytes() },
            receptive_field: self.fields.borrow_mut().of(y).size.into(),
        });
        Ok(())
    }
}

/// A network as PyTorch prints it.
///
/// ```
/// use receptive::nn::{Linear, Relu, Sequential};
/// let net = Sequential::new().push(Linear::new(4, 2)).push(Relu);
/// let text = receptive::inspect::describe(&net);
/// assert_eq!(text, "Sequential(\n  (0): Linear(in_features=4, out_features=2)\n  (1): ReLU()\n)");
/// ```
pub fn describe(model: &dyn Module) -> String {
    let modules = model.modules();
    if modules.is_empty() {
        return model.describe();
    }
    let holds = |path: &str| modules.iter().any(|(other, _)| inside(other, path).is_some());
    let mut lines = vec![format!("{}(", model.kind())];
    // The open containers; the model itself is level 0.
    let mut open: Vec<&str> = Vec::new();
    let close = |open: &mut Vec<&str>, lines: &mut Vec<String>| {
        lines.push(format!("{})", "  ".repeat(open.len())));
        open.pop();
    };
    for (path, module) in &modules {
        while open.last().is_some_and(|container| inside(path, container).is_none()) {
            close(&mut open, &mut lines);
        }
        let name = open.last().and_then(|container| inside(path, container)).unwrap_or(path);
        let indent = "  ".repeat(open.len() + 1);
        if holds(path) {
            lines.push(format!("{indent}({name}): {}(", module.kind()));
            open.push(path);
        } else {
            lines.push(format!("{indent}({name}): {}", module.describe()));
        }
    }
    while !open.is_empty() {
        close(&mut open, &mut lines);
    }
    lines.push(")".to_owned());
    lines.join("\n")
}

/// The rest of `path` inside `container`.
fn inside<'a>(path: &'a str, container: &str) -> Option<&'a str> {
    path.strip_prefix(container)?.strip_prefix('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Conv2d, Dropout, Flatten, Linear, MaxPool2d, Relu, Sequential};

    fn block() -> Sequential {
        Sequential::new().named("conv", Conv2d::new(1, 2, 3).padding(1)).named("relu", Relu)
    }

    fn net() -> Sequential {
        Sequential::new()
            .named("block", block())
            .named("pool", MaxPool2d::new(2))
            .named("flatten", Flatten)
            .named("drop", Dropout(0.5))
            .named("fc", Linear::new(2 * 4 * 4, 3))
    }

    /// Only leaf layers are rows. Each has the ops recorded inside it: 2 x 9 operations (multiply-adds) and a bias per
    /// output.
    #[test]
    fn rows_hold_what_their_layer_did() {
        let s = summary(&net(), "net", [1, 8, 8]).unwrap();
        let paths: Vec<&str> = s.layers.iter().map(|layer| layer.path.as_str()).collect();
        assert_eq!(paths, ["block.conv", "block.relu", "pool", "flatten", "drop", "fc"]);
        let [conv, relu, pool, flatten, drop, fc] = &s.layers[..] else { unreachable!() };
        assert_eq!((conv.parameters, conv.flops), (20, 2 * 64 * (2 * 9 + 1)));
        assert_eq!(conv.bytes, 4 * (64 + 18 + 2 + 128));
        assert_eq!((relu.flops, relu.bytes, relu.activation_bytes), (128, 2 * 512, 512));
        assert_eq!((&pool.output[..], pool.receptive_field), (&[2, 4, 4][..], Extent::Square(4)));
        assert_eq!((flatten.activation_bytes, flatten.flops, flatten.bytes), (0, 0, 0));
        assert_eq!((drop.activation_bytes, drop.flops), (0, 0));
        assert_eq!((fc.parameters, fc.flops), (99, 3 * (2 * 32 + 1)));
        assert_eq!(s.parameters, 119);
        assert_eq!(s.flops, s.layers.iter().map(|layer| layer.flops).sum::<u64>());
    }

    /// The dry run answers which size the first FC needs.
    #[test]
    fn a_wrong_size_stops_at_its_layer_with_the_layer_to_write() {
        let stopped = summary(&net(), "net", [1, 12, 12]).unwrap_err();
        assert_eq!(stopped.layers.last().unwrap().path, "drop");
        assert_eq!(stopped.layers.last().unwrap().output, [2 * 6 * 6]);
        let text = stopped.error.to_string();
        assert!(text.contains("at net/fc") && text.contains("Linear::new(72, 3)"), "{text}");
    }

    #[test]
    fn containers_are_nested_in_the_print() {
        let lines = [
            "Sequential(",
            "  (block): Sequential(",
            "    (conv): Conv2d(1, 2, kernel_size=3, padding=1)",
            "    (relu): ReLU()",
            "  )",
            "  (pool): MaxPool2d(kernel_size=2, stride=2)",
            "  (flatten): Flatten()",
            "  (drop): Dropout(p=0.5)",
            "  (fc): Linear(in_features=32, out_features=3)",
            ")",
        ];
        assert_eq!(describe(&net()), lines.join("\n"));
        assert_eq!(describe(&Sequential::new().push(block())).lines().last(), Some(")"));
    }
}
