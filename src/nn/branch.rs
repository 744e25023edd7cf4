//! Parallel layers: the sum of a residual block, and the concatenation of channels.

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
        let beside = || match &self.shortcut {
            Some((name, layer)) => cx.run(name, &**layer, x),
            None => Ok(x.clone()),
        };
        let then = self.then.as_ref().map(|(name, layer)| (*name, &**layer));
        fuse::residual(cx, self.body.layers(), x, beside, then)
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

/// Runs all branches on the same input and concatenates their outputs along the channels (Szegedy et al. 2015).
///
/// ```
/// use receptive::nn::{Concat, Conv2d, ModuleExt, Sequential};
/// let block = Concat::new()
///     .branch("branch1", Conv2d::new(3, 8, 1))
///     .inline(Sequential::new().named("p2_1", Conv2d::new(3, 4, 1)).named("p2_2", Conv2d::new(4, 8, 3).padding(1)));
/// let names: Vec<String> = block.params().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names[..3], ["branch1.weight", "branch1.bias", "p2_1.weight"]);
/// ```
#[derive(Default)]
pub struct Concat {
    branches: Vec<(Option<&'static str>, Box<dyn Module>)>,
}

impl Concat {
    /// No branches yet.
    pub fn new() -> Concat {
        Concat::default()
    }

    /// Adds a branch with a name.
    pub fn branch(mut self, name: &'static str, layer: impl Module + 'static) -> Concat {
        self.branches.push((Some(name), Box::new(layer)));
        self
    }

    /// Adds a branch whose layers' names belong to the block itself.
    pub fn inline(mut self, layers: Sequential) -> Concat {
        self.branches.push((None, Box::new(layers)));
        self
    }
}

impl Module for Concat {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        let run = |(name, layer): &(Option<&str>, Box<dyn Module>)| match name {
            Some(name) => cx.run(name, &**layer, x),
            None => layer.forward(cx, x),
        };
        let outputs: Vec<Tensor> = self.branches.iter().map(run).collect::<Result<_>>()?;
        Tensor::cat(&outputs.iter().collect::<Vec<_>>(), 1)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        for (name, layer) in &self.branches {
            match name {
                Some(name) => visitor.child(name, &**layer),
                None => layer.visit(visitor),
            }
        }
    }

    fn kind(&self) -> &'static str {
        "Concat"
    }
}
