//! Large blocks of memory: ranges of a few big regions. Neighbouring free ranges merge.
//!
//! A training step allocates and frees activations like a stack: the ranges that backward frees one after the other are
//! neighbours. Once merged, they can serve any size again. So the first step touches about as much memory as is in use
//! at its peak, and later steps ask the operating system for no more pages. (Small blocks have a free list per size.
//! Such a list would keep large blocks of sizes that are no longer used.)
//!
//! A region consists of zero pages that nothing touches before an op writes them. It asks for huge pages if the system
//! has them. That saves 512 page faults per 2 MiB, and the address translations fit the processor's table.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::ptr::NonNull;

/// The size of a huge page.
const HUGE: usize = 2 << 20;
/// The smallest region.
const REGION: usize = 64 << 20;
/// Each range begins at a multiple of this.
const PAGE: usize = 4096;

struct Region {
    /// The allocation itself; `start` is the first huge page in it.
    block: NonNull<u8>,
    layout: Layout,
    start: NonNull<u8>,
    len: usize,
}

/// The regions and their free ranges. `free` maps (region, offset) to a range's length.
#[derive(Default)]
pub(super) struct Arena {
    regions: Vec<Region>,
    free: BTreeMap<(usize, usize), usize>,
}

// SAFETY: the arena owns its regions, and no field refers to their contents.
unsafe impl Send for Arena {}

/// The bytes that a block of `bytes` occupies.
pub(super) fn capacity(bytes: usize) -> usize {
    bytes.saturating_add(PAGE - 1) / PAGE * PAGE
}

impl Arena {
    /// A block of `capacity(bytes)` from the smallest free range that is large enough; `None` if no memory is left.
    pub fn take(&mut self, bytes: usize) -> Option<NonNull<u8>> {
        let need = capacity(bytes);
        let fits = |free: &BTreeMap<(usize, usize), usize>| {
            let enough = free.iter().filter(|(_, len)| **len >= need);
            enough.min_by_key(|(_, len)| **len).map(|(at, len)| (*at, *len))
        };
        let ((region, offset), len) = match fits(&self.free) {
            Some(range) => range,
            None => {
                let all: usize = self.regions.iter().map(|region| region.len).sum();
                // Large regions, so that there are few. If the system refuses one, only as much as this block needs.
                let region = Region::new(need.max(REGION).max(all / 2)).or_else(|| Region::new(need))?;
                self.free.insert((self.regions.len(), 0), region.len);
                self.regions.push(region);
                fits(&self.free)?
            }
        };
        self.free.remove(&(region, offset));
        if len > need {
            self.free.insert((region, offset + need), len - need);
        }
        // SAFETY: the range is within the region.
        Some(unsafe { self.regions[region].start.add(offset) })
    }

    /// Takes back a block of `bytes`.
    pub fn give(&mut self, block: NonNull<u8>, bytes: usize) {
        let address = block.as_ptr() as usize;
        let inside =
            |r: &Region| (r.start.as_ptr() as usize..r.start.as_ptr() as usize + r.len).contains(&address);
        let region = self.regions.iter().position(inside).expect("a block of this arena");
        let (mut offset, mut len) = (address - self.regions[region].start.as_ptr() as usize, capacity(bytes));
        if let Some(after) = self.free.remove(&(region, offset + len)) {
            len += after;
        }
        if let Some((&before, &size)) = self.free.range(..(region, offset)).next_back()
            && (before.0, before.1 + size) == (region, offset)
        {
            self.free.remove(&before);
            (offset, len) = (before.1, len + size);
        }
        self.free.insert((region, offset), len);
    }

    /// Bytes that are free, touched or not.
    pub fn free(&self) -> usize {
        self.free.values().sum()
    }

    /// Gives regions that are entirely free back to the operating system.
    pub fn trim(&mut self) {
        let used: Vec<bool> = (0..self.regions.len())
            .map(|r| self.free.get(&(r, 0)).is_none_or(|&len| len < self.regions[r].len))
            .collect();
        let kept = std::mem::take(&mut self.free).into_iter().filter(|((r, _), _)| used[*r]);
        let number = |r: usize| used[..r].iter().filter(|used| **used).count();
        self.free = kept.map(|((r, offset), len)| ((number(r), offset), len)).collect();
        let mut used = used.into_iter();
        self.regions.retain(|_| used.next().unwrap_or(true));
    }
}

impl Region {
    fn new(len: usize) -> Option<Region> {
        let len = len.checked_next_multiple_of(HUGE)?;
        // Aligned by hand: for an alignment above `malloc`'s, the standard library would write zeros to every page.
        let layout = Layout::from_size_align(len.checked_add(HUGE)?, 16).ok()?;
        // SAFETY: the layout is not of size zero. Zeroed, so that a buffer's bytes are always initialised.
        let block = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        // SAFETY: the offset is below HUGE.
        let start = unsafe { block.add(block.align_offset(HUGE)) };
        ask_for_huge_pages(start, len);
        Some(Region { block, layout, start, len })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the block came from `alloc_zeroed` with this layout, and no block of this region is in use any more.
        unsafe { dealloc(self.block.as_ptr(), self.layout) }
    }
}

/// Asks for huge pages. This is a hint: the system may ignore it. Miri does not know the call, so it is left out there.
#[cfg(all(target_os = "linux", not(miri)))]
fn ask_for_huge_pages(start: NonNull<u8>, len: usize) {
    unsafe extern "C" {
        fn madvise(start: *mut std::ffi::c_void, len: usize, advice: std::ffi::c_int) -> std::ffi::c_int;
    }
    const MADV_HUGEPAGE: std::ffi::c_int = 14;
    // SAFETY: the range is whole pages of a block that is ours, and the advice changes no contents.
    unsafe { madvise(start.as_ptr().cast(), len, MADV_HUGEPAGE) };
}

#[cfg(any(not(target_os = "linux"), miri))]
fn ask_for_huge_pages(_start: NonNull<u8>, _len: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks given back in any order make one range again, and no two in use overlap.
    #[test]
    fn ranges_grow_together() {
        let mut arena = Arena::default();
        let sizes = [300_000, 5_000_000, 70 << 20, 1, 4096, 1_000_000];
        for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 0, 4, 1, 5, 3]] {
            let blocks = sizes.map(|bytes| (arena.take(bytes).unwrap(), bytes));
            let mut ends = blocks.map(|(block, bytes)| (block.as_ptr() as usize, bytes));
            ends.sort();
            assert!(ends.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0), "{ends:?}");
            order.iter().for_each(|&i| arena.give(blocks[i].0, blocks[i].1));
            assert_eq!(arena.free.len(), arena.regions.len());
        }
        assert_eq!(arena.free(), arena.regions.iter().map(|region| region.len).sum::<usize>());
        let kept = arena.take(1000).unwrap();
        arena.trim();
        assert_eq!((arena.regions.len(), arena.free.len()), (1, 1));
        arena.give(kept, 1000);
        arena.trim();
        assert_eq!((arena.regions.len(), arena.free()), (0, 0));
    }

    #[test]
    fn what_no_machine_has_is_refused() {
        assert!(Arena::default().take(usize::MAX / 2).is_none());
        assert!(Arena::default().take(usize::MAX).is_none());
    }
}
