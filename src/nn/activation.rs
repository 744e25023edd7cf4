//! Activation functions as layers, so that containers can hold them and tools can observe them.

use super::{Ctx, Fusion, Module};
use crate::core::{Error, Result};
use crate::ops::gelu::Approximate;
use crate::ops::{OpSpec, one};
use crate::tensor::{Op, Tensor, apply_dyn};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A layer that is one op. The op's row in the table gives PyTorch's class name. Arch files use this layer; code uses
/// the types below, which do the same.
///
/// ```
/// use receptive::nn::{Module, OpLayer};
/// use std::collections::BTreeMap;
/// let layer = OpLayer::new(receptive::ops::find("leaky_relu")?, BTreeMap::new())?;
/// assert_eq!(layer.describe(), "LeakyReLU(negative_slope=0.01)");
/// # Ok::<(), receptive::Error>(())
/// ```
#[derive(Clone)]
pub struct OpLayer {
    row: &'static OpSpec,
    class: &'static str,
    attrs: BTreeMap<String, String>,
    op: Arc<dyn Op>,
}

impl OpLayer {
    /// The layer of an op, with attributes as text.
    ///
    /// # Errors
    /// An op that is not a layer; attributes that the op does not take.
    pub fn new(row: &'static OpSpec, attrs: BTreeMap<String, String>) -> Result<OpLayer> {
        let class = row.layer.ok_or_else(|| Error::argument(row.name, "cannot be used as a layer"))?;
        let op = row.make(&attrs, &["input"])?;
        Ok(OpLayer { row, class, attrs, op })
    }
}

impl Module for OpLayer {
    fn forward(&self, _cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        Ok(one(apply_dyn(&self.op, &[x])?))
    }

    fn kind(&self) -> &'static str {
        self.class
    }

    fn fusion(&self) -> Fusion<'_> {
        if self.class == Relu.kind() { Fusion::Relu } else { Fusion::None }
    }

    fn describe(&self) -> String {
        let setting = |key: &&'static str| {
            let value = self.attrs.get(*key).map(String::as_str).or_else(|| self.row.default_of(key))?;
            Some(format!("{key}={value}"))
        };
        let settings: Vec<String> = self.row.attrs.iter().filter_map(setting).collect();
        format!("{}({})", self.class, settings.join(", "))
    }
}

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
    Gelu = "GELU", |_m, x| x.gelu(Approximate::None), "approximate=none";
    /// `x sigmoid(x)`. PyTorch: `nn.SiLU`.
    Silu = "SiLU", |_m, x| x.silu(), "";
    /// `factor * x`. Networks for fast training scale their logits before the loss.
    Scale(f64) = "Scale", |m, x| x.mul_scalar(m.0), format!("{}", m.0);
    /// Logarithm of the softmax over a dimension. PyTorch: `nn.LogSoftmax`.
    LogSoftmax(isize) = "LogSoftmax", |m, x| x.log_softmax(m.0), format!("dim={}", m.0),
        if m.0 == 1 { Fusion::LogSoftmax } else { Fusion::None };
    /// Softmax over a dimension. PyTorch: `nn.Softmax`.
    Softmax(isize) = "Softmax", |m, x| x.softmax(m.0), format!("dim={}", m.0);
}
