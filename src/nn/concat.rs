//! Branches on the same input, concatenated.

use super::{Ctx, Module, Sequential, Visitor};
use crate::core::Result;
use crate::tensor::Tensor;

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
