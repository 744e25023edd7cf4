//! Recycled memory. A training step asks for the same few hundred sizes again and again; the operating system would
//! hand out fresh zero pages each time, and the page faults of a fresh multi-megabyte buffer cost more than a ReLU over
//! it. So a dropped buffer goes back to its pool's free list and is handed out again, old contents and all.
//!
//! Sizes are rounded up to a [size class](crate::core::size_class).

use crate::core::Element;
use crate::core::size_class::{CLASSES, SMALLEST, class_bytes, class_of};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// Every buffer starts on a cache line.
const ALIGN: usize = SMALLEST;

/// How much memory a pool holds, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// In buffers that are in use now.
    pub in_use: usize,
    /// The highest `in_use` so far.
    pub peak: usize,
    /// In free lists, ready to be handed out again.
    pub cached: usize,
}

#[derive(Default)]
struct Lists {
    free: Vec<Vec<NonNull<u8>>>,
    stats: PoolStats,
}

// SAFETY: the pointers are owned by the list that holds them; nothing else refers to a free block.
unsafe impl Send for Lists {}

/// A free list for each size class, shared by all buffers it made.
pub struct BufferPool(Mutex<Lists>);

impl BufferPool {
    /// An empty pool.
    pub fn new() -> Arc<BufferPool> {
        let lists = Lists { free: vec![Vec::new(); CLASSES], stats: PoolStats::default() };
        Arc::new(BufferPool(Mutex::new(lists)))
    }

    /// A buffer of at least `bytes`, with unspecified (but initialised) contents. For scratch memory, which is small
    /// beside the tensors: where there is none left the process ends, as for any small allocation in Rust.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Buffer {
        self.try_take(bytes).unwrap_or_else(|| {
            let layout = Layout::from_size_align(bytes.max(1), 1).unwrap_or(Layout::new::<u8>());
            std::alloc::handle_alloc_error(layout)
        })
    }

    /// As [`take`](Self::take), or `None` where the machine has no such memory.
    pub fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Buffer> {
        let class = class_of(bytes);
        let capacity = class_bytes(class);
        let recycled = self.lists().free[class].pop();
        let fresh = recycled.is_none();
        let block = recycled.or_else(|| fresh_block(class))?;
        let mut lists = self.lists();
        lists.stats.cached -= if fresh { 0 } else { capacity };
        lists.stats.in_use += capacity;
        lists.stats.peak = lists.stats.peak.max(lists.stats.in_use);
        drop(lists);
        Some(Buffer { block, bytes, class, pool: Arc::clone(self) })
    }

    /// What the pool holds now.
    pub fn stats(&self) -> PoolStats {
        self.lists().stats
    }

    /// Gives all free blocks back to the operating system.
    pub fn empty_cache(&self) {
        let mut lists = self.lists();
        lists.stats.cached = 0;
        for (class, list) in lists.free.iter_mut().enumerate() {
            let Some(layout) = layout(class) else { continue };
            for block in list.drain(..) {
                // SAFETY: the block came from `fresh_block(class)`, is on no other list, and no buffer refers to it.
                unsafe { dealloc(block.as_ptr(), layout) }
            }
        }
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        self.empty_cache();
    }
}

/// `None` for more than an address space holds.
fn layout(class: usize) -> Option<Layout> {
    Layout::from_size_align(class_bytes(class), ALIGN).ok()
}

fn fresh_block(class: usize) -> Option<NonNull<u8>> {
    // SAFETY: the layout is never of size zero. Zeroed, so that a buffer's bytes are always initialised.
    NonNull::new(unsafe { alloc_zeroed(layout(class)?) })
}

/// An owned, 64-byte aligned block of bytes that goes back to its pool when dropped.
pub struct Buffer {
    block: NonNull<u8>,
    bytes: usize,
    class: usize,
    pool: Arc<BufferPool>,
}

// SAFETY: a buffer owns its block alone, like a `Vec<u8>`.
unsafe impl Send for Buffer {}
// SAFETY: shared access gives only `&[u8]`.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// The contents.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the block holds at least `bytes` initialised bytes (zeroed when fresh) and lives as long as self.
        unsafe { std::slice::from_raw_parts(self.block.as_ptr(), self.bytes) }
    }

    /// The contents, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.block.as_ptr(), self.bytes) }
    }

    /// The contents as elements.
    pub fn slice<T: Element>(&self) -> &[T] {
        bytemuck::cast_slice(self.bytes())
    }

    /// The contents as elements, to be written.
    pub fn slice_mut<T: Element>(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(self.bytes_mut())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let capacity = class_bytes(self.class);
        let mut lists = self.pool.lists();
        lists.stats.in_use -= capacity;
        lists.stats.cached += capacity;
        lists.free[self.class].push(self.block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_handed_out_again() {
        let pool = BufferPool::new();
        let first = pool.take(1000);
        let address = first.bytes().as_ptr();
        drop(first);
        assert_eq!(pool.take(1010).bytes().as_ptr(), address);
        assert_eq!(pool.stats().in_use, 0);
        pool.empty_cache();
        assert_eq!(pool.stats().cached, 0);
    }
}
