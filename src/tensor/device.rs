//! Where tensors live: on a CPU, on a GPU, or nowhere (shapes only).

use crate::core::Precision;
use crate::core::{Error, ErrorKind, ObserverSlot, Result};
use crate::cpu::check_threads;
use crate::cpu::{CpuCtx, CpuOptions};
use crate::cuda::{CudaCtx, CudaOptions};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A device has its own threads and its own memory. Two CPU devices are different devices, even if they have the same
/// settings. All inputs of an op must be on one device.
#[derive(Clone)]
pub enum Device {
    /// Parallel loops on this machine's processor.
    Cpu(Arc<CpuCtx>),
    /// Kernels on an NVIDIA GPU.
    Cuda(Arc<CudaCtx>),
    /// Shapes only, as PyTorch's `meta`: ops infer and record, but nothing is allocated or computed. `summary` runs
    /// every network here, whatever its size.
    Meta(Arc<MetaCtx>),
}

/// The context of the meta device: the next place on the tape, and the observer.
#[derive(Debug, Default)]
pub struct MetaCtx {
    sequence: AtomicU64,
    observer_slot: ObserverSlot,
}

impl Device {
    /// A CPU device with default settings: one thread per core. Each call makes a device of its own: call it once, and
    /// clone the device.
    ///
    /// # Errors
    /// The operating system refuses to start the threads.
    pub fn cpu() -> Result<Device> {
        Device::cpu_with(&CpuOptions::default())
    }

    /// A CPU device with these settings.
    ///
    /// # Errors
    /// An unknown rung (see [`crate::ladder`]); the operating system refuses to start the threads.
    pub fn cpu_with(options: &CpuOptions) -> Result<Device> {
        Ok(Device::Cpu(Arc::new(CpuCtx::new(options)?)))
    }

    /// A GPU with these settings.
    ///
    /// # Errors
    /// No driver, no such GPU, or a GPU that is too old.
    pub fn cuda_with(options: &CudaOptions) -> Result<Device> {
        Ok(Device::Cuda(Arc::new(CudaCtx::new(options)?)))
    }

    /// A device for shapes only.
    pub fn meta() -> Device {
        Device::Meta(Arc::default())
    }

    /// A device by its name on the command line: `auto`, `cpu`, `cuda`, `cuda:N`.
    ///
    /// # Errors
    /// An unknown name; a device that this build or machine does not have; an unknown rung; too many threads.
    pub fn from_name(name: &str, options: &DeviceOptions) -> Result<Device> {
        let ordinal = match name {
            "cuda" => Some(0),
            _ => name.strip_prefix("cuda:").and_then(|n| n.parse().ok()),
        };
        check_threads(options.threads)?;
        match (name, ordinal) {
            ("auto", _) => match Device::cuda_with(&options.cuda(0)) {
                // `auto` does not require a GPU, so having none is not an error.
                Err(error) if error.kind() == ErrorKind::Device => Device::cpu_with(&options.cpu()),
                opened => opened,
            },
            ("cpu", _) => Device::cpu_with(&options.cpu()),
            (_, Some(ordinal)) => Device::cuda_with(&options.cuda(ordinal)),
            _ => Err(Error::argument("device", format!("`{name}` is not a device"))
                .expected("auto, cpu, cuda or cuda:N")),
        }
    }

    /// The CPU context, if this is a CPU.
    pub fn as_cpu(&self) -> Option<&Arc<CpuCtx>> {
        match self {
            Device::Cpu(cx) => Some(cx),
            Device::Cuda(_) | Device::Meta(_) => None,
        }
    }

    /// The CUDA context, if this is a GPU.
    pub fn as_cuda(&self) -> Option<&Arc<CudaCtx>> {
        match self {
            Device::Cuda(cx) => Some(cx),
            Device::Cpu(_) | Device::Meta(_) => None,
        }
    }

    /// Waits until all queued work on this device is done. For timing.
    ///
    /// # Errors
    /// On a GPU, a kernel that failed.
    pub fn synchronize(&self) -> Result<()> {
        self.as_cuda().map_or(Ok(()), |cx| cx.synchronize())
    }

    /// Whether both are the same context.
    pub fn same(&self, other: &Device) -> bool {
        match (self, other) {
            (Device::Cpu(a), Device::Cpu(b)) => Arc::ptr_eq(a, b),
            (Device::Cuda(a), Device::Cuda(b)) => Arc::ptr_eq(a, b),
            (Device::Meta(a), Device::Meta(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// The slot for the observer of this device.
    pub(crate) fn observer_slot(&self) -> &ObserverSlot {
        match self {
            Device::Cpu(cx) => cx.observer_slot(),
            Device::Cuda(cx) => cx.observer_slot(),
            Device::Meta(cx) => &cx.observer_slot,
        }
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        match self {
            Device::Cpu(cx) => cx.next_sequence(),
            Device::Cuda(cx) => cx.next_sequence(),
            Device::Meta(cx) => cx.sequence.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// Settings of a device that is opened by name. Each kind of device uses the settings that apply to it.
#[derive(Debug, Clone, Default)]
pub struct DeviceOptions {
    /// Worker threads of a CPU; 0 means one per core.
    pub threads: usize,
    /// How far a GPU may round the inputs of matrix products.
    pub precision: Precision,
    /// The GEMM rung to run, by its number on the device's ladder. `None`: the device chooses. See [`crate::ladder`].
    pub gemm_rung: Option<u32>,
    /// The convolution rung to run, in the same way.
    pub conv_rung: Option<u32>,
}

impl DeviceOptions {
    /// The default settings with this many worker threads; 0 means one per core.
    pub fn with_threads(threads: usize) -> DeviceOptions {
        DeviceOptions { threads, ..DeviceOptions::default() }
    }

    /// Returns an error for a precision that has no effect on this device.
    ///
    /// # Errors
    /// The device is a CPU, and the precision is not f32.
    pub fn check_precision(&self, device: &Device) -> Result<()> {
        match (device, self.precision) {
            (Device::Cpu(_), Precision::Tf32 | Precision::Bf16) => {
                let what = format!("{} works only on a GPU, and this device is a CPU", self.precision);
                Err(Error::argument("`DeviceOptions.precision`", what)
                    .help("omit it, or use a GPU: `Device::cuda_with`"))
            }
            _ => Ok(()),
        }
    }

    fn cpu(&self) -> CpuOptions {
        let default = CpuOptions::with_threads(self.threads);
        CpuOptions {
            gemm_rung: self.gemm_rung.unwrap_or(default.gemm_rung),
            conv_rung: self.conv_rung,
            ..default
        }
    }

    fn cuda(&self, ordinal: usize) -> CudaOptions {
        let Self { precision, gemm_rung, conv_rung, .. } = *self;
        CudaOptions { ordinal, precision, gemm_rung, conv_rung, ..CudaOptions::default() }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu(_) => f.write_str("cpu"),
            Device::Cuda(cx) => write!(f, "cuda:{}", cx.options().ordinal),
            Device::Meta(_) => f.write_str("meta"),
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
