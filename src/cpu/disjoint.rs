//! The only way in which tasks write to the same slice at the same time: each writes elements of its own.
//!
//! Rust lends a slice to one writer. A loop has many tasks, and the elements of one task are often not a range (some
//! columns of a matrix, the pixels of some channels). So [`Disjoint`] hands out raw pointers, and its user guarantees
//! that no two tasks use the same element. It keeps the slice borrowed all that time. Debug builds check that each
//! pointer lies in the slice.

use std::marker::PhantomData;
use std::ops::Range;

/// An exclusively borrowed slice. Each task writes different elements of it.
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

// SAFETY: it stands for a `&mut [T]` whose elements go to different threads, which needs `T: Send`. Its own methods
// touch no element. The contracts of `at` and `range` say that two tasks never reach the same element through their
// results.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}
// SAFETY: for the same reason; a shared reference allows no more than a copy does.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    /// Borrows a slice for as long as its elements are used.
    pub fn new(slice: &'a mut [T]) -> Self {
        Disjoint { start: slice.as_mut_ptr(), len: slice.len(), borrow: PhantomData }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// A pointer to element `i`, or to the end of the slice.
    ///
    /// # Safety
    /// `i <= len()`. While `'a` lasts, all elements accessed through the pointer lie in the slice, and no other task
    /// accesses them.
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
        // SAFETY: at most the end of the slice: promised by the caller; no element is accessed yet.
        Disjoint { start: unsafe { self.at(i) }, len: self.len - i, borrow: PhantomData }
    }

    /// The elements of a range.
    ///
    /// # Safety
    /// The range lies in the slice, and while the result is alive nothing else accesses its elements.
    #[inline(always)]
    pub unsafe fn range(self, range: Range<usize>) -> &'a mut [T] {
        debug_assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        // SAFETY: the range is in the slice, which is borrowed for `'a`, and nothing else accesses it: promised by the
        // caller.
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
