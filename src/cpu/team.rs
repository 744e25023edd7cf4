//! Fork and join: one thread has a loop to run, the others help.
//!
//! A step of a small network is a hundred loops of a few microseconds each. Waking a sleeping thread takes 40 of them on a
//! virtual machine, so a helper that has finished does not sleep at once: it watches for the next loop, for
//! `PATIENCE`. Threads come from rayon's pool, which also wakes them when they do sleep; until they arrive, and
//! also when none ever does, the caller runs the tasks itself.
//!
//! ```text
//! caller   open ---- tasks 0, 1, 2, .. from the front ----------- shut, wait for those inside
//! helper   watch ----- enter -- tasks n-1, n-2, .. from the back -- leave, watch
//! ```
//!
//! Both work towards the middle, so that from loop to loop a thread mostly sees the part of a tensor that is in its own
//! cache. Who runs which task changes nothing in what is computed.

use crate::core::{Error, Result};
use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a helper watches for the next loop before it sleeps: longer than the serial parts of a step.
const PATIENCE: Duration = Duration::from_micros(200);
/// Glances at the gate between two looks at the clock.
const GLANCES: usize = 64;

/// The gate's lowest bit: helpers may enter. The others count those who are inside.
const OPEN: usize = 1;
const INSIDE: usize = 2;

/// A loop's body.
pub type Body<'a> = &'a (dyn Fn(usize) + Sync);

/// Helpers, and the loop they are at.
pub struct Team {
    pool: rayon::ThreadPool,
    helpers: usize,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Whether a loop is running.
    busy: AtomicBool,
    gate: AtomicUsize,
    /// Written while the gate is shut and nobody is inside; read by those inside.
    work: UnsafeCell<Option<Body<'static>>>,
    tasks: Tasks,
    /// Helpers that watch or work.
    awake: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `work` is the one field that is not made for sharing. The caller that is `busy` writes it while the gate is shut
// and nobody is inside, and does not return before that is so again: those inside read a loop that still exists.
unsafe impl Sync for Shared {}
// SAFETY: the loop that `work` refers to exists while it is there, and its body is `Sync`.
unsafe impl Send for Shared {}

/// The tasks of a loop that nobody has taken yet: those between the two ends.
#[derive(Default)]
struct Tasks {
    n: AtomicUsize,
    /// How many were taken from the front (lower half) and from the back (upper half).
    taken: AtomicU64,
}

/// Where a thread takes its tasks.
#[derive(Clone, Copy)]
enum End {
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
        [taken % Self::BACK, taken / Self::BACK].map(|count| count as usize)
    }
}

impl Team {
    /// A team of `threads`, the caller among them.
    ///
    /// # Errors
    /// The operating system refusing threads.
    pub fn new(threads: usize) -> Result<Team> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads - 1)
            .thread_name(|i| format!("receptive-{i}"))
            .build()
            .map_err(|e| Error::argument("threads", format!("cannot start {threads} threads: {e}")))?;
        Ok(Team { pool, helpers: threads - 1, shared: Arc::default() })
    }

    /// Calls `body(0) .. body(n - 1)`, each once. A call from inside a loop, or from a second thread while the team is at
    /// work, runs alone.
    ///
    /// # Panics
    /// Where a task does.
    pub fn run(&self, n: usize, body: Body) {
        let shared = &*self.shared;
        if shared.busy.swap(true, Ordering::Acquire) {
            return (0..n).for_each(body);
        }
        let _busy = OnDrop(|| shared.busy.store(false, Ordering::Release));
        self.wake(n);
        // SAFETY: the gate is shut and nobody inside, so nobody reads. The lifetime that the pointer forgets outlasts its
        // use: this function, however it ends, first shuts the gate again and waits for those inside.
        unsafe { *shared.work.get() = Some(std::mem::transmute::<Body<'_>, Body<'static>>(body)) };
        shared.tasks.reset(n);
        {
            let _open = OnDrop(|| shared.shut());
            shared.gate.store(OPEN, Ordering::Release);
            shared.work_through(End::Front, body);
        }
        let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Calls helpers that sleep, where there are tasks for them.
    fn wake(&self, n: usize) {
        let awake = self.shared.awake.load(Ordering::Relaxed);
        for number in awake..self.helpers.min(n.saturating_sub(1)) {
            self.shared.awake.fetch_add(1, Ordering::Relaxed);
            let shared = Arc::clone(&self.shared);
            self.pool.spawn(move || shared.help(if number % 2 == 0 { End::Back } else { End::Front }));
        }
    }
}

impl Shared {
    /// A helper's work until its patience ends.
    fn help(&self, end: End) {
        let mut last = Instant::now();
        while last.elapsed() < PATIENCE {
            for _ in 0..GLANCES {
                if self.enter() {
                    // SAFETY: inside, the loop exists, and nobody writes `work`.
                    let body = unsafe { *self.work.get() }.expect("an open gate has a loop behind it");
                    let caught = catch_unwind(AssertUnwindSafe(|| self.work_through(end, body)));
                    if let Err(panic) = caught {
                        *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
                    }
                    self.gate.fetch_sub(INSIDE, Ordering::Release);
                    last = Instant::now();
                }
                std::hint::spin_loop();
            }
        }
        self.awake.fetch_sub(1, Ordering::Relaxed);
    }

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
        let mut glances = 0;
        while self.gate.load(Ordering::Acquire) != 0 {
            glances += 1;
            // A helper that was put off its processor may need this one.
            if glances % 1024 == 0 { std::thread::yield_now() } else { std::hint::spin_loop() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_from_whichever_thread() {
        let team = Team::new(3).unwrap();
        for n in (0..200).chain([10_000]) {
            let runs: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
            team.run(n, &|i| {
                runs[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(runs.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{n} tasks");
        }
    }

    /// A loop inside a loop, and two callers at once.
    #[test]
    fn a_busy_team_leaves_others_to_themselves() {
        let (team, sum) = (Team::new(2).unwrap(), AtomicUsize::new(0));
        let add = |i: usize| {
            sum.fetch_add(i, Ordering::Relaxed);
        };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..100).for_each(|_| team.run(10, &|_| team.run(10, &add))));
            }
        });
        assert_eq!(sum.into_inner(), 2 * 100 * 10 * 45);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_goes_on() {
        let team = Team::new(2).unwrap();
        for bad in [0, 99] {
            let run = || team.run(100, &|i| assert!(i != bad, "task {i}"));
            let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            assert_eq!(*panic.downcast::<String>().unwrap(), format!("task {bad}"));
        }
        let count = AtomicUsize::new(0);
        team.run(100, &|_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 100);
    }
}
