//! How fast a GPU can be, measured: the roof that benches give percentages of.

use crate::core::Result;
use crate::cuda::{CudaCtx, Launch, kernels};

/// What a device reaches when it does nothing else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roof {
    /// f32 operations a second, a multiply-add counting two.
    pub flops: f64,
    /// Bytes a second, read and written.
    pub bytes: f64,
}

/// Blocks of 256 threads, several for every multiprocessor there is.
const BLOCKS: usize = 132 * 16;
/// Flop of a thread and round.
const CHAINS: usize = 2 * 8;
/// Floats that are copied: far more than any cache holds.
const COPIED: usize = 1 << 27;

impl Roof {
    /// Measures a GPU, in about a tenth of a second.
    ///
    /// # Errors
    /// No memory; the driver refusing.
    pub fn of(cx: &CudaCtx) -> Result<Roof> {
        let rounds = 1 << 14;
        let threads = BLOCKS * 256;
        let y = cx.scratch::<f32>(threads)?;
        let launch = Launch::blocks([BLOCKS, 1, 1], 256);
        let fma = fastest(cx, || kernels::roof_fma_f32(cx, launch, y.ptr(), rounds))?;
        let [from, to] = [cx.scratch::<f32>(COPIED)?, cx.scratch::<f32>(COPIED)?];
        let quads = COPIED / 4;
        let copy = fastest(cx, || {
            kernels::roof_copy_f32(cx, Launch::over(quads), from.ptr(), to.ptr(), quads as i64)
        })?;
        Ok(Roof {
            flops: (threads * CHAINS * rounds as usize) as f64 / fma,
            bytes: (2 * COPIED * size_of::<f32>()) as f64 / copy,
        })
    }

    /// The least seconds that so much work can take.
    pub fn seconds(&self, flops: f64, bytes: f64) -> f64 {
        (flops / self.flops).max(bytes / self.bytes)
    }
}

/// Seconds of the fastest of five runs, after one to warm up.
fn fastest(cx: &CudaCtx, run: impl Fn() -> Result<()>) -> Result<f64> {
    run()?;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = cx.mark()?;
        run()?;
        best = best.min(start.milliseconds_to(&cx.mark()?)? / 1e3);
    }
    Ok(best)
}
