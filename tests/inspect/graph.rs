//! Tests of the tape as a graph: the exact DOT text, the names on every network, and drawings without overlapping
//! boxes.

use receptive::inspect::{AutogradGraph, GraphNodeKind, model_graph};
use receptive::models::{self, MODELS, ModelConfig};
use receptive::nn::{Conv2d, Flatten, Linear, Module, ModuleExt, Relu, Residual, Role, Sequential};
use receptive::{DType, Device, Tensor};
use std::collections::BTreeSet;

fn graph(model: &dyn Module, [c, h, w]: [usize; 3]) -> AutogradGraph {
    let meta = Device::meta();
    model.init(&meta, DType::F32, 0).unwrap();
    model_graph(model, "net", &Tensor::zeros(&meta, &[1, c, h, w], DType::F32).unwrap()).unwrap()
}

#[test]
fn the_dot_of_a_small_network() {
    let body = Sequential::new().named("conv", Conv2d::new(1, 1, 3).padding(1).no_bias());
    let net = Sequential::new()
        .named("block", Residual::new(body).then("relu", Relu))
        .named("flatten", Flatten)
        .named("fc", Linear::new(16, 2));
    let dot = [
        "digraph autograd {",
        "  node [fontname=\"sans-serif\", fontsize=11];",
        "  n0 [shape=ellipse, label=\"input\\n1 × 1 × 4 × 4\"];",
        "  n1 [shape=ellipse, label=\"block.conv.weight\\n1 × 1 × 3 × 3\"];",
        "  n2 [shape=box, label=\"conv2d\\nblock.conv\\n1 × 1 × 4 × 4\"];",
        "  n3 [shape=box, label=\"add\\nblock\\n1 × 1 × 4 × 4\"];",
        "  n4 [shape=box, label=\"relu\\nblock.relu\\n1 × 1 × 4 × 4\"];",
        "  n5 [shape=box, label=\"flatten\\nflatten\\n1 × 16\"];",
        "  n6 [shape=ellipse, label=\"fc.weight\\n2 × 16\"];",
        "  n7 [shape=ellipse, label=\"fc.bias\\n2\"];",
        "  n8 [shape=box, label=\"linear\\nfc\\n1 × 2\"];",
        "  n0 -> n2;",
        "  n1 -> n2;",
        "  n2 -> n3;",
        "  n0 -> n3;",
        "  n3 -> n4;",
        "  n4 -> n5;",
        "  n5 -> n8;",
        "  n6 -> n8;",
        "  n7 -> n8;",
        "}\n",
    ];
    assert_eq!(graph(&net, [1, 4, 4]).to_dot(), dot.join("\n"));
}

/// A quote in a name is escaped, so it does not end the string.
#[test]
fn names_are_escaped() {
    let net = Sequential::new().named("a\"b\\c", Linear::new(4, 1));
    let dot = graph(&net, [1, 1, 4]).to_dot();
    assert!(dot.contains(r#"label="a\"b\\c.weight\n1 × 4""#), "{dot}");
}

/// Every parameter is a leaf with its name, every layer named at an op exists in the network, and edges point forward.
#[test]
fn every_network_is_drawn_whole() {
    for spec in MODELS {
        let network = models::find(spec.name).unwrap();
        let model = network.build(&ModelConfig::new(network.input, network.classes)).unwrap();
        let graph = graph(&*model, network.input);
        let leaves = graph.nodes.iter().filter(|node| node.kind == GraphNodeKind::Leaf);
        let mut names: Vec<String> = leaves.map(|node| node.name.clone().unwrap()).collect();
        names.sort();
        let weights = model.params().into_iter().filter(|(_, param)| param.role() == Role::Weight);
        let mut expected: Vec<String> = weights.map(|(name, _)| name).chain(["input".to_owned()]).collect();
        expected.sort();
        assert_eq!(names, expected, "{}", spec.name);
        let paths: BTreeSet<String> = model.modules().into_iter().map(|(path, _)| path).collect();
        for node in graph.nodes.iter().filter_map(|node| node.layer.as_ref()) {
            assert!(paths.contains(node), "{}: {node}", spec.name);
        }
        assert!(
            graph.edges.iter().all(|edge| edge.from < edge.to && edge.to < graph.nodes.len()),
            "{}",
            spec.name
        );
        assert_eq!(
            graph.edges.iter().map(|edge| edge.from).collect::<BTreeSet<_>>().len(),
            graph.nodes.len() - 1
        );
    }
}

/// The boxes of a drawing: left, top, right, bottom.
pub fn boxes(svg: &str) -> Vec<[f64; 4]> {
    let number = |line: &str, name: &str| -> Option<f64> {
        line.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0.parse().ok()
    };
    let of = |line: &str| -> Option<[f64; 4]> {
        let filled = line.starts_with("<rect x=") && !line.contains("fill=\"none\"");
        let [x, y, w, h] = ["x", "y", "width", "height"].map(|name| number(line, name));
        filled.then_some([x?, y?, x? + w?, y? + h?])
    };
    svg.lines().filter_map(of).collect()
}

/// A drawing's width and height.
pub fn page(svg: &str) -> [f64; 2] {
    ["width", "height"].map(|name| {
        svg.split_once(&format!("{name}=\"")).unwrap().1.split_once('"').unwrap().0.parse().unwrap()
    })
}

/// No two boxes overlap, and none lies outside the page.
#[test]
fn boxes_stand_apart() {
    for name in ["lenet5", "resnet-cifar", "googlenet", "unet", "tv-resnet50"] {
        let network = models::find(name).unwrap();
        let model = network.build(&ModelConfig::new(network.input, network.classes)).unwrap();
        let graph = graph(&*model, network.input);
        let svg = graph.to_svg(name);
        let boxes = boxes(&svg);
        assert_eq!(boxes.len(), graph.nodes.len(), "{name}");
        let page = page(&svg);
        for (i, a) in boxes.iter().enumerate() {
            assert!(
                a[0] >= 0.0 && a[1] >= 0.0 && a[2] <= page[0] && a[3] <= page[1],
                "{name}: {a:?} of {page:?}"
            );
            for b in &boxes[..i] {
                let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
                assert!(apart, "{name}: {a:?} {b:?}");
            }
        }
    }
}
