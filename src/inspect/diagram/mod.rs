//! A network as a diagram: a box for every layer, arrows between them, and blocks that repeat drawn once.
//!
//! A residual is an arrow that passes beside the layers it skips. The branches of an inception block stand side by
//! side. Layers that change each value by itself, such as ReLU or batch norm, share the box of the layer before.
//!
//! | file | what |
//! |---|---|
//! | `boxes.rs` | from layers to boxes |
//! | `repeats.rs` | finds boxes that repeat |

mod boxes;
mod repeats;

use super::autograd_graph::svg::{Card, GraphDrawing, NAME, NodeFrame, SMALL};
use super::{AutogradGraph, GraphEdge, GraphNode, GraphNodeKind};
use crate::core::Result;
use crate::draw::Rgb;
use crate::draw::color::{BLUE, FAINT, INK, VERMILION};
use crate::nn::Module;
use serde::Serialize;
use std::ops::Range;

/// A network's boxes, from the first layer to the last.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagram {
    /// The image: channels, height, width.
    pub input: [usize; 3],
    pub boxes: Vec<DiagramBox>,
    /// The boxes that stand for several like them.
    pub repeats: Vec<RepeatedBoxes>,
}

/// A layer, or a join of several outputs, with the layers that share its box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiagramBox {
    /// The kind of layer and its window, such as `Conv2d 3×3, stride 2`; `add` or `concatenate` for a join.
    pub text: String,
    /// The kinds of the layers that share the box, such as `ReLU`.
    pub then: Vec<&'static str>,
    /// The shape of the output, without the batch dimension.
    pub output: Vec<usize>,
    /// The boxes that its inputs come from; `None` is the image.
    pub from: Vec<Option<usize>>,
}

/// Boxes that are drawn once, and how often they follow one another in the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepeatedBoxes {
    pub boxes: Range<usize>,
    pub times: usize,
}

/// The diagram of a network for an image of shape `[C, H, W]`. A network without values gets none.
///
/// ```
/// use receptive::inspect::diagram;
/// use receptive::models::{ModelConfig, find};
/// let model = find("vgg11")?.build(&ModelConfig::new([1, 224, 224], 10))?;
/// let diagram = diagram(&*model, "vgg11", [1, 224, 224])?;
/// assert_eq!(diagram.boxes[0].text, "Conv2d 3×3, padding 1");
/// assert_eq!((&*diagram.boxes[0].then, &*diagram.boxes[0].output), (&["ReLU"][..], &[64, 224, 224][..]));
/// assert_eq!((diagram.repeats[0].boxes.clone(), diagram.repeats[0].times), (4..5, 2));
/// assert!(diagram.to_svg("vgg11").starts_with("<svg"));
/// # Ok::<(), receptive::Error>(())
/// ```
///
/// # Errors
/// A shape that does not fit.
pub fn diagram(model: &dyn Module, name: &str, input: [usize; 3]) -> Result<Diagram> {
    let (boxes, repeats) = repeats::collapsed(boxes::boxes(model, name, input)?);
    Ok(Diagram { input, boxes, repeats })
}

impl Diagram {
    /// The diagram as an SVG picture, on white.
    pub fn to_svg(&self, title: &str) -> String {
        let node = |shape: &[usize]| GraphNode {
            kind: GraphNodeKind::Op,
            name: None,
            shape: shape.to_vec(),
            layer: None,
        };
        let shapes = [&self.input[..]].into_iter().chain(self.boxes.iter().map(|one| &one.output[..]));
        let nodes: Vec<GraphNode> = shapes.map(node).collect();
        // Node 0 is the image.
        let edges = self.boxes.iter().zip(1..).flat_map(|(one, to)| {
            let from = one.from.iter().map(|from| from.map_or(0, |from| from + 1));
            from.enumerate().map(move |(input, from)| GraphEdge { from, to, input })
        });
        let graph = AutogradGraph { edges: edges.collect(), nodes };
        let image = card("image".to_owned(), &[], &self.input, FAINT);
        let cards = [image].into_iter().chain(self.boxes.iter().map(|one| {
            card(one.text.clone(), &one.then, &one.output, if one.from.len() > 1 { VERMILION } else { BLUE })
        }));
        let frames = self.repeats.iter().map(|RepeatedBoxes { boxes, times }| NodeFrame {
            nodes: boxes.start + 1..boxes.end + 1,
            mark: format!("× {times}"),
        });
        let (cards, frames): (Vec<Card>, Vec<NodeFrame>) = (cards.collect(), frames.collect());
        let note = "→ output shape";
        GraphDrawing::new(&graph, cards, &vec![None; graph.nodes.len()]).into_svg(title, note, &frames)
    }
}

fn card(text: String, then: &[&str], output: &[usize], color: Rgb) -> Card {
    let shape = output.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
    let below = match then {
        [] => format!("→ {shape}"),
        then => format!("{} → {shape}", then.join(", ")),
    };
    Card::new(vec![(text, NAME, INK), (below, SMALL, FAINT)], color)
}
