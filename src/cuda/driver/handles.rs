//! Handles from the driver: graphs, events, page-locked memory. Each is released when it is dropped.

use super::explain::explain;
use crate::core::Result;
use cudarc::driver::DriverError;
use cudarc::driver::result::{self, event, graph};
use cudarc::driver::sys::{self, CUresult};

/// A captured and instantiated graph, ready to be launched.
pub struct RawGraph(pub(super) sys::CUgraphExec);

// SAFETY: the driver's functions are thread-safe, and a handle is not tied to the thread that made it.
unsafe impl Send for RawGraph {}

/// A point in the stream, marked by a CUDA event.
pub struct Event(pub(super) sys::CUevent);

// SAFETY: the driver's functions are thread-safe, and a handle is not tied to the thread that made it.
unsafe impl Send for Event {}

/// Page-locked host memory. The device copies from it and to it while the host continues.
pub struct Pinned {
    pub(super) start: *mut u8,
    pub(super) bytes: usize,
}

// SAFETY: this value is the only owner of its memory, like a `Vec<u8>`.
unsafe impl Send for Pinned {}
// SAFETY: shared access gives only `&[u8]`.
unsafe impl Sync for Pinned {}

impl Drop for RawGraph {
    fn drop(&mut self) {
        // SAFETY: this graph owns the handle.
        let _ = unsafe { graph::exec_destroy(self.0) };
    }
}

impl Event {
    /// True if the stream has passed this point.
    pub fn passed(&self) -> Result<bool> {
        // SAFETY: the event is alive.
        match unsafe { event::query(self.0) } {
            Ok(()) => Ok(true),
            Err(DriverError(CUresult::CUDA_ERROR_NOT_READY)) => Ok(false),
            Err(e) => Err(explain("wait for the GPU", e)),
        }
    }

    /// Waits until the stream has passed this point.
    pub fn wait(&self) -> Result<()> {
        // SAFETY: the event is alive.
        unsafe { event::synchronize(self.0) }.map_err(|e| explain("wait for the GPU", e))
    }

    /// Milliseconds from this point to a later one. The stream must have passed both.
    pub fn milliseconds_to(&self, later: &Event) -> Result<f64> {
        // SAFETY: both events are alive.
        unsafe { event::elapsed(self.0, later.0) }
            .map(f64::from)
            .map_err(|e| explain("read the GPU's clock", e))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: this event owns the handle.
        let _ = unsafe { event::destroy(self.0) };
    }
}

impl Pinned {
    /// The contents.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `bytes` initialised bytes are at `start` for as long as self lives.
        unsafe { std::slice::from_raw_parts(self.start, self.bytes) }
    }

    /// The contents, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `bytes` initialised bytes are at `start`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.bytes) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: this value owns the memory.
        let _ = unsafe { result::free_host(self.start.cast()) };
    }
}
