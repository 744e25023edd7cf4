//! A step captured once and replayed.
//!
//! A small network's kernels run for a few microseconds each, and launching one from the host takes about as long. A CUDA
//! graph is the whole queue of a step in one launch. While it is captured nothing runs: launches and copies are written
//! down with their arguments. So all that changes from step to step must lie in device memory at fixed addresses: the
//! images, the learning rate, the number of the step.
//!
//! ```text
//!   memory = cx.graph_memory()
//!   memory.with(|| step())                      an eager step fills the arena with the blocks a step needs
//!   graph = memory.capture(|| step())           the same step, written down; it gets the same blocks
//!   loop { write inputs; graph.replay() }
//! ```

use super::context::CudaCtx;
use super::driver::{Pinned, RawGraph};
use super::pool::Arena;
use crate::core::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// Device memory that belongs to a graph alone, until it is dropped.
pub struct GraphMemory {
    cx: Arc<CudaCtx>,
    arena: Arena,
}

impl GraphMemory {
    pub(super) fn new(cx: &Arc<CudaCtx>) -> GraphMemory {
        GraphMemory { arena: cx.pool().arena(), cx: Arc::clone(cx) }
    }

    /// Runs `f` with all memory coming from here.
    pub fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        let before = self.cx.pool().open(self.arena);
        let result = f();
        self.cx.pool().open(before);
        result
    }

    /// Writes down what `f` queues, instead of running it.
    ///
    /// # Errors
    /// An error of `f`; something in it that a graph cannot hold, such as waiting for a result.
    pub fn capture(self, f: impl FnOnce() -> Result<()>) -> Result<Graph> {
        self.cx.begin_capture()?;
        let ran = self.with(f);
        let (raw, constants) = self.cx.end_capture();
        ran?;
        Ok(Graph { raw: raw?, constants, memory: self })
    }
}

impl Drop for GraphMemory {
    fn drop(&mut self) {
        self.cx.pool().dissolve(self.arena);
    }
}

/// A captured step.
pub struct Graph {
    raw: RawGraph,
    /// What was uploaded during the capture is uploaded again at each replay, from here.
    constants: Vec<Pinned>,
    memory: GraphMemory,
}

impl Graph {
    /// Queues the whole step.
    ///
    /// # Errors
    /// The driver refusing.
    pub fn replay(&self) -> Result<()> {
        // SAFETY: the memory its nodes use is the arena's, which lives as long as the graph, and parameters, which the
        // one who captured it keeps.
        unsafe { self.memory.cx.driver().launch_graph(&self.raw)? };
        self.memory.cx.check("a replayed graph")
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // A replay in the queue may still read the constants. A failure has no one to be told to.
        if !self.constants.is_empty() {
            let _ = self.memory.cx.driver().synchronize();
        }
    }
}

/// What is going on with captures: at most one at a time.
#[derive(Default)]
pub(super) struct Capture(Mutex<Option<Vec<Pinned>>>);

impl Capture {
    /// Begins one.
    pub fn begin(&self) -> Result<()> {
        let mut going = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if going.is_some() {
            return Err(Error::new(ErrorKind::Internal, "cuda", "a graph is being captured already"));
        }
        *going = Some(Vec::new());
        Ok(())
    }

    /// Whether one is going on.
    pub fn active(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Keeps host memory for as long as the graph; gives it back where there is no capture.
    pub fn keep(&self, memory: Pinned) {
        if let Some(kept) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            kept.push(memory);
        }
    }

    /// Ends it. Returns what was kept.
    pub fn end(&self) -> Vec<Pinned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}
