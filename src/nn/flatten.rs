//! The layer that flattens images to vectors.

use super::{Ctx, Module};
use crate::core::Result;
use crate::tensor::Tensor;

/// Reshapes `[N, ...]` to `[N, everything else]`. PyTorch: `nn.Flatten`.
#[derive(Debug, Clone, Copy)]
pub struct Flatten;

impl Module for Flatten {
    fn forward(&self, _cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        x.flatten(1, -1)
    }

    fn kind(&self) -> &'static str {
        "Flatten"
    }
}
