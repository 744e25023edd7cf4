//! Layers beside each other: a residual's sum, a concatenation's channels.

use super::{Ctx, Module, Sequential, Visitor};
use crate::core::Result;
use crate::tensor::Tensor;

/// `y = body(x) + x`, or `+ shortcut(x)`, and then an activation if it has one (He, Zhang, Ren, Sun 2016).
///
/// The body's layers are named in the block itself, as PyTorch's residual blocks name theirs.
///
/// ```
/// use receptive::nn::{Conv2d, ModuleExt, Relu, Residual, Sequential};
/// let body = Sequential::new().named("conv1", Conv2d::new(3, 8, 3).padding(1).no_bias());
/// let block = Residual::new(body).shortcut("downsample", Conv2d::new(3, 8, 1).no_bias()).then("relu", Relu);
/// let names: Vec<String> = block.params().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["conv1.weight", "downsample.weight"]);
/// ```
pub struct Residual {
    body: Sequential,
    shortcut: Option<(&'static str, Box<dyn Module>)>,
    then: Option<(&'static str, Box<dyn Module>)>,
}

impl Residual {
    /// Adds the input itself.
    pub fn new(body: Sequential) -> Residual {
        Residual { body, shortcut: None, then: None }
    }

    /// Adds what this layer makes of the input, where the body changes its size or channels.
    pub fn shortcut(self, name: &'static str, layer: impl Module + 'static) -> Residual {
        Residual { shortcut: Some((name, Box::new(layer))), ..self }
    }

    /// What follows the sum.
    pub fn then(self, name: &'static str, layer: impl Module + 'static) -> Residual {
        Residual { then: Some((name, Box::new(layer))), ..self }
    }
}

impl Module for Residual {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        let y = self.body.forward(cx, x)?;
        let beside = match &self.shortcut {
            Some((name, layer)) => cx.run(name, &**layer, x)?,
            None => x.clone(),
        };
        let sum = y.add(&beside)?;
        match &self.then {
            Some((name, layer)) => cx.run(name, &**layer, &sum),
            None => Ok(sum),
        }
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        self.body.visit(visitor);
        for (name, layer) in self.shortcut.iter().chain(&self.then) {
            visitor.child(name, &**layer);
        }
    }

    fn kind(&self) -> &'static str {
        "Residual"
    }
}
