//! The memory behind a tensor, with the version that makes a stale gradient an error.
//!
//! Views share a cell. Reading takes the lock shared, an in-place update takes it alone and raises the version;
//! backward compares the version a tensor had when it was saved with the one it has now.

use crate::core::{DType, Shape};
use crate::cpu::Buffer;
use crate::cuda::{DeviceBuffer, Ptr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The bytes of a tensor on its device.
pub enum Storage {
    Cpu(Buffer),
    Cuda(DeviceBuffer),
    Meta,
}

impl Storage {
    /// The bytes, when they are in this machine's memory.
    pub fn host(&self) -> &[u8] {
        match self {
            Storage::Cpu(buffer) => buffer.bytes(),
            Storage::Cuda(_) | Storage::Meta => &[],
        }
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        match self {
            Storage::Cpu(buffer) => buffer.bytes().len(),
            Storage::Cuda(buffer) => buffer.len(),
            Storage::Meta => 0,
        }
    }

    /// The address of the bytes, when they are in a GPU's memory.
    pub fn device(&self) -> Ptr<u8> {
        match self {
            Storage::Cuda(buffer) => buffer.ptr(),
            Storage::Cpu(_) | Storage::Meta => Ptr::NULL,
        }
    }

    pub fn host_mut(&mut self) -> &mut [u8] {
        match self {
            Storage::Cpu(buffer) => buffer.bytes_mut(),
            Storage::Cuda(_) | Storage::Meta => &mut [],
        }
    }
}

/// Shared storage.
pub struct Cell {
    lock: RwLock<Storage>,
    version: AtomicU64,
}

impl Cell {
    pub fn new(storage: Storage) -> Arc<Cell> {
        Arc::new(Cell { lock: RwLock::new(storage), version: AtomicU64::new(0) })
    }

    pub fn read(&self) -> RwLockReadGuard<'_, Storage> {
        // A panic elsewhere leaves numbers half written, not memory unsafe: the lock stays usable.
        self.lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exclusive access, for an in-place update: raises the version.
    pub fn write(&self) -> RwLockWriteGuard<'_, Storage> {
        let guard = self.lock.write().unwrap_or_else(PoisonError::into_inner);
        self.version.fetch_add(1, Ordering::Release);
        guard
    }

    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

/// A window into a cell: all of a tensor but its place on the tape.
#[derive(Clone)]
pub struct Data {
    pub cell: Arc<Cell>,
    /// In elements.
    pub offset: usize,
    pub shape: Shape,
    pub dtype: DType,
}

impl Data {
    /// The bytes of this window, within its cell's bytes.
    pub fn range(&self) -> std::ops::Range<usize> {
        let size = self.dtype.size();
        self.offset * size..(self.offset + self.shape.numel()) * size
    }
}
