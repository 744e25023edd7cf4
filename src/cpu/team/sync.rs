//! What the fork and join stands on. `crates/team-model` has the same from `loom`, which tries all orders of threads.

use std::cell::UnsafeCell;
pub use std::sync::Mutex;
pub use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// A value that threads share by turns.
#[derive(Default)]
pub struct Turns<T>(UnsafeCell<T>);

impl<T: Copy> Turns<T> {
    /// # Safety
    /// No other thread writes it meanwhile.
    #[inline]
    pub unsafe fn read(&self) -> T {
        // SAFETY: nobody writes meanwhile: promised by the caller.
        unsafe { *self.0.get() }
    }

    /// # Safety
    /// No other thread reads or writes it meanwhile.
    #[inline]
    pub unsafe fn write(&self, value: T) {
        // SAFETY: nobody reads or writes meanwhile: promised by the caller.
        unsafe { *self.0.get() = value };
    }
}

/// Between two looks at what another thread is to change. That thread may be off its processor, and need this one.
#[inline]
pub fn pause(looks: usize) {
    if looks.is_multiple_of(1024) { std::thread::yield_now() } else { std::hint::spin_loop() }
}
