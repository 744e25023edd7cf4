//! The measured peak speeds of a device. Benchmarks and profiles give percentages of them.

use crate::core::Result;
use crate::cpu::{CpuCtx, peak};
use crate::cuda::{CudaCtx, Launch, kernels};
use crate::tensor::Device;
use serde::Serialize;
use std::convert::Infallible;
use std::time::Instant;

/// The peak rates of a device that does nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Roof {
    /// f32 operations per second; a multiply-add counts as two.
    pub flops: f64,
    /// Bytes per second, read and written.
    pub bytes: f64,
}

/// Number of blocks of 256 threads: several per multiprocessor.
const BLOCKS: usize = 132 * 16;
/// Floating-point operations per thread and round.
const CHAINS: usize = 2 * 8;
/// Floats copied on a GPU: far more than any cache holds.
const COPIED: usize = 1 << 27;

/// Rounds of multiply-adds on a CPU; they take some 2 ms.
const ROUNDS: usize = 1 << 19;
/// Floats copied on a CPU: far more than its caches hold. `COPIED_TASK` is the number per task.
const COPIED_CPU: usize = 1 << 25;
const COPIED_TASK: usize = 1 << 18;

impl Roof {
    /// Measures a device. `None` for a device that does not compute, and for the simulator, whose speed is not
    /// meaningful.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn measure(device: &Device) -> Result<Option<Roof>> {
        match device {
            Device::Cpu(cx) => Ok(Some(Self::of_cpu(cx))),
            Device::Cuda(cx) if cx.facts().is_simulated() => Ok(None),
            Device::Cuda(cx) => Self::of(cx).map(Some),
            Device::Meta(_) => Ok(None),
        }
    }

    /// Measures a GPU, in about a tenth of a second.
    ///
    /// # Errors
    /// No memory; an error of the driver.
    pub fn of(cx: &CudaCtx) -> Result<Roof> {
        let rounds = 1 << 14;
        let threads = BLOCKS * 256;
        let y = cx.scratch::<f32>(threads)?;
        let launch = Launch::blocks([BLOCKS, 1, 1], 256);
        let seconds = |run: &dyn Fn() -> Result<()>| -> Result<f64> {
            let start = cx.mark()?;
            run()?;
            Ok(start.milliseconds_to(&cx.mark()?)? / 1e3)
        };
        let fma = fastest(5, || seconds(&|| kernels::roof_fma_f32(cx, launch, y.ptr(), rounds)))?;
        let [from, to] = [cx.scratch::<f32>(COPIED)?, cx.scratch::<f32>(COPIED)?];
        let quads = COPIED / 4;
        let copy = || kernels::roof_copy_f32(cx, Launch::over(quads), from.ptr(), to.ptr(), quads as i64);
        let copy = fastest(5, || seconds(&copy))?;
        Ok(Roof {
            flops: (threads * CHAINS * rounds as usize) as f64 / fma,
            bytes: (2 * COPIED * size_of::<f32>()) as f64 / copy,
        })
    }

    /// Measures all threads of a CPU context together, in about a quarter of a second: multiply-adds at its SIMD level,
    /// and a copy of 128 MiB.
    pub fn of_cpu(cx: &CpuCtx) -> Roof {
        let (threads, simd) = (cx.threads(), cx.simd());
        let seconds = |run: &mut dyn FnMut()| {
            let start = Instant::now();
            run();
            Ok::<_, Infallible>(start.elapsed().as_secs_f64())
        };
        let flops = threads as f64 * peak::multiply_adds(simd, 1);
        let mut add = || {
            cx.tasks(threads, usize::MAX, &|_| {
                peak::multiply_adds(simd, ROUNDS);
            })
        };
        let Ok(fma) = fastest(60, || seconds(&mut add));
        let (from, mut to) = (vec![1f32; COPIED_CPU], vec![0f32; COPIED_CPU]);
        let mut copy = || {
            cx.pieces(&mut to, COPIED_TASK, COPIED_CPU, |i, to| {
                to.copy_from_slice(&from[i * COPIED_TASK..][..to.len()])
            })
        };
        let Ok(copy) = fastest(5, || seconds(&mut copy));
        let bytes = (2 * COPIED_CPU * size_of::<f32>()) as f64;
        Roof { flops: flops * ROUNDS as f64 / fma, bytes: bytes / copy }
    }

    /// The shortest possible time, in seconds, for this much work.
    pub fn seconds(&self, flops: f64, bytes: f64) -> f64 {
        (flops / self.flops).max(bytes / self.bytes)
    }
}

/// Seconds of the fastest of `n` runs, after one warm-up run.
fn fastest<E>(n: usize, mut seconds: impl FnMut() -> Result<f64, E>) -> Result<f64, E> {
    seconds()?;
    (0..n).try_fold(f64::INFINITY, |best, _| Ok(best.min(seconds()?)))
}
