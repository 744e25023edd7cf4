//! The fastest that arithmetic can be: multiply-adds that wait for nothing, neither memory nor each other.
//!
//! A multiply-add takes some 4 cycles, and a core starts one or two in each: `CHAINS` sums that do not depend on one
//! another keep it busy. All of them live in registers. With AVX2 and AVX-512 product and sum are one instruction; the
//! portable level has no such instruction to count on, so its roof is that of a product and a sum.

use super::Simd;
use std::hint::black_box;

/// Independent sums. They and the two factors fit the 16 registers of AVX2.
const CHAINS: usize = 12;

/// Runs `rounds` multiply-adds of a full register on each chain and returns the number of floating point operations, a
/// multiply-add counting two.
pub fn multiply_adds(simd: Simd, rounds: usize) -> f64 {
    // Opaque, so that nothing is computed ahead; below 1, so that sums stay finite.
    let (a, b) = black_box((0.999_f32, 1e-3_f32));
    black_box(sums(simd, a, b, rounds));
    (2 * CHAINS * simd.lanes() * rounds) as f64
}

/// `sum = sum a + b` on every chain, and in the end one number of each chain added up.
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

    /// Each chain converges to b / (1 - a): the work is really done.
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
