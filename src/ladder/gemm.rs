//! The GEMM ladder: `C = beta C + op(A) op(B)`, the heart of linear layers and of convolution by im2col. One table for
//! the CPU, one for the GPU.

use super::{Precision, find};
use crate::core::Result;
use crate::cpu::gemm as cpu;
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
