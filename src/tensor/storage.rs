//! The memory of a tensor, with a version number. The version lets backward return an error where it would otherwise
//! compute a wrong gradient from changed data.
//!
//! Tensors that share memory share a [`Cell`]. Reading takes a shared lock. An in-place update takes an exclusive lock
//! and raises the version. For each saved tensor, backward compares the version at that time with the version now.

use crate::core::{DType, Shape};
use crate::cpu::Buffer;
use crate::cuda::{DeviceBuffer, Ptr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The memory of a tensor on its device.
pub enum Storage {
    Cpu(Buffer),
    Cuda(DeviceBuffer),
    Meta,
}

impl Storage {
    /// The bytes, if they are in the host's memory; else empty.
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

    /// The address of the bytes, if they are in a GPU's memory; else null.
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

/// Storage that several tensors can share, with its lock and its version.
pub struct Cell {
    lock: RwLock<Storage>,
    version: AtomicU64,
}

impl Cell {
    pub fn new(storage: Storage) -> Arc<Cell> {
        Arc::new(Cell { lock: RwLock::new(storage), version: AtomicU64::new(0) })
    }

    pub fn read(&self) -> RwLockReadGuard<'_, Storage> {
        // After a panic in another thread the numbers may be half written, but the memory is still safe to use.
        self.lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exclusive access for an in-place update. Raises the version.
    pub fn write(&self) -> RwLockWriteGuard<'_, Storage> {
        let guard = self.lock.write().unwrap_or_else(PoisonError::into_inner);
        self.version.fetch_add(1, Ordering::Release);
        guard
    }

    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

/// A range of a cell, with a shape and a dtype: a tensor without its device and its place on the tape.
#[derive(Clone)]
pub struct Data {
    pub cell: Arc<Cell>,
    /// Where the range starts, in elements.
    pub offset: usize,
    pub shape: Shape,
    pub dtype: DType,
}

impl Data {
    /// The range within the cell, in bytes.
    pub fn range(&self) -> std::ops::Range<usize> {
        let size = self.dtype.size();
        self.offset * size..(self.offset + self.shape.numel()) * size
    }
}
