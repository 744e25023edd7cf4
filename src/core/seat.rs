//! A slot for one observer of a context.
//!
//! Each context, of a CPU or a GPU, has one slot. The observer is stored as `Any`, so that this module need not know
//! its type. The code that runs ops calls it (`tensor/observe.rs`). An empty slot costs that code one relaxed load.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Guest = Arc<dyn Any + Send + Sync>;

/// The slot, and a flag that says whether it is taken.
#[derive(Default)]
pub struct Seat {
    taken: AtomicBool,
    guest: Mutex<Option<Guest>>,
}

impl Seat {
    /// Whether there is an observer.
    #[inline]
    pub fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    /// The observer, if there is one.
    pub fn guest(&self) -> Option<Guest> {
        self.lock().clone()
    }

    /// Stores the observer. If the slot is taken, returns `false` and changes nothing.
    pub fn take(&self, guest: Guest) -> bool {
        let mut seat = self.lock();
        if seat.is_some() {
            return false;
        }
        *seat = Some(guest);
        self.taken.store(true, Ordering::Relaxed);
        true
    }

    /// Removes the observer.
    pub fn leave(&self) {
        let mut seat = self.lock();
        self.taken.store(false, Ordering::Relaxed);
        *seat = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Guest>> {
        self.guest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seat {{ taken: {} }}", self.is_taken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_one() {
        let seat = Seat::default();
        assert!(!seat.is_taken() && seat.guest().is_none());
        assert!(seat.take(Arc::new(1u8)) && seat.is_taken());
        assert!(!seat.take(Arc::new(2u8)));
        assert_eq!(*seat.guest().unwrap().downcast::<u8>().unwrap(), 1);
        seat.leave();
        assert!(!seat.is_taken() && seat.take(Arc::new(3u8)));
    }
}
