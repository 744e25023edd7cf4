//! Where tensors live: a context of threads and memory, or nowhere.

use crate::core::{Error, Result};
use crate::cpu::{CpuCtx, CpuOptions};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A device is a context: two CPU devices with different thread counts are different devices, and tensors of one do
/// not mix with tensors of the other.
#[derive(Clone)]
pub enum Device {
    /// Rayon-parallel loops on this machine's processor.
    Cpu(Arc<CpuCtx>),
    /// Shapes only, as PyTorch's `meta`: ops infer and record, but nothing is allocated or computed. `summary` runs
    /// every network here, whatever its size.
    Meta(Arc<MetaCtx>),
}

/// The context of the meta device: its place on the tape.
#[derive(Debug, Default)]
pub struct MetaCtx {
    sequence: AtomicU64,
}

impl Device {
    /// A CPU device with default settings: one thread for each core.
    ///
    /// # Errors
    /// The operating system refusing threads.
    pub fn cpu() -> Result<Device> {
        Device::cpu_with(&CpuOptions::default())
    }

    /// A CPU device with these settings.
    ///
    /// # Errors
    /// An unknown rung, or the operating system refusing threads.
    pub fn cpu_with(options: &CpuOptions) -> Result<Device> {
        Ok(Device::Cpu(Arc::new(CpuCtx::new(options)?)))
    }

    /// A device for shapes only.
    pub fn meta() -> Device {
        Device::Meta(Arc::default())
    }

    /// A device by its name on the command line: `auto`, `cpu`, `cuda`, `cuda:N`.
    ///
    /// # Errors
    /// An unknown name, or a device this build or machine does not have.
    pub fn from_name(name: &str, options: &CpuOptions) -> Result<Device> {
        match name {
            "auto" | "cpu" => Device::cpu_with(options),
            "cuda" => Err(no_cuda()),
            _ if name.strip_prefix("cuda:").is_some_and(|n| n.parse::<u32>().is_ok()) => Err(no_cuda()),
            _ => Err(Error::argument("device", format!("`{name}` is not a device"))
                .expected("auto, cpu, cuda or cuda:N")),
        }
    }

    /// The CPU context, when this is a CPU.
    pub fn as_cpu(&self) -> Option<&Arc<CpuCtx>> {
        match self {
            Device::Cpu(cx) => Some(cx),
            Device::Meta(_) => None,
        }
    }

    /// Runs `f` where this device's loops start fastest: on the CPU, on a thread of its pool. Training does.
    pub fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        match self {
            Device::Cpu(cx) => cx.install(f),
            Device::Meta(_) => f(),
        }
    }

    /// Whether both are the same context.
    pub fn same(&self, other: &Device) -> bool {
        match (self, other) {
            (Device::Cpu(a), Device::Cpu(b)) => Arc::ptr_eq(a, b),
            (Device::Meta(a), Device::Meta(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        match self {
            Device::Cpu(cx) => cx.next_sequence(),
            Device::Meta(cx) => cx.sequence.fetch_add(1, Ordering::Relaxed),
        }
    }
}

fn no_cuda() -> Error {
    Error::new(crate::core::ErrorKind::Device, "device", "this build has no CUDA backend")
        .help("run with --device cpu, or leave --device away")
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Device::Cpu(_) => "cpu",
            Device::Meta(_) => "meta",
        })
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
