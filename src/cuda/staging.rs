//! Page-locked host memory, through which all data is copied. The device reads and writes it by DMA while the host
//! continues. From ordinary (pageable) memory, the driver would first copy to a page-locked buffer of its own and wait.
//!
//! **To the device** (double buffering): there are two halves. While the device reads one half, the host fills the
//! other. Before the host fills a half again, it waits for the event that was recorded after the half's last copy.
//!
//! **To the host**: a [`Readback`] queues a copy and an event. The caller waits for that event, or checks it later.

use super::driver::{Driver, Event, Pinned};
use crate::core::Result;
use std::sync::Arc;

/// The size of each half in bytes.
const HALF: usize = 2 << 20;

/// The two halves through which data is copied to the device.
pub(super) struct Staging {
    halves: [Half; 2],
    current: usize,
    filled: usize,
}

struct Half {
    memory: Pinned,
    /// The event after its last copy; `None` if no copy from it is queued.
    busy: Option<Event>,
}

impl Staging {
    pub fn new(driver: &Driver) -> Result<Staging> {
        let half = || Ok(Half { memory: driver.pinned(HALF)?, busy: None });
        Ok(Staging { halves: [half()?, half()?], current: 0, filled: 0 })
    }

    /// Queues a copy of `from` to the device address `to`. The caller may change `from` as soon as this returns.
    ///
    /// # Safety
    /// `to` has room for `from`.
    pub unsafe fn upload(&mut self, driver: &Driver, to: u64, from: &[u8]) -> Result<()> {
        let mut done = 0;
        while done < from.len() {
            if self.filled == HALF {
                self.turn(driver)?;
            }
            let piece = (from.len() - done).min(HALF - self.filled);
            let place = self.filled..self.filled + piece;
            let staged = &mut self.halves[self.current].memory.bytes_mut()[place.clone()];
            staged.copy_from_slice(&from[done..done + piece]);
            let staged = &self.halves[self.current].memory.bytes()[place];
            // SAFETY: `to` has room for `from`: promised by the caller. This part of the half is not written again
            // before the event after the copy has passed.
            unsafe { driver.copy_to_device(to + done as u64, staged)? };
            done += piece;
            // The next piece starts on a cache line.
            self.filled = (self.filled + piece).next_multiple_of(64);
        }
        Ok(())
    }

    /// Changes to the other half, and waits until its last copy is done.
    fn turn(&mut self, driver: &Driver) -> Result<()> {
        self.halves[self.current].busy = Some(driver.record()?);
        self.current = 1 - self.current;
        self.filled = 0;
        match self.halves[self.current].busy.take() {
            Some(event) => event.wait(),
            None => Ok(()),
        }
    }
}

/// A queued copy from the device to the host.
pub struct Readback {
    memory: Option<Pinned>,
    event: Option<Event>,
    bytes: usize,
    spare: Arc<SpareBuffers>,
    /// Keeps the driver's context alive. Fields are dropped in order, so it comes after the buffers and the event.
    _driver: Arc<Driver>,
}

/// Page-locked buffers of finished readbacks, for reuse: page-locking memory takes longer than a training step of a
/// small network.
#[derive(Default)]
pub(super) struct SpareBuffers(std::sync::Mutex<Vec<Pinned>>);

impl SpareBuffers {
    fn take(&self, driver: &Driver, bytes: usize) -> Result<Pinned> {
        let mut spare = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match spare.iter().position(|pinned| pinned.bytes().len() >= bytes) {
            Some(place) => Ok(spare.swap_remove(place)),
            None => driver.pinned(bytes.next_power_of_two()),
        }
    }

    fn put(&self, pinned: Pinned) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(pinned);
    }
}

impl Readback {
    /// Queues copies of these ranges, each given as (device address, bytes), to one host buffer, one after the other.
    ///
    /// # Safety
    /// Each address has this many bytes of live device memory.
    pub(super) unsafe fn queue(
        driver: &Arc<Driver>,
        spare: &Arc<SpareBuffers>,
        from: &[(u64, usize)],
    ) -> Result<Readback> {
        let bytes = from.iter().map(|(_, bytes)| bytes).sum();
        let mut memory = spare.take(driver, bytes)?;
        let mut at = 0;
        for &(address, bytes) in from.iter().filter(|(_, bytes)| *bytes > 0) {
            // SAFETY: `bytes` live bytes are at this address: promised by the caller. The buffer is kept, and is not
            // read, until the event has passed.
            unsafe { driver.copy_to_host(&mut memory.bytes_mut()[at..at + bytes], address)? };
            at += bytes;
        }
        let event = Some(driver.record()?);
        let (spare, _driver) = (Arc::clone(spare), Arc::clone(driver));
        Ok(Readback { memory: Some(memory), event, bytes, spare, _driver })
    }

    /// True if the bytes have arrived.
    ///
    /// # Errors
    /// An earlier kernel failed.
    pub fn arrived(&self) -> Result<bool> {
        self.event.as_ref().map_or(Ok(true), Event::passed)
    }

    /// Waits for the bytes and calls `f` with them.
    ///
    /// # Errors
    /// An earlier kernel failed.
    pub fn read<R>(mut self, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
        if let Some(event) = self.event.take() {
            event.wait()?;
        }
        let memory = self.memory.as_ref().map_or(&[][..], |memory| &memory.bytes()[..self.bytes]);
        Ok(f(memory))
    }
}

impl Drop for Readback {
    fn drop(&mut self) {
        // The device may still be writing to the buffer, so it can be reused only after the event. If waiting for the
        // event fails, the buffer is freed instead.
        let arrived = self.event.take().is_none_or(|event| event.wait().is_ok());
        if let Some(memory) = self.memory.take().filter(|_| arrived) {
            self.spare.put(memory);
        }
    }
}
