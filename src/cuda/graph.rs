//! A training step that is captured once and replayed many times.
//!
//! A small network's kernels run for a few microseconds each, and launching one from the host takes about as long. A
//! CUDA graph launches all kernels of a step with one call. During the capture nothing runs: launches and copies are
//! recorded with their arguments. So everything that changes from step to step must be in device memory at fixed
//! addresses: the images, the learning rate, the number of the step.
//!
//! ```text
//!   memory = cx.graph_memory()
//!   memory.with(|| step())                      an eager step fills the arena with the blocks a step needs
//!   graph = memory.capture(|| step())           the same step, recorded; it gets the same blocks
//!   loop { write inputs; graph.replay() }
//! ```

use super::context::CudaCtx;
use super::driver::{Pinned, RawGraph};
use super::pool::Arena;
use crate::core::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// Device memory that only one graph uses, until the graph is dropped.
pub struct GraphMemory {
    cx: Arc<CudaCtx>,
    arena: Arena,
}

impl GraphMemory {
    pub(super) fn new(cx: &Arc<CudaCtx>) -> GraphMemory {
        GraphMemory { arena: cx.pool().arena(), cx: Arc::clone(cx) }
    }

    /// Runs `f`. All device memory that `f` allocates comes from this arena.
    pub fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        let before = self.cx.pool().open(self.arena);
        let result = f();
        self.cx.pool().open(before);
        result
    }

    /// Records the work that `f` queues, instead of running it.
    ///
    /// # Errors
    /// `f` returns an error, or does something that a graph cannot contain, such as waiting for a result.
    pub fn capture(self, f: impl FnOnce() -> Result<()>) -> Result<CudaGraph> {
        self.cx.begin_capture()?;
        let ran = self.with(f);
        let (raw, constants) = self.cx.end_capture();
        ran?;
        Ok(CudaGraph { raw: raw?, constants, memory: self })
    }
}

impl Drop for GraphMemory {
    fn drop(&mut self) {
        self.cx.pool().dissolve(self.arena);
    }
}

/// A captured step.
pub struct CudaGraph {
    raw: RawGraph,
    /// The data uploaded during the capture. Each replay uploads it again from here.
    constants: Vec<Pinned>,
    memory: GraphMemory,
}

impl CudaGraph {
    /// Queues the whole step.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn replay(&self) -> Result<()> {
        // SAFETY: the graph's nodes use memory of the arena and the model's parameters. The arena lives as long as the
        // graph. Whoever captured the graph keeps the parameters alive.
        unsafe { self.memory.cx.driver().launch_graph(&self.raw)? };
        self.memory.cx.check("a replayed graph")
    }
}

impl Drop for CudaGraph {
    fn drop(&mut self) {
        // A replay in the queue may still read the constants. An error is ignored: `drop` cannot return it.
        if !self.constants.is_empty() {
            let _ = self.memory.cx.driver().synchronize();
        }
    }
}

/// The active capture, if any. There is at most one at a time. Holds the host memory that its graph must keep.
#[derive(Default)]
pub(super) struct Capture(Mutex<Option<Vec<Pinned>>>);

impl Capture {
    /// Begins a capture.
    pub fn begin(&self) -> Result<()> {
        let mut going = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if going.is_some() {
            return Err(Error::new(
                ErrorKind::Internal,
                "cuda",
                "another CUDA graph is already being captured",
            ));
        }
        *going = Some(Vec::new());
        Ok(())
    }

    /// True while a capture is active.
    pub fn active(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Keeps host memory for as long as the captured graph lives. Frees it at once if no capture is active.
    pub fn keep(&self, memory: Pinned) {
        if let Some(kept) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            kept.push(memory);
        }
    }

    /// Ends the capture. Returns the memory that was kept.
    pub fn end(&self) -> Vec<Pinned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}
