//! The CPU context: threads, memory and chosen rungs. There are no globals, so one test can use two contexts with
//! different settings.
//!
//! **Determinism.** Work is cut by the size of the problem, never by the number of threads. Every thread computes a
//! chunk in the same way. So the same seed gives the same bits with 1, 2 or 16 threads.

use super::buffer::{Buffer, BufferPool};
use super::fork_join::{Body, Team};
use super::simd::Simd;
use crate::core::{ObserverSlot, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Below this many elements a loop runs serially: waking a thread costs more than the loop.
pub const SERIAL: usize = 16 * 1024;
/// Elements in one chunk of an elementwise loop.
pub const CHUNK: usize = 16 * 1024;

/// Settings of a [`CpuCtx`].
#[derive(Debug, Clone)]
pub struct CpuOptions {
    /// Worker threads; 0 means one per core.
    pub threads: usize,
    /// Fills every output with NaN before the op writes it, so that an element left unwritten shows. On in debug
    /// builds.
    pub poison: bool,
    /// The GEMM rung to run, by number; see [`crate::ladder`].
    pub gemm_rung: u32,
    /// The convolution rung to run, by number; `None` picks the fastest for each convolution.
    pub conv_rung: Option<u32>,
    /// The vector instructions to use; `None` takes `RECEPTIVE_SIMD` if it is set, else the best this processor has.
    pub simd: Option<Simd>,
}

impl CpuOptions {
    /// The default options with this many worker threads; 0 means one per core.
    pub fn with_threads(threads: usize) -> CpuOptions {
        CpuOptions { threads, ..CpuOptions::default() }
    }
}

/// Threads, recycled memory and chosen rungs of one CPU device.
pub struct CpuCtx {
    team: Option<Team>,
    threads: usize,
    buffers: Arc<BufferPool>,
    poison: bool,
    simd: Simd,
    gemm_rung: u32,
    conv_rung: Option<u32>,
    sequence: AtomicU64,
    observer_slot: ObserverSlot,
}

impl CpuCtx {
    /// Starts the threads. `CpuCtx::new` has checked the options.
    ///
    /// # Errors
    /// The operating system refuses to start a thread.
    pub(super) fn start(options: &CpuOptions, threads: usize, simd: Simd) -> Result<CpuCtx> {
        Ok(CpuCtx {
            // One thread runs without a team.
            team: (threads > 1).then(|| Team::new(threads)).transpose()?,
            threads,
            buffers: BufferPool::new(),
            poison: options.poison,
            simd,
            gemm_rung: options.gemm_rung,
            conv_rung: options.conv_rung,
            sequence: AtomicU64::new(0),
            observer_slot: ObserverSlot::default(),
        })
    }

    /// Worker threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The memory pool.
    pub fn buffers(&self) -> &Arc<BufferPool> {
        &self.buffers
    }

    /// The vector instructions in use.
    pub fn simd(&self) -> Simd {
        self.simd
    }

    /// The GEMM rung in use, by number.
    pub fn gemm_rung(&self) -> u32 {
        self.gemm_rung
    }

    /// The requested convolution rung, by number; `None` picks the fastest for each convolution.
    pub fn conv_rung(&self) -> Option<u32> {
        self.conv_rung
    }

    /// True if outputs are filled with NaN before an op writes them.
    pub fn poison(&self) -> bool {
        self.poison
    }

    /// A scratch buffer with unspecified contents.
    pub fn scratch(&self, bytes: usize) -> Buffer {
        self.buffers.take(bytes)
    }

    /// The slot for an observer of the ops that run on this device.
    pub(crate) fn observer_slot(&self) -> &ObserverSlot {
        &self.observer_slot
    }

    /// The next sequence number on this device's tape.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    /// Calls `f(0) .. f(n - 1)`, in parallel if `work` (about the number of elements touched) exceeds [`SERIAL`].
    ///
    /// This is the only place where loops are given to other threads. The body is a `dyn` closure on purpose: the code
    /// around it is compiled once, not once for every loop of every op and element type.
    pub fn tasks(&self, n: usize, work: usize, f: Body) {
        match &self.team {
            Some(team) if n > 1 && work > SERIAL => team.run(n, f),
            _ => (0..n).for_each(f),
        }
    }
}

impl std::fmt::Debug for CpuCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { threads, gemm_rung, conv_rung, .. } = self;
        write!(f, "CpuCtx {{ threads: {threads}, gemm rung: {gemm_rung}, conv rung: {conv_rung:?} }}")
    }
}
