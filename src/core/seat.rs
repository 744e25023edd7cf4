//! A place for one watcher of a context.
//!
//! A context of threads, or of a GPU, has a seat. It knows nothing of who sits there and never asks: those who run ops
//! there do (`tensor/observe.rs`). An empty seat costs them one relaxed load.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Guest = Arc<dyn Any + Send + Sync>;

/// The place, and whether it is taken.
#[derive(Default)]
pub struct Seat {
    taken: AtomicBool,
    guest: Mutex<Option<Guest>>,
}

impl Seat {
    /// Whether someone sits here.
    #[inline]
    pub fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    /// Who sits here.
    pub fn guest(&self) -> Option<Guest> {
        self.lock().clone()
    }

    /// Sits down; `false`, and nothing changes, where someone sits already.
    pub fn take(&self, guest: Guest) -> bool {
        let mut seat = self.lock();
        if seat.is_some() {
            return false;
        }
        *seat = Some(guest);
        self.taken.store(true, Ordering::Relaxed);
        true
    }

    /// Makes the seat empty.
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
