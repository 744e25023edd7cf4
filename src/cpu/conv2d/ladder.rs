//! The CPU's ladder of 2-d convolution: forward, gradient of the input, gradient of the weights.

use super::{ConvFns, Geometry, Loop, cheapest, direct, im2col, implicit, winograd};
use crate::core::Result;
use crate::cpu::Simd;
use crate::ladder::{self, Rung};

/// One version of convolution.
#[derive(Debug)]
pub struct ConvVersion {
    /// The f32 version.
    pub f32: ConvFns<f32>,
    /// The f64 version: the oracle's arithmetic.
    pub f64: ConvFns<f64>,
    /// Whether it can compute a convolution of these sizes; elsewhere the default for them runs.
    pub supports: fn(&Geometry) -> bool,
}

/// Rung 02 in f64, which is also what higher rungs run in f64.
const IM2COL: ConvFns<f64> =
    ConvFns { forward: im2col::forward, grad_input: im2col::grad_input, grad_weight: im2col::grad_weight };

/// All rungs, slowest first.
pub static RUNGS: &[Rung<ConvVersion>] = &[
    Rung {
        number: 1,
        name: "direct",
        teaches: "the definition: seven nested loops",
        version: ConvVersion {
            f32: ConvFns {
                forward: direct::forward,
                grad_input: direct::grad_input,
                grad_weight: direct::grad_weight,
            },
            f64: ConvFns {
                forward: direct::forward,
                grad_input: direct::grad_input,
                grad_weight: direct::grad_weight,
            },
            supports: |_| true,
        },
    },
    Rung {
        number: 2,
        name: "im2col",
        teaches: "taps gathered into columns turn convolution into a matrix product",
        version: ConvVersion {
            f32: ConvFns {
                forward: im2col::forward,
                grad_input: im2col::grad_input,
                grad_weight: im2col::grad_weight,
            },
            f64: IM2COL,
            supports: |_| true,
        },
    },
    Rung {
        number: 3,
        name: "implicit GEMM",
        teaches: "the columns are never written: a table says where in the padded image each of their rows begins",
        version: ConvVersion {
            f32: ConvFns {
                forward: implicit::forward,
                grad_input: implicit::grad_input,
                grad_weight: implicit::grad_weight,
            },
            f64: IM2COL,
            supports: implicit::supports,
        },
    },
    Rung {
        number: 4,
        name: "Winograd",
        teaches: "3x3 taps in 16 multiplications for 2x2 outputs instead of 36, between transforms",
        version: ConvVersion {
            f32: ConvFns {
                forward: winograd::forward,
                grad_input: winograd::grad_input,
                grad_weight: winograd::grad_weight,
            },
            f64: IM2COL,
            supports: winograd::supports,
        },
    },
];

/// The rung with this number.
///
/// # Errors
/// No such rung: the message lists them.
pub fn rung(number: u32) -> Result<&'static Rung<ConvVersion>> {
    ladder::find("conv-rung", RUNGS, number)
}

/// The rung that computes a loop: the one asked for, where it can, or [the cheapest](super::cheapest). A context knows the
/// first two: [`conv_rung`](crate::cpu::CpuCtx::conv_rung), [`simd`](crate::cpu::CpuCtx::simd).
pub fn choose(asked: Option<u32>, simd: Simd, g: &Geometry, which: Loop) -> &'static Rung<ConvVersion> {
    if let Some(rung) = RUNGS.iter().find(|rung| Some(rung.number) == asked)
        && (rung.version.supports)(g)
    {
        return rung;
    }
    &RUNGS[cheapest(simd, g, which) as usize - 1]
}
