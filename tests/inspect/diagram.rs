//! Tests of the diagram of layers: what is drawn of the notebooks' networks, and that boxes stand apart.

use super::graph::{boxes, page};
use receptive::inspect::{Diagram, diagram};
use receptive::models::{self, MODELS, ModelConfig};

fn of(name: &str) -> Diagram {
    let network = models::find(name).unwrap();
    let model = network.build(&ModelConfig::new(network.input, network.classes)).unwrap();
    diagram(&*model, name, network.input).unwrap()
}

/// `start..end x times` for every repeat.
fn repeats(diagram: &Diagram) -> Vec<(usize, usize, usize)> {
    diagram.repeats.iter().map(|repeat| (repeat.boxes.start, repeat.boxes.end, repeat.times)).collect()
}

#[test]
fn lenet_has_a_box_for_every_layer() {
    let lenet = of("lenet5");
    let texts: Vec<&str> = lenet.boxes.iter().map(|one| one.text.as_str()).collect();
    let conv1 = "Conv2d 5×5, padding 2";
    let pool = "MaxPool2d 2×2, stride 2";
    assert_eq!(texts, [conv1, pool, "Conv2d 5×5", pool, "Flatten", "Linear", "Linear", "Linear"]);
    assert_eq!((&lenet.boxes[0].then[..], &lenet.boxes[0].output[..]), (&["ReLU"][..], &[6, 28, 28][..]));
    assert_eq!(lenet.boxes[7].then, ["LogSoftmax"]);
    assert!(lenet.repeats.is_empty());
}

/// VGG's pairs of convolutions, and the hidden linear layers. ResNet-18's first stage has two equal blocks; the later
/// ones start with another block, whose shortcut has a convolution.
#[test]
fn repeated_blocks_are_drawn_once() {
    let vgg = of("vgg11");
    assert_eq!(repeats(&vgg), [(4, 5, 2), (6, 7, 2), (8, 9, 2), (11, 12, 2)]);
    assert_eq!(vgg.boxes.len(), 13);
    let resnet = of("resnet18");
    assert_eq!(repeats(&resnet), [(2, 5, 2)]);
    assert_eq!((resnet.boxes[4].text.as_str(), &resnet.boxes[4].from[..]), ("add", &[Some(3), Some(1)][..]));
    assert_eq!(repeats(&of("tv-resnet152")).iter().map(|repeat| repeat.2).collect::<Vec<_>>(), [2, 7, 35, 2]);
}

/// The four branches of an inception block start from one box and end in one.
#[test]
fn branches_stand_side_by_side() {
    let diagram = of("googlenet");
    let join = diagram.boxes.iter().find(|one| one.text == "concatenate").unwrap();
    assert_eq!((join.from.len(), &join.output[..]), (4, &[256, 12, 12][..]));
}

/// Every network is drawn. No two boxes overlap, and none lies outside the page. A repeat has a frame.
#[test]
fn every_network_has_a_picture() {
    for spec in MODELS {
        let diagram = of(spec.name);
        let svg = diagram.to_svg(spec.name);
        let (boxes, [w, h]) = (boxes(&svg), page(&svg));
        assert_eq!(boxes.len(), diagram.boxes.len() + 1, "{}", spec.name);
        assert_eq!(svg.matches("aria-label=\"× ").count(), diagram.repeats.len(), "{}", spec.name);
        for (i, a) in boxes.iter().enumerate() {
            assert!(a[0] >= 0.0 && a[1] >= 0.0 && a[2] <= w && a[3] <= h, "{}: {a:?}", spec.name);
            for b in &boxes[..i] {
                let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
                assert!(apart, "{}: {a:?} {b:?}", spec.name);
            }
        }
    }
}

/// The pictures in `docs/networks.md` are those that `receptive summary NAME --diagram` draws.
#[test]
fn the_pictures_of_the_page_are_up_to_date() {
    for name in ["lenet5", "vgg11", "resnet18"] {
        let diagram = of(name);
        let [c, h, w] = diagram.input;
        let path = format!("{}/docs/diagrams/{name}.svg", env!("CARGO_MANIFEST_DIR"));
        let drawn = diagram.to_svg(&format!("{name}: one image of {c}x{h}x{w}"));
        assert!(
            std::fs::read_to_string(&path).unwrap() == drawn,
            "draw {path} again: receptive summary {name} --diagram"
        );
    }
}
