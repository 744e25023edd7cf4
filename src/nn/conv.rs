//! The convolutional layer.

use super::{BeforeRelu, Ctx, Fusion, Init, Module, Pair, Param, Visitor};
use crate::core::Result;
use crate::core::window::Padding;
use crate::ops::conv2d::Conv2dOptions;
use crate::tensor::Tensor;

/// A 2-d convolution. `weight [O, C / groups, KH, KW]`, `bias [O]`. PyTorch: `nn.Conv2d`.
///
/// ```
/// use receptive::nn::{Conv2d, Module};
/// let conv = Conv2d::new(3, 16, [5, 3]).stride(2).padding([2, 1]).no_bias();
/// assert_eq!(conv.describe(), "Conv2d(3, 16, kernel_size=(5, 3), stride=2, padding=(2, 1), bias=False)");
/// ```
#[derive(Debug)]
pub struct Conv2d {
    weight: Param,
    bias: Option<Param>,
    options: Conv2dOptions,
    in_channels: usize,
}

impl Conv2d {
    /// A layer with stride 1, no padding, a bias and PyTorch's default initialisation.
    pub fn new(in_channels: usize, out_channels: usize, kernel: impl Into<Pair>) -> Conv2d {
        Self::build(in_channels, out_channels, kernel.into().0, Conv2dOptions::default())
    }

    fn build(
        in_channels: usize,
        out_channels: usize,
        [kh, kw]: [usize; 2],
        options: Conv2dOptions,
    ) -> Conv2d {
        // If the groups do not divide the channels, the op returns the error: it knows the shapes.
        let per_group = in_channels / options.groups.max(1);
        let init = Init::fan_in(per_group * kh * kw);
        let weight = Param::new(&[out_channels, per_group, kh, kw], init);
        Conv2d { weight, bias: Some(Param::new(&[out_channels], init)), options, in_channels }
    }

    /// Rows and columns by which the window moves.
    pub fn stride(mut self, stride: impl Into<Pair>) -> Conv2d {
        self.options.stride = stride.into().0;
        self
    }

    /// Rows and columns of zeros around the image.
    pub fn padding(mut self, padding: impl Into<Pair>) -> Conv2d {
        self.options.padding = Padding::Explicit(padding.into().0);
        self
    }

    /// Padding that keeps the image's size. The stride must be 1.
    pub fn same(mut self) -> Conv2d {
        self.options.padding = Padding::Same;
        self
    }

    /// Distance between the kernel's taps.
    pub fn dilation(mut self, dilation: impl Into<Pair>) -> Conv2d {
        self.options.dilation = dilation.into().0;
        self
    }

    /// Independent groups of channels; `groups = in_channels` is a depthwise convolution.
    pub fn groups(self, groups: usize) -> Conv2d {
        // The weight's shape and fan-in depend on the groups, so a new layer is built.
        let [out, kernel] = self.out_and_kernel();
        let grouped = Self::build(self.in_channels, out[0], kernel, Conv2dOptions { groups, ..self.options });
        if self.bias.is_some() { grouped } else { grouped.no_bias() }
    }

    /// The same layer without a bias.
    pub fn no_bias(self) -> Conv2d {
        Conv2d { bias: None, ..self }
    }

    /// Weight and bias for this forward pass.
    fn values(&self, cx: &Ctx) -> Result<(Tensor, Option<Tensor>)> {
        Ok((cx.value(&self.weight)?, self.bias.as_ref().map(|b| cx.value(b)).transpose()?))
    }

    fn out_and_kernel(&self) -> [[usize; 2]; 2] {
        let d = self.weight.dims();
        [[d[0], d[1]], [d[2], d[3]]]
    }
}

impl BeforeRelu for Conv2d {
    fn forward_relu(&self, cx: &Ctx, x: &Tensor, _residual: Option<&Tensor>) -> Result<Tensor> {
        let (weight, bias) = self.values(cx)?;
        x.conv2d_relu(&weight, bias.as_ref(), &self.options)
    }

    fn takes_residual(&self, _x: &Tensor, _residual: &Tensor) -> bool {
        false
    }
}

impl Module for Conv2d {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = self.values(cx)?;
        x.conv2d(&weight, bias.as_ref(), &self.options)
    }

    fn fusion(&self) -> Fusion<'_> {
        Fusion::BeforeRelu(self)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        visitor.param("weight", &self.weight);
        if let Some(bias) = &self.bias {
            visitor.param("bias", bias);
        }
    }

    fn kind(&self) -> &'static str {
        "Conv2d"
    }

    fn describe(&self) -> String {
        let [[out, _], kernel] = self.out_and_kernel();
        let o = &self.options;
        let padding = match o.padding {
            Padding::Explicit(padding) => Pair(padding).to_string(),
            Padding::Same => "same".into(),
            Padding::Valid => "0".into(),
        };
        let settings = [
            ("stride", Pair(o.stride).to_string(), "1"),
            ("padding", padding, "0"),
            ("dilation", Pair(o.dilation).to_string(), "1"),
            ("groups", o.groups.to_string(), "1"),
            ("bias", if self.bias.is_some() { "True" } else { "False" }.into(), "True"),
        ];
        let changed = changed(&settings);
        format!("Conv2d({}, {out}, kernel_size={}{changed})", self.in_channels, Pair(kernel))
    }
}

/// The settings that differ from their default, as PyTorch prints them: `, stride=2, bias=False`. Each setting is
/// (name, value, default).
pub(super) fn changed(settings: &[(&str, String, &str)]) -> String {
    let changed = settings.iter().filter(|(_, value, default)| value != default);
    changed.map(|(name, value, _)| format!(", {name}={value}")).collect()
}
