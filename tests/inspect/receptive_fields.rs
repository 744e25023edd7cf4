//! Receptive fields against their definition, on every network of the zoo: the pixels that receive a gradient from one
//! output are the pixels that it sees.
//!
//! The networks are the zoo's own, with all layers and channels, on images of their size or smaller, in f64. The test
//! excludes two effects that could hide a pixel:
//!
//! - **Cancellation**: all weights and pixels are positive and biases are 0. Gradients only add up, ReLU passes them,
//!   and running statistics are a factor. A field's corner is a product of all layers' outermost weights; f64 holds it.
//! - **Max pooling** sends its gradient to one pixel of its window. So each network runs twice. In the first run the
//!   image grows to the lower right by [`GROWTH`] per pixel, and the taps of kernels fall by half in that direction.
//!   Then every map grows to the lower right, up to its padding, and the last pixel of every window wins. In the second
//!   run both are turned around. The gradients of the two runs are combined.
//!
//! The test looks at the layers with rows and columns whose field differs from that of the layer before: up to
//! [`LAYERS`] per network, evenly chosen, and the last. In each it tests the outputs in the middle and in two opposite
//! corners. All gradients must lie in the reported field, cut off at the image's edge. The field must also be the
//! smallest such rectangle. There are two exceptions: after a transposed convolution, because its outputs see different
//! parts of the field, and where the field is the whole image. The strides divide the size of the images, so that some
//! output sees every row and column.

use receptive::inspect::{ReceptiveField, receptive_field};
use receptive::models::{self, MODELS, ModelConfig};
use receptive::nn::{Ctx, Hook, Module, ModuleExt, Role};
use receptive::{DType, Device, Error, Result, Tensor};
use std::cell::{Cell, RefCell};
use std::ops::Range;

const GROWTH: f64 = 1.3;
/// The number of layers to test: many in a small network, few in a large one.
const LAYERS: [usize; 2] = [12, 4];

/// Networks and the side of their images, in groups that run in parallel. In `mlp` and similar networks every layer
/// sees the whole image. Most of the time goes into the random values of VGG's fully connected weights, which are not
/// used.
const GROUPS: [&[(&str, usize)]; 5] = [
    &[
        ("softmax", 28),
        ("mlp2", 28),
        ("mlp", 28),
        ("lenet5", 28),
        ("lenet5-tanh", 28),
        ("lenet5-bn", 28),
        ("minivgg", 28),
        ("resnet-cifar", 32),
        ("resnet9", 32),
        ("alexnet", 129),
        ("tv-alexnet", 127),
    ],
    &[("vgg11", 64), ("vgg11-small", 64), ("tv-vgg11", 64), ("tv-vgg13", 64)],
    &[("tv-vgg16", 64), ("tv-vgg19", 64)],
    &[
        ("resnet18", 64),
        ("tv-resnet18", 64),
        ("tv-resnet34", 64),
        ("tv-resnet50", 64),
        ("tv-resnet101", 64),
        ("tv-resnet152", 64),
    ],
    &[("googlenet", 96), ("tv-googlenet", 96), ("unet", 64), ("unet-resnet34", 64)],
];

#[test]
fn every_network_is_in_a_group() {
    for spec in MODELS {
        let groups = GROUPS.iter().filter(|group| group.iter().any(|(name, _)| *name == spec.name));
        assert_eq!(groups.count(), 1, "{}", spec.name);
    }
}

#[test]
fn fields_of_the_small_networks_and_alexnet() {
    check(GROUPS[0], LAYERS[0]);
}

#[test]
fn fields_of_vgg_11_and_13() {
    check(GROUPS[1], LAYERS[1]);
}

#[test]
fn fields_of_vgg_16_and_19() {
    check(GROUPS[2], LAYERS[1]);
}

#[test]
fn fields_of_the_residual_networks() {
    check(GROUPS[3], LAYERS[1]);
}

#[test]
fn fields_of_googlenet_and_unet() {
    check(GROUPS[4], LAYERS[1]);
}

fn check(group: &[(&str, usize)], layers: usize) {
    for &(name, side) in group {
        let cpu = Device::cpu().unwrap();
        let network = models::find(name).unwrap();
        let input = [network.input[0], side, side];
        // U-Net's width can be chosen. For a classifier one class is enough.
        let width = network.width.map(|_| 4);
        let model = network.build(&ModelConfig { width, ..ModelConfig::new(input, 1) }).unwrap();
        model.init(&cpu, DType::F64, 0).unwrap();
        // The runs come one after the other, because the second changes the weights.
        let growing = Run::new(&*model, name, &cpu, input, true);
        let chosen = choose(&growing.layers, layers);
        assert!(!chosen.is_empty(), "{name}: no layer to look at");
        let first: Vec<_> = chosen.iter().map(|&i| growing.sees(i)).collect();
        drop(growing);
        let shrinking = Run::new(&*model, name, &cpu, input, false);
        for (&i, seen) in chosen.iter().zip(first) {
            for ((unit, a), b) in shrinking.layers[i].units().into_iter().zip(seen).zip(shrinking.sees(i)) {
                shrinking.layers[i].check(name, [side, side], unit, &union(a, b));
            }
        }
    }
}

/// A layer of a run, with its output on the tape.
struct Layer {
    path: String,
    y: Tensor,
    field: ReceptiveField,
    /// Whether the field is the smallest rectangle for each output.
    exact: bool,
}

/// One forward pass.
struct Run {
    x: Tensor,
    layers: Vec<Layer>,
}

impl Run {
    fn new(model: &dyn Module, name: &str, cpu: &Device, [channels, h, w]: [usize; 3], growing: bool) -> Run {
        fill(model, growing);
        let x = Tensor::from_vec(cpu, image(h, w, channels, growing), &[1, channels, h, w]).unwrap();
        let x = x.requires_grad();
        let watch = KeepPlaces { image: [h, w], layers: RefCell::default(), stopped: Cell::new(false) };
        let result = model.forward(&Ctx::eval(name).with_hook(&watch), &x);
        assert!(result.is_ok() || watch.stopped.get(), "{name}: {}", result.unwrap_err());
        Run { x, layers: watch.layers.into_inner() }
    }
}

/// Positive pixels up to 1. The largest is in the lower right corner if `growing`, else in the upper left corner.
fn image(h: usize, w: usize, channels: usize, growing: bool) -> Vec<f64> {
    let away = |i: usize, side: usize| if growing { side - 1 - i } else { i } as i32;
    let plane = (0..h * w).map(|i| GROWTH.powi(-away(i / w, h) - away(i % w, w)));
    plane.collect::<Vec<_>>().repeat(channels)
}

/// Gives a model positive weights that sum to 1 for each output. In a kernel each tap is half of the one before it,
/// towards the lower right if `falling`, else towards the upper left.
fn fill(model: &dyn Module, falling: bool) {
    let params = model.params();
    let convolves = params.iter().any(|(_, param)| param.dims().len() == 4);
    for (path, param) in params {
        let dims = param.dims();
        let values = match (param.role(), dims) {
            (Role::Weight, &[out, inputs, kh, kw]) => {
                let away = |i: usize, side: usize| if falling { i } else { side - 1 - i } as i32;
                let kernel: Vec<f64> =
                    (0..kh * kw).map(|i| 0.5f64.powi(away(i / kw, kh) + away(i % kw, kw))).collect();
                let sum = kernel.iter().sum::<f64>() * inputs as f64;
                kernel.iter().map(|v| v / sum).collect::<Vec<_>>().repeat(out * inputs)
            }
            (Role::Weight, &[out, inputs]) if !convolves => vec![1.0 / inputs as f64; out * inputs],
            (Role::Weight, &[n]) if path.ends_with("bias") => vec![0.0; n],
            // Linear layers after convolutions do not run. The other values are right from the start: the weights of
            // norms are 1, the running means 0 and the variances 1.
            _ => continue,
        };
        param.value().unwrap().write(&values).unwrap();
    }
}

/// Keeps every layer up to the last one with rows and columns. Fully connected layers after convolutions are not run.
struct KeepPlaces {
    image: [usize; 2],
    layers: RefCell<Vec<Layer>>,
    stopped: Cell<bool>,
}

impl Hook for KeepPlaces {
    fn layer(&self, path: &str, module: &dyn Module, _x: &Tensor, y: &Tensor) -> Result<()> {
        if !module.is_leaf() {
            return Ok(());
        }
        let mut layers = self.layers.borrow_mut();
        if y.dims().len() == 2 && layers.first().is_some_and(|layer| layer.y.dims().len() == 4) {
            self.stopped.set(true);
            return Err(Error::argument(path, "has no rows and columns"));
        }
        let field = receptive_field(y, self.image);
        let blurs = match module.kind() {
            "ConvTranspose2d" => true,
            // The output size does not divide the input size, so the field is reported as the whole image.
            kind => kind.starts_with("Adaptive") && field.jump == [0, 0],
        };
        let exact = !blurs && layers.last().is_none_or(|layer| layer.exact);
        layers.push(Layer { path: path.to_owned(), y: y.clone(), field, exact });
        Ok(())
    }
}

/// Chooses layers with rows and columns, each receptive field once. If there are none, chooses the first linear layer.
fn choose(layers: &[Layer], most: usize) -> Vec<usize> {
    let spatial = |i: &usize| layers[*i].y.dims().len() == 4;
    let new = |i: &usize| *i == 0 || layers[*i].field != layers[*i - 1].field;
    let fields: Vec<usize> = (0..layers.len()).filter(spatial).filter(new).collect();
    let Some(&last) = fields.last() else {
        return (0..layers.len()).find(|&i| layers[i].y.dims() != layers[0].y.dims()).into_iter().collect();
    };
    let step = fields.len().div_ceil(most);
    let mut some: Vec<usize> = fields.into_iter().step_by(step).collect();
    if some.last() != Some(&last) {
        some.push(last);
    }
    some
}

impl Run {
    /// For each tested place of a layer: the rows and columns from the first to the last pixel that receives a
    /// gradient.
    fn sees(&self, layer: usize) -> Vec<[Range<usize>; 2]> {
        let y = &self.layers[layer].y;
        let (columns, [h, w]) = (y.dims().get(3).copied().unwrap_or(1), [self.x.dims()[2], self.x.dims()[3]]);
        let plane = y.dims().iter().skip(2).product();
        let of_unit = |[row, column]: [usize; 2]| {
            let mut dy = vec![0f64; y.numel()];
            // All channels, because after a concatenation each channel sees only what its branch saw.
            dy.iter_mut().skip(row * columns + column).step_by(plane).for_each(|dy| *dy = 1.0);
            self.x.zero_grad();
            y.backward_retain(&Tensor::from_vec(y.device(), dy, y.dims()).unwrap()).unwrap();
            let gradient = self.x.grad().unwrap().to_f64().unwrap();
            let mut seen = [h..0, w..0];
            for (i, _) in gradient.iter().enumerate().filter(|(_, g)| **g != 0.0) {
                let pixel = [i / w % h, i % w];
                seen =
                    [0, 1].map(|axis| seen[axis].start.min(pixel[axis])..seen[axis].end.max(pixel[axis] + 1));
            }
            seen
        };
        self.layers[layer].units().into_iter().map(of_unit).collect()
    }
}

impl Layer {
    /// The row and column of the outputs to test: the middle, the first and the last.
    fn units(&self) -> Vec<[usize; 2]> {
        let [rows, columns] = match *self.y.dims() {
            [_, _, rows, columns] => [rows, columns],
            _ => [1, 1],
        };
        let mut units = vec![[rows / 2, columns / 2], [0, 0], [rows - 1, columns - 1]];
        units.dedup();
        units
    }

    fn check(&self, name: &str, image: [usize; 2], unit: [usize; 2], seen: &[Range<usize>; 2]) {
        let field = [0, 1].map(|axis| {
            let first = self.field.start[axis] + (self.field.jump[axis] * unit[axis]) as isize;
            let end = first + self.field.size[axis] as isize;
            first.max(0) as usize..end.min(image[axis] as isize) as usize
        });
        let what = format!("{name}/{} {unit:?}: sees {seen:?}, reported {field:?}", self.path);
        let inside = |axis: usize| field[axis].start <= seen[axis].start && seen[axis].end <= field[axis].end;
        assert!(inside(0) && inside(1) && !seen[0].is_empty() && !seen[1].is_empty(), "{what}");
        assert!(!self.exact || *seen == field, "{what}");
    }
}

fn union(a: [Range<usize>; 2], b: [Range<usize>; 2]) -> [Range<usize>; 2] {
    [0, 1].map(|axis| a[axis].start.min(b[axis].start)..a[axis].end.max(b[axis].end))
}
