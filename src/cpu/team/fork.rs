//! The protocol of a fork and join: a caller has a loop to run, whoever else comes by helps.
//!
//! ```text
//! caller   open ---- tasks 0, 1, 2, .. from the front ----------- shut, wait for those inside
//! helper   watch ----- enter -- tasks n-1, n-2, .. from the back -- leave, watch
//! ```
//!
//! Both work towards the middle, so that from loop to loop a thread mostly sees the part of a tensor that is in its own
//! cache. Who runs which task changes nothing in what is computed.
//!
//! Nothing here knows where helpers come from. `crates/team-model` compiles this very file over `loom`, and runs it in all orders.

use super::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, Turns, pause};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;

/// The gate's lowest bit: helpers may enter. The others count those who are inside.
const OPEN: usize = 1;
const INSIDE: usize = 2;

/// A loop's body.
pub type Body<'a> = &'a (dyn Fn(usize) + Sync);

/// The loop that is running, if one is, and who is at it.
#[derive(Default)]
pub struct Fork {
    /// Whether a loop is running.
    busy: AtomicBool,
    gate: AtomicUsize,
    /// Written while the gate is shut and nobody is inside; read by those inside.
    work: Turns<Option<Body<'static>>>,
    tasks: Tasks,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `work` is the one field that is not made for sharing. The caller that is `busy` writes it while the gate is shut
// and nobody is inside, and does not return before that is so again: those inside read a loop that still exists.
unsafe impl Sync for Fork {}
// SAFETY: the loop that `work` refers to exists while it is there, and its body is `Sync`.
unsafe impl Send for Fork {}

/// The tasks of a loop that nobody has taken yet: those between the two ends.
#[derive(Default)]
struct Tasks {
    n: AtomicUsize,
    /// How many were taken from the front (lower half) and from the back (upper half).
    taken: AtomicU64,
}

/// Where a thread takes its tasks.
#[derive(Clone, Copy)]
pub enum End {
    Front,
    Back,
}

impl Tasks {
    const BACK: u64 = 1 << 32;

    fn reset(&self, n: usize) {
        self.n.store(n, Ordering::Relaxed);
        self.taken.store(0, Ordering::Relaxed);
    }

    fn next(&self, end: End) -> Option<usize> {
        let one = if let End::Front = end { 1 } else { Self::BACK };
        let (n, [front, back]) =
            (self.n.load(Ordering::Relaxed), Self::ends(self.taken.fetch_add(one, Ordering::Relaxed)));
        (front + back < n).then(|| if let End::Front = end { front } else { n - 1 - back })
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
    /// Calls `body(0) .. body(n - 1)`, each once, after `wake`, which may call helpers. Where a loop is running already, it
    /// does so alone.
    ///
    /// # Panics
    /// Where a task does.
    #[inline]
    pub fn run(&self, n: usize, body: Body, wake: impl FnOnce()) {
        if self.busy.swap(true, Ordering::Acquire) {
            return (0..n).for_each(body);
        }
        let _busy = OnDrop(|| self.busy.store(false, Ordering::Release));
        wake();
        // SAFETY: the gate is shut and nobody inside, so nobody reads. The lifetime that the pointer forgets outlasts its
        // use: this function, however it ends, first shuts the gate again and waits for those inside.
        unsafe { self.work.write(Some(std::mem::transmute::<Body<'_>, Body<'static>>(body))) };
        self.tasks.reset(n);
        {
            let _open = OnDrop(|| self.shut());
            self.gate.store(OPEN, Ordering::Release);
            self.work_through(End::Front, body);
        }
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Helps with the loop that is running, until it has no task left; whether there was one to help with.
    #[inline]
    pub fn help(&self, end: End) -> bool {
        if !self.enter() {
            return false;
        }
        // SAFETY: inside, the loop exists, and nobody writes `work`.
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

    fn work_through(&self, end: End, body: Body) {
        while let Some(i) = self.tasks.next(end) {
            body(i);
        }
    }

    /// Nobody enters any more; returns when nobody is inside.
    fn shut(&self) {
        self.gate.fetch_sub(OPEN, Ordering::Relaxed);
        let mut looks = 0;
        while self.gate.load(Ordering::Acquire) != 0 {
            looks += 1;
            pause(looks);
        }
    }
}

/// Runs its closure at the end of a block, also where a panic leaves it.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
