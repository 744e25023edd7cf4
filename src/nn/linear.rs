//! The fully connected layer.

use super::{BeforeRelu, Ctx, Fusion, Init, Module, Param, Visitor};
use crate::core::{Error, Result};
use crate::tensor::Tensor;

/// `y = x W^T + b` on the last dimension. `weight [out, in]`, `bias [out]`. PyTorch: `nn.Linear`.
#[derive(Debug)]
pub struct Linear {
    weight: Param,
    bias: Option<Param>,
}

impl Linear {
    /// A layer with a bias and PyTorch's default initialisation.
    pub fn new(in_features: usize, out_features: usize) -> Linear {
        let init = Init::fan_in(in_features);
        let weight = Param::new(&[out_features, in_features], init);
        Linear { weight, bias: Some(Param::new(&[out_features], init)) }
    }

    /// The same layer without a bias.
    pub fn no_bias(self) -> Linear {
        Linear { bias: None, ..self }
    }
}

impl Linear {
    fn run(&self, cx: &Ctx, x: &Tensor, relu: bool) -> Result<Tensor> {
        let [out, features] = [self.weight.dims()[0], self.weight.dims()[1]];
        let last = x.dims().last().copied().unwrap_or(0);
        if last != features {
            // The message gives the size for which people usually look here: the inputs of the first linear layer.
            return Err(Error::shape("linear", "input features disagree with weight")
                .with("input", x.shape())
                .with("weight", format_args!("[O={out}, I={features}]"))
                .help(format!("for this input the layer is Linear::new({last}, {out})")));
        }
        let bias = self.bias.as_ref().map(|b| cx.value(b)).transpose()?;
        let weight = cx.value(&self.weight)?;
        if relu { x.linear_relu(&weight, bias.as_ref()) } else { x.linear(&weight, bias.as_ref()) }
    }
}

impl BeforeRelu for Linear {
    fn forward_relu(&self, cx: &Ctx, x: &Tensor, _residual: Option<&Tensor>) -> Result<Tensor> {
        self.run(cx, x, true)
    }

    fn takes_residual(&self, _x: &Tensor, _residual: &Tensor) -> bool {
        false
    }
}

impl Module for Linear {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        self.run(cx, x, false)
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
        "Linear"
    }

    fn describe(&self) -> String {
        let [out, features] = [self.weight.dims()[0], self.weight.dims()[1]];
        let bias = if self.bias.is_some() { "" } else { ", bias=False" };
        format!("Linear(in_features={features}, out_features={out}{bias})")
    }
}
