//! Memory for a tensor that the host has yet to fill.

use super::exec;
use super::node::Edge;
use super::op::Meta;
use super::{Device, Tensor};
use crate::core::{Element, Result, Shape};
use crate::cpu::Buffer;

/// Memory of unspecified contents that becomes a tensor once all of it is written. On a CPU it is the tensor's own
/// memory, so nothing is copied.
pub struct Blank<T> {
    device: Device,
    meta: Meta,
    memory: Memory<T>,
}

enum Memory<T> {
    /// The memory of the tensor itself, on a CPU.
    Own(Buffer),
    /// Host memory, copied to the device at the end.
    Host(Vec<T>),
}

impl<T: Element> Blank<T> {
    /// Allocates memory for a tensor of these dimensions.
    ///
    /// # Errors
    /// An impossible shape; no memory for it.
    pub fn new(device: &Device, dims: &[usize]) -> Result<Blank<T>> {
        let meta = Meta { shape: Shape::new(dims)?, dtype: T::DTYPE };
        let memory = match device {
            Device::Cpu(cx) => Memory::Own(exec::allocate("tensor", cx, &meta)?),
            Device::Cuda(_) | Device::Meta(_) => Memory::Host(vec![T::from_f64(0.0); meta.numel()]),
        };
        Ok(Blank { device: device.clone(), meta, memory })
    }

    /// The elements to fill, in row-major order.
    pub fn elements(&mut self) -> &mut [T] {
        match &mut self.memory {
            Memory::Own(buffer) => buffer.slice_mut(),
            Memory::Host(values) => values,
        }
    }

    /// The finished tensor.
    ///
    /// # Errors
    /// On a GPU: out of memory, or an error of the driver.
    pub fn into_tensor(self) -> Result<Tensor> {
        let Blank { device, meta, memory } = self;
        let data = match memory {
            Memory::Own(buffer) => exec::adopt(&device, buffer, &meta),
            Memory::Host(values) => exec::upload(&device, &values, &meta)?,
        };
        Ok(Tensor::new(data, device, Edge::None))
    }
}
