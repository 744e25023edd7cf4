//! Receptive fields: which pixels of the input one output can see.

use super::tape::ops_before;
use crate::core::Window;
use crate::tensor::{Field, Tensor};
use serde::Serialize;
use std::collections::BTreeMap;

/// What one output sees of the input, `[vertical, horizontal]`.
///
/// The field of an output is a rectangle. Layer by layer it follows from the layer's window alone: with `jump` input
/// pixels between the fields of neighbouring outputs and `start` the first pixel that output 0 sees, negative in the
/// padding, a window of K taps, stride S, padding P and dilation D gives
///
/// ```math
/// \begin{aligned}
/// \mathrm{size}' &= \mathrm{size} + D \, (K - 1) \cdot \mathrm{jump} \\
/// \mathrm{start}' &= \mathrm{start} - P \cdot \mathrm{jump} \\
/// \mathrm{jump}' &= S \cdot \mathrm{jump}
/// \end{aligned}
/// ```
///
/// LeNet-5, 28x28, along one axis (start at 0, size 1, jump 1):
///
/// | layer | K S P | size | jump | start |
/// |---|---|---|---|---|
/// | conv1 | 5 1 2 | 5 | 1 | -2 |
/// | pool1 | 2 2 0 | 6 | 2 | -2 |
/// | conv2 | 5 1 0 | 14 | 2 | -2 |
/// | pool2 | 2 2 0 | 16 | 4 | -2 |
/// | fc1 | all | 28 | 0 | 0 |
///
/// A transposed window divides the jump by its stride, as if zeros had been put between the pixels. What is reported there
/// is the smallest such rectangle for all outputs: single ones may see less, and a jump below one pixel counts as one.
///
/// Two branches that meet (a residual, a concatenation) see the union. A field may reach beyond the image: that part is
/// padding. (Araujo, Norris, Sim: "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.)
#[cfg_attr(doc, doc = include_str!("../../docs/katex/katex.html"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReceptiveField {
    /// Rows and columns.
    pub size: [usize; 2],
    /// Input pixels between the fields of neighbouring outputs; 0 when all outputs see the same.
    pub jump: [usize; 2],
    /// The first row and column that output 0 sees, counted from the image's corner.
    pub start: [isize; 2],
}

impl ReceptiveField {
    /// The input itself: every element sees itself.
    pub const PIXEL: ReceptiveField = ReceptiveField { size: [1; 2], jump: [1; 2], start: [0; 2] };

    /// The whole of an image with this height and width.
    pub fn whole(image: [usize; 2]) -> ReceptiveField {
        ReceptiveField { size: image, jump: [0; 2], start: [0; 2] }
    }

    /// The field after one more op, on an input image of this height and width.
    ///
    /// ```
    /// use receptive::core::Window;
    /// use receptive::inspect::ReceptiveField;
    /// use receptive::tensor::Field;
    /// let window = |kernel, stride, padding| {
    ///     Field::Window(Window { kernel: [kernel; 2], stride: [stride; 2], padding: [[padding; 2]; 2], dilation: [1; 2] })
    /// };
    /// let conv1 = ReceptiveField::PIXEL.through(window(5, 1, 2), [28, 28]);
    /// let pool1 = conv1.through(window(2, 2, 0), [28, 28]);
    /// assert_eq!((pool1.size, pool1.jump, pool1.start), ([6, 6], [2, 2], [-2, -2]));
    /// ```
    pub fn through(self, op: Field, image: [usize; 2]) -> ReceptiveField {
        let window = match op {
            Field::Pointwise => return self,
            Field::Global => return ReceptiveField::whole(image),
            Field::Window(window) => window,
            Field::Transposed(window) => return self.transposed(window),
        };
        let mut next = self;
        for axis in 0..2 {
            let jump = self.jump[axis];
            next.size[axis] += (window.extent(axis) - 1) * jump;
            next.start[axis] -= (window.padding[axis][0] * jump) as isize;
            next.jump[axis] *= window.stride[axis];
        }
        next
    }

    /// A transposed window is an ordinary one over the image with `stride - 1` zeros between its pixels.
    fn transposed(mut self, window: Window) -> ReceptiveField {
        for axis in 0..2 {
            let jump = self.jump[axis].div_ceil(window.stride[axis]);
            let (reach, padding) = (window.extent(axis) - 1, window.padding[axis][0]);
            self.size[axis] += reach * jump;
            self.start[axis] += (padding * jump) as isize - (reach * jump) as isize;
            self.jump[axis] = jump;
        }
        self
    }

    /// What an output that depends on both sees.
    pub fn union(self, other: ReceptiveField) -> ReceptiveField {
        let end = |field: &ReceptiveField, axis: usize| field.start[axis] + field.size[axis] as isize;
        let mut both = self;
        for axis in 0..2 {
            both.start[axis] = self.start[axis].min(other.start[axis]);
            let end = end(&self, axis).max(end(&other, axis));
            both.size[axis] = (end - both.start[axis]) as usize;
            both.jump[axis] = self.jump[axis].max(other.jump[axis]);
        }
        both
    }
}

/// The receptive field of the elements of `y`, a tensor computed from an image of this height and width that
/// `requires_grad`. Computes nothing: a forward pass on [`Device::meta`](crate::Device::meta) is enough.
pub fn receptive_field(y: &Tensor, image: [usize; 2]) -> ReceptiveField {
    Fields::new(image).of(y)
}

/// The fields of every op on a tape, each computed once.
pub(super) struct Fields {
    image: [usize; 2],
    known: BTreeMap<u64, ReceptiveField>,
}

impl Fields {
    pub fn new(image: [usize; 2]) -> Fields {
        Fields { image, known: BTreeMap::new() }
    }

    pub fn of(&mut self, y: &Tensor) -> ReceptiveField {
        let new: Vec<_> = ops_before(y, |seq| self.known.contains_key(&seq)).collect();
        for node in new {
            let before = node.parents().flatten().map(|parent| self.known[&parent.sequence()]);
            let before = before.reduce(ReceptiveField::union).unwrap_or(ReceptiveField::PIXEL);
            let field = before.through(node.op().field(node.inputs()), self.image);
            self.known.insert(node.sequence(), field);
        }
        y.node().map_or(ReceptiveField::PIXEL, |node| self.known[&node.sequence()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Conv2d, ConvTranspose2d, Ctx, Linear, MaxPool2d, Module, ModuleExt, Sequential};
    use crate::{DType, Device, Result};

    /// Runs `net` on a meta image.
    fn field(net: &dyn Module, dims: [usize; 4]) -> Result<ReceptiveField> {
        let meta = Device::meta();
        net.init(&meta, DType::F32, 0)?;
        let x = Tensor::zeros(&meta, &dims, DType::F32)?.requires_grad();
        let y = net.forward(&Ctx::eval("net").with_grad(true), &x)?;
        Ok(receptive_field(&y, [dims[2], dims[3]]))
    }

    /// Dilation spreads the taps; the two axes are independent.
    #[test]
    fn dilation_and_stride_by_axis() {
        let net = Sequential::new()
            .push(Conv2d::new(1, 2, (3, 5)).stride((2, 1)).padding((1, 0)))
            .push(Conv2d::new(2, 2, 3).dilation((2, 1)));
        let field = field(&net, [1, 1, 32, 32]).unwrap();
        assert_eq!(field.size, [3 + 4 * 2, 5 + 2]);
        assert_eq!((field.jump, field.start), ([2, 1], [-1, 0]));
    }

    /// Branches of different depth that are added see the union, not the last one's field.
    #[test]
    fn a_residual_sees_the_wider_branch() {
        struct Residual(Conv2d);
        impl Module for Residual {
            fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
                cx.run("conv", &self.0, x)?.add(x)
            }
            fn visit<'a>(&'a self, visitor: &mut crate::nn::Visitor<'a>) {
                visitor.child("conv", &self.0);
            }
            fn kind(&self) -> &'static str {
                "Residual"
            }
        }
        let net = Sequential::new()
            .push(Conv2d::new(1, 1, 3).padding(1))
            .push(Residual(Conv2d::new(1, 1, 5).padding(2)));
        let field = field(&net, [1, 1, 16, 16]).unwrap();
        assert_eq!((field.size, field.start), ([7, 7], [-3, -3]));
    }

    /// The definition, against derivatives: the pixels that receive a gradient from one output are its field.
    #[test]
    fn the_field_is_where_gradients_arrive() {
        let cpu = Device::cpu().unwrap();
        let net =
            Sequential::new().push(Conv2d::new(1, 1, 3)).push(Conv2d::new(1, 1, 3).stride(2).padding(1));
        net.init(&cpu, DType::F64, 3).unwrap();
        let x = Tensor::full(&cpu, 1.0, &[1, 1, 12, 12], DType::F64).unwrap().requires_grad();
        let y = net.forward(&Ctx::eval("net").with_grad(true), &x).unwrap();
        let [rows, columns] = [y.dims()[2], y.dims()[3]];
        let (i, j) = (2, 1);
        let mut dy = vec![0.0; rows * columns];
        dy[i * columns + j] = 1.0;
        let field = receptive_field(&y, [12, 12]);
        y.backward_with(&Tensor::from_vec(&cpu, dy, y.dims()).unwrap()).unwrap();
        let dx = x.grad().unwrap().to_f64().unwrap();
        let inside = |axis: usize, output: usize, pixel: usize| {
            let first = field.start[axis] + (field.jump[axis] * output) as isize;
            (first..first + field.size[axis] as isize).contains(&(pixel as isize))
        };
        for (pixel, &gradient) in dx.iter().enumerate() {
            let seen = inside(0, i, pixel / 12) && inside(1, j, pixel % 12);
            assert_eq!(gradient != 0.0, seen, "pixel {} {}", pixel / 12, pixel % 12);
        }
    }

    /// U-Net's shape, half the size and back: every gradient arrives inside the field.
    #[test]
    fn upsampling_halves_the_jump() {
        let cpu = Device::cpu().unwrap();
        let net = Sequential::new()
            .push(MaxPool2d::new(2))
            .push(ConvTranspose2d::new(1, 1, 2).stride(2))
            .push(Conv2d::new(1, 1, 3).padding(1));
        net.init(&cpu, DType::F64, 3).unwrap();
        for output in [39, 52, 65] {
            let pixels = (0..144).map(f64::from).collect();
            let x = Tensor::from_vec(&cpu, pixels, &[1, 1, 12, 12]).unwrap().requires_grad();
            let y = net.forward(&Ctx::eval("net").with_grad(true), &x).unwrap();
            let field = receptive_field(&y, [12, 12]);
            assert_eq!((field.size, field.jump, field.start), ([5, 5], [1, 1], [-2, -2]));
            let mut dy = vec![0.0; 144];
            dy[output] = 1.0;
            y.backward_with(&Tensor::from_vec(&cpu, dy, y.dims()).unwrap()).unwrap();
            for (pixel, _) in x.grad().unwrap().to_f64().unwrap().iter().enumerate().filter(|p| *p.1 != 0.0) {
                let from = |at: usize, out: usize| at as isize - out as isize + 2;
                let [row, column] = [from(pixel / 12, output / 12), from(pixel % 12, output % 12)];
                assert!((0..5).contains(&row) && (0..5).contains(&column), "output {output} sees {pixel}");
            }
        }
    }

    /// After a fully connected layer every output sees the whole image, and nothing makes that more.
    #[test]
    fn a_linear_layer_sees_all() {
        let net = Sequential::new().push(crate::nn::Flatten).push(Linear::new(48, 5)).push(Linear::new(5, 2));
        assert_eq!(field(&net, [1, 1, 6, 8]).unwrap(), ReceptiveField::whole([6, 8]));
    }
}
