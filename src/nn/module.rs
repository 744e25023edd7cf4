//! The contract of a layer: the [`Module`] trait.
//!
//! Compared with lesson 0: parameters have names, so that files of weights, errors and optimiser state can refer to
//! them, and networks can be built from parts.

use super::{Ctx, Fusion, Param};
use crate::core::Result;
use crate::tensor::Tensor;

/// A layer, or a network made of layers.
///
/// ```
/// use receptive::prelude::*;
///
/// /// `y = x scale`, with one factor per feature.
/// struct FeatureScale {
///     scale: Param,
/// }
///
/// impl Module for FeatureScale {
///     fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
///         x.mul(&cx.value(&self.scale)?)
///     }
///
///     fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
///         visitor.param("scale", &self.scale);
///     }
///
///     fn kind(&self) -> &'static str {
///         "FeatureScale"
///     }
/// }
///
/// let cpu = Device::cpu()?;
/// let layer = FeatureScale { scale: Param::new(&[2], Init::Constant(3.0)) };
/// layer.init(&cpu, DType::F32, 0)?;
/// let y = layer.forward(&Ctx::eval("layer"), &Tensor::ones(&cpu, &[1, 2], DType::F32)?)?;
/// assert_eq!(y.to_vec::<f32>()?, [3.0, 3.0]);
/// # Ok::<(), receptive::Error>(())
/// ```
pub trait Module: Send + Sync {
    /// Computes the output. Child layers run through [`Ctx::run`], and [`Ctx::value`] returns the value of a parameter.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor>;

    /// Passes its parameters and its child layers to the visitor by name, in PyTorch's order. A layer that has none
    /// does nothing.
    fn visit<'a>(&'a self, _visitor: &mut Visitor<'a>) {}

    /// PyTorch's name for this kind of layer, such as `Conv2d`.
    fn kind(&self) -> &'static str;

    /// How this layer can run together with a neighbour as one op. By default it cannot.
    fn fusion(&self) -> Fusion<'_> {
        Fusion::None
    }

    /// The kind with its settings, such as `Conv2d(1, 6, kernel_size=5, padding=2)`.
    fn describe(&self) -> String {
        format!("{}()", self.kind())
    }
}

impl<M: Module + ?Sized> Module for Box<M> {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        (**self).forward(cx, x)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        (**self).visit(visitor);
    }

    fn kind(&self) -> &'static str {
        (**self).kind()
    }

    fn fusion(&self) -> Fusion<'_> {
        (**self).fusion()
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// Collects parameters and modules by path, such as `layer1.0.conv1`.
#[derive(Default)]
pub struct Visitor<'a> {
    prefix: String,
    pub(super) params: Vec<(String, &'a Param)>,
    pub(super) modules: Vec<(String, &'a dyn Module)>,
}

impl<'a> Visitor<'a> {
    /// Adds a parameter or buffer.
    pub fn param(&mut self, name: &str, param: &'a Param) {
        self.params.push((self.path(name), param));
    }

    /// Adds a child, and then what the child contains.
    pub fn child(&mut self, name: &str, module: &'a dyn Module) {
        let path = self.path(name);
        self.modules.push((path.clone(), module));
        let above = std::mem::replace(&mut self.prefix, path);
        module.visit(self);
        self.prefix = above;
    }

    fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}
