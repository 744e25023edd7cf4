//! The transposed convolutional layer.

use super::conv::changed;
use super::{Ctx, Init, Module, Pair, Param, Visitor};
use crate::core::Result;
use crate::ops::conv_transpose2d::ConvTranspose2dOptions;
use crate::tensor::Tensor;

/// A 2-d transposed convolution. `weight [C, O / groups, KH, KW]`, `bias [O]`. PyTorch: `nn.ConvTranspose2d`.
///
/// ```
/// use receptive::nn::{ConvTranspose2d, Module};
/// let up = ConvTranspose2d::new(64, 32, 2).stride(2).no_bias();
/// assert_eq!(up.describe(), "ConvTranspose2d(64, 32, kernel_size=2, stride=2, bias=False)");
/// ```
#[derive(Debug)]
pub struct ConvTranspose2d {
    weight: Param,
    bias: Option<Param>,
    options: ConvTranspose2dOptions,
    out_channels: usize,
}

impl ConvTranspose2d {
    /// A layer with stride 1, no padding, a bias and PyTorch's default initialisation.
    pub fn new(in_channels: usize, out_channels: usize, kernel: impl Into<Pair>) -> ConvTranspose2d {
        Self::build(in_channels, out_channels, kernel.into().0, ConvTranspose2dOptions::default())
    }

    fn build(
        in_channels: usize,
        out_channels: usize,
        [kh, kw]: [usize; 2],
        options: ConvTranspose2dOptions,
    ) -> ConvTranspose2d {
        // If the groups do not divide the channels, the op returns the error: it knows the shapes.
        let per_group = out_channels / options.groups.max(1);
        // As PyTorch, take the fan-in from the weight's second dimension. For this layer it counts outputs, not inputs.
        let init = Init::fan_in(per_group * kh * kw);
        let weight = Param::new(&[in_channels, per_group, kh, kw], init);
        ConvTranspose2d { weight, bias: Some(Param::new(&[out_channels], init)), options, out_channels }
    }

    /// Rows and columns between the windows of neighbouring inputs.
    pub fn stride(mut self, stride: impl Into<Pair>) -> ConvTranspose2d {
        self.options.stride = stride.into().0;
        self
    }

    /// Rows and columns removed from every side of the output.
    pub fn padding(mut self, padding: impl Into<Pair>) -> ConvTranspose2d {
        self.options.padding = padding.into().0;
        self
    }

    /// Rows and columns added at the end of the output.
    pub fn output_padding(mut self, output_padding: impl Into<Pair>) -> ConvTranspose2d {
        self.options.output_padding = output_padding.into().0;
        self
    }

    /// Distance between the kernel's taps.
    pub fn dilation(mut self, dilation: impl Into<Pair>) -> ConvTranspose2d {
        self.options.dilation = dilation.into().0;
        self
    }

    /// Independent groups of channels.
    pub fn groups(self, groups: usize) -> ConvTranspose2d {
        // The weight's shape and fan-in depend on the groups, so a new layer is built.
        let [input, kernel] = self.input_and_kernel();
        let options = ConvTranspose2dOptions { groups, ..self.options };
        let grouped = Self::build(input[0], self.out_channels, kernel, options);
        if self.bias.is_some() { grouped } else { grouped.no_bias() }
    }

    /// The same layer without a bias.
    pub fn no_bias(self) -> ConvTranspose2d {
        ConvTranspose2d { bias: None, ..self }
    }

    fn input_and_kernel(&self) -> [[usize; 2]; 2] {
        let d = self.weight.dims();
        [[d[0], d[1]], [d[2], d[3]]]
    }
}

impl Module for ConvTranspose2d {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        let bias = self.bias.as_ref().map(|b| cx.value(b)).transpose()?;
        x.conv_transpose2d(&cx.value(&self.weight)?, bias.as_ref(), &self.options)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        visitor.param("weight", &self.weight);
        if let Some(bias) = &self.bias {
            visitor.param("bias", bias);
        }
    }

    fn kind(&self) -> &'static str {
        "ConvTranspose2d"
    }

    fn describe(&self) -> String {
        let [[input, _], kernel] = self.input_and_kernel();
        let o = &self.options;
        let changed = changed(&[
            ("stride", Pair(o.stride).to_string(), "1"),
            ("padding", Pair(o.padding).to_string(), "0"),
            ("dilation", Pair(o.dilation).to_string(), "1"),
            ("output_padding", Pair(o.output_padding).to_string(), "0"),
            ("groups", o.groups.to_string(), "1"),
            ("bias", if self.bias.is_some() { "True" } else { "False" }.into(), "True"),
        ]);
        format!("ConvTranspose2d({input}, {}, kernel_size={}{changed})", self.out_channels, Pair(kernel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ModuleExt;
    use crate::{DType, Device};

    /// The default initialisation of `nn.ConvTranspose2d(2, 6, 5)` has the bound `1 / sqrt(6 * 25)`, not
    /// `1 / sqrt(2 * 25)`.
    #[test]
    fn fan_in_is_that_of_the_weights_second_dimension() {
        let layer = ConvTranspose2d::new(2, 6, 5);
        layer.init(&Device::cpu().unwrap(), DType::F64, 0).unwrap();
        for param in [&layer.weight, layer.bias.as_ref().unwrap()] {
            let values = param.value().unwrap().to_f64().unwrap();
            let largest = values.iter().fold(0f64, |a, b| a.max(b.abs()));
            assert!((0.05..0.0817).contains(&largest), "{largest}");
        }
    }

    #[test]
    fn groups_keep_the_other_settings() {
        let layer = ConvTranspose2d::new(4, 6, [2, 3]).stride(2).output_padding([1, 0]).no_bias().groups(2);
        assert_eq!(layer.weight.dims(), [4, 3, 2, 3]);
        let text = "ConvTranspose2d(4, 6, kernel_size=(2, 3), stride=2, output_padding=(1, 0), groups=2, bias=False)";
        assert_eq!(layer.describe(), text);
    }
}
