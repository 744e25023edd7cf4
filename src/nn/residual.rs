//! The residual block: adds its input to the output of its layers.

use super::{Ctx, Module, Sequential, Visitor, fuse};
use crate::core::Result;
use crate::tensor::Tensor;

/// `y = body(x) + x`, or `body(x) + shortcut(x)`, then an activation if there is one (He, Zhang, Ren, Sun 2016).
///
/// The names of the body's layers belong to the block itself, as in PyTorch's residual blocks.
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
    /// A block that adds its input to the body's output.
    pub fn new(body: Sequential) -> Residual {
        Residual { body, shortcut: None, then: None }
    }

    /// Adds this layer's output instead of the input. Needed if the body changes the size or the channels.
    pub fn shortcut(self, name: &'static str, layer: impl Module + 'static) -> Residual {
        Residual { shortcut: Some((name, Box::new(layer))), ..self }
    }

    /// Adds a layer after the sum, such as an activation.
    pub fn then(self, name: &'static str, layer: impl Module + 'static) -> Residual {
        Residual { then: Some((name, Box::new(layer))), ..self }
    }
}

impl Module for Residual {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        let shortcut = || match &self.shortcut {
            Some((name, layer)) => cx.run(name, &**layer, x),
            None => Ok(x.clone()),
        };
        let then = self.then.as_ref().map(|(name, layer)| (*name, &**layer));
        fuse::residual(cx, self.body.layers(), x, shortcut, then)
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
