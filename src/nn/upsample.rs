//! The resizing layer.

use super::{Ctx, Module, Pair};
use crate::core::Result;
use crate::ops::interpolate::{InterpolateMode, InterpolateOptions, InterpolateSize};
use crate::tensor::Tensor;

/// Resizes images. By default each output pixel is the nearest input pixel. PyTorch: `nn.Upsample`.
///
/// ```
/// use receptive::nn::{Module, Upsample};
/// assert_eq!(Upsample::scale(2).describe(), "Upsample(scale_factor=2.0, mode='nearest')");
/// assert_eq!(Upsample::size([3, 4]).bilinear().describe(), "Upsample(size=(3, 4), mode='bilinear')");
/// ```
#[derive(Debug)]
pub struct Upsample(InterpolateOptions);

/// One factor per direction. One number stands for both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factors([f64; 2]);

impl From<usize> for Factors {
    fn from(both: usize) -> Factors {
        Factors([both as f64; 2])
    }
}

impl From<f64> for Factors {
    fn from(both: f64) -> Factors {
        Factors([both; 2])
    }
}

impl From<[usize; 2]> for Factors {
    fn from(factors: [usize; 2]) -> Factors {
        Factors(factors.map(|factor| factor as f64))
    }
}

impl From<[f64; 2]> for Factors {
    fn from(factors: [f64; 2]) -> Factors {
        Factors(factors)
    }
}

impl Upsample {
    /// Resizes to this height and width.
    pub fn size(size: impl Into<Pair>) -> Upsample {
        Upsample(InterpolateOptions::size(size.into().0))
    }

    /// Resizes by this factor.
    pub fn scale(factors: impl Into<Factors>) -> Upsample {
        Upsample(InterpolateOptions::scale(factors.into().0))
    }

    /// Uses a weighted mean of the four neighbours instead of the nearest pixel.
    pub fn bilinear(self) -> Upsample {
        Upsample(InterpolateOptions { mode: InterpolateMode::Bilinear, ..self.0 })
    }

    /// Keeps the centres of the corner pixels in place. Bilinear only.
    pub fn align_corners(self) -> Upsample {
        Upsample(InterpolateOptions { align_corners: true, ..self.0 })
    }
}

impl Module for Upsample {
    fn forward(&self, _cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        x.interpolate(&self.0)
    }

    fn kind(&self) -> &'static str {
        "Upsample"
    }

    fn describe(&self) -> String {
        let target = match self.0.target {
            InterpolateSize::Size(size) => format!("size={}", Pair(size)),
            InterpolateSize::Scale([h, w]) if h == w => format!("scale_factor={h:?}"),
            InterpolateSize::Scale([h, w]) => format!("scale_factor=({h:?}, {w:?})"),
        };
        let mode = if self.0.mode == InterpolateMode::Bilinear { "bilinear" } else { "nearest" };
        format!("Upsample({target}, mode='{mode}')")
    }
}
