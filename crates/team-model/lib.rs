//! The fork and join of `fork.rs` in all orders of threads, and with all that memory may show them: the root of a crate of
//! its own, in which `sync` is `loom` instead of the standard library.
//!
//! Each test is run anew for every order in which threads can take their turns at atomics, up to a number of turns taken
//! from a thread that could go on. A load may see any store that the C++11 memory model allows: so each assertion on a
//! counter read with `Relaxed` fails where joining does not put the helpers' writes before what the caller does next.
#![cfg(test)]

#[path = "../../src/cpu/team/fork.rs"]
mod fork;

/// What `sync.rs` has, from loom.
mod sync {
    use loom::cell::UnsafeCell;
    pub use loom::sync::Mutex;
    pub use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

    /// Loom fails the model where a thread writes while another reads or writes.
    #[derive(Default)]
    pub struct Turns<T>(UnsafeCell<T>);

    impl<T: Copy> Turns<T> {
        /// # Safety
        /// No other thread writes it meanwhile.
        pub unsafe fn read(&self) -> T {
            // SAFETY: nobody writes meanwhile: promised by the caller, and checked by loom.
            self.0.with(|value| unsafe { *value })
        }

        /// # Safety
        /// No other thread reads or writes it meanwhile.
        pub unsafe fn write(&self, value: T) {
            // SAFETY: nobody reads or writes meanwhile: promised by the caller, and checked by loom.
            self.0.with_mut(|place| unsafe { *place = value });
        }
    }

    pub fn pause(_looks: usize) {
        loom::thread::yield_now();
    }
}

use fork::{End, Fork};
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use std::panic::{AssertUnwindSafe, catch_unwind};
use sync::{AtomicUsize, Ordering};

/// Runs `f` in all orders in which at most `preemptions` turns are taken away.
fn in_all_orders(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

/// A thread that looks for something to help with so many times.
fn helper(fork: &Arc<Fork>, end: End, looks: usize) -> JoinHandle<()> {
    let fork = Arc::clone(fork);
    thread::spawn(move || {
        for _ in 0..looks {
            fork.help(end);
            thread::yield_now();
        }
    })
}

/// A loop of `n` tasks, after which each has run once, and the caller knows.
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

/// The second loop is another body at another place: a helper that is late must not run the first one's.
#[test]
fn two_loops_and_a_helper() {
    in_all_orders(3, || {
        let fork = Arc::new(Fork::default());
        let helper = helper(&fork, End::Back, 2);
        run(&fork, 2);
        run(&fork, 1);
        helper.join().unwrap();
    });
}

#[test]
fn two_helpers_from_both_ends() {
    in_all_orders(2, || {
        let fork = Arc::new(Fork::default());
        let helpers = [End::Back, End::Front].map(|end| helper(&fork, end, 1));
        run(&fork, 3);
        helpers.into_iter().for_each(|helper| helper.join().unwrap());
    });
}

/// Whoever comes second runs its loop alone, and nobody's helper runs a task of it.
#[test]
fn two_callers_and_a_helper() {
    in_all_orders(2, || {
        let fork = Arc::new(Fork::default());
        let helper = helper(&fork, End::Back, 1);
        let other = Arc::clone(&fork);
        let caller = thread::spawn(move || run(&other, 2));
        run(&fork, 2);
        caller.join().unwrap();
        helper.join().unwrap();
    });
}

/// Wherever the task runs, its panic is the caller's, after all have left; and the next loop is as any other.
#[test]
fn a_panic_reaches_the_caller() {
    std::panic::set_hook(Box::new(|_| {}));
    in_all_orders(2, || {
        let fork = Arc::new(Fork::default());
        let helper = helper(&fork, End::Back, 1);
        let failing = || fork.run(2, &|i| assert!(i != 1, "task {i}"), || {});
        let panic = catch_unwind(AssertUnwindSafe(failing)).expect_err("task 1 panics");
        assert_eq!(*panic.downcast::<String>().unwrap(), "task 1");
        run(&fork, 1);
        helper.join().unwrap();
    });
}
