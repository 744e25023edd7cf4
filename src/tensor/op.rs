//! The contract of an op. One file implements an op and one row of [`crate::ops::OPS`] registers it. Everything else
//! (recording, gradients, checks, benches, the `op` command) follows from these methods.
//!
//! Compared with lesson 0: `infer` checks and plans before anything runs, so that an error names the op and its
//! inputs, and a summary needs no memory. `saves` lists what `backward` reads, so that everything else is freed early.
//! `backward` computes only the gradients that are asked for. `cuda` is the same op on a GPU.

use super::{Saved, Tensor};
use crate::core::{ConvShape, DType, Error, ErrorKind, Result, Shape, Window};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView};
use smallvec::{SmallVec, smallvec};
use std::fmt::Debug;

/// Shape and element type. `infer` sees nothing else of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    pub shape: Shape,
    pub dtype: DType,
}

impl Meta {
    /// The number of elements.
    pub fn numel(&self) -> usize {
        self.shape.numel()
    }

    /// The dimensions.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }

    /// Size of the elements in bytes.
    pub fn bytes(&self) -> usize {
        self.numel() * self.dtype.size()
    }
}

/// Gradients of an op's inputs, in their order.
pub type Grads = SmallVec<[Option<Tensor>; 3]>;
/// An op's visible outputs.
pub type Outputs = SmallVec<[Tensor; 2]>;

/// What an op will produce, decided from the inputs' shapes and dtypes alone.
///
/// Scratch memory is not part of the plan. A loop takes it from its context's recycled buffers, which costs nothing
/// after the first step.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) outputs: SmallVec<[Meta; 2]>,
    pub(crate) visible: usize,
    pub(crate) view: Option<usize>,
    /// Whether a visible output came after a hidden one, which is an error.
    mixed: bool,
    conv_shape: Option<ConvShape>,
}

impl Plan {
    /// One visible output.
    pub fn new(shape: Shape, dtype: DType) -> Plan {
        Plan {
            outputs: smallvec![Meta { shape, dtype }],
            visible: 1,
            view: None,
            mixed: false,
            conv_shape: None,
        }
    }

    /// The output is a view of input 0: it shares the storage and starts `offset` elements after input 0's start.
    /// Nothing is computed.
    pub fn view(shape: Shape, dtype: DType, offset: usize) -> Plan {
        Plan { view: Some(offset), ..Plan::new(shape, dtype) }
    }

    /// All outputs, hidden ones included.
    pub fn outputs(&self) -> &[Meta] {
        &self.outputs
    }

    /// Stores the sizes of a convolution for the loop that will run it.
    pub(crate) fn with_conv_shape(self, conv_shape: ConvShape) -> Plan {
        Plan { conv_shape: Some(conv_shape), ..self }
    }

    /// The sizes that [`Op::infer`] stored.
    pub(crate) fn conv_shape(&self) -> &ConvShape {
        self.conv_shape.as_ref().expect("a convolution's plan has its sizes")
    }

    /// Adds an output that callers see, such as the indices of `max`. Only the first output carries a gradient. Add all
    /// visible outputs before the [hidden](Self::hidden) ones: running a plan in another order is an error.
    pub fn and(mut self, shape: Shape, dtype: DType) -> Plan {
        self.mixed |= self.visible != self.outputs.len();
        self.outputs.push(Meta { shape, dtype });
        self.visible += 1;
        self
    }

    /// Bytes that one run of `op` moves: 0 for a view, else [`Op::bytes`].
    pub fn bytes(&self, op: &dyn Op, x: &[Meta]) -> u64 {
        if self.view.is_some() { 0 } else { op.bytes(x, &self.outputs) }
    }

    /// # Errors
    /// Outputs in a wrong order; a view beyond the first input's elements, or of another dtype.
    pub(crate) fn check(&self, op: &str, first: Meta) -> Result<()> {
        if self.mixed {
            return Err(Error::argument(op, "infer() adds a visible output after a hidden one")
                .help("call and() for all visible outputs before hidden()"));
        }
        let Some(offset) = self.view else { return Ok(()) };
        let view = self.outputs[0];
        let fits = offset.checked_add(view.numel()).is_some_and(|end| end <= first.numel());
        if fits && view.dtype == first.dtype {
            return Ok(());
        }
        let kind = if fits { ErrorKind::DType } else { ErrorKind::Shape };
        Err(Error::new(
            kind,
            op,
            "infer() plans a view that is larger than the first input, or has another dtype",
        )
        .with("input 0", format_args!("{} {}", first.shape, first.dtype))
        .with("view", format_args!("{} {}", view.shape, view.dtype))
        .with("offset", offset))
    }

    /// Adds an output that only backward sees, such as a dropout mask, or the positions of the largest elements in a
    /// max pooling.
    pub fn hidden(mut self, shape: Shape, dtype: DType) -> Plan {
        self.outputs.push(Meta { shape, dtype });
        self
    }
}

/// Which inputs and outputs backward reads. All others may be freed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saves {
    pub(crate) inputs: u32,
    pub(crate) outputs: u32,
}

impl Saves {
    /// Nothing: the gradient needs only `dy` and shapes.
    pub const NONE: Saves = Saves { inputs: 0, outputs: 0 };

    /// Saves these inputs, by position. Only the first 32 can be saved.
    pub fn inputs(positions: &[usize]) -> Saves {
        Saves { inputs: Self::mask(0, positions), outputs: 0 }
    }

    /// Saves these outputs, by position. Hidden outputs count.
    pub fn outputs(positions: &[usize]) -> Saves {
        Saves::NONE.and_outputs(positions)
    }

    /// Saves these outputs too.
    pub fn and_outputs(self, positions: &[usize]) -> Saves {
        Saves { outputs: Self::mask(self.outputs, positions), ..self }
    }

    /// A position beyond the last bit is not saved. If backward reads it, the engine returns an error.
    fn mask(mask: u32, positions: &[usize]) -> u32 {
        positions.iter().fold(mask, |mask, &i| mask | 1u32.checked_shl(i as u32).unwrap_or(0))
    }
}

/// Which input elements an output element depends on. Receptive fields are computed from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependence {
    /// The element at the same position.
    Pointwise,
    /// The elements under a window.
    Window(Window),
    /// Those of a transposed convolution: the inputs whose window in the output covers the element.
    Transposed(Window),
    /// For output i the element at `start + i * step`, `[vertical, horizontal]`; none if that is outside the input.
    Strided { start: [isize; 2], step: [usize; 2] },
    /// All elements.
    Global,
}

/// One operation with its gradient.
///
/// ```
/// use receptive::cpu::{CpuCtx, View, ViewMut};
/// use receptive::prelude::*;
/// use receptive::float_type;
/// use receptive::tensor::{Grads, Meta, Plan, Saved, Saves, apply, float_inputs};
///
/// /// `y = x^2`, for f32 and f64.
/// #[derive(Debug)]
/// struct Square;
///
/// impl Op for Square {
///     fn name(&self) -> &'static str {
///         "square"
///     }
///
///     fn infer(&self, x: &[Meta]) -> Result<Plan> {
///         let dtype = float_inputs(self.name(), x, 1)?;
///         Ok(Plan::new(x[0].shape, dtype))
///     }
///
///     fn saves(&self) -> Saves {
///         Saves::inputs(&[0])
///     }
///
///     fn cpu(&self, _: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
///         float_type!(self.name(), x[0].dtype, T => {
///             y[0].get::<T>().iter_mut().zip(x[0].get::<T>()).for_each(|(y, x)| *y = x * x);
///             Ok(())
///         })
///     }
///
///     fn backward(&self, saved: &Saved, dy: &Tensor, _: &[bool]) -> Result<Grads> {
///         Ok(Grads::from_iter([Some(dy * saved.input(0) * 2.0)]))
///     }
/// }
///
/// let x = Tensor::from_slice(&Device::cpu()?, &[3f32], &[1])?.requires_grad();
/// apply(Square, &[&x])?[0].sum_all()?.backward()?;
/// assert_eq!(x.grad().unwrap().to_vec::<f32>()?, [6.0]);
/// assert!(apply(Square, &[&x.to_dtype(DType::I64)?]).is_err());
/// # Ok::<(), receptive::Error>(())
/// ```
///
/// `receptive::testing::gradcheck` compares its gradient with differences.
pub trait Op: Debug + Send + Sync + 'static {
    /// Its name, as in [`crate::ops::OPS`] and in errors.
    fn name(&self) -> &'static str;

    /// Checks shapes and dtypes and returns the planned outputs. All such checks are made here, once.
    ///
    /// # Errors
    /// Inputs that the op does not accept. After `Ok`, running cannot fail because of shapes.
    fn infer(&self, x: &[Meta]) -> Result<Plan>;

    /// Which tensors [`backward`](Self::backward) reads.
    fn saves(&self) -> Saves;

    /// Computes all outputs as planned. Every element of every output must be written.
    ///
    /// # Errors
    /// Values that the op cannot compute with (a label out of range).
    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()>;

    /// As [`cpu`](Self::cpu), on a GPU: queues the kernels and returns. If an op does not implement this method,
    /// running it on a GPU is an error.
    ///
    /// # Errors
    /// A dtype without a kernel; an error of the driver.
    fn cuda(&self, _: &CudaCtx, _: &Plan, _x: &[DeviceView], _y: &[DeviceView]) -> Result<()> {
        Err(no_kernel(self.name()))
    }

    /// The gradients of the inputs, given `dy`, the gradient of the first output. Returns one entry per input. The
    /// entry is `None` if the input has no gradient, and may be `None` if `needs` does not ask for it. Never adds
    /// gradients up: the backward engine does.
    ///
    /// # Errors
    /// The op is not differentiable.
    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads>;

    /// Floating point operations of one run: 2 per multiply-add; an op without multiply-adds counts 1 per output
    /// element.
    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }

    /// The fewest bytes that one run moves between memory and the processor: every input is read once and every output,
    /// hidden ones included, is written once. This is for an op that computes something. A view moves nothing, see
    /// [`Plan::bytes`].
    fn bytes(&self, x: &[Meta], y: &[Meta]) -> u64 {
        total_bytes(x) + total_bytes(y)
    }

    /// Which elements of the first input an output element depends on, given the inputs' shapes.
    fn dependence(&self, _x: &[Meta]) -> Dependence {
        Dependence::Pointwise
    }
}

/// The error of an op or update that has only a CPU loop.
fn no_kernel(name: &str) -> Error {
    Error::new(ErrorKind::Device, name, "has no CUDA kernel")
        .help("move its inputs to a CPU, or implement its method `cuda`")
}

/// Total size of these tensors in bytes.
pub(crate) fn total_bytes(tensors: &[Meta]) -> u64 {
    tensors.iter().map(|tensor| tensor.bytes() as u64).sum()
}

/// A computation that changes tensors in place: an optimiser's step, loading weights.
pub trait Update: Debug {
    /// Its name in errors.
    fn name(&self) -> &'static str;

    /// Changes `targets`, reading `x`.
    ///
    /// # Errors
    /// Values that the update cannot compute with.
    fn cpu(&self, cx: &CpuCtx, targets: &mut [ViewMut], x: &[View]) -> Result<()>;

    /// As [`cpu`](Self::cpu), on a GPU: queues the kernels and returns. If an update does not implement this method,
    /// running it on a GPU is an error.
    ///
    /// # Errors
    /// A dtype without a kernel; an error of the driver.
    fn cuda(&self, _: &CudaCtx, _targets: &[DeviceView], _x: &[DeviceView]) -> Result<()> {
        Err(no_kernel(self.name()))
    }

    /// Floating point operations of one run, counted as in [`Op::flops`]: one per element of the targets.
    fn flops(&self, targets: &[Meta], _x: &[Meta]) -> u64 {
        targets.iter().map(|target| target.numel() as u64).sum()
    }

    /// Bytes of one run, counted as in [`Op::bytes`]: every target is read and written, every input is read.
    fn bytes(&self, targets: &[Meta], x: &[Meta]) -> u64 {
        2 * total_bytes(targets) + total_bytes(x)
    }
}

/// The check that begins most ops' [`Op::infer`]: there are `count` inputs, all of one dtype, f32 or f64. Returns the
/// dtype. Without it, a loop that takes an i64 tensor for one of f32 panics.
///
/// ```
/// use receptive::tensor::{Meta, float_inputs};
/// use receptive::{DType, Device, Tensor};
/// let cpu = Device::cpu()?;
/// let metas = |dtype| -> receptive::Result<[Meta; 1]> { Ok([Tensor::zeros(&cpu, &[2], dtype)?.meta()]) };
/// assert_eq!(float_inputs("square", &metas(DType::F32)?, 1)?, DType::F32);
/// assert!(float_inputs("square", &metas(DType::I64)?, 1).is_err());
/// assert!(float_inputs("square", &metas(DType::F32)?, 2).is_err());
/// # Ok::<(), receptive::Error>(())
/// ```
///
/// # Errors
/// Another number of inputs; a dtype other than f32 and f64, or two that differ.
pub fn float_inputs(op: &str, x: &[Meta], count: usize) -> Result<DType> {
    if x.len() != count || count == 0 {
        return Err(Error::argument(op, format!("got {} inputs, not {count}", x.len())));
    }
    one_float(op, x)
}

/// Checks that an op's floating inputs all have the same dtype, f32 or f64, and returns it.
///
/// # Errors
/// A dtype other than f32 and f64, or two that differ.
pub(crate) fn one_float(op: &str, x: &[Meta]) -> Result<DType> {
    let dtype = x[0].dtype;
    if !dtype.computes() {
        return Err(Error::dtype(op, format!("the input's dtype {dtype} is not f32 or f64"))
            .with("input", format_args!("{} {dtype}", x[0].shape))
            .expected("f32 or f64")
            .help("convert first: x.to_dtype(DType::F32)"));
    }
    if let Some((i, other)) = x.iter().enumerate().find(|(_, m)| m.dtype != dtype) {
        return Err(Error::dtype(op, format!("input 0 is {dtype}, but input {i} is {}", other.dtype))
            .help("convert one of them: x.to_dtype(dtype)"));
    }
    Ok(dtype)
}
