//! The GEMM ladder: `C = beta C + op(A) op(B)`, the heart of linear layers and of convolution by im2col. One table for
//! the CPU, one for the GPU.

use super::{Precision, find};
use crate::core::Result;
use crate::cpu::Simd;
use crate::cpu::gemm::{self as cpu, GemmFns};
use crate::cuda::gemm::Tiled;
use crate::cuda::kernels;

/// One version of GEMM on the CPU.
#[derive(Debug)]
pub struct GemmRung {
    /// Its place on the ladder, as `--gemm-rung` takes it.
    pub number: u32,
    /// A short name.
    pub name: &'static str,
    /// The one idea a reader takes from it.
    pub teaches: &'static str,
    /// The vector instructions it is written for; it runs with these or better.
    pub needs: Simd,
    /// The f32 version.
    pub f32: GemmFns<f32>,
    /// The f64 version: the oracle's arithmetic.
    pub f64: GemmFns<f64>,
}

/// All rungs, slowest first.
pub static RUNGS: &[GemmRung] = &[
    GemmRung {
        number: 1,
        name: "naive",
        teaches: "the definition: one dot product an output",
        needs: Simd::Portable,
        f32: GemmFns::serial(cpu::naive::gemm),
        f64: GemmFns::serial(cpu::naive::gemm),
    },
    GemmRung {
        number: 2,
        name: "reordered",
        teaches: "neighbours in memory are used one after the other, so the compiler makes vectors of them",
        needs: Simd::Portable,
        f32: GemmFns::serial(cpu::reordered::gemm),
        f64: GemmFns::serial(cpu::reordered::gemm),
    },
    GemmRung {
        number: 3,
        name: "blocked",
        teaches: "a block of B stays in the cache until all rows have used it",
        needs: Simd::Portable,
        f32: GemmFns::serial(cpu::blocked::gemm),
        f64: GemmFns::serial(cpu::blocked::gemm),
    },
    GemmRung {
        number: 4,
        name: "packed AVX2",
        teaches: "a tile of C stays in registers; B is packed into panels that it reads as a stream",
        needs: Simd::Avx2,
        f32: GemmFns::serial(cpu::packed::avx2),
        f64: GemmFns::YARDSTICK,
    },
    GemmRung {
        number: 5,
        name: "packed AVX-512",
        teaches: "registers twice as wide and twice as many: a tile of 8 x 48",
        needs: Simd::Avx512,
        f32: GemmFns::serial(cpu::packed::avx512),
        f64: GemmFns::YARDSTICK,
    },
    GemmRung {
        number: 6,
        name: "parallel",
        teaches: "tiles of C, cut by the problem's size, go to all threads",
        needs: Simd::Portable,
        f32: GemmFns { alone: cpu::packed::alone, together: cpu::packed::together },
        f64: GemmFns::YARDSTICK,
    },
    GemmRung {
        number: 9,
        name: "matrixmultiply",
        teaches: "the yardstick: packed panels and a SIMD micro-kernel, from the matrixmultiply crate, on all threads",
        needs: Simd::Portable,
        f32: GemmFns::YARDSTICK,
        f64: GemmFns::YARDSTICK,
    },
];

/// The rung that runs unless another is asked for.
pub const DEFAULT: u32 = 6;

/// The rung with this number.
///
/// # Errors
/// No such rung: the message lists them.
pub fn rung(number: u32) -> Result<&'static GemmRung> {
    find("gemm-rung", RUNGS, number, |r| (r.number, r.name))
}

/// One version of GEMM on the GPU: a file in `kernels/gemm`.
#[derive(Debug)]
pub struct CudaGemmRung {
    /// Its place on the ladder, as `--gemm-rung` takes it.
    pub number: u32,
    /// A short name.
    pub name: &'static str,
    /// The one idea a reader takes from it.
    pub teaches: &'static str,
    /// What it rounds factors to, unless bf16 is asked for.
    pub precision: Precision,
    /// Its kernels, for products of different shapes.
    pub kernels: &'static [Tiled],
    /// The same with factors rounded to bf16, where it has them.
    pub bf16: &'static [Tiled],
}

impl CudaGemmRung {
    /// Its kernels for a run of this precision, and what they round factors to.
    pub fn at(&self, precision: Precision) -> (&'static [Tiled], Precision) {
        match precision {
            Precision::Bf16 if !self.bf16.is_empty() => (self.bf16, Precision::Bf16),
            _ => (self.kernels, self.precision),
        }
    }
}

const fn each_thread(kernel: crate::cuda::gemm::GemmKernel) -> [Tiled; 1] {
    [Tiled { kernel, tile: None, threads: 256, pace: 100 }]
}

const fn tiled(kernel: crate::cuda::gemm::GemmKernel, tile: [usize; 2], threads: u32, pace: usize) -> Tiled {
    Tiled { kernel, tile: Some(tile), threads, pace }
}

const fn exact(
    number: u32,
    name: &'static str,
    teaches: &'static str,
    kernels: &'static [Tiled],
) -> CudaGemmRung {
    CudaGemmRung { number, name, teaches, precision: Precision::F32, kernels, bf16: &[] }
}

/// All rungs of the GPU, slowest first.
pub static CUDA: &[CudaGemmRung] = &[
    exact(1, "naive", "the definition: one thread an output", &each_thread(kernels::gemm_v01_f32)),
    exact(
        2,
        "coalesced",
        "a warp's threads side by side in a row: one memory transaction serves all",
        &each_thread(kernels::gemm_v02_f32),
    ),
    exact(
        3,
        "shared",
        "a block loads each number once and shares it on the chip",
        &[tiled(kernels::gemm_v03_f32, [32, 32], 1024, 100)],
    ),
    exact(
        4,
        "register tile 1-D",
        "eight outputs a thread: a number in a register feeds eight multiply-adds",
        &[tiled(kernels::gemm_v04_f32, [64, 64], 512, 100)],
    ),
    exact(
        5,
        "register tile 2-D",
        "8 x 8 outputs a thread: an outer product of registers",
        &[tiled(kernels::gemm_v05_f32, [128, 128], 256, 100)],
    ),
    exact(
        6,
        "vectorised",
        "loads of 16 bytes, and the next tile on its way while this one is used",
        &[tiled(kernels::gemm_v06_f32, [128, 128], 256, 100)],
    ),
    exact(
        7,
        "cp.async",
        "a ring of tiles filled by asynchronous copies that pass the registers by",
        &[
            tiled(kernels::gemm_v07_f32, [128, 128], 256, 100),
            tiled(kernels::gemm_v07_m32_f32, [32, 128], 256, 60),
        ],
    ),
    CudaGemmRung {
        number: 8,
        name: "tensor cores",
        teaches: "a warp multiplies whole fragments with one instruction, on rounded factors",
        precision: Precision::Tf32,
        kernels: &[
            tiled(kernels::gemm_v08_tf32, [128, 128], 256, 100),
            tiled(kernels::gemm_v08_m64_tf32, [64, 64], 128, 60),
        ],
        bf16: &[
            tiled(kernels::gemm_v08_bf16, [128, 128], 256, 100),
            tiled(kernels::gemm_v08_m64_bf16, [64, 64], 128, 60),
        ],
    },
];

/// The GPU's rung with this number.
///
/// # Errors
/// No such rung: the message lists them.
pub fn cuda_rung(number: u32) -> Result<&'static CudaGemmRung> {
    find("gemm-rung", CUDA, number, |r| (r.number, r.name))
}

/// The GPU's rung that runs unless another is asked for: the fastest that rounds no more than it may.
pub fn cuda_default(precision: Precision) -> u32 {
    if precision == Precision::F32 { 7 } else { 8 }
}
