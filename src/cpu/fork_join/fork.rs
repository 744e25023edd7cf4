//! The protocol of a fork and join: a caller has a loop to run, and other threads (helpers) take some of its tasks.
//!
//! ```text
//! caller   open ---- tasks 0, 1, 2, .. from the front ----------- shut, wait for those inside
//! helper   watch ----- enter -- tasks n-1, n-2, .. from the back -- leave, watch
//! ```
//!
//! Caller and helper work from the two ends towards the middle. So from one loop to the next a thread mostly gets the
//! part of a tensor that is in its own cache. The results do not depend on which thread runs which task.
//!
//! This file does not know where helpers come from. `crates/team-model` compiles this same file with `loom`, which runs
//! it in every possible order of the threads' steps.

use super::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, Turns, pause};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;

/// The gate's lowest bit: helpers may enter. The other bits count the helpers that are inside.
const OPEN: usize = 1;
const INSIDE: usize = 2;

/// A loop's body.
pub type Body<'a> = &'a (dyn Fn(usize) + Sync);

/// The loop that is running now, if any, and the state that its threads share.
#[derive(Default)]
pub struct Fork {
    /// True while a loop is running.
    busy: AtomicBool,
    gate: AtomicUsize,
    /// The caller writes it while the gate is shut and no helper is inside; helpers inside read it.
    work: Turns<Option<Body<'static>>>,
    tasks: Tasks,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `work` is the only field that is not `Sync` by itself. Only the caller that set `busy` writes it, while the
// gate is shut and no helper is inside. That caller returns only when the gate is shut and no helper is inside again,
// so helpers inside read a loop that still exists.
unsafe impl Sync for Fork {}
// SAFETY: the loop that `work` refers to exists while helpers can read it, and its body is `Sync`.
unsafe impl Send for Fork {}

/// The tasks of a loop that no thread has taken yet: the ones between the two ends.
#[derive(Default)]
struct Tasks {
    n: AtomicUsize,
    /// How many tasks were taken from the front (lower 32 bits) and from the back (upper 32 bits).
    taken: AtomicU64,
}

/// The end of the loop from which a thread takes its tasks.
#[derive(Clone, Copy)]
pub enum QueueEnd {
    Front,
    Back,
}

impl Tasks {
    const BACK: u64 = 1 << 32;

    fn reset(&self, n: usize) {
        self.n.store(n, Ordering::Relaxed);
        self.taken.store(0, Ordering::Relaxed);
    }

    fn next(&self, end: QueueEnd) -> Option<usize> {
        let one = if let QueueEnd::Front = end { 1 } else { Self::BACK };
        let (n, [front, back]) =
            (self.n.load(Ordering::Relaxed), Self::ends(self.taken.fetch_add(one, Ordering::Relaxed)));
        (front + back < n).then(|| if let QueueEnd::Front = end { front } else { n - 1 - back })
    }

    fn is_empty(&self) -> bool {
        let [front, back] = Self::ends(self.taken.load(Ordering::Relaxed));
        front + back >= self.n.load(Ordering::Relaxed)
    }

    fn ends(taken: u64) -> [usize; 2] {
        [(taken % Self::BACK) as usize, (taken / Self::BACK) as usize]
    }
}

impl Fork {
    /// Calls `wake`, which may call helpers, and then `body(0) .. body(n - 1)`, each once. If another loop is running
    /// already, this thread runs all tasks alone, without `wake`.
    ///
    /// # Panics
    /// If a task panics.
    #[inline]
    pub fn run(&self, n: usize, body: Body, wake: impl FnOnce()) {
        if self.busy.swap(true, Ordering::Acquire) {
            return (0..n).for_each(body);
        }
        let _busy = OnDrop(|| self.busy.store(false, Ordering::Release));
        wake();
        // SAFETY: the gate is shut and no helper is inside, so no thread reads `work`. The transmuted reference is used
        // only while `body` lives: before it returns or unwinds, this function shuts the gate and waits for the helpers
        // inside.
        unsafe { self.work.write(Some(std::mem::transmute::<Body<'_>, Body<'static>>(body))) };
        self.tasks.reset(n);
        {
            let _open = OnDrop(|| self.shut());
            self.gate.store(OPEN, Ordering::Release);
            self.work_through(QueueEnd::Front, body);
        }
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Takes tasks of the loop that is running until none is left. Returns true if there was such a loop.
    #[inline]
    pub fn help(&self, end: QueueEnd) -> bool {
        if !self.enter() {
            return false;
        }
        // SAFETY: this helper is inside, so the loop exists and no thread writes `work`.
        let body = unsafe { self.work.read() }.expect("an open gate has a loop behind it");
        let caught = catch_unwind(AssertUnwindSafe(|| self.work_through(end, body)));
        if let Err(panic) = caught {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
        self.gate.fetch_sub(INSIDE, Ordering::Release);
        true
    }

    #[inline]
    fn enter(&self) -> bool {
        let gate = self.gate.load(Ordering::Relaxed);
        let inside = gate + INSIDE;
        gate & OPEN != 0
            && !self.tasks.is_empty()
            && self.gate.compare_exchange(gate, inside, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn work_through(&self, end: QueueEnd, body: Body) {
        while let Some(i) = self.tasks.next(end) {
            body(i);
        }
    }

    /// Lets no more helpers enter, and returns when no helper is inside.
    fn shut(&self) {
        self.gate.fetch_sub(OPEN, Ordering::Relaxed);
        let mut looks = 0;
        while self.gate.load(Ordering::Acquire) != 0 {
            looks += 1;
            pause(looks);
        }
    }
}

/// Runs its closure at the end of a block, even if a panic ends the block.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
