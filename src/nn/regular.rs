//! Layers without parameters that are not activations: dropouts and flatten.

use super::{Ctx, Module};
use crate::core::Result;
use crate::tensor::Tensor;

/// Zeroes each element with probability `p` while training and scales the rest by `1 / (1 - p)`. The mask is keyed by
/// seed, step and the layer's path. PyTorch: `nn.Dropout`.
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

/// Zeroes each channel of `[N, C, H, W]` with probability `p` while training and scales the rest by `1 / (1 - p)`. The
/// mask is keyed as that of [`Dropout`]. PyTorch: `nn.Dropout2d`.
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

/// `[N, ...]` to `[N, everything else]`. PyTorch: `nn.Flatten`.
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
