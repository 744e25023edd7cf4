//! The GEMM ladder: `C = beta C + op(A) op(B)`, the heart of linear layers and of convolution by im2col.

use crate::core::{Error, Result};
use crate::cpu::gemm as cpu;

/// One version of GEMM.
#[derive(Debug)]
pub struct GemmRung {
    /// Its place on the ladder, as `--gemm-rung` takes it.
    pub number: u32,
    /// A short name.
    pub name: &'static str,
    /// The one idea a reader takes from it.
    pub teaches: &'static str,
    /// The f32 version.
    pub f32: cpu::GemmFn<f32>,
    /// The f64 version: the oracle's arithmetic.
    pub f64: cpu::GemmFn<f64>,
}

/// All rungs, slowest first.
pub static RUNGS: &[GemmRung] = &[
    GemmRung {
        number: 1,
        name: "naive",
        teaches: "the definition: one dot product an output",
        f32: cpu::naive::<f32>,
        f64: cpu::naive::<f64>,
    },
    GemmRung {
        number: 9,
        name: "matrixmultiply",
        teaches: "the yardstick: packed panels and a SIMD micro-kernel, from the matrixmultiply crate",
        f32: cpu::yardstick_f32,
        f64: cpu::yardstick_f64,
    },
];

/// The rung that runs unless another is asked for.
pub const DEFAULT: u32 = 9;

/// The rung with this number.
///
/// # Errors
/// No such rung: the message lists them.
pub fn rung(number: u32) -> Result<&'static GemmRung> {
    RUNGS.iter().find(|r| r.number == number).ok_or_else(|| {
        let known: Vec<String> = RUNGS.iter().map(|r| format!("{} ({})", r.number, r.name)).collect();
        Error::argument("gemm-rung", format!("there is no rung {number}")).expected(known.join(", "))
    })
}
