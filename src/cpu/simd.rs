//! Instruction sets: chosen once, at run time, from those that the processor has.
//!
//! A hot loop is written once, in plain Rust, and compiled for every level. [`Simd::run`] calls a closure from a
//! function that may use the level's registers. The closure is inlined there, so the compiler makes vectors of that
//! width. Plain Rust never fuses a product and a sum by itself, so such a loop gives the same bits at every level.
//! Kernels written by hand (matrix products) are dispatched by [`Simd::dispatch`].
//!
//! `RECEPTIVE_SIMD=portable|avx2|avx512` selects a level below the best, to test and to compare.

use crate::core::{Error, Named, Result};
use std::fmt;

/// The vector instructions that loops may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Simd {
    /// The instructions of every processor of this build's target: four floats at once on x86-64 (SSE2) and aarch64
    /// (NEON).
    Portable,
    /// Eight floats at once, and fused multiply-adds.
    Avx2,
    /// Sixteen floats at once, 32 registers and masks.
    Avx512,
}

impl Named for Simd {
    const WHAT: &'static str = "SIMD level";
    const NAMES: &'static [(&'static str, Self)] =
        &[("portable", Simd::Portable), ("avx2", Simd::Avx2), ("avx512", Simd::Avx512)];
}

impl fmt::Display for Simd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The environment variable that selects a level.
const VARIABLE: &str = "RECEPTIVE_SIMD";

impl Simd {
    /// The best level this processor has.
    pub fn best() -> Simd {
        #[cfg(target_arch = "x86_64")]
        {
            macro_rules! has {
                ($($feature:tt),+) => { $(std::is_x86_feature_detected!($feature))&&+ };
            }
            let avx2 = has!("avx2", "fma", "bmi2");
            if avx2 && has!("avx512f", "avx512bw", "avx512dq", "avx512vl") {
                return Simd::Avx512;
            }
            if avx2 {
                return Simd::Avx2;
            }
        }
        Simd::Portable
    }

    /// The level to use: `RECEPTIVE_SIMD`, or the best.
    ///
    /// # Errors
    /// An unknown level, or one that this processor does not have.
    pub fn from_environment() -> Result<Simd> {
        match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => Simd::named(&text)
                .map_err(|e| e.with("variable", VARIABLE))?
                .supported()
                .map_err(|e| e.with("variable", VARIABLE)),
            _ => Ok(Simd::best()),
        }
    }

    /// Returns this level if the processor has it.
    ///
    /// # Errors
    /// The processor does not have this level: running its code would end the process.
    pub fn supported(self) -> Result<Simd> {
        let best = Simd::best();
        if self <= best {
            return Ok(self);
        }
        Err(Error::argument("simd", format!("this processor does not support {self}"))
            .expected(format!("at most {best}")))
    }

    /// The number of 32-bit floats in a register.
    pub fn lanes(self) -> usize {
        match self {
            Simd::Portable => 4,
            Simd::Avx2 => 8,
            Simd::Avx512 => 16,
        }
    }

    /// Calls `f`, compiled for this level. Mark the closure `#[inline(always)]`, and every function that its hot loop
    /// calls.
    ///
    /// # Panics
    /// Never for a level from [`supported`](Self::supported), which every [`CpuCtx`](super::CpuCtx) has.
    #[inline(always)]
    pub fn run<R>(self, f: impl FnOnce() -> R) -> R {
        match self {
            Simd::Portable => f(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a context's level is one that `supported` found on this processor.
            Simd::Avx2 => unsafe { avx2(f) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a context's level is one that `supported` found on this processor.
            Simd::Avx512 => unsafe { avx512(f) },
            #[cfg(not(target_arch = "x86_64"))]
            Simd::Avx2 | Simd::Avx512 => unreachable!("no such level on this processor"),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,fma,bmi2")]
pub(super) fn avx2<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn avx512<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_up_to_the_best_computes_the_same() {
        let x: Vec<f32> = (0..1003).map(|i| i as f32 * 0.37 - 100.0).collect();
        let run = |level: Simd| {
            let mut y = vec![0f32; x.len()];
            level.run(
                #[inline(always)]
                || y.iter_mut().zip(&x).for_each(|(y, &x)| *y = x * 3.0 + 1.0),
            );
            y
        };
        let portable = run(Simd::Portable);
        for level in [Simd::Avx2, Simd::Avx512].into_iter().filter_map(|level| level.supported().ok()) {
            assert_eq!(run(level), portable, "{level}");
        }
    }

    #[test]
    fn an_unknown_level_names_the_known_ones() {
        let error = Simd::named("sse9").unwrap_err().to_string();
        assert!(error.contains("portable") && error.contains("avx512"), "{error}");
    }
}
