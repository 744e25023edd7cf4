//! Activation functions as layers, so that containers can hold them and instruments can see them.

use super::{Ctx, Fusion, Module};
use crate::core::Result;
use crate::ops::gelu::Approximate;
use crate::tensor::Tensor;

macro_rules! activation {
    ($($(#[$doc:meta])* $name:ident $(($field:ty))? = $kind:literal, |$this:ident, $x:ident| $forward:expr, $describe:expr $(, $fusion:expr)?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name $((pub $field))?;

        impl Module for $name {
            fn forward(&self, _cx: &Ctx, $x: &Tensor) -> Result<Tensor> {
                let $this = self;
                $forward
            }

            fn kind(&self) -> &'static str {
                $kind
            }

            $(fn fusion(&self) -> Fusion<'_> {
                let $this = self;
                $fusion
            })?

            fn describe(&self) -> String {
                let $this = self;
                format!("{}({})", $this.kind(), $describe)
            }
        }
    )*};
}

activation! {
    /// `max(x, 0)`. PyTorch: `nn.ReLU`.
    Relu = "ReLU", |_m, x| x.relu(), "", Fusion::Relu;
    /// `x` above 0, `slope * x` below. PyTorch: `nn.LeakyReLU`.
    LeakyRelu(f64) = "LeakyReLU", |m, x| x.leaky_relu(m.0), format!("negative_slope={}", m.0);
    /// `1 / (1 + exp(-x))`. PyTorch: `nn.Sigmoid`.
    Sigmoid = "Sigmoid", |_m, x| x.sigmoid(), "";
    /// The hyperbolic tangent. PyTorch: `nn.Tanh`.
    Tanh = "Tanh", |_m, x| x.tanh(), "";
    /// `x Phi(x)`, exact. PyTorch: `nn.GELU`.
    Gelu = "GELU", |_m, x| x.gelu(Approximate::None), "";
    /// `x sigmoid(x)`. PyTorch: `nn.SiLU`.
    Silu = "SiLU", |_m, x| x.silu(), "";
    /// `factor * x`: logits are scaled before the loss in networks that are trained fast.
    Scale(f64) = "Scale", |m, x| x.mul_scalar(m.0), format!("{}", m.0);
    /// Logarithm of the softmax over a dimension. PyTorch: `nn.LogSoftmax`.
    LogSoftmax(isize) = "LogSoftmax", |m, x| x.log_softmax(m.0), format!("dim={}", m.0),
        if m.0 == 1 { Fusion::LogSoftmax } else { Fusion::None };
    /// Softmax over a dimension. PyTorch: `nn.Softmax`.
    Softmax(isize) = "Softmax", |m, x| x.softmax(m.0), format!("dim={}", m.0);
}
