//! From layers to boxes.

use super::super::{LayerSummary, RowKind, attrs, layer_graph, summary};
use super::DiagramBox;
use crate::core::Result;
use crate::nn::{Module, ModuleExt};
use serde_json::Value;
use std::collections::BTreeMap;

/// The boxes of a network for an image of shape `[C, H, W]`, in running order.
pub(super) fn boxes(model: &dyn Module, name: &str, input: [usize; 3]) -> Result<Vec<DiagramBox>> {
    let layers = summary(model, name, input).map_err(|stopped| stopped.error)?.layers;
    let graph = layer_graph(model, name, input)?;
    let modules: BTreeMap<String, &dyn Module> = model.modules().into_iter().collect();
    let mut users = vec![0; graph.rows.len()];
    graph.rows.iter().flat_map(|row| row.from.iter().flatten()).for_each(|&from| users[from] += 1);
    let mut boxes: Vec<DiagramBox> = Vec::new();
    // The box of each row so far.
    let mut box_of: Vec<usize> = Vec::new();
    for row in &graph.rows {
        if let (RowKind::Layer(i), &[Some(from)]) = (row.what, &row.from[..]) {
            let same = graph.rows[from].output == row.output && users[from] == 1;
            if same && !mixes_values(&layers[i], modules.get(&layers[i].path)) {
                boxes[box_of[from]].then.push(layers[i].kind);
                box_of.push(box_of[from]);
                continue;
            }
        }
        let text = match row.what {
            RowKind::Layer(i) => text(&layers[i], modules.get(&layers[i].path)),
            RowKind::Join("cat") => "concatenate".to_owned(),
            RowKind::Join(op) => op.to_owned(),
        };
        let from = row.from.iter().map(|from| from.map(|from| box_of[from])).collect();
        box_of.push(boxes.len());
        boxes.push(DiagramBox { text, then: Vec::new(), output: row.output.clone(), from });
    }
    Ok(boxes)
}

/// Whether an output depends on several inputs through weights or a window. Such a layer has a box of its own.
fn mixes_values(layer: &LayerSummary, module: Option<&&dyn Module>) -> bool {
    let weights = layer.shapes.values().any(|dims| dims.len() > 1);
    weights || module.is_some_and(|module| attrs(&module.describe()).contains_key("kernel_size"))
}

/// `Conv2d 5×5, padding 2`.
fn text(layer: &LayerSummary, module: Option<&&dyn Module>) -> String {
    let settings = module.map(|module| attrs(&module.describe())).unwrap_or_default();
    let size = |value: &Value| match value {
        Value::Array(sides) => sides.iter().map(Value::to_string).collect::<Vec<_>>().join("×"),
        Value::String(word) => word.clone(),
        side => side.to_string(),
    };
    let window = settings.get("kernel_size").map(|side| match side {
        Value::Number(side) => format!(" {side}×{side}"),
        sides => format!(" {}", size(sides)),
    });
    let mut text = layer.kind.to_owned() + &window.unwrap_or_default();
    for (name, usual) in [("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1)] {
        if let Some(value) = settings.get(name).filter(|value| value.as_u64() != Some(usual)) {
            text += &format!(", {name} {}", size(value));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, Relu, Residual, Sequential};

    /// A layer that changes each value by itself shares a box, a residual's sum has a box with two inputs.
    #[test]
    fn a_box_holds_a_layer_and_the_pointwise_layers_after_it() {
        let body = Sequential::new().push(Conv2d::new(2, 2, 3).padding(1)).push(BatchNorm2d::new(2));
        let net = Sequential::new()
            .push(Conv2d::new(1, 2, 3).padding(1))
            .push(Residual::new(body).then("relu", Relu))
            .push(MaxPool2d::new(2))
            .push(Flatten)
            .push(Linear::new(32, 3));
        let found = boxes(&net, "net", [1, 8, 8]).unwrap();
        let row = |text: &str, then: &[&'static str], output: &[usize], from: &[Option<usize>]| DiagramBox {
            text: text.to_owned(),
            then: then.to_vec(),
            output: output.to_vec(),
            from: from.to_vec(),
        };
        let expected = [
            row("Conv2d 3×3, padding 1", &[], &[2, 8, 8], &[None]),
            row("Conv2d 3×3, padding 1", &["BatchNorm2d"], &[2, 8, 8], &[Some(0)]),
            row("add", &["ReLU"], &[2, 8, 8], &[Some(1), Some(0)]),
            row("MaxPool2d 2×2, stride 2", &[], &[2, 4, 4], &[Some(2)]),
            row("Flatten", &[], &[32], &[Some(3)]),
            row("Linear", &[], &[3], &[Some(4)]),
        ];
        assert_eq!(found, expected);
    }
}
