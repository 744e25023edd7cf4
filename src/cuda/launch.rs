//! The parts of a launch: device addresses, views of tensors, a grid of blocks.

use crate::core::{DType, Error, Result, Shape};
use std::ffi::c_void;
use std::marker::PhantomData;

/// The address of `T`s on the device. The host can compute with it and pass it to kernels, but cannot dereference it.
#[repr(transparent)]
pub struct Ptr<T> {
    address: u64,
    to: PhantomData<*const T>,
}

impl<T> Clone for Ptr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ptr<T> {}

impl<T> Default for Ptr<T> {
    fn default() -> Self {
        Ptr::NULL
    }
}

impl<T> std::fmt::Debug for Ptr<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.address)
    }
}

impl<T> Ptr<T> {
    /// No address, for an optional input that is missing.
    pub const NULL: Ptr<T> = Ptr { address: 0, to: PhantomData };

    pub(crate) fn new(address: u64) -> Ptr<T> {
        Ptr { address, to: PhantomData }
    }

    /// The address of the element `offset` places further on.
    pub fn at(self, offset: usize) -> Ptr<T> {
        Ptr::new(self.address + (offset * size_of::<T>()) as u64)
    }

    /// The same address, for elements of another type.
    pub fn cast<U>(self) -> Ptr<U> {
        Ptr::new(self.address)
    }

    /// True if it is [`NULL`](Self::NULL).
    pub fn is_null(self) -> bool {
        self.address == 0
    }

    /// The address as a number.
    pub fn address(self) -> u64 {
        self.address
    }
}

/// A tensor on the device, as an op's launch code receives it: shape, type and address.
#[derive(Debug, Clone, Copy)]
pub struct DeviceView {
    pub shape: Shape,
    pub dtype: DType,
    pub(crate) address: u64,
}

impl DeviceView {
    /// The dimensions.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }

    /// The number of elements.
    pub fn numel(&self) -> usize {
        self.shape.numel()
    }

    /// The size of the contents in bytes.
    pub fn size(&self) -> usize {
        self.numel() * self.dtype.size()
    }

    /// The address of f32 elements.
    ///
    /// # Errors
    /// The tensor has another dtype: kernels compute in f32.
    pub fn f32(&self) -> Result<Ptr<f32>> {
        self.of(DType::F32)
    }

    /// The address of f64 elements.
    ///
    /// # Errors
    /// The tensor has another dtype.
    pub fn f64(&self) -> Result<Ptr<f64>> {
        self.of(DType::F64)
    }

    /// The address of i64 elements.
    ///
    /// # Errors
    /// The tensor has another dtype.
    pub fn i64(&self) -> Result<Ptr<i64>> {
        self.of(DType::I64)
    }

    /// The address of u8 elements.
    ///
    /// # Errors
    /// The tensor has another dtype.
    pub fn u8(&self) -> Result<Ptr<u8>> {
        self.of(DType::U8)
    }

    /// The address of the bytes, for any dtype.
    pub fn bytes(&self) -> Ptr<u8> {
        Ptr::new(self.address)
    }

    fn of<T>(&self, dtype: DType) -> Result<Ptr<T>> {
        if self.dtype == dtype {
            return Ok(Ptr::new(self.address));
        }
        Err(Error::dtype("cuda", format!("the kernel needs {dtype}, but the tensor is {}", self.dtype))
            .with("tensor", self.shape)
            .help("CUDA computes in f32: convert with x.to_dtype(DType::F32), or use `Device::cpu()`"))
    }
}

/// Threads per block for kernels that work with any number of them.
const THREADS: u32 = 256;
/// The most blocks of a grid-stride loop: enough to fill any GPU several times over.
const BLOCKS: usize = 65_535;

/// How a kernel is launched: the number of blocks, the threads per block, and the dynamic shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared: u32,
}

impl Launch {
    /// Blocks of 256 threads over `n` elements, for a kernel with a grid-stride loop.
    pub fn over(n: usize) -> Launch {
        Launch::blocks([n.div_ceil(THREADS as usize).clamp(1, BLOCKS), 1, 1], THREADS)
    }

    /// A grid of blocks with `threads` threads each. A grid has at most 2^31 - 1 blocks in x and 65535 in y and z.
    pub fn blocks(grid: [usize; 3], threads: u32) -> Launch {
        Launch { grid: grid.map(|n| u32::try_from(n).unwrap_or(u32::MAX)), block: [threads, 1, 1], shared: 0 }
    }

    /// Blocks of 256 threads for `n` teams of `lanes` threads each. `lanes` is 1, 32 or 256 (`kernels/row_reduce.cuh`).
    pub fn teams(n: usize, lanes: usize) -> Launch {
        Launch::blocks([(n * lanes).div_ceil(THREADS as usize), 1, 1], THREADS)
    }

    /// One team of threads per line of a tensor `[outer, n, inner]` along n, and the number of threads per team. If
    /// lines are columns (`inner > 1`) that are short or many, a team is one thread. Otherwise it is one warp if n is
    /// at most 1024, else one block. The choice depends only on the shape.
    pub fn lines([outer, n, inner]: [usize; 3]) -> (Launch, i32) {
        let lines = outer * inner;
        let lanes = match n {
            _ if inner > 1 && (n <= 32 || lines >= 4096) => 1,
            0..=1024 => 32,
            _ => 256,
        };
        (Launch::teams(lines, lanes), lanes as i32)
    }

    /// The same grid with two-dimensional blocks, x first.
    pub fn block2(self, x: u32, y: u32) -> Launch {
        Launch { block: [x, y, 1], ..self }
    }

    /// The same launch with this many bytes of dynamic shared memory per block.
    pub fn shared(self, bytes: usize) -> Launch {
        Launch { shared: bytes as u32, ..self }
    }

    /// True if the grid has no blocks. Then there is nothing to do; the driver would return an error.
    pub(crate) fn is_empty(&self) -> bool {
        self.grid.contains(&0)
    }
}

/// A kernel's argument in the form that the driver expects: a pointer to its value.
pub(crate) fn argument<T>(value: &T) -> *mut c_void {
    std::ptr::from_ref(value).cast_mut().cast()
}
