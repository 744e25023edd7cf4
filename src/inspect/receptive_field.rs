//! Receptive fields: which pixels of the input one output depends on.

use super::tape::ops_before;
use crate::core::Window;
use crate::tensor::{Dependence, Tensor};
use serde::Serialize;
use std::collections::BTreeMap;

/// The part of the input that one output depends on, `[vertical, horizontal]`.
///
/// The field of an output is a rectangle. It follows from the windows of the layers, one after the other. `jump` is
/// the distance, in input pixels, from the field of an output to that of its neighbour. `start` is the first pixel
/// that output 0 sees; it is negative in the padding. A window with K taps, stride S, padding P and dilation D gives
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
/// A transposed window divides the jump by its stride, as if zeros had been put between the pixels. The reported field
/// is then the smallest such rectangle that is large enough for all outputs: single outputs may see less. If the jump
/// would not be a whole number of pixels, no such rectangle exists, and outputs count as seeing the whole image on that
/// axis.
///
/// Where two branches meet (a residual, a concatenation), the field is the union of their fields. On an axis where
/// their jumps differ, it is the whole image. A field may reach beyond the image: that part is padding, whatever values
/// the padding has. (Araujo, Norris, Sim: "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReceptiveField {
    /// Rows and columns.
    pub size: [usize; 2],
    /// Input pixels from the field of an output to that of its neighbour; 0 if all outputs see the whole image.
    pub jump: [usize; 2],
    /// The first row and column that output 0 sees, counted from the image's corner.
    pub start: [isize; 2],
}

impl ReceptiveField {
    /// The field of the input itself: every element sees itself.
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
    /// use receptive::tensor::Dependence;
    /// let window = |kernel, stride, padding| {
    ///     let (kernel, stride, padding) = ([kernel; 2], [stride; 2], [[padding; 2]; 2]);
    ///     Dependence::Window(Window { kernel, stride, padding, dilation: [1; 2] })
    /// };
    /// let conv1 = ReceptiveField::PIXEL.through(window(5, 1, 2), [28, 28]);
    /// let pool1 = conv1.through(window(2, 2, 0), [28, 28]);
    /// assert_eq!((pool1.size, pool1.jump, pool1.start), ([6, 6], [2, 2], [-2, -2]));
    /// ```
    pub fn through(self, op: Dependence, image: [usize; 2]) -> ReceptiveField {
        let window = match op {
            Dependence::Pointwise => return self,
            Dependence::Global => return ReceptiveField::whole(image),
            Dependence::Window(window) => window,
            Dependence::Transposed(window) => return self.transposed(window, image),
            Dependence::Strided { start, step } => return self.strided(start, step),
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

    /// A transposed window acts like an ordinary window on the image with `stride - 1` zeros between its pixels.
    fn transposed(mut self, window: Window, image: [usize; 2]) -> ReceptiveField {
        for axis in 0..2 {
            if !self.jump[axis].is_multiple_of(window.stride[axis]) {
                self.see_whole(axis, image);
            }
            let jump = self.jump[axis] / window.stride[axis];
            let (reach, padding) = (window.extent(axis) - 1, window.padding[axis][0]);
            self.size[axis] += reach * jump;
            self.start[axis] += (padding * jump) as isize - (reach * jump) as isize;
            self.jump[axis] = jump;
        }
        self
    }

    fn strided(mut self, start: [isize; 2], step: [usize; 2]) -> ReceptiveField {
        for axis in 0..2 {
            self.start[axis] += start[axis] * self.jump[axis] as isize;
            self.jump[axis] *= step[axis];
        }
        self
    }

    fn see_whole(&mut self, axis: usize, image: [usize; 2]) {
        (self.size[axis], self.jump[axis], self.start[axis]) = (image[axis], 0, 0);
    }

    /// The field of an output that depends on both fields, for an input image of this height and width.
    pub fn union(self, other: ReceptiveField, image: [usize; 2]) -> ReceptiveField {
        let end = |field: &ReceptiveField, axis: usize| field.start[axis] + field.size[axis] as isize;
        let mut both = self;
        for axis in 0..2 {
            both.start[axis] = self.start[axis].min(other.start[axis]);
            let end = end(&self, axis).max(end(&other, axis));
            both.size[axis] = (end - both.start[axis]) as usize;
            if self.jump[axis] != other.jump[axis] {
                both.see_whole(axis, image);
            }
        }
        both
    }
}

/// The receptive field of the elements of `y`. `y` is a tensor computed from an image of this height and width with
/// `requires_grad`. It computes nothing: a forward pass on [`Device::meta`](crate::Device::meta) is enough.
pub fn receptive_field(y: &Tensor, image: [usize; 2]) -> ReceptiveField {
    Fields::new(image).of(y)
}

/// The fields of every op on a tape, each computed once.
pub struct Fields {
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
            let before = before.reduce(|a, b| a.union(b, self.image)).unwrap_or(ReceptiveField::PIXEL);
            let field = before.through(node.op().dependence(node.inputs()), self.image);
            self.known.insert(node.sequence(), field);
        }
        y.node().map_or(ReceptiveField::PIXEL, |node| self.known[&node.sequence()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{
        Conv2d, ConvTranspose2d, Ctx, InstanceNorm2d, Linear, MaxPool2d, Module, ModuleExt, Residual,
        Sequential, Upsample,
    };
    use crate::ops::pad::PadMode;
    use crate::{DType, Device, Result};

    /// Runs `net` on a meta image and returns its field.
    fn field(net: &dyn Module, dims: [usize; 4]) -> Result<ReceptiveField> {
        let meta = Device::meta();
        net.init(&meta, DType::F32, 0)?;
        let x = Tensor::zeros(&meta, &dims, DType::F32)?.requires_grad();
        let y = net.forward(&Ctx::eval("net").with_grad(true), &x)?;
        Ok(receptive_field(&y, [dims[2], dims[3]]))
    }

    /// Dilation increases the distance between taps. The two axes are independent.
    #[test]
    fn dilation_and_stride_by_axis() {
        let net = Sequential::new()
            .push(Conv2d::new(1, 2, [3, 5]).stride([2, 1]).padding([1, 0]))
            .push(Conv2d::new(2, 2, 3).dilation([2, 1]));
        let field = field(&net, [1, 1, 32, 32]).unwrap();
        assert_eq!(field.size, [3 + 4 * 2, 5 + 2]);
        assert_eq!((field.jump, field.start), ([2, 1], [-1, 0]));
    }

    /// Two added branches of different depth see the union, not only the field of the last one.
    #[test]
    fn a_residual_sees_the_wider_branch() {
        let net = Sequential::new()
            .push(Conv2d::new(1, 1, 3).padding(1))
            .push(Residual::new(Sequential::new().push(Conv2d::new(1, 1, 5).padding(2))));
        let field = field(&net, [1, 1, 16, 16]).unwrap();
        assert_eq!((field.size, field.start), ([7, 7], [-3, -3]));
    }

    /// Whether one output's field contains this pixel.
    fn holds(field: &ReceptiveField, output: [usize; 2], pixel: [usize; 2]) -> bool {
        (0..2).all(|axis| {
            let first = field.start[axis] + (field.jump[axis] * output[axis]) as isize;
            (first..first + field.size[axis] as isize).contains(&(pixel[axis] as isize))
        })
    }

    /// An output, and the pixels that receive a gradient from it.
    struct Output {
        at: [usize; 2],
        reached: Vec<[usize; 2]>,
    }

    /// The field of `net`'s outputs on a square image, and all the outputs.
    fn gradients(net: &dyn Module, side: usize) -> (ReceptiveField, Vec<Output>) {
        let cpu = Device::cpu().unwrap();
        net.init(&cpu, DType::F64, 3).unwrap();
        let pixels = (0..side * side).map(|i| (i as f64).sin()).collect();
        let x = Tensor::from_vec(&cpu, pixels, &[1, 1, side, side]).unwrap().requires_grad();
        let y = net.forward(&Ctx::eval("net").with_grad(true), &x).unwrap();
        let &[.., rows, columns] = y.dims() else { panic!("{:?} are no images", y.dims()) };
        let output = |output: usize| {
            // Each channel gets a different number, because the gradients of a softmax's channels add up to 0.
            let dy = |i: usize| if i % (rows * columns) == output { 1.0 + i as f64 } else { 0.0 };
            let dy = (0..y.numel()).map(dy).collect();
            x.zero_grad();
            y.backward_retain(&Tensor::from_vec::<f64>(&cpu, dy, y.dims()).unwrap()).unwrap();
            let dx = x.grad().unwrap().to_f64().unwrap();
            let pixels = (0..dx.len()).filter(|&i| dx[i] != 0.0).map(|i| [i / side, i % side]).collect();
            Output { at: [output / columns, output % columns], reached: pixels }
        };
        (receptive_field(&y, [side; 2]), (0..rows * columns).map(output).collect())
    }

    /// The field of `net`'s outputs, after checking that every gradient arrives inside it.
    fn confirmed(net: &dyn Module, side: usize) -> ReceptiveField {
        let (field, outputs) = gradients(net, side);
        assert!(outputs.iter().any(|output| !output.reached.is_empty()));
        for Output { at, reached } in outputs {
            let outside = reached.into_iter().find(|&pixel| !holds(&field, at, pixel));
            assert_eq!(outside, None, "output {at:?} sees it, but {field:?}");
        }
        field
    }

    /// A function used as a layer.
    struct Apply(fn(&Tensor) -> Result<Tensor>);

    impl Module for Apply {
        fn forward(&self, _cx: &Ctx, x: &Tensor) -> Result<Tensor> {
            (self.0)(x)
        }

        fn kind(&self) -> &'static str {
            "Apply"
        }
    }

    /// Checks the definition by derivatives: the field of an output consists of the pixels that receive a gradient from
    /// it.
    #[test]
    fn the_field_is_where_gradients_arrive() {
        let net =
            Sequential::new().push(Conv2d::new(1, 1, 3)).push(Conv2d::new(1, 1, 3).stride(2).padding(1));
        let (field, outputs) = gradients(&net, 12);
        for Output { at, reached } in outputs {
            let pixels = (0..144).map(|i| [i / 12, i % 12]);
            let seen: Vec<[usize; 2]> = pixels.filter(|&pixel| holds(&field, at, pixel)).collect();
            assert_eq!(reached, seen, "output {at:?}");
        }
    }

    /// Like a U-Net: to half the size and back.
    #[test]
    fn upsampling_halves_the_jump() {
        let net = Sequential::new()
            .push(MaxPool2d::new(2))
            .push(ConvTranspose2d::new(1, 1, 2).stride(2))
            .push(Conv2d::new(1, 1, 3).padding(1));
        let field = confirmed(&net, 12);
        assert_eq!((field.size, field.jump, field.start), ([5, 5], [1, 1], [-2, -2]));
        let quarter = Sequential::new().push(MaxPool2d::new(4)).push(Upsample::scale(2.0));
        let field = confirmed(&quarter, 16);
        assert_eq!((field.size, field.jump, field.start), ([6, 6], [2, 2], [-2, -2]));
    }

    /// Outputs that are 1.5 or 0.5 pixels apart: no jump in whole pixels describes all of them.
    #[test]
    fn where_upsampling_does_not_divide_the_jump_all_is_seen() {
        let net = Sequential::new().push(MaxPool2d::new(3)).push(Upsample::scale(2.0));
        assert_eq!(confirmed(&net, 27), ReceptiveField::whole([27; 2]));
        let larger =
            Sequential::new().push(ConvTranspose2d::new(1, 1, 3).stride(2)).push(Conv2d::new(1, 1, 3));
        assert_eq!(confirmed(&larger, 8), ReceptiveField::whole([8; 2]));
        let wide = Sequential::new().push(ConvTranspose2d::new(1, 1, [1, 2]).stride([1, 2]));
        let field = confirmed(&wide, 6);
        assert_eq!((field.size, field.jump, field.start), ([1, 6], [1, 0], [0, 0]));
    }

    /// A branch that sees the whole image, joined with one that does not: together they see no more than the image.
    #[test]
    fn a_branch_that_sees_all_makes_the_union_all() {
        let conv = || Conv2d::new(1, 1, 3).padding(1);
        let normalised = Sequential::new()
            .push(conv())
            .push(Residual::new(Sequential::new().push(InstanceNorm2d::new(1))));
        assert_eq!(confirmed(&normalised, 9), ReceptiveField::whole([9; 2]));
        // Squeeze and excite: one mean for all places, computed by a window or by a reduction.
        let by_window = Apply(|x| x.adaptive_avg_pool2d(1)?.mul(x));
        let by_mean = Apply(|x| x.mean(&[2, 3], true)?.expand(&[1, 2, 7, 7])?.mul(x));
        for scale in [by_window, by_mean] {
            let net = Sequential::new().push(Conv2d::new(1, 2, 3)).push(scale);
            assert_eq!(confirmed(&net, 9), ReceptiveField::whole([9; 2]));
        }
    }

    /// A reduction over the channels of a pixel keeps the field. A reduction over rows does not.
    #[test]
    fn what_goes_over_channels_stays_in_place() {
        let over_channels: [fn(&Tensor) -> Result<Tensor>; 5] = [
            |x| x.softmax(1),
            |x| x.log_softmax(-3),
            |x| x.sum(&[1], false),
            |x| x.mean(&[0, 1], true),
            |x| Ok(x.max_dim(1, true)?.0),
        ];
        for f in over_channels {
            let net = Sequential::new().push(Conv2d::new(1, 4, 3).padding(1)).push(Apply(f));
            let field = confirmed(&net, 7);
            assert_eq!((field.size, field.jump, field.start), ([3, 3], [1, 1], [-1, -1]));
        }
        for f in [|x: &Tensor| x.softmax(2), |x: &Tensor| x.sum(&[1, 3], true)] {
            let net = Sequential::new().push(Conv2d::new(1, 4, 3).padding(1)).push(Apply(f));
            assert_eq!(confirmed(&net, 7), ReceptiveField::whole([7; 2]));
        }
    }

    /// Padding moves the first output up and left. Cropping moves it down and right. A slice with a step makes the jump
    /// longer.
    #[test]
    fn padding_and_slices_move_the_start() {
        let net = |f: fn(&Tensor) -> Result<Tensor>| Sequential::new().push(MaxPool2d::new(2)).push(Apply(f));
        let field = confirmed(&net(|x| x.pad(&[1, 2, -2, 0], PadMode::Constant(0.0))), 12);
        assert_eq!((field.size, field.jump, field.start), ([2, 2], [2, 2], [4, -2]));
        let field = confirmed(&net(|x| x.slice(2, Some(1), None, 2)?.narrow(3, 3, 2)), 12);
        assert_eq!((field.size, field.jump, field.start), ([2, 2], [4, 2], [2, 6]));
        let halves = net(|x| Tensor::cat(&[&x.narrow(3, 3, 3)?, &x.narrow(3, 0, 3)?], 3));
        assert_eq!(confirmed(&halves, 12), ReceptiveField::whole([12; 2]));
    }

    /// After a fully connected layer every output sees the whole image, and later layers cannot enlarge the field.
    #[test]
    fn a_linear_layer_sees_all() {
        let net = Sequential::new().push(crate::nn::Flatten).push(Linear::new(48, 5)).push(Linear::new(5, 2));
        assert_eq!(field(&net, [1, 1, 6, 8]).unwrap(), ReceptiveField::whole([6, 8]));
    }
}
