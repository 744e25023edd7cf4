//! The driver's calls in a build without the feature `cuda`. No driver can be opened, so none of the calls can be made.

use super::context::GpuInfo;
use super::launch::Launch;
use crate::core::{Error, ErrorKind, Result};
use std::ffi::c_void;

/// No value of this type exists.
pub enum Driver {}
/// No value of this type exists.
pub enum RawGraph {}
/// No value of this type exists.
pub enum Event {}
/// No value of this type is ever made: only [`Driver::pinned`] makes one, and it cannot be called.
pub struct Pinned(());

/// No value of this type exists.
#[derive(Debug, Clone, Copy)]
pub enum Simulator {}

impl Simulator {
    pub fn find() -> Option<Simulator> {
        None
    }

    pub fn can_count(&self) -> bool {
        match *self {}
    }

    pub fn record(&self, _mode: i32, _blocks: u64) -> bool {
        match *self {}
    }

    pub fn report(&self) -> String {
        match *self {}
    }
}

impl Driver {
    pub fn open(_ordinal: usize) -> Result<Driver> {
        Err(Error::new(ErrorKind::Device, "cuda", "this build has no CUDA backend")
            .help("build with the feature `cuda`, or use `Device::cpu()`"))
    }

    pub fn facts(&self) -> GpuInfo {
        match *self {}
    }

    pub fn allocate(&self, _bytes: usize) -> Result<Option<u64>> {
        match *self {}
    }

    /// # Safety
    /// Cannot be called.
    pub unsafe fn free(&self, _address: u64) {
        match *self {}
    }

    pub fn memory(&self) -> Result<(usize, usize)> {
        match *self {}
    }

    pub fn pinned(&self, _bytes: usize) -> Result<Pinned> {
        match *self {}
    }

    /// # Safety
    /// Cannot be called.
    pub unsafe fn copy_to_device(&self, _to: u64, _from: &[u8]) -> Result<()> {
        match *self {}
    }

    /// # Safety
    /// Cannot be called.
    pub unsafe fn copy_to_host(&self, _to: &mut [u8], _from: u64) -> Result<()> {
        match *self {}
    }

    /// # Safety
    /// Cannot be called.
    pub unsafe fn copy_on_device(&self, _to: u64, _from: u64, _bytes: usize) -> Result<()> {
        match *self {}
    }

    /// # Safety
    /// Cannot be called.
    pub unsafe fn fill_bytes(&self, _at: u64, _byte: u8, _bytes: usize) -> Result<()> {
        match *self {}
    }

    /// # Safety
    /// Cannot be called.
    pub unsafe fn fill_words(&self, _at: u64, _word: u32, _words: usize) -> Result<()> {
        match *self {}
    }

    pub fn synchronize(&self) -> Result<()> {
        match *self {}
    }

    pub fn record(&self) -> Result<Event> {
        match *self {}
    }

    /// # Safety
    /// Cannot be called.
    pub unsafe fn launch(
        &self,
        _kernel: usize,
        _launch: Launch,
        _arguments: &mut [*mut c_void],
    ) -> Result<()> {
        match *self {}
    }

    pub fn load_all(&self) -> Result<()> {
        match *self {}
    }

    pub fn begin_capture(&self) -> Result<()> {
        match *self {}
    }

    pub fn end_capture(&self) -> Result<RawGraph> {
        match *self {}
    }

    /// # Safety
    /// Cannot be called.
    pub unsafe fn launch_graph(&self, _graph: &RawGraph) -> Result<()> {
        match *self {}
    }
}

impl Event {
    pub fn passed(&self) -> Result<bool> {
        match *self {}
    }

    pub fn wait(&self) -> Result<()> {
        match *self {}
    }

    pub fn milliseconds_to(&self, _later: &Event) -> Result<f64> {
        match *self {}
    }
}

impl Pinned {
    pub fn bytes(&self) -> &[u8] {
        &[]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut []
    }
}

/// The name of kernel number `kernel`. Never called.
pub fn kernel_name(_kernel: usize) -> &'static str {
    "none"
}
