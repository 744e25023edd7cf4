//! The ladder of 2-d convolution: forward, gradient of the input, gradient of the weights. One table for the CPU, one
//! for the GPU.

use super::{Precision, find};
use crate::core::{Geometry, Result};
use crate::cpu::Simd;
use crate::cpu::conv2d::{ConvFns, cheapest, implicit_supports, winograd_supports};
use crate::cuda::conv2d as cuda;

/// One version of convolution on the CPU.
#[derive(Debug)]
pub struct ConvRung {
    /// Its place on the ladder, as `--conv-rung` takes it.
    pub number: u32,
    /// A short name.
    pub name: &'static str,
    /// The one idea a reader takes from it.
    pub teaches: &'static str,
    /// The f32 version.
    pub f32: ConvFns<f32>,
    /// The f64 version: the oracle's arithmetic.
    pub f64: ConvFns<f64>,
    /// Whether it can compute a convolution of these sizes; elsewhere the default for them runs.
    pub supports: fn(&Geometry) -> bool,
}

/// The three loops of a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    Forward,
    GradInput,
    GradWeight,
}

/// All rungs, slowest first.
pub static RUNGS: &[ConvRung] = &[
    ConvRung {
        number: 1,
        name: "direct",
        teaches: "the definition: seven nested loops",
        f32: ConvFns::DIRECT,
        f64: ConvFns::DIRECT,
        supports: |_| true,
    },
    ConvRung {
        number: 2,
        name: "im2col",
        teaches: "taps gathered into columns turn convolution into a matrix product",
        f32: ConvFns::IM2COL,
        f64: ConvFns::IM2COL,
        supports: |_| true,
    },
    ConvRung {
        number: 3,
        name: "implicit GEMM",
        teaches: "the columns are never written: a table says where in the padded image each of their rows begins",
        f32: ConvFns::IMPLICIT,
        f64: ConvFns::IM2COL,
        supports: implicit_supports,
    },
    ConvRung {
        number: 4,
        name: "Winograd",
        teaches: "3x3 taps in 16 multiplications for 2x2 outputs instead of 36, between transforms",
        f32: ConvFns::WINOGRAD,
        f64: ConvFns::IM2COL,
        supports: winograd_supports,
    },
];

/// The rung that computes a loop: the one asked for, where it can, or [the cheapest](crate::cpu::conv2d::cheapest).
pub fn choose(asked: Option<&'static ConvRung>, simd: Simd, g: &Geometry, which: Loop) -> &'static ConvRung {
    asked.filter(|rung| (rung.supports)(g)).unwrap_or_else(|| &RUNGS[cheapest(simd, g, which) as usize - 1])
}

/// The rung with this number.
///
/// # Errors
/// No such rung: the message lists them.
pub fn rung(number: u32) -> Result<&'static ConvRung> {
    find("conv-rung", RUNGS, number, |r| (r.number, r.name))
}

/// One version of convolution on the GPU: a file in `kernels/conv2d`.
#[derive(Debug)]
pub struct CudaConvRung {
    /// Its place on the ladder, as `--conv-rung` takes it.
    pub number: u32,
    /// A short name.
    pub name: &'static str,
    /// The one idea a reader takes from it.
    pub teaches: &'static str,
    /// What it rounds factors to, unless bf16 is asked for.
    pub precision: Precision,
    /// Its loops.
    pub run: cuda::ConvFns,
    /// The same with factors rounded to bf16, where it has them.
    pub bf16: Option<cuda::ConvFns>,
    /// Whether it can compute a convolution of these sizes; elsewhere the default for them runs.
    pub supports: fn(&Geometry) -> bool,
}

impl CudaConvRung {
    /// Its loops for a run of this precision, and what they round factors to.
    pub fn at(&'static self, precision: Precision) -> (&'static cuda::ConvFns, Precision) {
        match (&self.bf16, precision) {
            (Some(bf16), Precision::Bf16) => (bf16, Precision::Bf16),
            _ => (&self.run, self.precision),
        }
    }
}

/// Groups, phases of a stride and parts of a sum are counted by a grid's third dimension.
fn fits_a_grid(g: &Geometry) -> bool {
    g.groups.saturating_mul(g.window.stride[0]).saturating_mul(g.window.stride[1]) <= 65_535
}

/// All rungs of the GPU.
pub static CUDA: &[CudaConvRung] = &[
    CudaConvRung {
        number: 1,
        name: "direct",
        teaches: "the definition: one thread an output",
        precision: Precision::F32,
        run: cuda::ConvFns::DIRECT,
        bf16: None,
        supports: |_| true,
    },
    CudaConvRung {
        number: 2,
        name: "im2col",
        teaches: "taps gathered into columns turn convolution into a matrix product",
        precision: Precision::F32,
        run: cuda::ConvFns::IM2COL,
        bf16: None,
        supports: |_| true,
    },
    CudaConvRung {
        number: 3,
        name: "implicit GEMM",
        teaches: "the columns are never written: each entry is found while a tile is filled",
        precision: Precision::F32,
        run: cuda::ConvFns::IMPLICIT,
        bf16: None,
        supports: fits_a_grid,
    },
    CudaConvRung {
        number: 4,
        name: "tensor cores",
        teaches: "implicit GEMM on fragments of rounded factors",
        precision: Precision::Tf32,
        run: cuda::ConvFns::TF32,
        bf16: Some(cuda::ConvFns::BF16),
        supports: fits_a_grid,
    },
    CudaConvRung {
        number: 5,
        name: "Winograd",
        teaches: "3x3 taps in 16 multiplications for 2x2 outputs instead of 36, between transforms",
        precision: Precision::F32,
        run: cuda::ConvFns::WINOGRAD,
        bf16: None,
        supports: cuda::winograd_supports,
    },
];

/// The GPU's rung with this number.
///
/// # Errors
/// No such rung: the message lists them.
pub fn cuda_rung(number: u32) -> Result<&'static CudaConvRung> {
    find("conv-rung", CUDA, number, |r| (r.number, r.name))
}

/// The GPU's rung that runs unless another is asked for, by judgement until measured: the fastest that rounds no more
/// than it may.
pub fn cuda_default(g: &Geometry, precision: Precision) -> &'static CudaConvRung {
    // A group of few channels leaves a tile of a matrix product almost empty.
    let thin = g.groups > 1 && g.cg().max(g.og()) < THIN;
    let number = match precision {
        _ if thin || !fits_a_grid(g) => 1,
        Precision::F32 if cuda::winograd_supports(g) && mean_channels(g) >= MANY => 5,
        Precision::F32 => 3,
        Precision::Tf32 | Precision::Bf16 => 4,
    };
    &CUDA[number - 1]
}

/// The harmonic mean of a group's channels: what a transformed image is reused, by each of its two transforms.
fn mean_channels(g: &Geometry) -> usize {
    2 * g.cg() * g.og() / (g.cg() + g.og()).max(1)
}

/// Channels from which Winograd's transforms pay. They move 32 bytes for each pixel and channel, at some 2.5 TB/s, and save
/// 10 of 18 flop for each pixel and pair of channels, at some 40 TFLOP/s: equal at about 100.
const MANY: usize = 96;
/// Channels of a group below which direct sums beat tiles of 32 rows.
const THIN: usize = 8;
