//! A slot for one observer of a context.
//!
//! Each context, of a CPU or a GPU, has one slot. The observer is stored as `Any`, so that this module need not know
//! its type. The code that runs ops calls it (`tensor/observe.rs`). An empty slot costs that code one relaxed load.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type AnyObserver = Arc<dyn Any + Send + Sync>;

/// The slot, and a flag that says whether it is taken.
#[derive(Default)]
pub struct ObserverSlot {
    taken: AtomicBool,
    observer: Mutex<Option<AnyObserver>>,
}

impl ObserverSlot {
    /// Whether there is an observer.
    #[inline]
    pub fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    /// The observer, if there is one.
    pub fn get(&self) -> Option<AnyObserver> {
        self.lock().clone()
    }

    /// Stores the observer. If the slot is taken, returns `false` and changes nothing.
    pub fn set(&self, observer: AnyObserver) -> bool {
        let mut slot = self.lock();
        if slot.is_some() {
            return false;
        }
        *slot = Some(observer);
        self.taken.store(true, Ordering::Relaxed);
        true
    }

    /// Removes the observer.
    pub fn clear(&self) {
        let mut slot = self.lock();
        self.taken.store(false, Ordering::Relaxed);
        *slot = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<AnyObserver>> {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ObserverSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ObserverSlot {{ taken: {} }}", self.is_taken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_one_observer() {
        let slot = ObserverSlot::default();
        assert!(!slot.is_taken() && slot.get().is_none());
        assert!(slot.set(Arc::new(1u8)) && slot.is_taken());
        assert!(!slot.set(Arc::new(2u8)));
        assert_eq!(*slot.get().unwrap().downcast::<u8>().unwrap(), 1);
        slot.clear();
        assert!(!slot.is_taken() && slot.set(Arc::new(3u8)));
    }
}
