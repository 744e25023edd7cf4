//! The CPU's ladder of 2-d convolution: forward, gradient of the input, gradient of the weights.

use super::{ConvFns, ConvShape, Loop, cheapest, direct, im2col, implicit, winograd};
use crate::core::Result;
use crate::cpu::Simd;
use crate::ladder::{self, Rung};

/// One version of convolution.
#[derive(Debug)]
pub struct ConvVersion {
    /// The f32 version.
    pub f32: ConvFns<f32>,
    /// The f64 version, which computes reference results.
    pub f64: ConvFns<f64>,
    /// True if it can compute a convolution of these sizes. If not, the default rung for them runs.
    pub supports: fn(&ConvShape) -> bool,
}

/// The three loops of a rung's file.
macro_rules! loops {
    ($file:ident) => {
        ConvFns { forward: $file::forward, grad_input: $file::grad_input, grad_weight: $file::grad_weight }
    };
}

/// All rungs, slowest first.
pub static RUNGS: &[Rung<ConvVersion>] = &[
    Rung {
        number: 1,
        name: "direct",
        teaches: "the definition: seven nested loops",
        version: ConvVersion { f32: loops!(direct), f64: loops!(direct), supports: |_| true },
    },
    Rung {
        number: 2,
        name: "im2col",
        teaches: "the pixels of each window become a column, so convolution is a matrix product",
        version: ConvVersion { f32: loops!(im2col), f64: loops!(im2col), supports: |_| true },
    },
    Rung {
        number: 3,
        name: "implicit GEMM",
        teaches: "the columns are never written: a table gives each row's start in the padded image",
        version: ConvVersion { f32: loops!(implicit), f64: loops!(im2col), supports: implicit::supports },
    },
    Rung {
        number: 4,
        name: "Winograd",
        teaches: "transforms let a 3x3 kernel compute 2x2 outputs with 16 multiplications instead of 36",
        version: ConvVersion { f32: loops!(winograd), f64: loops!(im2col), supports: winograd::supports },
    },
];

/// The rung with this number.
///
/// # Errors
/// No such rung: the message lists them.
pub fn rung(number: u32) -> Result<&'static Rung<ConvVersion>> {
    ladder::find("conv-rung", RUNGS, number)
}

/// The rung that computes a loop: the requested rung if it supports the sizes, else [the cheapest](super::cheapest).
/// `asked` and `simd` come from the context: [`conv_rung`](crate::cpu::CpuCtx::conv_rung),
/// [`simd`](crate::cpu::CpuCtx::simd).
pub fn choose(asked: Option<u32>, simd: Simd, g: &ConvShape, which: Loop) -> &'static Rung<ConvVersion> {
    if let Some(rung) = RUNGS.iter().find(|rung| Some(rung.number) == asked)
        && (rung.version.supports)(g)
    {
        return rung;
    }
    &RUNGS[cheapest(simd, g, which) as usize - 1]
}
