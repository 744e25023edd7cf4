//! Recycled device memory. Allocating from the driver takes as long as a small kernel, and giving memory back to it
//! waits for all running kernels. So a dropped buffer goes to a free list and is handed out again. It can be reused at
//! once: the next kernel that writes to it is queued after all kernels that read it.
//!
//! **Arenas.** A captured graph contains the addresses of its buffers, and every replay writes to them. So a graph has
//! an arena of its own. Memory that is allocated while the arena is open comes from its free lists and goes back to
//! them. No other allocation ever gets a block of the arena. When the graph is dropped, the arena's blocks join the
//! shared free lists.
//!
//! The pool stores the owner of each block in use: the op that asked for it. So an "out of memory" error can list which
//! op holds how much.
//!
//! **Exact.** A recycled block is up to a quarter larger than the buffer in it, and it stays allocated when the buffer
//! is dropped. So an access beyond the end, or after the drop, goes unnoticed. With
//! [`CudaOptions::exact`](super::CudaOptions::exact), each buffer outside an arena is an allocation of its own. It is
//! freed when the buffer is dropped. Then the simulator or compute-sanitizer reports every access outside a buffer.

use super::driver::Driver;
use super::launch::Ptr;
use crate::core::size_class::{class_bytes, class_of};
use crate::core::{Error, ErrorKind, Result};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much device memory a pool holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct DevicePoolStats {
    /// Bytes in buffers that are in use now.
    pub in_use: usize,
    /// The highest `in_use` so far.
    pub peak: usize,
    /// Bytes in free lists, ready to be handed out again.
    pub cached: usize,
    /// The number of times that the driver was asked for new memory.
    pub allocations: u64,
}

/// Identifies a set of free lists; 0 is the shared set.
pub(super) type Arena = u64;
const SHARED: Arena = 0;

struct PoolBlock {
    /// The size class, see [`size_class`](crate::core::size_class).
    class: usize,
    /// Bytes allocated by the driver.
    size: usize,
    arena: Arena,
    owner: &'static str,
}

#[derive(Default)]
struct PoolState {
    free: HashMap<(Arena, usize), Vec<u64>>,
    used: HashMap<u64, PoolBlock>,
    open: Arena,
    arenas: Arena,
    stats: DevicePoolStats,
}

/// The memory of one device.
pub(super) struct DevicePool {
    driver: Arc<Driver>,
    exact: bool,
    lists: Mutex<PoolState>,
}

impl DevicePool {
    pub fn new(driver: Arc<Driver>, exact: bool) -> Arc<DevicePool> {
        Arc::new(DevicePool { driver, exact, lists: Mutex::default() })
    }

    /// A buffer of `bytes` bytes with unspecified contents. `owner` is named in "out of memory" errors.
    ///
    /// # Errors
    /// The device has too little memory, even after the pool gave its shared free blocks back to the driver.
    pub fn take(self: &Arc<Self>, bytes: usize, owner: &'static str) -> Result<DeviceBuffer> {
        let class = class_of(bytes);
        let mut lists = self.lists();
        let arena = lists.open;
        let exact = self.exact && arena == SHARED;
        let size = if exact { bytes.max(1) } else { class_bytes(class) };
        let recycled = if exact { None } else { lists.free.get_mut(&(arena, class)).and_then(Vec::pop) };
        let address = match recycled {
            Some(address) => {
                lists.stats.cached -= size;
                address
            }
            None => self.fresh(&mut lists, size, bytes, owner)?,
        };
        lists.used.insert(address, PoolBlock { class, size, arena, owner });
        lists.stats.in_use += size;
        lists.stats.peak = lists.stats.peak.max(lists.stats.in_use);
        drop(lists);
        Ok(DeviceBuffer { address, bytes, pool: Arc::clone(self) })
    }

    fn fresh(&self, lists: &mut PoolState, size: usize, bytes: usize, owner: &'static str) -> Result<u64> {
        lists.stats.allocations += 1;
        if let Some(address) = self.driver.allocate(size)? {
            return Ok(address);
        }
        self.give_back(lists);
        match self.driver.allocate(size)? {
            Some(address) => Ok(address),
            None => Err(self.exhausted(lists, bytes, owner)),
        }
    }

    fn exhausted(&self, lists: &PoolState, bytes: usize, owner: &str) -> Error {
        let mut holders = BTreeMap::<&str, (usize, usize)>::new();
        for block in lists.used.values() {
            let (count, held) = holders.entry(block.owner).or_default();
            *count += 1;
            *held += block.size;
        }
        let mut holders: Vec<_> = holders.into_iter().collect();
        holders.sort_by_key(|&(_, (_, held))| std::cmp::Reverse(held));
        let (free, total) = self.driver.memory().unwrap_or((0, 0));
        let error = Error::new(
            ErrorKind::OutOfMemory,
            owner,
            format!("the GPU has not enough free memory for {}", size_text(bytes)),
        );
        let most = holders.iter().take(5).fold(error, |error, (name, (count, held))| {
            error.with(&format!("held by {name}"), format_args!("{} in {count}", size_text(*held)))
        });
        let arenas = lists.free.iter().filter(|((arena, _), _)| *arena != SHARED);
        let kept: usize = arenas.map(|(&(_, class), list)| list.len() * class_bytes(class)).sum();
        let most = if kept > 0 { most.with("kept for a graph", size_text(kept)) } else { most };
        most.with("free", format_args!("{} of {}", size_text(free), size_text(total)))
            .help("use a smaller batch or smaller images; another process may hold memory (see nvidia-smi)")
    }

    /// How much memory the pool holds now.
    pub fn stats(&self) -> DevicePoolStats {
        self.lists().stats
    }

    /// Restarts the peak at the memory in use now.
    pub fn reset_peak(&self) {
        let mut lists = self.lists();
        lists.stats.peak = lists.stats.in_use;
    }

    /// Raises the peak to `bytes` if it is lower.
    pub fn raise_peak(&self, bytes: usize) {
        let mut lists = self.lists();
        lists.stats.peak = lists.stats.peak.max(bytes);
    }

    /// Gives the shared free blocks back to the driver.
    pub fn empty_cache(&self) {
        self.give_back(&mut self.lists());
    }

    fn give_back(&self, lists: &mut PoolState) {
        for (&(arena, class), list) in &mut lists.free {
            if arena != SHARED {
                continue;
            }
            lists.stats.cached -= list.len() * class_bytes(class);
            for address in list.drain(..) {
                // SAFETY: the block came from the driver. It is on no other list, and no buffer refers to it.
                unsafe { self.driver.free(address) }
            }
        }
    }

    /// A new arena.
    pub fn arena(&self) -> Arena {
        let mut lists = self.lists();
        lists.arenas += 1;
        lists.arenas
    }

    /// From now on, new buffers come from this arena. Returns the arena that was open before.
    pub fn open(&self, arena: Arena) -> Arena {
        std::mem::replace(&mut self.lists().open, arena)
    }

    /// Moves an arena's free blocks to the shared lists. Blocks still in use will go to the shared lists when their
    /// buffers are dropped.
    pub fn dissolve(&self, arena: Arena) {
        let mut lists = self.lists();
        let lists = &mut *lists;
        let classes: Vec<_> = lists.free.keys().filter(|(of, _)| *of == arena).copied().collect();
        for key in classes {
            let blocks = lists.free.remove(&key).unwrap_or_default();
            lists.free.entry((SHARED, key.1)).or_default().extend(blocks);
        }
        lists.used.values_mut().filter(|block| block.arena == arena).for_each(|block| block.arena = SHARED);
    }

    fn lists(&self) -> MutexGuard<'_, PoolState> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DevicePool {
    fn drop(&mut self) {
        let lists = self.lists.get_mut().unwrap_or_else(PoisonError::into_inner);
        for address in lists.free.values_mut().flat_map(std::mem::take) {
            // SAFETY: the block came from the driver and is only on this list. Every buffer keeps the pool alive, so no
            // buffer is left.
            unsafe { self.driver.free(address) }
        }
    }
}

fn size_text(bytes: usize) -> String {
    match bytes {
        0..0x400 => format!("{bytes} bytes"),
        0x400..0x10_0000 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0)),
    }
}

/// An owned block of device memory that goes back to its pool when dropped.
pub struct DeviceBuffer {
    address: u64,
    bytes: usize,
    pool: Arc<DevicePool>,
}

impl DeviceBuffer {
    /// The address of its first byte, a multiple of at least 256.
    pub fn ptr<T>(&self) -> Ptr<T> {
        Ptr::new(self.address)
    }

    /// Its size in bytes, as requested.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// True if it was requested with 0 bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl Drop for DeviceBuffer {
    fn drop(&mut self) {
        let mut lists = self.pool.lists();
        let lists = &mut *lists;
        let Some(PoolBlock { class, size, arena, .. }) = lists.used.remove(&self.address) else { return };
        lists.stats.in_use -= size;
        if self.pool.exact && arena == SHARED {
            // SAFETY: the block came from the driver. It is on no list, and this was the only buffer that refers to it.
            unsafe { self.pool.driver.free(self.address) }
        } else {
            lists.stats.cached += size;
            lists.free.entry((arena, class)).or_default().push(self.address);
        }
    }
}
