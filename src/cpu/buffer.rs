//! Recycled memory. A training step asks for the same few hundred sizes again and again. The operating system would
//! hand out fresh zero pages each time, and the page faults of a fresh multi-megabyte buffer cost more than a ReLU over
//! it. So a dropped buffer goes back to its pool's free list and is handed out again with its old contents.
//!
//! A small size is rounded up to a [size class](crate::core::size_class), and each class has a free list. A large
//! buffer is a range of an arena (`arena.rs`).

use super::arena::{self, Arena};
use crate::core::Element;
use crate::core::size_class::{SMALLEST, class_bytes, class_of};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// A block of this many bytes or more is large.
const LARGE: usize = 256 << 10;
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

struct FreeLists {
    /// Free small blocks, one list per size class.
    free: Vec<Vec<NonNull<u8>>>,
    large: Arena,
    stats: PoolStats,
}

// SAFETY: the pointers are owned by the list that holds them; nothing else refers to a free block.
unsafe impl Send for FreeLists {}

/// Free memory, shared by all buffers that came from it.
pub struct BufferPool(Mutex<FreeLists>);

impl BufferPool {
    /// An empty pool.
    pub fn new() -> Arc<BufferPool> {
        let free = vec![Vec::new(); class_of(LARGE) + 1];
        Arc::new(BufferPool(Mutex::new(FreeLists {
            free,
            large: Arena::default(),
            stats: PoolStats::default(),
        })))
    }

    /// A buffer of at least `bytes`, with unspecified (but initialised) contents. Use it for scratch memory, which is
    /// small compared with the tensors. If no memory is left the process ends, as for any small allocation in Rust.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Buffer {
        self.try_take(bytes).unwrap_or_else(|| {
            let layout = Layout::from_size_align(bytes.max(1), 1).unwrap_or(Layout::new::<u8>());
            std::alloc::handle_alloc_error(layout)
        })
    }

    /// Like [`take`](Self::take), but returns `None` if the machine has not that much memory.
    pub fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Buffer> {
        let mut lists = self.lists();
        let block = if bytes < LARGE {
            let class = class_of(bytes);
            lists.free[class].pop().or_else(|| fresh_block(class))
        } else {
            lists.large.take(bytes)
        }?;
        lists.stats.in_use += capacity(bytes);
        lists.stats.peak = lists.stats.peak.max(lists.stats.in_use);
        drop(lists);
        Some(Buffer { block, bytes, pool: Arc::clone(self) })
    }

    /// How much memory the pool holds now.
    pub fn stats(&self) -> PoolStats {
        let lists = self.lists();
        let small = lists.free.iter().enumerate().map(|(class, list)| list.len() * class_bytes(class));
        PoolStats { cached: small.sum::<usize>() + lists.large.free(), ..lists.stats }
    }

    /// Restarts the peak at the memory in use now.
    pub fn reset_peak(&self) {
        let mut lists = self.lists();
        lists.stats.peak = lists.stats.in_use;
    }

    /// Raises the peak to at least `bytes`. A caller that reset the peak for a count of its own restores it with this.
    pub fn raise_peak(&self, bytes: usize) {
        let mut lists = self.lists();
        lists.stats.peak = lists.stats.peak.max(bytes);
    }

    /// Gives free blocks back to the operating system.
    pub fn empty_cache(&self) {
        let mut lists = self.lists();
        lists.large.trim();
        for (class, list) in lists.free.iter_mut().enumerate() {
            for block in list.drain(..) {
                // SAFETY: the block came from `fresh_block(class)`. It is on no other list, and no buffer refers to it.
                unsafe { dealloc(block.as_ptr(), layout(class)) }
            }
        }
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, FreeLists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        self.empty_cache();
    }
}

/// The size of the block that holds `bytes` bytes.
fn capacity(bytes: usize) -> usize {
    if bytes < LARGE { class_bytes(class_of(bytes)) } else { arena::capacity(bytes) }
}

fn layout(class: usize) -> Layout {
    Layout::from_size_align(class_bytes(class), ALIGN).expect("small blocks have a layout")
}

fn fresh_block(class: usize) -> Option<NonNull<u8>> {
    // SAFETY: the layout is never of size zero. Zeroed, so that a buffer's bytes are always initialised.
    NonNull::new(unsafe { alloc_zeroed(layout(class)) })
}

/// An owned, 64-byte aligned block of bytes that goes back to its pool when dropped.
pub struct Buffer {
    block: NonNull<u8>,
    bytes: usize,
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
        // SAFETY: the block holds at least `bytes` initialised bytes, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.block.as_ptr(), self.bytes) }
    }

    /// The contents as elements.
    #[inline]
    pub fn slice<T: Element>(&self) -> &[T] {
        bytemuck::cast_slice(self.bytes())
    }

    /// The contents as elements, to be written.
    #[inline]
    pub fn slice_mut<T: Element>(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(self.bytes_mut())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut lists = self.pool.lists();
        lists.stats.in_use -= capacity(self.bytes);
        if self.bytes < LARGE {
            lists.free[class_of(self.bytes)].push(self.block);
        } else {
            lists.large.give(self.block, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_handed_out_again() {
        let pool = BufferPool::new();
        for [bytes, again] in [[1000, 1010], [300_000, 300_001]] {
            let first = pool.take(bytes);
            let address = first.bytes().as_ptr();
            assert!(first.bytes() == vec![0; bytes]);
            drop(first);
            assert_eq!(pool.take(again).bytes().as_ptr(), address);
            assert_eq!(pool.stats().in_use, 0);
            pool.empty_cache();
            assert_eq!(pool.stats().cached, 0);
        }
    }
}
