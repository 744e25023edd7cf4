//! The peak speed of arithmetic: multiply-adds that wait neither for memory nor for each other.
//!
//! A multiply-add takes about 4 cycles, and a core starts one or two per cycle. `CHAINS` independent sums keep it busy.
//! All of them stay in registers. With AVX2 and AVX-512, a product and a sum are one instruction. The portable level
//! cannot rely on such an instruction, so its peak is that of a separate product and sum.

use super::Simd;
use std::hint::black_box;

/// Independent sums. They and the two factors fit the 16 registers of AVX2.
const CHAINS: usize = 12;

/// Runs `rounds` multiply-adds of a full register on each chain. Returns the number of floating point operations; a
/// multiply-add counts as two.
pub fn multiply_adds(simd: Simd, rounds: usize) -> f64 {
    // `black_box` keeps the compiler from computing anything in advance. The factor is below 1, so that sums stay
    // finite.
    let (a, b) = black_box((0.999_f32, 1e-3_f32));
    black_box(sums(simd, a, b, rounds));
    (2 * CHAINS * simd.lanes() * rounds) as f64
}

/// Computes `sum = sum a + b` on every chain. Returns the sum of one number from each chain.
fn sums(simd: Simd, a: f32, b: f32, rounds: usize) -> f32 {
    match simd {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a context's level is one that this processor has.
        Simd::Avx512 => unsafe { avx512(a, b, rounds) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a context's level is one that this processor has.
        Simd::Avx2 => unsafe { avx2(a, b, rounds) },
        _ => portable(a, b, rounds),
    }
}

macro_rules! fused {
    ($name:ident, $features:literal, $set1:ident, $fmadd:ident, $first:ident) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        fn $name(a: f32, b: f32, rounds: usize) -> f32 {
            use std::arch::x86_64::{$first, $fmadd, $set1};
            let (a, b) = ($set1(a), $set1(b));
            let mut sums = [$set1(0.5); CHAINS];
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = $fmadd(*sum, a, b);
                }
            }
            sums.into_iter().map(|sum| $first(sum)).sum()
        }
    };
}

fused!(avx2, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps, _mm256_cvtss_f32);
fused!(avx512, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps, _mm512_cvtss_f32);

fn portable(a: f32, b: f32, rounds: usize) -> f32 {
    let mut sums = [[0.5_f32; 4]; CHAINS];
    for _ in 0..rounds {
        for sum in sums.as_flattened_mut() {
            *sum = *sum * a + b;
        }
    }
    sums.iter().map(|sum| sum[0]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each chain converges to b / (1 - a), so the compiler did not remove the work.
    #[test]
    fn every_level_adds_up() {
        for level in [Simd::Portable, Simd::Avx2, Simd::Avx512] {
            if level.supported().is_ok() {
                let sum = sums(level, 0.5, 1.0, 100);
                assert!((sum - 2.0 * CHAINS as f32).abs() < 1e-3, "{level}: {sum}");
            }
        }
        assert_eq!(multiply_adds(Simd::Portable, 10), (2 * 4 * CHAINS * 10) as f64);
    }
}
