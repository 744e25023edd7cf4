//! The sizes of a convolution, as every loop and kernel receives them, and the three loops of its training step.

use super::Window;
use serde::Serialize;

/// The sizes of one convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ConvShape {
    /// Images in the batch.
    pub n: usize,
    /// Input channels, height and width.
    pub c: usize,
    pub h: usize,
    pub w: usize,
    /// Output channels, height and width. A transposed convolution may ask for fewer rows and columns than would fit.
    pub o: usize,
    pub oh: usize,
    pub ow: usize,
    pub groups: usize,
    pub window: Window,
}

impl ConvShape {
    /// Input channels of one group.
    pub fn cg(&self) -> usize {
        self.c / self.groups
    }

    /// Output channels of one group.
    pub fn og(&self) -> usize {
        self.o / self.groups
    }

    /// Taps of the kernel: its height times its width.
    pub fn taps(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1]
    }

    /// Terms in the sum of one output: the inner dimension of the matrix product.
    pub fn k(&self) -> usize {
        self.cg() * self.taps()
    }

    /// Pixels of one input channel.
    pub fn plane(&self) -> usize {
        self.h * self.w
    }

    /// Pixels of one output channel.
    pub fn out_plane(&self) -> usize {
        self.oh * self.ow
    }

    /// Multiply-adds of each of the three loops.
    pub fn work(&self) -> usize {
        self.n * self.o * self.out_plane() * self.k()
    }

    /// Whether the kernel is 1x1 with stride 1 and no padding. Then the image is its own column matrix.
    pub fn pointwise(&self) -> bool {
        let Window { kernel, stride, padding, .. } = self.window;
        kernel == [1, 1] && stride == [1, 1] && padding == [[0; 2]; 2]
    }
}

/// The three loops of a convolution in a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    Forward,
    GradInput,
    GradWeight,
}
