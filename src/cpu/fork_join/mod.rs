//! Fork and join: one thread has a loop to run, and the others help.
//!
//! A step of a small network is a hundred loops of a few microseconds each. Waking a sleeping thread takes 40
//! microseconds on a virtual machine. So a helper that has finished does not sleep at once: it watches for the next
//! loop for `PATIENCE`. The threads come from rayon's pool, which also wakes them when they sleep. The caller starts on
//! the tasks without waiting for them, and finishes alone if no helper arrives. `fork.rs` describes how they work
//! together.

mod fork;
mod sync;

use crate::core::{Error, Result};
use fork::{Fork, QueueEnd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub use fork::Body;

/// How long a helper watches for the next loop before it sleeps: longer than the serial parts of a step.
const PATIENCE: Duration = Duration::from_micros(200);
/// How often a helper checks the gate before it reads the clock again.
const GLANCES: usize = 64;

/// Helper threads and the loop that they work on.
pub struct Team {
    pool: rayon::ThreadPool,
    helpers: usize,
    shared: Arc<TeamShared>,
}

#[derive(Default)]
struct TeamShared {
    fork: Fork,
    /// Helpers that are watching for a loop or working on one.
    awake: AtomicUsize,
}

impl Team {
    /// A team of `threads` threads, including the caller.
    ///
    /// # Errors
    /// The operating system refuses to start a thread.
    pub fn new(threads: usize) -> Result<Team> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads - 1)
            .thread_name(|i| format!("receptive-{i}"))
            .build()
            .map_err(|e| Error::argument("threads", format!("cannot start {threads} threads: {e}")))?;
        Ok(Team { pool, helpers: threads - 1, shared: Arc::default() })
    }

    /// Calls `body(0) .. body(n - 1)`, each once. A call from inside a loop, or from a second thread while the team is
    /// busy, runs all its tasks on the calling thread.
    ///
    /// # Panics
    /// If a task panics.
    pub fn run(&self, n: usize, body: Body) {
        self.shared.fork.run(n, body, || self.wake(n));
    }

    /// Wakes sleeping helpers, as many as there are tasks for.
    fn wake(&self, n: usize) {
        let awake = self.shared.awake.load(Ordering::Relaxed);
        for number in awake..self.helpers.min(n.saturating_sub(1)) {
            self.shared.awake.fetch_add(1, Ordering::Relaxed);
            let shared = Arc::clone(&self.shared);
            self.pool
                .spawn(move || shared.help(if number % 2 == 0 { QueueEnd::Back } else { QueueEnd::Front }));
        }
    }
}

impl TeamShared {
    /// A helper's work: helps with loops until there has been none for `PATIENCE`.
    fn help(&self, end: QueueEnd) {
        let mut last = Instant::now();
        while last.elapsed() < PATIENCE {
            for _ in 0..GLANCES {
                if self.fork.help(end) {
                    last = Instant::now();
                }
                std::hint::spin_loop();
            }
        }
        self.awake.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Small under Miri, which takes a thousand times as long.
    const SIZES: usize = if cfg!(miri) { 4 } else { 200 };

    #[test]
    fn every_task_runs_once_from_whichever_thread() {
        let team = Team::new(3).unwrap();
        for n in (0..SIZES).chain([50 * SIZES]) {
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
                scope.spawn(|| (0..SIZES).for_each(|_| team.run(10, &|_| team.run(10, &add))));
            }
        });
        assert_eq!(sum.into_inner(), 2 * SIZES * 10 * 45);
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
