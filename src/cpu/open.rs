//! Opens a CPU context: checks the options against this machine and the ladders.

use super::conv2d::ladder as conv2d;
use super::gemm::ladder as gemm;
use super::{CpuCtx, CpuOptions, Simd};
use crate::core::{Error, Result};

/// The most threads allowed: more than the cores of any machine this runs on. A mistyped larger number would start
/// threads for minutes.
const MOST_THREADS: usize = 1024;

/// Refuses more than [`MOST_THREADS`] threads.
pub(crate) fn check_threads(threads: usize) -> Result<()> {
    if threads <= MOST_THREADS {
        return Ok(());
    }
    Err(Error::argument("threads", format!("{threads} threads are too many"))
        .expected(format!("at most {MOST_THREADS}, or 0 for one thread per core")))
}

impl Default for CpuOptions {
    fn default() -> Self {
        CpuOptions {
            threads: 0,
            poison: cfg!(debug_assertions),
            gemm_rung: gemm::DEFAULT,
            conv_rung: None,
            simd: None,
        }
    }
}

impl CpuCtx {
    /// Starts the threads.
    ///
    /// # Errors
    /// An unknown rung or SIMD level, a SIMD level that this processor does not have, more than 1024 threads, or the
    /// operating system refuses to start a thread.
    pub fn new(options: &CpuOptions) -> Result<CpuCtx> {
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
        let threads = if options.threads == 0 { cores() } else { options.threads };
        check_threads(threads)?;
        let simd = options.simd.map_or_else(Simd::from_environment, Simd::supported)?;
        gemm::check(options.gemm_rung, simd)?;
        options.conv_rung.map(conv2d::rung).transpose()?;
        CpuCtx::start(options, threads, simd)
    }
}
