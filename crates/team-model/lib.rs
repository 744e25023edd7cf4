//! Tests the fork and join of `fork.rs` in all orders of threads and with all values that the memory model allows. This
//! crate compiles `fork.rs` with `loom` in place of the standard library.
//!
//! Loom repeats each test for every order of the threads' atomic operations, up to a bound on preemptions (switches
//! away from a thread that could continue). A load may see any store that the C++11 memory model allows. The tests read
//! counters with `Relaxed` after the join. So an assertion fails if joining does not order the helpers' writes before
//! the caller's next step.
#![cfg(test)]

#[path = "../../src/cpu/fork_join/fork.rs"]
mod fork;

/// The items of `sync.rs`, made from loom.
mod sync {
    use loom::cell::UnsafeCell;
    pub use loom::sync::Mutex;
    pub use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

    /// Loom fails the test if a thread writes while another reads or writes.
    #[derive(Default)]
    pub struct Turns<T>(UnsafeCell<T>);

    impl<T: Copy> Turns<T> {
        /// # Safety
        /// No other thread writes it during this call.
        pub unsafe fn read(&self) -> T {
            // SAFETY: no other thread writes during this call: the caller guarantees it, and loom checks it.
            self.0.with(|value| unsafe { *value })
        }

        /// # Safety
        /// No other thread reads or writes it during this call.
        pub unsafe fn write(&self, value: T) {
            // SAFETY: no other thread reads or writes during this call: the caller guarantees it, and loom checks it.
            self.0.with_mut(|place| unsafe { *place = value });
        }
    }

    pub fn pause(_looks: usize) {
        loom::thread::yield_now();
    }
}

use fork::{QueueEnd, Fork};
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use std::panic::{AssertUnwindSafe, catch_unwind};
use sync::{AtomicUsize, Ordering};

/// Runs `f` in all orders of threads with at most this many preemptions.
fn in_all_orders(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

/// A thread that tries `looks` times to help with a loop.
fn helper(fork: &Arc<Fork>, end: QueueEnd, looks: usize) -> JoinHandle<()> {
    let fork = Arc::clone(fork);
    thread::spawn(move || {
        for _ in 0..looks {
            fork.help(end);
            thread::yield_now();
        }
    })
}

/// Runs a loop of `n` tasks. Afterwards each task has run once, and the caller sees it.
fn run(fork: &Fork, n: usize) {
    let runs: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
    let body = |i: usize| {
        runs[i].fetch_add(1, Ordering::Relaxed);
    };
    fork.run(n, &body, || {});
    for (i, count) in runs.iter().enumerate() {
        assert_eq!(count.load(Ordering::Relaxed), 1, "task {i} of {n}");
    }
}

/// The second loop has another body at another address. A late helper must not run the body of the first loop.
#[test]
fn two_loops_and_a_helper() {
    in_all_orders(3, || {
        let fork = Arc::new(Fork::default());
        let helper = helper(&fork, QueueEnd::Back, 2);
        run(&fork, 2);
        run(&fork, 1);
        helper.join().unwrap();
    });
}

#[test]
fn two_helpers_from_both_ends() {
    in_all_orders(2, || {
        let fork = Arc::new(Fork::default());
        let helpers = [QueueEnd::Back, QueueEnd::Front].map(|end| helper(&fork, end, 1));
        run(&fork, 3);
        helpers.into_iter().for_each(|helper| helper.join().unwrap());
    });
}

/// The second caller runs its loop alone, and no helper runs one of its tasks.
#[test]
fn two_callers_and_a_helper() {
    in_all_orders(2, || {
        let fork = Arc::new(Fork::default());
        let helper = helper(&fork, QueueEnd::Back, 1);
        let other = Arc::clone(&fork);
        let caller = thread::spawn(move || run(&other, 2));
        run(&fork, 2);
        caller.join().unwrap();
        helper.join().unwrap();
    });
}

/// A task's panic reaches the caller, whichever thread ran the task, after all helpers have left. The next loop works
/// normally.
#[test]
fn a_panic_reaches_the_caller() {
    std::panic::set_hook(Box::new(|_| {}));
    in_all_orders(2, || {
        let fork = Arc::new(Fork::default());
        let helper = helper(&fork, QueueEnd::Back, 1);
        let failing = || fork.run(2, &|i| assert!(i != 1, "task {i}"), || {});
        let panic = catch_unwind(AssertUnwindSafe(failing)).expect_err("task 1 panics");
        assert_eq!(*panic.downcast::<String>().unwrap(), "task 1");
        run(&fork, 1);
        helper.join().unwrap();
    });
}
