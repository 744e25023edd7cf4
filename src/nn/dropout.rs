//! Dropout: random zeros while training.

use super::{Ctx, Module};
use crate::core::Result;
use crate::tensor::Tensor;

/// While training, sets each element to zero with probability `p` and scales the others by `1 / (1 - p)`. The mask
/// depends only on the seed, the step and the layer's path. PyTorch: `nn.Dropout`.
#[derive(Debug, Clone, Copy)]
pub struct Dropout(pub f64);

impl Module for Dropout {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        if cx.is_training() { x.dropout(self.0, cx.key()) } else { Ok(x.clone()) }
    }

    fn kind(&self) -> &'static str {
        "Dropout"
    }

    fn describe(&self) -> String {
        format!("Dropout(p={})", self.0)
    }
}

/// While training, sets each channel of `[N, C, H, W]` to zero with probability `p` and scales the others by
/// `1 / (1 - p)`. The mask depends on the same values as that of [`Dropout`]. PyTorch: `nn.Dropout2d`.
#[derive(Debug, Clone, Copy)]
pub struct Dropout2d(pub f64);

impl Module for Dropout2d {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        if cx.is_training() { x.dropout2d(self.0, cx.key()) } else { Ok(x.clone()) }
    }

    fn kind(&self) -> &'static str {
        "Dropout2d"
    }

    fn describe(&self) -> String {
        format!("Dropout2d(p={})", self.0)
    }
}
