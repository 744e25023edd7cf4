//! The CUDA context: a GPU with its stream, memory, kernels and settings. There are no globals, so one test can use two
//! contexts with different settings on one GPU.

use super::driver::{Driver, Event, Pinned, RawGraph, kernel_name};
use super::graph::{Capture, GraphMemory};
use super::launch::{Launch, Ptr};
use super::pool::{DeviceBuffer, DevicePool, DevicePoolStats};
use super::staging::{Readback, SpareBuffers, Staging};
use super::timed::{LaunchClock, TimedLaunch};
use crate::core::{Error, ErrorKind, ObserverSlot, Precision, Result};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Settings of a [`CudaCtx`].
#[derive(Debug, Clone)]
pub struct CudaOptions {
    /// The number of the GPU, counted from 0.
    pub ordinal: usize,
    /// Fills every output with NaN before the op writes it, so that an element that the op does not write shows as
    /// NaN. On in debug builds.
    pub poison: bool,
    /// Waits after every launch, so that an error names the kernel that caused it. On in debug builds.
    pub check: bool,
    /// Allocates each buffer separately with exactly its size, and frees it when it is dropped. For tools that look for
    /// accesses out of bounds. Slow.
    pub exact: bool,
    /// The precision to which matrix products and convolutions may round their inputs.
    pub precision: Precision,
    /// The GEMM rung to run, by number; `None` picks the fastest for `precision`. See [`crate::ladder`].
    pub gemm_rung: Option<u32>,
    /// The convolution rung to run, by number; `None` chooses by shape. A convolution whose sizes the rung does not
    /// support runs as with `None`.
    pub conv_rung: Option<u32>,
}

impl Default for CudaOptions {
    fn default() -> Self {
        let checked = cfg!(debug_assertions);
        let precision = Precision::default();
        CudaOptions {
            ordinal: 0,
            poison: checked,
            check: checked,
            exact: false,
            precision,
            gemm_rung: None,
            conv_rung: None,
        }
    }
}

/// What the driver reports about a GPU.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct GpuInfo {
    pub ordinal: usize,
    pub name: String,
    /// Compute capability, major and minor.
    pub capability: [i32; 2],
    pub multiprocessors: usize,
    /// Total device memory in bytes.
    pub memory: usize,
    /// The CUDA version that the driver supports.
    pub driver: String,
}

impl GpuInfo {
    /// True for the simulator of `tests/sim/`: its results are valid, but its times mean nothing.
    pub fn is_simulated(&self) -> bool {
        self.name.contains("simulated")
    }
}

/// An open GPU.
pub struct CudaCtx {
    options: CudaOptions,
    driver: Arc<Driver>,
    pool: Arc<DevicePool>,
    staging: Mutex<Staging>,
    spare: Arc<SpareBuffers>,
    capture: Capture,
    fault: Fault,
    /// The number of the training step, in device memory. Kernels that draw random numbers read it.
    step: DeviceBuffer,
    sequence: AtomicU64,
    observer_slot: ObserverSlot,
    clock: LaunchClock,
}

/// Where kernels report invalid elements. A kernel cannot return an error. So it writes the position of the first
/// invalid element here, and the next call that waits for the device returns the error.
struct Fault {
    /// In device memory: 0, or `u64::MAX` minus the position.
    word: DeviceBuffer,
    /// The op that used the word last, and what is wrong with the element that it reports.
    watch: Mutex<Option<(&'static str, String)>>,
}

impl CudaCtx {
    /// Allocates the context's memory on the GPU. `CudaCtx::new` has checked the options.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn start(driver: Arc<Driver>, options: &CudaOptions) -> Result<CudaCtx> {
        let pool = DevicePool::new(Arc::clone(&driver), options.exact);
        let zeroed = |bytes| -> Result<DeviceBuffer> {
            let buffer = pool.take(bytes, "context")?;
            // SAFETY: the buffer holds these bytes.
            unsafe { driver.fill_bytes(buffer.ptr::<u8>().address(), 0, bytes)? };
            Ok(buffer)
        };
        Ok(CudaCtx {
            options: options.clone(),
            staging: Mutex::new(Staging::new(&driver)?),
            fault: Fault { word: zeroed(size_of::<u64>())?, watch: Mutex::default() },
            step: zeroed(size_of::<u64>())?,
            spare: Arc::default(),
            capture: Capture::default(),
            sequence: AtomicU64::new(0),
            observer_slot: ObserverSlot::default(),
            clock: LaunchClock::default(),
            driver,
            pool,
        })
    }

    /// What the driver reports about the GPU.
    pub fn facts(&self) -> GpuInfo {
        self.driver.facts()
    }

    /// Settings.
    pub fn options(&self) -> &CudaOptions {
        &self.options
    }

    /// Loads every kernel now. Otherwise each file is loaded when one of its kernels first runs.
    ///
    /// # Errors
    /// The driver refuses a file.
    pub fn load_all(&self) -> Result<()> {
        self.driver.load_all()
    }

    /// How much memory the pool holds.
    pub fn memory_stats(&self) -> DevicePoolStats {
        self.pool.stats()
    }

    /// Sets the peak of memory in use back to what is in use now.
    pub fn reset_peak(&self) {
        self.pool.reset_peak();
    }

    /// Raises the peak to `before` if it is lower. To measure the peak of one section, read the old peak, call
    /// [`reset_peak`](Self::reset_peak), and at the end restore the old peak with this function.
    pub(crate) fn raise_peak(&self, before: usize) {
        self.pool.raise_peak(before);
    }

    /// Gives the pool's free memory back to the driver, except that of captured graphs.
    pub fn empty_cache(&self) {
        self.pool.empty_cache();
    }

    /// Waits until all queued work is done.
    ///
    /// # Errors
    /// A kernel failed, or found an invalid element.
    pub fn synchronize(&self) -> Result<()> {
        self.driver.synchronize()?;
        self.check_fault()
    }

    /// A scratch buffer of `n` elements with unspecified contents.
    ///
    /// # Errors
    /// No memory.
    pub fn scratch<T>(&self, n: usize) -> Result<DeviceBuffer> {
        self.take(n * size_of::<T>(), "scratch")
    }

    /// A buffer with unspecified contents. `owner` is named in "out of memory" errors.
    pub(crate) fn take(&self, bytes: usize, owner: &'static str) -> Result<DeviceBuffer> {
        self.pool.take(bytes, owner)
    }

    /// Queues a copy of `values` to the device. The caller may change `values` as soon as this returns. During a
    /// capture they become part of the graph, and each replay copies them again.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn upload<T: bytemuck::NoUninit>(&self, to: Ptr<T>, values: &[T]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        if bytes.is_empty() {
            return Ok(());
        }
        if self.capture.active() {
            let mut kept = self.driver.pinned(bytes.len())?;
            kept.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
            // SAFETY: the graph keeps the memory. The caller holds the tensor at `to`, which has this length.
            unsafe { self.driver.copy_to_device(to.address(), &kept.bytes()[..bytes.len()])? };
            self.capture.keep(kept);
            return Ok(());
        }
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the caller holds the tensor at `to`, which has this length.
        unsafe { staging.upload(&self.driver, to.address(), bytes) }
    }

    /// Waits for all queued work, then calls `f` with the `bytes` bytes at the device address `from`.
    ///
    /// # Errors
    /// A kernel failed or found an invalid element, or a graph is being captured.
    pub fn download<R>(&self, from: Ptr<u8>, bytes: usize, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let result = self.read_later(&[(from, bytes)])?.read(f)?;
        self.check_fault()?;
        Ok(result)
    }

    /// Queues copies to the host of these ranges, each given as (address, bytes), one after the other.
    ///
    /// # Errors
    /// The driver refuses, or a graph is being captured.
    pub fn read_later(&self, from: &[(Ptr<u8>, usize)]) -> Result<Readback> {
        if self.capture.active() {
            return Err(Error::new(
                ErrorKind::Device,
                "cuda",
                "a result cannot be read while a CUDA graph is being captured",
            )
            .help("train with `GraphMode::Off`"));
        }
        let places: Vec<(u64, usize)> = from.iter().map(|(ptr, bytes)| (ptr.address(), *bytes)).collect();
        // SAFETY: the callers, all in this crate, hold the tensors at these addresses, which have these sizes.
        unsafe { Readback::queue(&self.driver, &self.spare, &places) }
    }

    /// Queues a copy within the device.
    pub(crate) fn copy(&self, to: Ptr<u8>, from: Ptr<u8>, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the callers, all in this crate, hold both tensors, which have `bytes` bytes.
        unsafe { self.driver.copy_on_device(to.address(), from.address(), bytes) }
    }

    /// Queues a fill of memory with a byte: 0, or 255 for NaN.
    pub(crate) fn fill_bytes(&self, at: Ptr<u8>, byte: u8, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the callers, all in this crate, hold the tensor, which has `bytes` bytes.
        unsafe { self.driver.fill_bytes(at.address(), byte, bytes) }
    }

    /// Queues a fill of memory with a number.
    pub(crate) fn fill_f32(&self, at: Ptr<f32>, value: f32, n: usize) -> Result<()> {
        if n == 0 {
            return Ok(());
        }
        // SAFETY: the callers, all in this crate, hold the tensor, which has `n` f32 elements.
        unsafe { self.driver.fill_words(at.address(), value.to_bits(), n) }
    }

    /// Queues kernel number `kernel`. Does nothing if the grid is empty.
    ///
    /// # Safety
    /// As for [`Driver::launch`]. The generated functions in [`super::kernels`] fulfil it.
    pub(super) unsafe fn launch(
        &self,
        kernel: usize,
        launch: Launch,
        arguments: &mut [*mut c_void],
    ) -> Result<()> {
        if launch.is_empty() {
            return Ok(());
        }
        let from = if self.clock.is_on() && !self.capture.active() { Some(self.mark()?) } else { None };
        // SAFETY: the arguments are those that the kernel declares: promised by the caller.
        unsafe { self.driver.launch(kernel, launch, arguments)? };
        if let Some(from) = from {
            self.clock.add(kernel_name(kernel), from, self.mark()?);
        }
        self.check(kernel_name(kernel))
    }

    /// Runs `work` and returns the time of each of its launches on the device's clock. A launch of a replayed graph is
    /// not among them.
    ///
    /// # Errors
    /// Those of `work`; a kernel that failed.
    pub fn time_launches(&self, work: impl FnOnce() -> Result<()>) -> Result<Vec<TimedLaunch>> {
        self.clock.start();
        let done = work();
        let launches = self.clock.finish()?;
        done.map(|()| launches)
    }

    /// If `check` is on, waits for the work just queued. If that work failed, the error names `what`.
    pub(super) fn check(&self, what: &str) -> Result<()> {
        if !self.options.check || self.capture.active() {
            return Ok(());
        }
        self.driver.synchronize().map_err(|e| e.with("kernel", what))
    }

    /// The address at which a kernel of `op` reports the position of an invalid element. `what` says what is wrong with
    /// it.
    pub fn fault(&self, op: &'static str, what: impl Into<String>) -> Ptr<u64> {
        *self.fault.watch.lock().unwrap_or_else(PoisonError::into_inner) = Some((op, what.into()));
        self.fault.word.ptr()
    }

    /// Returns an error if a kernel found an invalid element. This reads the word from the device only if an op has
    /// called [`fault`](Self::fault). It does nothing during a capture, because nothing runs then.
    pub(crate) fn check_fault(&self) -> Result<()> {
        let watched = self.fault.watch.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((op, what)) = watched.filter(|_| !self.capture.active()) else { return Ok(()) };
        let word = self.fault.word.ptr::<u8>();
        let found =
            self.read_later(&[(word, size_of::<u64>())])?.read(bytemuck::pod_read_unaligned::<u64>)?;
        if found == 0 {
            return Ok(());
        }
        self.fill_bytes(word, 0, size_of::<u64>())?;
        Err(Error::format(op, format!("{what} at position {}", u64::MAX - found)))
    }

    /// During a capture: the address from which kernels read the number of the training step. If the number were an
    /// argument, each replay would repeat the random numbers of the captured step. Outside a capture: null, and the
    /// number is an argument.
    pub fn live_step(&self) -> Ptr<u64> {
        if self.capture.active() { self.step.ptr() } else { Ptr::NULL }
    }

    /// Sets the number of the training step for the next replays.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn set_step(&self, step: u64) -> Result<()> {
        self.upload(self.step.ptr(), &[step])
    }

    /// Memory for a graph that will be captured.
    pub fn graph_memory(self: &Arc<Self>) -> GraphMemory {
        GraphMemory::new(self)
    }

    pub(super) fn begin_capture(&self) -> Result<()> {
        self.capture.begin()?;
        self.driver.begin_capture().inspect_err(|_| drop(self.capture.end()))
    }

    pub(super) fn end_capture(&self) -> (Result<RawGraph>, Vec<Pinned>) {
        let raw = self.driver.end_capture();
        (raw, self.capture.end())
    }

    /// Marks this point of the queue, for timing.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn mark(&self) -> Result<Mark> {
        Ok(Mark { event: self.driver.record()?, _driver: Arc::clone(&self.driver) })
    }

    pub(super) fn driver(&self) -> &Driver {
        &self.driver
    }

    pub(super) fn pool(&self) -> &DevicePool {
        &self.pool
    }

    /// The slot for an observer of the ops that run on this device.
    pub(crate) fn observer_slot(&self) -> &ObserverSlot {
        &self.observer_slot
    }

    /// True while a graph is being captured: work is then recorded, not run.
    pub(crate) fn is_capturing(&self) -> bool {
        self.capture.active()
    }

    /// The next sequence number on this device's tape.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }
}

/// A point in the stream's queue, for timing.
pub struct Mark {
    event: Event,
    /// Keeps the driver's context alive. Fields are dropped in order, so it comes after the event.
    _driver: Arc<Driver>,
}

impl Mark {
    /// Waits for a later point and returns the milliseconds of the device's clock from this point to it.
    ///
    /// # Errors
    /// A kernel in between failed.
    pub fn milliseconds_to(&self, later: &Mark) -> Result<f64> {
        later.event.wait()?;
        self.event.milliseconds_to(&later.event)
    }
}

impl std::fmt::Debug for CudaCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CudaCtx {{ options: {:?} }}", self.options)
    }
}
