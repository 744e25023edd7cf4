//! The one way in which tasks write into the same slice at once: each writes places of its own.
//!
//! Rust lends a slice to one writer. The tasks of a loop are many, and what each of them writes is often no range (some
//! columns of a matrix, the pixels of some channels), so [`Disjoint`] hands out raw places, and whoever uses them vouches
//! that no two tasks use the same. It keeps the slice borrowed meanwhile, and in debug builds checks that places lie in it.

use std::marker::PhantomData;
use std::ops::Range;

/// An exclusively borrowed slice, of which tasks write places that differ.
pub(in crate::cpu) struct Disjoint<'a, T> {
    start: *mut T,
    len: usize,
    borrow: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Disjoint<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Disjoint<'_, T> {}

// SAFETY: it stands for a `&mut [T]` whose elements go to different threads, which needs `T: Send`. Its own methods touch
// no element; the contracts of `at` and `range` keep apart what is reached through their results.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}
// SAFETY: for the same reason; shared, it gives no more than its copies do.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    /// Borrows a slice for as long as places of it are used.
    pub fn new(slice: &'a mut [T]) -> Self {
        Disjoint { start: slice.as_mut_ptr(), len: slice.len(), borrow: PhantomData }
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The place of element `i`, or the end.
    ///
    /// # Safety
    /// `i <= len()`. While `'a` lasts, what is reached from here lies in the slice, and no other task reaches it.
    #[inline(always)]
    pub unsafe fn at(self, i: usize) -> *mut T {
        debug_assert!(i <= self.len, "place {i} of {}", self.len);
        // SAFETY: at most the end of the slice: promised by the caller.
        unsafe { self.start.add(i) }
    }

    /// The elements from `i` on.
    ///
    /// # Safety
    /// `i <= len()`.
    #[inline(always)]
    pub unsafe fn from(self, i: usize) -> Self {
        // SAFETY: at most the end of the slice: promised by the caller; nothing is reached yet.
        Disjoint { start: unsafe { self.at(i) }, len: self.len - i, borrow: PhantomData }
    }

    /// Some elements.
    ///
    /// # Safety
    /// They lie in the slice, and while the result is alive nothing else reaches them.
    #[inline(always)]
    pub unsafe fn range(self, range: Range<usize>) -> &'a mut [T] {
        debug_assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        // SAFETY: the range is in the slice, which is borrowed for `'a`, and nobody else has it: promised by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_write_their_own_places() {
        let mut numbers = vec![0; 12];
        let all = Disjoint::new(&mut numbers);
        std::thread::scope(|scope| {
            for task in 0..3 {
                // SAFETY: each task has one column of four rows of three, and all lie in the slice.
                scope.spawn(move || (0..4).for_each(|row| unsafe { *all.at(3 * row + task) = task }));
            }
        });
        // SAFETY: the threads have ended, and these two do not overlap.
        let [first, rest] = unsafe { [all.range(0..1), all.from(1).range(0..11)] };
        assert_eq!((&*first, &*rest), (&[0][..], &[1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2][..]));
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "place 4 of 3")]
    fn a_place_beyond_the_end_is_noticed() {
        let mut numbers = [0; 3];
        // SAFETY: the assertion comes before anything is computed.
        unsafe { Disjoint::new(&mut numbers).at(4) };
    }
}
