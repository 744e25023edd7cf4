//! The three functions that the simulated driver of `tests/sim` has and a real one lacks.

use std::ffi::{CStr, c_char, c_int, c_ulonglong};
use std::sync::{Mutex, PoisonError};

/// The functions, once the library is found to be the simulator's.
#[derive(Debug, Clone, Copy)]
pub struct Simulator {
    record: unsafe extern "C" fn(c_int, c_ulonglong) -> c_int,
    report: unsafe extern "C" fn() -> *const c_char,
    can_count: unsafe extern "C" fn() -> c_int,
}

impl Simulator {
    /// `None` if there is no driver, or a real one.
    pub fn find() -> Option<Simulator> {
        let open = |name: &str| {
            // SAFETY: this opens a library by name. Only its initialisers run.
            unsafe { libloading::Library::new(name) }.ok()
        };
        let library = open("libcuda.so").or_else(|| open("libcuda.so.1"))?;
        // SAFETY: only the simulator has functions of these names, and they have these types (tests/sim/src/driver.cpp).
        // The library is never closed, so the functions stay valid.
        unsafe {
            let record = *library.get(b"cusimRecord\0").ok()?;
            let report = *library.get(b"cusimReport\0").ok()?;
            let can_count = *library.get(b"cusimCanCount\0").ok()?;
            std::mem::forget(library);
            Some(Simulator { record, report, can_count })
        }
    }

    /// True if the simulator was built with counters.
    pub fn can_count(&self) -> bool {
        // SAFETY: the function takes nothing and reads a constant.
        unsafe { (self.can_count)() != 0 }
    }

    /// Sets what is done with launches from now on, and forgets what was recorded. `blocks` is for counting. False if
    /// the simulator was built without counters.
    pub fn record(&self, mode: i32, blocks: u64) -> bool {
        // SAFETY: the function takes any numbers.
        unsafe { (self.record)(mode, blocks) == 0 }
    }

    /// What was recorded, as JSON.
    pub fn report(&self) -> String {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the function returns a text that ends with 0 and is valid until its next call. It is copied before,
        // because only the holder of the lock calls it.
        unsafe { CStr::from_ptr((self.report)()) }.to_string_lossy().into_owned()
    }
}
