//! The tape behind a tensor as a graph. It has every recorded op with its output's shape and the layer it ran in, and
//! the leaves that gradients flow to.
//!
//! Tensors that need no gradient (labels, running statistics, frozen parameters) are not on the tape, and not in the
//! graph.
//!
//! | file | what |
//! |---|---|
//! | `layout.rs` | the positions of the nodes: ranks, orders, columns |
//! | `svg.rs` | the picture |

mod layout;
pub(super) mod svg;

use super::tape::ops_before;
use crate::core::Result;
use crate::nn::{Ctx, Hook, Module, ModuleExt};
use crate::tensor::{LeafId, Origin, Tensor};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The nodes are in the order of the tape. An op's leaves come before the op.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AutogradGraph {
    pub nodes: Vec<GraphNode>,
    /// Sorted by the node that uses the tensor, then by its input.
    pub edges: Vec<GraphEdge>,
}

/// An op or a leaf.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GraphNode {
    pub kind: GraphNodeKind,
    /// For an op its name, such as `conv2d`. For a leaf the tensor's name, such as `conv1.weight`, if it is known.
    pub name: Option<String>,
    /// The tensor's shape; for an op that of its first output.
    pub shape: Vec<usize>,
    /// The innermost layer that an op ran in, as in `state_dict`, if it is known.
    pub layer: Option<String>,
}

/// The kind of a [`GraphNode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GraphNodeKind {
    Op,
    /// A parameter, or any tensor with `requires_grad`.
    Leaf,
}

/// Leads from a tensor to an op that uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GraphEdge {
    /// Index of the tensor's node in [`AutogradGraph::nodes`].
    pub from: usize,
    /// Index of the op.
    pub to: usize,
    /// Which input of the op the tensor is.
    pub input: usize,
}

/// Names that the tape does not have: those of its leaves and, collected as a [`Hook`], the layer that recorded each
/// op.
#[derive(Debug, Default)]
pub struct TapeNames {
    leaves: BTreeMap<LeafId, String>,
    layers: RefCell<BTreeMap<u64, String>>,
}

impl TapeNames {
    /// Adds a name for a leaf. A tensor that is not a leaf gets no name.
    pub fn leaf(mut self, name: impl Into<String>, tensor: &Tensor) -> TapeNames {
        if let Origin::Leaf(id) = tensor.origin() {
            self.leaves.insert(id, name.into());
        }
        self
    }

    /// Adds the names of a model's parameters.
    ///
    /// # Errors
    /// A model that was not initialised.
    pub fn parameters(self, model: &dyn Module) -> Result<TapeNames> {
        model.params().into_iter().try_fold(self, |names, (name, param)| Ok(names.leaf(name, param.value()?)))
    }
}

impl Hook for TapeNames {
    fn layer(&self, path: &str, _module: &dyn Module, x: &Tensor, y: &Tensor) -> Result<()> {
        let before = x.node().map(|node| node.sequence());
        let mut layers = self.layers.borrow_mut();
        // The hook is called for inner layers first. Ops that already have a layer keep it.
        for node in ops_before(y, |seq| Some(seq) <= before) {
            layers.entry(node.sequence()).or_insert_with(|| path.to_owned());
        }
        Ok(())
    }
}

/// The graph of the tape behind `y`.
///
/// ```
/// use receptive::inspect::{TapeNames, autograd_graph};
/// use receptive::{DType, Device, Tensor};
/// let meta = Device::meta();
/// let leaf = |dims: &[usize]| Ok::<_, receptive::Error>(Tensor::zeros(&meta, dims, DType::F32)?.requires_grad());
/// let (x, w) = (leaf(&[2, 3])?, leaf(&[4, 3])?);
/// let y = x.linear(&w, None)?.relu()?;
/// let graph = autograd_graph(&y, &TapeNames::default().leaf("x", &x).leaf("w", &w));
/// let nodes: Vec<_> = graph.nodes.iter().map(|node| (node.name.as_deref().unwrap(), &node.shape[..])).collect();
/// assert_eq!(nodes, [("x", &[2, 3][..]), ("w", &[4, 3]), ("linear", &[2, 4]), ("relu", &[2, 4])]);
/// let edges: Vec<_> = graph.edges.iter().map(|edge| (edge.from, edge.to)).collect();
/// assert_eq!(edges, [(0, 2), (1, 2), (2, 3)]);
/// assert!(graph.to_dot().contains("n2 -> n3;"));
/// # Ok::<(), receptive::Error>(())
/// ```
pub fn autograd_graph(y: &Tensor, names: &TapeNames) -> AutogradGraph {
    let mut graph = AutogradGraph { nodes: Vec::new(), edges: Vec::new() };
    let (mut ops, mut leaves) = (BTreeMap::new(), BTreeMap::new());
    let leaf = |id: LeafId, shape: &[usize]| GraphNode {
        kind: GraphNodeKind::Leaf,
        name: names.leaves.get(&id).cloned(),
        shape: shape.to_vec(),
        layer: None,
    };
    if let Origin::Leaf(id) = y.origin() {
        graph.nodes.push(leaf(id, y.dims()));
    }
    let layers = names.layers.borrow();
    for node in ops_before(y, |_| false) {
        let mut from = Vec::new();
        for (input, (origin, meta)) in node.origins().zip(node.inputs()).enumerate() {
            let place = match origin {
                Origin::Constant => continue,
                Origin::Op(parent) => ops[&parent.sequence()],
                Origin::Leaf(id) => *leaves.entry(id).or_insert_with(|| {
                    graph.nodes.push(leaf(id, meta.dims()));
                    graph.nodes.len() - 1
                }),
            };
            from.push((input, place));
        }
        let to = graph.nodes.len();
        ops.insert(node.sequence(), to);
        graph.edges.extend(from.into_iter().map(|(input, from)| GraphEdge { from, to, input }));
        graph.nodes.push(GraphNode {
            kind: GraphNodeKind::Op,
            name: Some(node.op().name().to_owned()),
            shape: node.output().dims().to_vec(),
            layer: layers.get(&node.sequence()).cloned(),
        });
    }
    graph
}

/// The tape of a forward pass on `x` in evaluation mode, with the names of all layers and parameters. The image is
/// named `input`. On the meta device nothing is computed.
///
/// # Errors
/// A model without values; shapes that do not fit.
pub fn model_graph(model: &dyn Module, name: &str, x: &Tensor) -> Result<AutogradGraph> {
    let x = x.requires_grad();
    let names = TapeNames::default().parameters(model)?.leaf("input", &x);
    let y = model.forward(&Ctx::eval(name).with_grad(true).with_hook(&names), &x)?;
    Ok(autograd_graph(&y, &names))
}

impl AutogradGraph {
    /// The graph as text for Graphviz. Ops are boxes, leaves are ellipses, and edges point in the forward direction.
    /// Gradients flow against them.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph autograd {\n  node [fontname=\"sans-serif\", fontsize=11];\n");
        for (i, node) in self.nodes.iter().enumerate() {
            let lines: Vec<String> = node.lines().map(|line| escaped(&line)).collect();
            let shape = match node.kind {
                GraphNodeKind::Op => "box",
                GraphNodeKind::Leaf => "ellipse",
            };
            // `\n` is Graphviz's escape for a line break in a label.
            let label = lines.join("\\n");
            writeln!(dot, "  n{i} [shape={shape}, label=\"{label}\"];").expect("a string takes all");
        }
        for GraphEdge { from, to, .. } in &self.edges {
            writeln!(dot, "  n{from} -> n{to};").expect("a string takes all");
        }
        dot + "}\n"
    }
}

impl GraphNode {
    /// Name, layer and shape, if they are known.
    fn lines(&self) -> impl Iterator<Item = String> {
        let name = self.name.clone().unwrap_or_else(|| "leaf".to_owned());
        [Some(name), self.layer.clone(), Some(self.size())].into_iter().flatten()
    }

    /// `6 x 28 x 28`.
    fn size(&self) -> String {
        if self.shape.is_empty() {
            return "scalar".to_owned();
        }
        self.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ")
    }
}

/// Escapes a text for a quoted string of DOT.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ")
}
