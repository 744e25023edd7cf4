//! The tensor: shared storage, a shape, and, if it was recorded, a place on the tape, from which backward computes
//! gradients.
//!
//! Compared with lesson 0: clones share the elements, because a copy of every tensor that is saved for backward would
//! double the memory. Elements have a type and a device, because reference runs need f64 and GPUs have memory of their
//! own. Each storage counts its changes, so that a value that was saved and then changed is an error and not a wrong
//! gradient.

use super::node::{Edge, Leaf, Node, Origin};
use super::op::{Meta, Update, total_bytes};
use super::storage::Data;
use super::{Device, exec};
use crate::core::{DType, Element, Error, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Ptr};
use crate::element_type;
use std::sync::{Arc, PoisonError};

/// An n-dimensional array, contiguous and row-major. A clone shares the elements.
///
/// ```
/// use receptive::{Device, Tensor};
/// let cpu = Device::cpu()?;
/// let x = Tensor::from_vec(&cpu, vec![1f32, 2.0, 3.0], &[3])?.requires_grad();
/// let y = x.mul(&x)?.sum_all()?;
/// y.backward()?;
/// assert_eq!(x.grad().unwrap().to_vec::<f32>()?, [2.0, 4.0, 6.0]);
/// # Ok::<(), receptive::Error>(())
/// ```
#[derive(Clone)]
pub struct Tensor(Arc<TensorInner>);

struct TensorInner {
    data: Data,
    device: Device,
    edge: Edge,
}

impl Tensor {
    pub(crate) fn new(data: Data, device: Device, edge: Edge) -> Tensor {
        Tensor(Arc::new(TensorInner { data, device, edge }))
    }

    /// A tensor with these elements in row-major order.
    ///
    /// # Errors
    /// An element count that is not the product of `dims`.
    pub fn from_slice<T: Element>(device: &Device, values: &[T], dims: &[usize]) -> Result<Tensor> {
        let meta = Meta { shape: Shape::new(dims)?, dtype: T::DTYPE };
        if meta.numel() != values.len() {
            return Err(Error::shape("tensor", format!("{} values do not fill the shape", values.len()))
                .with("shape", meta.shape)
                .expected(format!("{} values", meta.numel())));
        }
        Ok(Tensor::new(exec::upload(device, values, &meta)?, device.clone(), Edge::None))
    }

    /// As [`from_slice`](Self::from_slice), from a vector.
    ///
    /// # Errors
    /// As [`from_slice`](Self::from_slice).
    pub fn from_vec<T: Element>(device: &Device, values: Vec<T>, dims: &[usize]) -> Result<Tensor> {
        Self::from_slice(device, &values, dims)
    }

    /// A tensor of rank 0: one element and no dimensions.
    pub fn scalar<T: Element>(device: &Device, value: T) -> Tensor {
        let meta = Meta { shape: Shape::SCALAR, dtype: T::DTYPE };
        let data = exec::upload(device, &[value], &meta).expect("there is room for one number");
        Tensor::new(data, device.clone(), Edge::None)
    }

    /// A tensor with every element equal to `value`.
    ///
    /// # Errors
    /// An impossible shape; no memory for it; a number that the dtype cannot hold, such as 2.5 or NaN for i64.
    pub fn full(device: &Device, value: f64, dims: &[usize], dtype: DType) -> Result<Tensor> {
        check_holds("full", dtype, value)?;
        let meta = Meta { shape: Shape::new(dims)?, dtype };
        Ok(Tensor::new(exec::filled(device, value, &meta)?, device.clone(), Edge::None))
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// An impossible shape; no memory for it.
    pub fn zeros(device: &Device, dims: &[usize], dtype: DType) -> Result<Tensor> {
        Self::full(device, 0.0, dims, dtype)
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.0.data.shape
    }

    /// The dimensions, outermost first.
    pub fn dims(&self) -> &[usize] {
        self.0.data.shape.dims()
    }

    /// The number of elements.
    pub fn numel(&self) -> usize {
        self.0.data.shape.numel()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.0.data.dtype
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// Shape and element type.
    pub fn meta(&self) -> Meta {
        Meta { shape: self.0.data.shape, dtype: self.0.data.dtype }
    }

    /// The elements, copied to the host.
    ///
    /// # Errors
    /// `T` that is not the tensor's dtype; a meta tensor.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        self.read::<T, _>(<[T]>::to_vec)
    }

    /// Calls `f` with the elements. They are not copied if they are in the host's memory. `f` must not change this
    /// tensor.
    ///
    /// # Errors
    /// `T` that is not the tensor's dtype; a meta tensor.
    pub fn read<T: Element, R>(&self, f: impl FnOnce(&[T]) -> R) -> Result<R> {
        if T::DTYPE != self.dtype() {
            return Err(Error::dtype("to_vec", format!("the tensor is {}, not {}", self.dtype(), T::DTYPE))
                .help("convert first: x.to_dtype(dtype)"));
        }
        exec::download(self, |bytes| f(bytemuck::cast_slice(bytes)))
    }

    /// Calls `f` with the raw bytes, little-endian.
    ///
    /// # Errors
    /// A meta tensor.
    pub fn read_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
        exec::download(self, f)
    }

    /// The elements as f64, whatever the dtype.
    ///
    /// # Errors
    /// A meta tensor.
    pub fn to_f64(&self) -> Result<Vec<f64>> {
        element_type!(self.dtype(), T => self.read::<T, _>(|x| x.iter().map(|&v| v.to_f64()).collect()))
    }

    /// The value of a tensor with one element, as f64.
    ///
    /// # Errors
    /// More or fewer than one element; a meta tensor.
    pub fn item(&self) -> Result<f64> {
        if self.numel() != 1 {
            return Err(Error::shape("item", "the tensor does not have exactly one element")
                .with("tensor", self.shape()));
        }
        Ok(self.to_f64()?[0])
    }

    /// The same elements, off the tape: no gradient flows back from the result.
    pub fn detach(&self) -> Tensor {
        match self.0.edge {
            Edge::None => self.clone(),
            _ => Tensor::new(self.0.data.clone(), self.device().clone(), Edge::None),
        }
    }

    /// This tensor as a leaf that accumulates gradients. Shares the elements.
    pub fn requires_grad(&self) -> Tensor {
        Tensor::new(self.0.data.clone(), self.device().clone(), Edge::Leaf(Arc::new(Leaf::default())))
    }

    /// Whether ops on this tensor are recorded.
    pub fn tracks_grad(&self) -> bool {
        !matches!(self.0.edge, Edge::None)
    }

    /// The gradient accumulated in a leaf, or the gradient kept by [`retain_grad`](Self::retain_grad).
    pub fn grad(&self) -> Option<Tensor> {
        match &self.0.edge {
            Edge::None => None,
            Edge::Leaf(leaf) => leaf.grad().clone(),
            Edge::Node(node) => {
                node.retained.lock().unwrap_or_else(PoisonError::into_inner).clone().flatten()
            }
        }
    }

    /// Replaces a leaf's gradient.
    pub fn set_grad(&self, grad: &Tensor) {
        if let Edge::Leaf(leaf) = &self.0.edge {
            *leaf.grad() = Some(grad.clone());
        }
    }

    /// Drops a leaf's gradient. Its memory goes back to the pool.
    pub fn zero_grad(&self) {
        if let Edge::Leaf(leaf) = &self.0.edge {
            *leaf.grad() = None;
        }
    }

    /// Keeps the gradient of this intermediate result, so that [`grad`](Self::grad) returns it after backward.
    pub fn retain_grad(&self) {
        if let Edge::Node(node) = &self.0.edge {
            node.retained.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(None);
        }
    }

    /// The op that made this tensor, if it was recorded.
    pub fn node(&self) -> Option<&Arc<Node>> {
        match self.origin() {
            Origin::Op(node) => Some(node),
            Origin::Constant | Origin::Leaf(_) => None,
        }
    }

    /// Where this tensor came from: a constant, a leaf, or a recorded op.
    pub fn origin(&self) -> Origin<'_> {
        self.0.edge.origin()
    }

    /// How many times the storage was changed in place.
    pub fn version(&self) -> u64 {
        self.0.data.cell.version()
    }

    /// A copy with memory of its own, off the tape.
    ///
    /// # Errors
    /// No memory for the copy; on a GPU, an error of the driver.
    pub fn copy(&self) -> Result<Tensor> {
        let fresh = Tensor::zeros(self.device(), self.dims(), self.dtype())?;
        fresh.copy_from(&self.detach())?;
        Ok(fresh)
    }

    /// The address of the elements on a GPU, and their size in bytes.
    pub fn device_bytes(&self) -> (Ptr<u8>, usize) {
        (exec::device_view(self.data()).bytes(), self.meta().bytes())
    }

    /// Overwrites the elements in place with those of `source`. This tensor's address stays the same.
    ///
    /// # Errors
    /// A `source` with another shape, dtype or device, or in the same memory.
    pub fn copy_from(&self, source: &Tensor) -> Result<()> {
        if self.meta() != source.meta() {
            return Err(Error::shape("copy_from", "source and target differ in shape or dtype")
                .with("source", format_args!("{} {}", source.shape(), source.dtype()))
                .with("target", format_args!("{} {}", self.shape(), self.dtype())));
        }
        exec::update(&Copy, &[self], &[source])
    }

    /// Overwrites the elements in place with values from the host. This tensor's address stays the same.
    ///
    /// # Errors
    /// `T` that is not the tensor's dtype; another number of elements.
    pub fn write<T: Element>(&self, values: &[T]) -> Result<()> {
        if T::DTYPE != self.dtype() || values.len() != self.numel() {
            return Err(Error::shape("write", "the values differ from the tensor in number or dtype")
                .with("values", format_args!("{} {}", values.len(), T::DTYPE))
                .with("tensor", format_args!("{} {}", self.shape(), self.dtype())));
        }
        exec::write(self, values)
    }

    /// The same elements on another device, off the tape.
    ///
    /// # Errors
    /// A meta tensor has no elements to move.
    pub fn to_device(&self, device: &Device) -> Result<Tensor> {
        if self.device().same(device) {
            return Ok(self.detach());
        }
        let data = element_type!(self.dtype(), T => {
            self.read::<T, _>(|values| exec::upload(device, values, &self.meta()))??
        });
        Ok(Tensor::new(data, device.clone(), Edge::None))
    }

    /// Whether both tensors use the same memory.
    pub fn shares_storage(&self, other: &Tensor) -> bool {
        Arc::ptr_eq(&self.0.data.cell, &other.0.data.cell)
    }

    /// Whether no other tensor refers to this memory, so that it may be changed in place.
    pub(crate) fn owns_storage(&self) -> bool {
        Arc::strong_count(&self.0) == 1 && Arc::strong_count(&self.0.data.cell) == 1
    }

    pub fn data(&self) -> &Data {
        &self.0.data
    }

    pub(crate) fn edge(&self) -> &Edge {
        &self.0.edge
    }
}

/// # Errors
/// A number that the dtype cannot hold.
pub(super) fn check_holds(op: &str, dtype: DType, value: f64) -> Result<()> {
    if dtype.holds(value) {
        return Ok(());
    }
    let expected = if dtype == DType::U8 {
        "a whole number from 0 to 255"
    } else {
        "a whole number in the range of i64"
    };
    Err(Error::dtype(op, format!("{dtype} cannot hold {value}")).expected(expected))
}

/// `target = x`.
#[derive(Debug)]
struct Copy;

impl Update for Copy {
    fn name(&self) -> &'static str {
        "copy_from"
    }

    fn cpu(&self, _cx: &CpuCtx, targets: &mut [ViewMut], x: &[View]) -> Result<()> {
        targets[0].bytes.copy_from_slice(x[0].bytes);
        Ok(())
    }

    fn cuda(&self, cx: &CudaCtx, targets: &[DeviceView], x: &[DeviceView]) -> Result<()> {
        cx.copy(targets[0].bytes(), x[0].bytes(), x[0].size())
    }

    fn flops(&self, _targets: &[Meta], _x: &[Meta]) -> u64 {
        0
    }

    fn bytes(&self, targets: &[Meta], x: &[Meta]) -> u64 {
        total_bytes(targets) + total_bytes(x)
    }
}
