//! The GPU's ladder of matrix products: every version of the GEMM kernel, from naive to fast. The kernels are in
//! `kernels/gemm`.

use super::{GemmKernel, Tiled};
use crate::core::{Precision, Result};
use crate::cuda::{CudaCtx, kernels};
use crate::ladder::{self, Rung};

/// One version of GEMM: a file in `kernels/gemm`.
#[derive(Debug)]
pub struct CudaGemmVersion {
    /// The precision to which `kernels` round their inputs.
    pub precision: Precision,
    /// Its kernels, for products of different shapes.
    pub kernels: &'static [Tiled],
    /// The same kernels with inputs rounded to bf16, used if the run asks for bf16. Empty if it has none.
    pub bf16: &'static [Tiled],
}

impl CudaGemmVersion {
    /// Its kernels for a run of this precision, and the precision to which they round their inputs.
    pub fn at(&self, precision: Precision) -> (&'static [Tiled], Precision) {
        match precision {
            Precision::Bf16 if !self.bf16.is_empty() => (self.bf16, Precision::Bf16),
            _ => (self.kernels, self.precision),
        }
    }
}

const fn each_thread(kernel: GemmKernel) -> [Tiled; 1] {
    [Tiled { kernel, tile: None, threads: 256, pace: 100 }]
}

const fn tiled(kernel: GemmKernel, tile: [usize; 2], threads: u32, pace: usize) -> Tiled {
    Tiled { kernel, tile: Some(tile), threads, pace }
}

const fn exact(
    number: u32,
    name: &'static str,
    teaches: &'static str,
    kernels: &'static [Tiled],
) -> Rung<CudaGemmVersion> {
    Rung { number, name, teaches, version: CudaGemmVersion { precision: Precision::F32, kernels, bf16: &[] } }
}

/// All rungs, slowest first.
pub static RUNGS: &[Rung<CudaGemmVersion>] = &[
    exact(1, "naive", "the definition: one thread per output", &each_thread(kernels::gemm_v01_f32)),
    exact(
        2,
        "coalesced",
        "a warp's threads read neighbouring elements of a row, in one memory transaction",
        &each_thread(kernels::gemm_v02_f32),
    ),
    exact(
        3,
        "shared",
        "a block loads each number once into shared memory, for all its threads",
        &[tiled(kernels::gemm_v03_f32, [32, 32], 1024, 100)],
    ),
    exact(
        4,
        "register tile 1-D",
        "eight outputs per thread: a number in a register is used for eight multiply-adds",
        &[tiled(kernels::gemm_v04_f32, [64, 64], 512, 100)],
    ),
    exact(
        5,
        "register tile 2-D",
        "8 x 8 outputs per thread: an outer product of registers",
        &[tiled(kernels::gemm_v05_f32, [128, 128], 256, 100)],
    ),
    exact(
        6,
        "vectorised",
        "loads of 16 bytes; the next tile is loaded while this one is used",
        &[tiled(kernels::gemm_v06_f32, [128, 128], 256, 100)],
    ),
    exact(
        7,
        "cp.async",
        "asynchronous copies fill a ring of tiles without going through registers",
        &[
            tiled(kernels::gemm_v07_f32, [128, 128], 256, 100),
            tiled(kernels::gemm_v07_m32_f32, [32, 128], 256, 60),
        ],
    ),
    Rung {
        number: 8,
        name: "tensor cores",
        teaches: "a warp multiplies small matrices with one instruction, on rounded inputs",
        version: CudaGemmVersion {
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
    },
];

/// The rung with this number.
///
/// # Errors
/// No such rung: the message lists them.
pub fn rung(number: u32) -> Result<&'static Rung<CudaGemmVersion>> {
    ladder::find("gemm-rung", RUNGS, number)
}

/// The rung that runs unless another is chosen: the fastest that rounds no more than `precision` allows.
pub fn default(precision: Precision) -> u32 {
    if precision == Precision::F32 { 7 } else { 8 }
}

/// The kernels of this context's rung.
pub(super) fn kernels_of(cx: &CudaCtx) -> &'static [Tiled] {
    let options = cx.options();
    let number = options.gemm_rung.unwrap_or(default(options.precision));
    let rung = rung(number).expect("a context is opened with a rung that is on the ladder");
    rung.version.at(options.precision).0
}
