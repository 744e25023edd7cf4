//! Compares every rung of a ladder with the definition, rung 01, in f64.

mod conv2d;
mod cuda;
mod gemm;

use receptive::cpu::Simd;

/// The SIMD levels that this processor supports.
fn levels() -> impl Iterator<Item = Simd> {
    [Simd::Portable, Simd::Avx2, Simd::Avx512].into_iter().filter_map(|level| level.supported().ok())
}
