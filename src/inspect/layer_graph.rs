//! How the layers are connected, read from the tape of a dry run.
//!
//! Layers run one after another, but an output does not always go to the next layer. A residual is added further down,
//! and the branches of an inception block are concatenated. The tape records which output goes where. An op that
//! belongs to no layer and joins several layers' outputs (a sum, a concatenation) is a row of its own.

use super::dry_run::dry_run_image;
use super::receptive_field::{Fields, ReceptiveField};
use crate::core::Result;
use crate::nn::{Ctx, Hook, Module, ModuleExt};
use crate::tensor::{Dependence, Node, Tensor};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A row of the graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    #[serde(flatten)]
    pub what: RowKind,
    /// The output's shape without the batch dimension.
    pub output: Vec<usize>,
    /// The rows that its inputs come from; `None` is the image.
    pub from: Vec<Option<usize>>,
}

/// The kind of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowKind {
    /// A leaf layer, by its index in running order.
    Layer(usize),
    /// The op that joins several outputs.
    Join(&'static str),
}

/// The graph, and the receptive field of each layer's outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerGraph {
    /// In running order.
    pub rows: Vec<Row>,
    /// For each layer, in running order: the part of the image that an output depends on, and the part of the layer's
    /// own input.
    pub fields: Vec<(ReceptiveField, Dependence)>,
}

/// Follows an image of shape `[C, H, W]` through a network that need not have values.
///
/// # Errors
/// A shape that does not fit.
pub fn layer_graph(model: &dyn Module, name: &str, input: [usize; 3]) -> Result<LayerGraph> {
    let [_, h, w] = input;
    // Apply an op, so that the image is a place on the tape like any other.
    let image = dry_run_image(model, input)?.requires_grad().mul_scalar(1.0)?;
    let tracer =
        Tracer { fields: Fields::new([h, w]), rows: Vec::new(), made: BTreeMap::new(), seen: Vec::new() };
    let trace = Trace(RefCell::new(tracer));
    if let Some(node) = image.node() {
        trace.0.borrow_mut().made.insert(node.sequence(), None);
    }
    let y = model.forward(&Ctx::eval(name).with_grad(true).with_hook(&trace), &image)?;
    let mut tracer = trace.0.into_inner();
    // A join after the last layer is a row, too.
    tracer.source(&y);
    Ok(LayerGraph { rows: tracer.rows, fields: tracer.seen })
}

struct Trace(RefCell<Tracer>);

struct Tracer {
    fields: Fields,
    rows: Vec<Row>,
    /// The row that made the tensor at this position on the tape; `None` is the image.
    made: BTreeMap<u64, Option<usize>>,
    seen: Vec<(ReceptiveField, Dependence)>,
}

impl Tracer {
    /// The row that a tensor comes from.
    fn source(&mut self, x: &Tensor) -> Option<usize> {
        x.node().and_then(|node| self.source_of(node))
    }

    /// Goes back over ops with one input to a known place. Makes a row where several outputs are joined.
    fn source_of(&mut self, node: &Arc<Node>) -> Option<usize> {
        let mut node = Arc::clone(node);
        loop {
            if let Some(&row) = self.made.get(&node.sequence()) {
                return row;
            }
            let parents: Vec<Arc<Node>> = node.parents().flatten().cloned().collect();
            match &parents[..] {
                [] => return None,
                [one] => node = Arc::clone(one),
                several => {
                    let from: Vec<Option<usize>> =
                        several.iter().map(|parent| self.source_of(parent)).collect();
                    // An output joined with itself, as in x * sigmoid(x), is not a join of several rows.
                    let row = match from.iter().all(|row| *row == from[0]) {
                        true => from[0],
                        false => Some(self.push(RowKind::Join(node.op().name()), node.output().dims(), from)),
                    };
                    self.made.insert(node.sequence(), row);
                    return row;
                }
            }
        }
    }

    fn push(&mut self, what: RowKind, output: &[usize], from: Vec<Option<usize>>) -> usize {
        self.rows.push(Row { what, output: output[1..].to_vec(), from });
        self.rows.len() - 1
    }
}

impl Hook for Trace {
    fn layer(&self, _path: &str, module: &dyn Module, x: &Tensor, y: &Tensor) -> Result<()> {
        if !module.is_leaf() {
            return Ok(());
        }
        let tracer = &mut *self.0.borrow_mut();
        let from = vec![tracer.source(x)];
        let row = tracer.push(RowKind::Layer(tracer.seen.len()), y.dims(), from);
        let field = tracer.fields.of(y);
        // A layer that returns its input has recorded no op. Each of its outputs depends on the same place of the
        // input.
        let own = y.node().filter(|node| x.node().is_none_or(|before| before.sequence() < node.sequence()));
        tracer
            .seen
            .push((field, own.map_or(Dependence::Pointwise, |node| node.op().dependence(node.inputs()))));
        if let Some(node) = y.node() {
            tracer.made.insert(node.sequence(), Some(row));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Concat, Conv2d, Dropout, Relu, Residual, Sequential};

    fn rows(graph: &LayerGraph) -> Vec<(RowKind, Vec<Option<usize>>)> {
        graph.rows.iter().map(|row| (row.what, row.from.clone())).collect()
    }

    fn conv(from: usize, to: usize) -> Conv2d {
        Conv2d::new(from, to, 3).padding(1)
    }

    /// A sum has two inputs, the body and the shortcut. Dropout, which returns its input, is still a row.
    #[test]
    fn a_residual_joins_its_two_paths() {
        let body = Sequential::new().named("conv1", conv(2, 2)).named("drop", Dropout(0.5));
        let net = Sequential::new().push(conv(1, 2)).push(Residual::new(body).then("relu", Relu));
        let expected = [
            (RowKind::Layer(0), vec![None]),
            (RowKind::Layer(1), vec![Some(0)]),
            (RowKind::Layer(2), vec![Some(1)]),
            (RowKind::Join("add"), vec![Some(2), Some(0)]),
            (RowKind::Layer(3), vec![Some(3)]),
        ];
        assert_eq!(rows(&layer_graph(&net, "net", [1, 8, 8]).unwrap()), expected);
    }

    /// Branches start from the image itself; their concatenation is the last row, although no layer follows.
    #[test]
    fn branches_start_together_and_meet() {
        let net = Sequential::new().push(Concat::new().branch("a", conv(1, 2)).branch("b", conv(1, 3)));
        let expected = [
            (RowKind::Layer(0), vec![None]),
            (RowKind::Layer(1), vec![None]),
            (RowKind::Join("cat"), vec![Some(0), Some(1)]),
        ];
        let graph = layer_graph(&net, "net", [1, 8, 8]).unwrap();
        assert_eq!(rows(&graph), expected);
        assert_eq!((&graph.rows[2].output[..], graph.fields[1].0.size), (&[5, 8, 8][..], [3, 3]));
    }

    /// Each network has the same layers as its summary, in the same order. The inputs of every row come before it.
    #[test]
    fn every_network_of_the_zoo_has_a_diagram() {
        for spec in crate::models::MODELS {
            let config = crate::models::ModelConfig::new(spec.input, spec.classes);
            let graph = layer_graph(&*(spec.build)(&config).unwrap(), spec.name, spec.input).unwrap();
            let summary =
                crate::inspect::summary(&*(spec.build)(&config).unwrap(), spec.name, spec.input).unwrap();
            let layers: Vec<_> =
                graph.rows.iter().filter(|row| matches!(row.what, RowKind::Layer(_))).collect();
            assert_eq!(layers.len(), summary.layers.len(), "{}", spec.name);
            for (row, layer) in layers.iter().zip(&summary.layers) {
                assert_eq!(row.output, layer.output, "{} {}", spec.name, layer.path);
            }
            for (i, row) in graph.rows.iter().enumerate() {
                assert!(row.from.iter().flatten().all(|&from| from < i), "{} row {i}", spec.name);
            }
        }
    }
}
