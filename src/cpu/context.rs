//! The CPU context: threads, memory and chosen rungs. There are no globals, so two contexts with different settings
//! live side by side in one test.
//!
//! **Determinism.** Work is cut by the size of the problem, never by the number of threads: the same chunks are
//! computed in the same way whoever computes them. So the same seed gives the same bits with 1, 2 or 16 threads.

use super::buffer::{Buffer, BufferPool};
use super::simd::Simd;
use super::team::Team;
use crate::core::{Error, Geometry, Result, Seat};
use crate::ladder::conv2d::Loop;
use crate::ladder::{self, ConvRung, GemmRung};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Below this many elements a loop runs serially: waking a thread costs more than the loop.
pub const SERIAL: usize = 16 * 1024;
/// Elements in one chunk of an elementwise loop.
pub const CHUNK: usize = 16 * 1024;

/// Settings of a [`CpuCtx`].
#[derive(Debug, Clone)]
pub struct CpuOptions {
    /// Worker threads; 0 takes one for each core.
    pub threads: usize,
    /// Fill every output with NaN before the op writes it, so that an unwritten element shows. On in debug builds.
    pub poison: bool,
    /// The GEMM rung to run, by number; see [`crate::ladder`].
    pub gemm_rung: u32,
    /// The convolution rung to run, by number; none takes the fastest for each convolution.
    pub conv_rung: Option<u32>,
    /// The vector instructions to use; none takes `RECEPTIVE_SIMD`, or the best there are.
    pub simd: Option<Simd>,
}

impl CpuOptions {
    /// The default with this many worker threads; 0 takes one for each core.
    pub fn with_threads(threads: usize) -> CpuOptions {
        CpuOptions { threads, ..CpuOptions::default() }
    }
}

impl Default for CpuOptions {
    fn default() -> Self {
        CpuOptions {
            threads: 0,
            poison: cfg!(debug_assertions),
            gemm_rung: ladder::gemm::DEFAULT,
            conv_rung: None,
            simd: None,
        }
    }
}

/// Threads, recycled memory and chosen rungs of one CPU device.
pub struct CpuCtx {
    team: Option<Team>,
    threads: usize,
    buffers: Arc<BufferPool>,
    poison: bool,
    simd: Simd,
    gemm: &'static GemmRung,
    conv: Option<&'static ConvRung>,
    sequence: AtomicU64,
    seat: Seat,
}

/// More threads than any machine this runs on has cores; beyond it a mistyped number would start threads for minutes.
const MOST_THREADS: usize = 1024;

/// Refuses an absurd number of threads.
pub(crate) fn check_threads(threads: usize) -> Result<()> {
    if threads <= MOST_THREADS {
        return Ok(());
    }
    Err(Error::argument("threads", format!("{threads} threads are out of range"))
        .expected(format!("at most {MOST_THREADS}, or 0 for one for each core")))
}

/// The rung with this number, if this level has its instructions.
fn gemm_rung(number: u32, simd: Simd) -> Result<&'static GemmRung> {
    let rung = ladder::gemm::rung(number)?;
    if rung.needs <= simd {
        return Ok(rung);
    }
    Err(Error::argument("gemm-rung", format!("rung {number} ({}) needs {}", rung.name, rung.needs))
        .with("SIMD level in use", simd)
        .help(format!("rung {} runs everywhere", ladder::gemm::DEFAULT)))
}

impl CpuCtx {
    /// Starts the threads.
    ///
    /// # Errors
    /// An unknown rung or SIMD level, one this processor does not have, an absurd number of threads, or the operating system refusing them.
    pub fn new(options: &CpuOptions) -> Result<CpuCtx> {
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
        let threads = if options.threads == 0 { cores() } else { options.threads };
        check_threads(threads)?;
        let simd = options.simd.map_or_else(Simd::from_environment, Simd::supported)?;
        Ok(CpuCtx {
            // One thread needs no help.
            team: (threads > 1).then(|| Team::new(threads)).transpose()?,
            threads,
            buffers: BufferPool::new(),
            poison: options.poison,
            simd,
            gemm: gemm_rung(options.gemm_rung, simd)?,
            conv: options.conv_rung.map(ladder::conv2d::rung).transpose()?,
            sequence: AtomicU64::new(0),
            seat: Seat::default(),
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

    /// The GEMM rung in use.
    pub fn gemm(&self) -> &'static GemmRung {
        self.gemm
    }

    /// The convolution rung that computes this loop.
    pub fn conv(&self, g: &Geometry, which: Loop) -> &'static ConvRung {
        ladder::conv2d::choose(self.conv, self.simd, g, which)
    }

    /// Whether outputs start as NaN.
    pub fn poison(&self) -> bool {
        self.poison
    }

    /// A scratch buffer with unspecified contents.
    pub fn scratch(&self, bytes: usize) -> Buffer {
        self.buffers.take(bytes)
    }

    /// Who watches what runs here.
    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The next place on this device's tape.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    /// Calls `f(0) .. f(n - 1)`, in parallel when `work` (elements touched, about) is worth a thread.
    ///
    /// This is the only place where loops meet other threads. It takes a `dyn` closure on purpose: the machinery is
    /// compiled once, not once for every loop of every op and element type.
    pub fn tasks(&self, n: usize, work: usize, f: &(dyn Fn(usize) + Sync)) {
        match &self.team {
            Some(team) if n > 1 && work > SERIAL => team.run(n, f),
            _ => (0..n).for_each(f),
        }
    }
}

impl std::fmt::Debug for CpuCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { threads, gemm, conv, .. } = self;
        write!(
            f,
            "CpuCtx {{ threads: {threads}, gemm: {:?}, conv: {:?} }}",
            gemm.name,
            conv.map(|rung| rung.name)
        )
    }
}
