//! The synchronisation types that the fork and join uses. `crates/team-model` replaces this file by `loom`'s types,
//! which try all orders in which threads can run.

use std::cell::UnsafeCell;
pub use std::sync::Mutex;
pub use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// A value that threads access in turns.
#[derive(Default)]
pub struct Turns<T>(UnsafeCell<T>);

impl<T: Copy> Turns<T> {
    /// # Safety
    /// No other thread writes the value during the call.
    #[inline]
    pub unsafe fn read(&self) -> T {
        // SAFETY: no other thread writes the value now: promised by the caller.
        unsafe { *self.0.get() }
    }

    /// # Safety
    /// No other thread reads or writes the value during the call.
    #[inline]
    pub unsafe fn write(&self, value: T) {
        // SAFETY: no other thread reads or writes the value now: promised by the caller.
        unsafe { *self.0.get() = value };
    }
}

/// A short wait in a loop that waits for another thread. Every 1024th call yields, because the other thread may need
/// this processor to run.
#[inline]
pub fn pause(looks: usize) {
    if looks.is_multiple_of(1024) { std::thread::yield_now() } else { std::hint::spin_loop() }
}
