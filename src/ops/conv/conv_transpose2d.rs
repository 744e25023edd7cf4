//! Transposed two-dimensional convolution: the adjoint of [`conv2d`](super::conv2d). Networks use it to enlarge an
//! image.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! A convolution gathers a window of inputs into one output. This one scatters each input over a window of outputs:
//!
//! ```math
//! \begin{aligned}
//! y_{n,o,p,q} &= b_o + \sum_{c,k_h,k_w} x_{n,c,i,j} \, w_{c,o,k_h,k_w} \quad \text{over the } (i,j) \text{ with} \\
//! p &= i S_H - P_H + k_h D_H \\
//! q &= j S_W - P_W + k_w D_W
//! \end{aligned}
//! ```
//!
//! S is the stride, P the padding, D the dilation and G the attribute `groups`. Take the convolution with the same
//! weight that has y as its input and x as its output. Its products are the same, and the sum above is the gradient of
//! its input. So this op needs no loop of its own. Write `conv(a, w)` for that convolution and leave out b:
//!
//! ```math
//! \begin{aligned}
//! y &= \text{conv's dx, given } x \text{ for its dy:} \quad
//!   \langle a, y \rangle = \langle \operatorname{conv}(a, w), x \rangle \text{ for every } a \\
//! \mathrm{dx} &= \operatorname{conv}(\mathrm{dy}, w) \quad \text{each } x \text{ went to the window that conv gathers} \\
//! \mathrm{dw} &= \text{conv's dw, given } x \text{ for its dy and } \mathrm{dy} \text{ for its input} \\
//! \mathrm{db}_o &= \sum_{n,p,q} \mathrm{dy}_{n,o,p,q}
//! \end{aligned}
//! ```
//!
//! A convolution with a stride rounds its output size down, so several sizes of y give the same size of x.
//! `output_padding` chooses among them: it adds rows and columns at the end of y. `padding` adds rows and columns to a
//! convolution's input; here it cuts the same ones off the output. PyTorch: `F.conv_transpose2d`. There are several
//! implementations, the rungs of a ladder: [`crate::cpu::conv2d::ladder`].
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, H, W]` or `[C, H, W]` | |
//! | weight | `[C, O / G, KH, KW]` | a convolution's weight from O to C channels |
//! | bias | `[O]` | optional |
//! | output | `[N, O, H', W']` or `[O, H', W']` | `H' = (H - 1) SH - 2 PH + DH (KH - 1) + output_padding + 1` |
//!
//! U-Net's upsampling, kernel 2 and stride 2, writes every pixel as a 2x2 block:
//!
//! ```
//! use receptive::ops::conv_transpose2d::ConvTranspose2dOptions;
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let image = Tensor::from_vec(&cpu, vec![1f32, 10.0], &[1, 1, 1, 2])?;
//! let weight = Tensor::from_vec(&cpu, vec![1f32, 2.0, 3.0, 4.0], &[1, 1, 2, 2])?;
//! let options = ConvTranspose2dOptions { stride: [2, 2], ..Default::default() };
//! let y = image.conv_transpose2d(&weight, None, &options)?;
//! assert_eq!(y.to_vec::<f32>()?, [1.0, 2.0, 10.0, 20.0, 3.0, 4.0, 30.0, 40.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::loops::{ConvGrad, bias_gradient, flops, on_cpu, on_cuda};
use crate::core::{ConvShape, Error, Loop, Result, Shape, Window};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView};
use crate::ops::gradient::Gradient;
use crate::ops::images::{images, like_images};
use crate::ops::{Attrs, Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// Settings of a transposed convolution, with PyTorch's names and defaults. Pairs are `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTranspose2dOptions {
    /// Distance between the output windows of neighbouring inputs.
    pub stride: [usize; 2],
    /// Rows and columns cut off the output on every side.
    pub padding: [usize; 2],
    /// Extra rows and columns at the end of the output; fewer than the stride or the dilation.
    pub output_padding: [usize; 2],
    /// Distance between the kernel's taps.
    pub dilation: [usize; 2],
    /// Number of independent convolutions that the channels are split into.
    pub groups: usize,
}

impl Default for ConvTranspose2dOptions {
    fn default() -> Self {
        let (stride, dilation) = ([1, 1], [1, 1]);
        ConvTranspose2dOptions { stride, padding: [0, 0], output_padding: [0, 0], dilation, groups: 1 }
    }
}

impl ConvTranspose2dOptions {
    /// Reads the settings from attributes in text form.
    ///
    /// # Errors
    /// Text of the wrong form.
    pub fn from_attrs(attrs: &Attrs) -> Result<Self> {
        let default = Self::default();
        Ok(ConvTranspose2dOptions {
            stride: attrs.pair("stride")?.unwrap_or(default.stride),
            padding: attrs.pair("padding")?.unwrap_or(default.padding),
            output_padding: attrs.pair("output_padding")?.unwrap_or(default.output_padding),
            dilation: attrs.pair("dilation")?.unwrap_or(default.dilation),
            groups: attrs.or("groups", default.groups)?,
        })
    }

    fn window(&self, op: &str, weight: &Shape) -> Result<Window> {
        let &[_, _, kh, kw] = weight.dims() else {
            return Err(Error::shape(op, format!("weight has {} dimensions, not 4", weight.rank()))
                .with("weight", weight)
                .expected("[C, O / groups, KH, KW]"));
        };
        let Self { stride, padding, dilation, .. } = *self;
        Ok(Window { kernel: [kh, kw], stride, padding: padding.map(|p| [p; 2]), dilation })
    }

    /// Checks all sizes and returns those of the adjoint convolution, whose input is our output.
    pub fn conv_shape(&self, op: &str, input: &Shape, weight: &Shape) -> Result<ConvShape> {
        let window = self.window(op, weight)?;
        let ([n, c, h, w], groups) = (images(op, input)?, self.groups);
        let shapes = |error: Error| {
            error
                .with("input", input.named(&["N", "C", "H", "W"]))
                .with("weight", weight.named(&["C", "O/groups", "KH", "KW"]))
        };
        if groups == 0 || !c.is_multiple_of(groups) {
            let what = format!("groups = {groups} does not divide the channels");
            return Err(shapes(Error::shape(op, what)).expected(format!("a divisor of C = {c}")));
        }
        if weight.dims()[0] != c {
            return Err(shapes(Error::shape(op, "input channels disagree with weight"))
                .expected(format!("a weight of [{c}, ...]"))
                .help("a transposed weight has the input's channels in front: [C, O / groups, KH, KW]"));
        }
        let [oh, ow] = window.transposed_output(op, [h, w], self.output_padding).map_err(shapes)?;
        let o = weight.dims()[1].checked_mul(groups).ok_or_else(|| shapes(Error::shape(op, "too large")))?;
        Ok(ConvShape { n, c: o, h: oh, w: ow, o: c, oh: h, ow: w, groups, window })
    }
}

/// `F.conv_transpose2d` from `(input, weight)` or `(input, weight, bias)`.
#[derive(Debug)]
pub struct ConvTranspose2d(pub ConvTranspose2dOptions);

impl Op for ConvTranspose2d {
    fn name(&self) -> &'static str {
        "conv_transpose2d"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let g = self.0.conv_shape(self.name(), &x[0].shape, &x[1].shape)?;
        if let Some(bias) = x.get(2)
            && bias.dims() != [g.c]
        {
            return Err(Error::shape(self.name(), "bias disagrees with weight")
                .with("bias", bias.shape)
                .with("weight", x[1].shape.named(&["C", "O/groups", "KH", "KW"]))
                .expected(format!("[{}]", g.c)));
        }
        Ok(Plan::new(like_images(&x[0].shape, [g.n, g.c, g.h, g.w])?, dtype).with_conv_shape(g))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }

    fn cpu(&self, cx: &CpuCtx, plan: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        on_cpu(self.name(), cx, plan.conv_shape(), Loop::GradInput, x, false, &mut y[0])
    }

    fn cuda(&self, cx: &CudaCtx, plan: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        on_cuda(cx, plan.conv_shape(), Loop::GradInput, x, false, &y[0])
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let mut grads: Grads = smallvec![None; saved.len()];
        let [input, weight] = [saved.meta(0).shape, saved.meta(1).shape];
        let g = self.0.conv_shape(self.name(), &input, &weight)?;
        let output = [g.n, g.c, g.h, g.w];
        if needs[0] {
            let name = "conv_transpose2d_grad_input";
            let op = ConvGrad { name, g, which: Loop::Forward, dy: 0, output, gradient: input };
            grads[0] = Some(Gradient::of(op, &[dy, &saved.input(1)])?);
        }
        if needs[1] {
            let name = "conv_transpose2d_grad_weight";
            let op = ConvGrad { name, g, which: Loop::GradWeight, dy: 1, output, gradient: weight };
            grads[1] = Some(Gradient::of(op, &[&saved.input(0), dy])?);
        }
        if needs.get(2) == Some(&true) {
            grads[2] = Some(bias_gradient(dy, g.c)?);
        }
        Ok(grads)
    }

    fn flops(&self, x: &[Meta], y: &[Meta]) -> u64 {
        let bias = if x.len() == 3 { y[0].numel() } else { 0 };
        self.0.conv_shape(self.name(), &x[0].shape, &x[1].shape).map_or(0, |g| flops(&g)) + bias as u64
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        self.0.window(self.name(), &x[1].shape).map_or(Dependence::Global, Dependence::Transposed)
    }
}

impl Tensor {
    /// Transposed convolution of `[N, C, H, W]` or `[C, H, W]` with a weight `[C, O / groups, KH, KW]` and a bias
    /// `[O]`. PyTorch: `F.conv_transpose2d`.
    ///
    /// # Errors
    /// Shapes that disagree, padding that cuts everything off, zero stride or dilation, output padding that is not
    /// smaller than the stride or the dilation, groups that do not divide the channels, a dtype other than f32 and f64.
    pub fn conv_transpose2d(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &ConvTranspose2dOptions,
    ) -> Result<Tensor> {
        Ok(one(match bias {
            Some(bias) => apply(ConvTranspose2d(*options), &[self, weight, bias])?,
            None => apply(ConvTranspose2d(*options), &[self, weight])?,
        }))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "conv_transpose2d",
    torch: "F.conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)",
    inputs: &[Input::new("input"), Input::new("weight"), Input::new("bias").optional()],
    outputs: &["output"],
    attrs: &["stride", "padding", "output_padding", "groups", "dilation"],
    layer: None,
    build: |attrs| Ok(Arc::new(ConvTranspose2d(ConvTranspose2dOptions::from_attrs(attrs)?))),
    cases,
};

fn cases() -> Vec<Case> {
    let no_bias = |label, attrs, input: &[usize], weight: [usize; 4]| {
        Case::new(label, attrs).input("input", input).input("weight", &weight)
    };
    let case = |label, attrs, input: &[usize], weight: [usize; 4]| {
        let case = no_bias(label, attrs, input, weight);
        let groups = case.attrs.get("groups").map_or(1, |g| g.parse().expect("groups is a number"));
        case.input("bias", &[weight[1] * groups])
    };
    let bench = |label, attrs, input: [usize; 4], weight| case(label, attrs, &input, weight).bench();
    vec![
        case("plain", "", &[2, 3, 4, 5], [3, 4, 3, 3]),
        no_bias("no bias", "", &[2, 2, 3, 4], [2, 3, 2, 3]),
        case("u-net", "stride=2", &[2, 3, 3, 4], [3, 2, 2, 2]),
        case("overlap", "stride=2 padding=1", &[2, 2, 4, 3], [2, 3, 3, 4]),
        case("gaps", "stride=3,4", &[1, 2, 3, 2], [2, 2, 2, 3]),
        case("output_padding", "stride=2,3 padding=1 output_padding=1,2", &[2, 2, 3, 4], [2, 2, 3, 3]),
        case(
            "output_padding in the dilation",
            "dilation=3,2 output_padding=2,1",
            &[1, 2, 3, 4],
            [2, 2, 2, 3],
        ),
        case(
            "asymmetric",
            "stride=2,1 padding=1,2 dilation=1,2 output_padding=1",
            &[2, 2, 4, 5],
            [2, 3, 3, 2],
        ),
        case("groups", "groups=2 padding=1", &[2, 4, 4, 3], [4, 3, 3, 3]),
        case("depthwise", "groups=3 stride=2 padding=1 output_padding=1", &[2, 3, 3, 4], [3, 2, 3, 3]),
        case("pointwise", "", &[2, 4, 3, 4], [4, 3, 1, 1]),
        case("pointwise, wide", "groups=2", &[2, 4, 9, 8], [4, 2, 1, 1]),
        case("padding beyond the kernel", "padding=2,1", &[1, 2, 6, 4], [2, 2, 1, 2]),
        case("large planes", "stride=2", &[3, 2, 9, 11], [2, 1, 2, 2]),
        case("one image", "stride=2 padding=1", &[3, 4, 3], [3, 2, 4, 4]).edge(),
        case("1x1 image", "", &[3, 4, 1, 1], [4, 2, 2, 3]).edge(),
        case("padding leaves one pixel", "padding=1", &[2, 2, 1, 1], [2, 3, 3, 3]).edge(),
        case("empty batch", "stride=2", &[0, 3, 4, 4], [3, 2, 2, 2]).edge(),
        bench("unet upconv1", "stride=2", [4, 128, 32, 32], [128, 64, 2, 2]),
        bench("unet upconv4", "stride=2", [4, 512, 8, 8], [512, 256, 2, 2]),
        bench("dcgan", "stride=2 padding=1", [16, 128, 8, 8], [128, 64, 4, 4]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;
    use crate::{DType, ErrorKind};

    fn refused(input: &[usize], weight: &[usize], options: ConvTranspose2dOptions) -> Error {
        let meta = Device::meta();
        let zeros = |dims: &[usize]| Tensor::zeros(&meta, dims, DType::F32).unwrap();
        zeros(input).conv_transpose2d(&zeros(weight), None, &options).unwrap_err()
    }

    #[test]
    fn padding_that_cuts_everything_says_so() {
        let options = ConvTranspose2dOptions { padding: [1, 0], ..Default::default() };
        let error = refused(&[1, 2, 1, 3], &[2, 3, 2, 2], options);
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(error.to_string().contains("the padding removes the whole output"), "{error}");
    }

    #[test]
    fn impossible_settings_are_typed_errors() {
        let default = ConvTranspose2dOptions::default();
        let (image, kernel) = (&[1, 4, 5, 5][..], &[4, 2, 3, 3][..]);
        for (kind, input, weight, options) in [
            (ErrorKind::Shape, image, &[2, 4, 3, 3][..], default),
            (ErrorKind::Shape, image, &[4, 2, 3], default),
            (ErrorKind::Shape, &image[..2], kernel, default),
            (ErrorKind::Shape, &[1, 4, 0, 5], kernel, default),
            (ErrorKind::Shape, image, kernel, ConvTranspose2dOptions { groups: 3, ..default }),
            (ErrorKind::Shape, image, kernel, ConvTranspose2dOptions { groups: 0, ..default }),
            (ErrorKind::Argument, image, &[4, 2, 0, 3], default),
            (ErrorKind::Argument, image, kernel, ConvTranspose2dOptions { stride: [1, 0], ..default }),
            (
                ErrorKind::Argument,
                image,
                kernel,
                ConvTranspose2dOptions { dilation: [usize::MAX; 2], ..default },
            ),
            (
                ErrorKind::Argument,
                image,
                kernel,
                ConvTranspose2dOptions { output_padding: [0, 1], ..default },
            ),
        ] {
            assert_eq!(refused(input, weight, options).kind(), kind, "{input:?} {weight:?} {options:?}");
        }
    }
}
