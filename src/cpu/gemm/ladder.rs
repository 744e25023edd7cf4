//! The CPU's ladder of matrix products: `C = beta C + op(A) op(B)`, the heart of linear layers and of convolution by
//! im2col.

use super::{GemmFns, blocked, naive, packed, reordered};
use crate::core::{Error, Result};
use crate::cpu::{CpuCtx, Simd};
use crate::ladder::{self, Rung};

/// One version of GEMM.
#[derive(Debug)]
pub struct GemmVersion {
    /// The vector instructions that it needs; it runs with these or better.
    pub needs: Simd,
    /// The f32 version.
    pub f32: GemmFns<f32>,
    /// The f64 version, which computes reference results.
    pub f64: GemmFns<f64>,
}

/// All rungs, slowest first.
pub static RUNGS: &[Rung<GemmVersion>] = &[
    Rung {
        number: 1,
        name: "naive",
        teaches: "the definition: one dot product per output",
        version: GemmVersion {
            needs: Simd::Portable,
            f32: GemmFns::serial(naive::gemm),
            f64: GemmFns::serial(naive::gemm),
        },
    },
    Rung {
        number: 2,
        name: "reordered",
        teaches: "the loops read memory in order, so the compiler can use vector instructions",
        version: GemmVersion {
            needs: Simd::Portable,
            f32: GemmFns::serial(reordered::gemm),
            f64: GemmFns::serial(reordered::gemm),
        },
    },
    Rung {
        number: 3,
        name: "blocked",
        teaches: "a block of B stays in the cache until all rows have used it",
        version: GemmVersion {
            needs: Simd::Portable,
            f32: GemmFns::serial(blocked::gemm),
            f64: GemmFns::serial(blocked::gemm),
        },
    },
    Rung {
        number: 4,
        name: "packed AVX2",
        teaches: "a tile of C stays in registers; B is packed into panels that are read in order",
        version: GemmVersion {
            needs: Simd::Avx2,
            f32: GemmFns::serial(packed::avx2),
            f64: GemmFns::MATRIXMULTIPLY,
        },
    },
    Rung {
        number: 5,
        name: "packed AVX-512",
        teaches: "twice as many registers, twice as wide: a tile of 8 x 48",
        version: GemmVersion {
            needs: Simd::Avx512,
            f32: GemmFns::serial(packed::avx512),
            f64: GemmFns::MATRIXMULTIPLY,
        },
    },
    Rung {
        number: 6,
        name: "parallel",
        teaches: "all threads compute tiles of C; the problem's size decides how C is divided",
        version: GemmVersion {
            needs: Simd::Portable,
            f32: GemmFns { alone: packed::alone, together: packed::together },
            f64: GemmFns::MATRIXMULTIPLY,
        },
    },
    Rung {
        number: 9,
        name: "matrixmultiply",
        teaches: "for comparison: the matrixmultiply crate, with packed panels and SIMD, on all threads",
        version: GemmVersion {
            needs: Simd::Portable,
            f32: GemmFns::MATRIXMULTIPLY,
            f64: GemmFns::MATRIXMULTIPLY,
        },
    },
];

/// The rung that runs unless another is chosen.
pub const DEFAULT: u32 = 6;

/// The rung with this number.
///
/// # Errors
/// No such rung: the message lists them.
pub fn rung(number: u32) -> Result<&'static Rung<GemmVersion>> {
    ladder::find("gemm-rung", RUNGS, number)
}

/// Checks that a rung is on the ladder and runs at this SIMD level.
///
/// # Errors
/// There is no such rung, or it needs a higher level.
pub fn check(number: u32, simd: Simd) -> Result<()> {
    let rung = rung(number)?;
    if rung.version.needs <= simd {
        return Ok(());
    }
    Err(Error::argument("gemm-rung", format!("rung {number} ({}) needs {}", rung.name, rung.version.needs))
        .with("SIMD level in use", simd)
        .help(format!("use rung {DEFAULT}: it runs on every processor")))
}

/// The rung of this context.
pub fn of(cx: &CpuCtx) -> &'static Rung<GemmVersion> {
    rung(cx.gemm_rung()).expect("a context is opened with a rung that is on the ladder")
}
