//! Two-dimensional convolution (cross-correlation, as everywhere in deep learning).
//!
//! Compared with lesson 0: stride, dilation, groups, padding by side, and a choice of loops, because the plain one is
//! slow.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{n,o,i,j} &= b_o + \sum_{c,k_h,k_w} x_{n,c,p,q} \, w_{o,c,k_h,k_w} \\
//! p &= i S_H - P_H + k_h D_H \\
//! q &= j S_W - P_W + k_w D_W
//! \end{aligned}
//! ```
//!
//! S is the stride, P the padding and D the dilation. x is zero where (p, q) lies in the padding.
//!
//! y is linear in x, in w and in b, so all gradients are sums over the same products. Take one product `x w` in the sum
//! of `y[n,o,i,j]`. It adds `dy[n,o,i,j] w` to dx at its x, and `dy[n,o,i,j] x` to dw at its w.
//!
//! ```math
//! \begin{aligned}
//! \mathrm{dx}_{n,c,p,q} &= \sum_{o,k_h,k_w} \mathrm{dy}_{n,o,i,j} \, w_{o,c,k_h,k_w}
//!   \quad \text{over the } (i,j) \text{ whose tap } (k_h,k_w) \text{ reads } (p,q) \\
//! \mathrm{dw}_{o,c,k_h,k_w} &= \sum_{n,i,j} \mathrm{dy}_{n,o,i,j} \, x_{n,c,p,q} \\
//! \mathrm{db}_o &= \sum_{n,i,j} \mathrm{dy}_{n,o,i,j}
//! \end{aligned}
//! ```
//!
//! **inf and NaN.** The zeros of the padding are multiplied like other numbers: `0 * inf` is NaN in y and in dw, as in
//! PyTorch. dx has terms only for the outputs that read the pixel. On the CPU an inf or a NaN reaches only the results
//! whose sum above contains it. Some of the faster implementations would spread it farther: they put zeros between
//! rows, or they add neighbouring pixels (Winograd), which may also overflow. Where that happens, another loop computes
//! the sums again. On a GPU this is not done, because a captured graph cannot branch on the data. There an inf or a NaN
//! in x, w or dy may reach more gradients of the same tile.
//!
//! G is the attribute `groups`. It splits the channels into G groups, each with a convolution of its own. For an output
//! channel o, c counts the `C / G` input channels of o's group. With `G = C` it is a depthwise convolution.
//!
//! PyTorch: `F.conv2d`. There are several implementations, from simple to fast. They are called the rungs of a ladder,
//! see [`crate::cpu::conv2d::ladder`].
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, H, W]` or `[C, H, W]` | |
//! | weight | `[O, C / G, KH, KW]` | |
//! | bias | `[O]` | optional |
//! | output | `[N, O, H', W']` or `[O, H', W']` | `H' = floor((H + 2 PH - DH (KH - 1) - 1) / SH) + 1` |
//!
//! A 2x2 kernel that computes the difference along the diagonal:
//!
//! ```
//! use receptive::ops::conv2d::Conv2dOptions;
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let image = Tensor::from_vec(&cpu, vec![1f32, 2.0, 4.0, 3.0, 5.0, 7.0, 6.0, 8.0, 9.0], &[1, 1, 3, 3])?;
//! let weight = Tensor::from_vec(&cpu, vec![1f32, 0.0, 0.0, -1.0], &[1, 1, 2, 2])?;
//! let y = image.conv2d(&weight, None, &Conv2dOptions::default())?;
//! assert_eq!(y.to_vec::<f32>()?, [-4.0, -5.0, -5.0, -4.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::loops::{ConvGrad, bias_gradient, flops, on_cpu, on_cuda};
use crate::core::{ConvShape, Error, Loop, Padding, Result, Shape, Window};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView};
use crate::ops::gradient::Gradient;
use crate::ops::images::{images, like_images};
use crate::ops::{Attrs, Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// Settings of a convolution, with PyTorch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Distance between neighbouring windows, `[vertical, horizontal]`.
    pub stride: [usize; 2],
    /// Zeros around the image.
    pub padding: Padding,
    /// Distance between the kernel's taps.
    pub dilation: [usize; 2],
    /// Number of independent convolutions that the channels are split into.
    pub groups: usize,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Conv2dOptions { stride: [1, 1], padding: Padding::Valid, dilation: [1, 1], groups: 1 }
    }
}

impl Conv2dOptions {
    /// Reads the settings from attributes in text form.
    ///
    /// # Errors
    /// Text of the wrong form.
    pub fn from_attrs(attrs: &Attrs) -> Result<Self> {
        let padding = match attrs.text("padding") {
            None | Some("valid") => Padding::Valid,
            Some("same") => Padding::Same,
            Some(_) => {
                let form = |e: Error| e.expected("same, valid, one number or two: h,w");
                Padding::Explicit(attrs.pair("padding").map_err(form)?.unwrap_or([0, 0]))
            }
        };
        Ok(Conv2dOptions {
            stride: attrs.pair("stride")?.unwrap_or([1, 1]),
            padding,
            dilation: attrs.pair("dilation")?.unwrap_or([1, 1]),
            groups: attrs.or("groups", 1)?,
        })
    }

    /// The window that slides over the image: the weight's kernel size with these settings.
    pub(super) fn window(&self, op: &str, weight: &Shape) -> Result<Window> {
        let &[_, _, kh, kw] = weight.dims() else {
            return Err(Error::shape(op, format!("weight has {} dimensions, not 4", weight.rank()))
                .with("weight", weight)
                .expected("[O, C / groups, KH, KW]"));
        };
        let (kernel, Self { stride, dilation, .. }) = ([kh, kw], *self);
        let padding = self.padding.resolve(op, kernel, stride, dilation)?;
        Ok(Window { kernel, stride, padding, dilation })
    }

    /// Checks all sizes and returns them.
    pub fn conv_shape(&self, op: &str, input: &Shape, weight: &Shape) -> Result<ConvShape> {
        let window = self.window(op, weight)?;
        window.check(op)?;
        let (&[n, c, h, w], groups) = (&images(op, input)?, self.groups);
        let (o, cg) = (weight.dims()[0], weight.dims()[1]);
        if groups == 0 || !c.is_multiple_of(groups) || !o.is_multiple_of(groups) {
            return Err(channels(
                op,
                input,
                weight,
                format!("groups = {groups} does not divide the channels"),
            )
            .expected(format!("a divisor of C = {c} and O = {o}")));
        }
        if c / groups != cg {
            let help = match (groups, window.kernel) {
                (1, [kh, kw]) if kh == kw => format!("Conv2d::new({c}, {o}, {kh})"),
                _ => format!("a weight of [{o}, {}, {}, {}]", c / groups, window.kernel[0], window.kernel[1]),
            };
            return Err(channels(op, input, weight, "input channels disagree with weight".into())
                .expected(format!("C/groups = {}", c / groups))
                .help(help));
        }
        let [oh, ow] = window.output(op, [h, w], false).map_err(|e| e.with("input", input.named(&IMAGE)))?;
        Ok(ConvShape { n, c, h, w, o, oh, ow, groups, window })
    }
}

const IMAGE: [&str; 4] = ["N", "C", "H", "W"];

fn channels(op: &str, input: &Shape, weight: &Shape, what: String) -> Error {
    Error::shape(op, what)
        .with("input", input.named(&IMAGE))
        .with("weight", weight.named(&["O", "C/groups", "KH", "KW"]))
}

/// `F.conv2d` from `(input, weight)` or `(input, weight, bias)`.
#[derive(Debug)]
pub struct Conv2d(pub Conv2dOptions);

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let g = self.0.conv_shape(self.name(), &x[0].shape, &x[1].shape)?;
        if let Some(bias) = x.get(2)
            && bias.dims() != [g.o]
        {
            return Err(Error::shape(self.name(), "bias disagrees with weight")
                .with("bias", bias.shape)
                .with("weight", x[1].shape.named(&["O", "C/groups", "KH", "KW"]))
                .expected(format!("[{}]", g.o)));
        }
        Ok(Plan::new(like_images(&x[0].shape, [g.n, g.o, g.oh, g.ow])?, dtype).with_conv_shape(g))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }

    fn cpu(&self, cx: &CpuCtx, plan: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        on_cpu(self.name(), cx, plan.conv_shape(), Loop::Forward, x, false, &mut y[0])
    }

    fn cuda(&self, cx: &CudaCtx, plan: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        on_cuda(cx, plan.conv_shape(), Loop::Forward, x, false, &y[0])
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let mut grads: Grads = smallvec![None; saved.len()];
        let [input, weight] = [saved.meta(0).shape, saved.meta(1).shape];
        let g = self.0.conv_shape(self.name(), &input, &weight)?;
        let grad = |name, which, gradient| ConvGrad {
            name,
            g,
            which,
            dy: 0,
            output: [g.n, g.o, g.oh, g.ow],
            gradient,
        };
        if needs[0] {
            let op = grad("conv2d_grad_input", Loop::GradInput, input);
            grads[0] = Some(Gradient::of(op, &[dy, &saved.input(1)])?);
        }
        if needs[1] {
            let op = grad("conv2d_grad_weight", Loop::GradWeight, weight);
            grads[1] = Some(Gradient::of(op, &[dy, &saved.input(0)])?);
        }
        if needs.get(2) == Some(&true) {
            grads[2] = Some(bias_gradient(dy, g.o)?);
        }
        Ok(grads)
    }

    fn flops(&self, x: &[Meta], y: &[Meta]) -> u64 {
        let bias = if x.len() == 3 { y[0].numel() } else { 0 };
        self.0.conv_shape(self.name(), &x[0].shape, &x[1].shape).map_or(0, |g| flops(&g)) + bias as u64
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        self.0.window(self.name(), &x[1].shape).map_or(Dependence::Global, Dependence::Window)
    }
}

impl Tensor {
    /// Convolution of `[N, C, H, W]` or `[C, H, W]` with a weight `[O, C / groups, KH, KW]` and a bias `[O]`. PyTorch:
    /// `F.conv2d`.
    ///
    /// # Errors
    /// Shapes that disagree, a kernel larger than the padded input, zero stride or dilation, groups that do not divide
    /// the channels, `same` with a stride, a dtype other than f32 and f64.
    pub fn conv2d(&self, weight: &Tensor, bias: Option<&Tensor>, options: &Conv2dOptions) -> Result<Tensor> {
        Ok(one(match bias {
            Some(bias) => apply(Conv2d(*options), &[self, weight, bias])?,
            None => apply(Conv2d(*options), &[self, weight])?,
        }))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "conv2d",
    torch: "F.conv2d(input, weight, bias, stride, padding, dilation, groups)",
    inputs: &[Input::new("input"), Input::new("weight"), Input::new("bias").optional()],
    outputs: &["output"],
    attrs: &["stride", "padding", "dilation", "groups"],
    layer: None,
    build: |attrs| Ok(Arc::new(Conv2d(Conv2dOptions::from_attrs(attrs)?))),
    cases,
};

fn cases() -> Vec<Case> {
    let case = |label, attrs, input: &[usize], weight: [usize; 4]| {
        Case::new(label, attrs).input("input", input).input("weight", &weight).input("bias", &weight[..1])
    };
    let bench = |label, attrs, input: [usize; 4], weight| case(label, attrs, &input, weight).bench();
    vec![
        case("plain", "", &[2, 3, 6, 5], [4, 3, 3, 3]),
        Case::new("no bias", "").input("input", &[2, 2, 5, 4]).input("weight", &[3, 2, 2, 3]),
        case("asymmetric", "stride=2,1 padding=1,2 dilation=1,2", &[2, 2, 7, 6], [3, 2, 3, 2]),
        case("stride beyond kernel", "stride=3,4", &[2, 2, 8, 9], [2, 2, 2, 3]),
        case("dilation", "dilation=2,3 padding=2", &[1, 2, 6, 7], [2, 2, 3, 2]),
        case("same", "padding=same", &[2, 2, 5, 4], [3, 2, 4, 2]),
        case("same dilated", "padding=same dilation=2,1", &[1, 2, 5, 6], [2, 2, 2, 3]),
        case("valid", "padding=valid stride=2", &[2, 1, 5, 5], [2, 1, 3, 3]),
        case("groups", "groups=2 padding=1", &[2, 4, 5, 4], [6, 2, 3, 3]),
        case("depthwise", "groups=3 stride=2 padding=1", &[2, 3, 6, 5], [6, 1, 3, 3]),
        case("pointwise", "", &[2, 5, 4, 3], [3, 5, 1, 1]),
        case("pointwise, wide", "groups=2", &[2, 4, 9, 8], [2, 2, 1, 1]),
        case("pointwise, strided", "stride=2,3", &[2, 3, 5, 7], [2, 3, 1, 1]),
        case("wide padding", "padding=3,4", &[1, 1, 2, 2], [2, 1, 2, 3]),
        case("large planes", "padding=1", &[3, 1, 9, 11], [2, 1, 3, 3]),
        case("one image", "padding=1", &[3, 5, 4], [2, 3, 3, 3]).edge(),
        case("kernel as large as image", "", &[2, 3, 4, 5], [2, 3, 4, 5]).edge(),
        case("1x1 image", "", &[3, 4, 1, 1], [2, 4, 1, 1]).edge(),
        case("empty batch", "padding=1", &[0, 3, 4, 4], [2, 3, 3, 3]).edge(),
        bench("lenet5 conv1", "padding=2", [64, 1, 28, 28], [6, 1, 5, 5]),
        bench("lenet5 conv2", "", [64, 6, 14, 14], [16, 6, 5, 5]),
        bench("minivgg conv1", "", [64, 1, 28, 28], [16, 1, 3, 3]),
        bench("minivgg conv2", "", [64, 16, 26, 26], [16, 16, 3, 3]),
        bench("minivgg conv3", "", [64, 16, 12, 12], [32, 16, 3, 3]),
        bench("minivgg conv4", "", [64, 32, 10, 10], [32, 32, 3, 3]),
        bench("resnet18 layer1", "padding=1", [16, 64, 24, 24], [64, 64, 3, 3]),
        bench("resnet18 downsample", "stride=2", [16, 64, 24, 24], [128, 64, 1, 1]),
        bench("vgg one image", "padding=1", [1, 64, 112, 112], [128, 64, 3, 3]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;
    use crate::{DType, ErrorKind};

    fn refused(input: &[usize], weight: &[usize], options: &Conv2dOptions) -> Error {
        let meta = Device::meta();
        let zeros = |dims: &[usize]| Tensor::zeros(&meta, dims, DType::F32).unwrap();
        zeros(input).conv2d(&zeros(weight), None, options).unwrap_err()
    }

    #[test]
    fn disagreeing_channels_name_the_layer_to_write() {
        let error = refused(&[64, 3, 32, 32], &[16, 1, 5, 5], &Conv2dOptions::default());
        assert_eq!(
            error.to_string(),
            "conv2d: input channels disagree with weight\n  \
             input [N=64, C=3, H=32, W=32]   weight [O=16, C/groups=1, KH=5, KW=5]\n  \
             expected C/groups = 3\n  help: Conv2d::new(3, 16, 5)"
        );
    }

    #[test]
    fn impossible_settings_are_typed_errors() {
        let default = Conv2dOptions::default();
        let image = [1, 4, 5, 5];
        for (kind, input, weight, options) in [
            (ErrorKind::Shape, &image[..], &[2, 4, 6, 3][..], default),
            (ErrorKind::Shape, &image, &[2, 4, 3], default),
            (ErrorKind::Shape, &image[..2], &[2, 4, 3, 3], default),
            (ErrorKind::Shape, &image, &[3, 2, 3, 3], Conv2dOptions { groups: 2, ..default }),
            (ErrorKind::Shape, &image, &[3, 4, 3, 3], Conv2dOptions { groups: 0, ..default }),
            (ErrorKind::Argument, &image, &[2, 4, 0, 3], default),
            (ErrorKind::Argument, &image, &[2, 4, 3, 3], Conv2dOptions { stride: [1, 0], ..default }),
            (
                ErrorKind::Argument,
                &image,
                &[2, 4, 3, 3],
                Conv2dOptions { dilation: [usize::MAX; 2], ..default },
            ),
            (
                ErrorKind::Argument,
                &image,
                &[2, 4, 3, 3],
                Conv2dOptions { padding: Padding::Same, stride: [2, 1], ..default },
            ),
        ] {
            assert_eq!(refused(input, weight, &options).kind(), kind, "{input:?} {weight:?} {options:?}");
        }
    }
}
