//! A parameter. At first it is a shape and a rule; after the model is initialised it holds a tensor.
//!
//! Layers are described before they have values: `Conv2d::new(3, 6, 5)` needs no device, no seed and no path. The
//! model's `init` visits every parameter by path and draws its values with the key of that path. So a layer's initial
//! weights depend on the seed and its path, not on the order of construction.

use super::init::Init;
use crate::core::{DType, Error, ErrorKind, Key, Result, Shape};
use crate::tensor::{Device, Tensor};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a named tensor of a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Trained by the optimiser.
    Weight,
    /// Saved with the weights but not trained, such as running statistics.
    Buffer,
}

/// A named tensor of a layer. Its address does not change after `init`; updates happen in place.
#[derive(Debug)]
pub struct Param {
    dims: Vec<usize>,
    init: Init,
    role: Role,
    /// `None` means the model's dtype.
    dtype: Option<DType>,
    value: OnceLock<Tensor>,
    frozen: AtomicBool,
}

impl Param {
    /// A trained parameter.
    pub fn new(dims: &[usize], init: Init) -> Param {
        Param {
            dims: dims.to_vec(),
            init,
            role: Role::Weight,
            dtype: None,
            value: OnceLock::new(),
            frozen: AtomicBool::new(false),
        }
    }

    /// A tensor that is saved with the weights but not trained.
    pub fn buffer(dims: &[usize], init: Init, dtype: Option<DType>) -> Param {
        Param { role: Role::Buffer, dtype, ..Param::new(dims, init) }
    }

    /// The dimensions.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The number of elements.
    pub fn numel(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether it is a weight or a buffer.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether it is frozen. The optimiser does not change a frozen weight, and a norm does not update frozen running
    /// statistics.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    /// Freezes or unfreezes it, for transfer learning.
    pub fn freeze(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::Relaxed);
    }

    /// The tensor. If this is a weight, it is a leaf that accumulates gradients.
    ///
    /// # Errors
    /// The model was not initialised.
    pub fn value(&self) -> Result<&Tensor> {
        self.value.get().ok_or_else(|| {
            Error::new(ErrorKind::Missing, "parameter", "has no value yet")
                .with("dims", format_args!("{:?}", self.dims))
                .help(
                    "call model.init(&device, dtype, seed) first. If you did, check that visit() of every \
                     module shows all its parameters and children: init() skips the others",
                )
        })
    }

    /// Draws the values. If there are values already, they are overwritten in place. `rule` overrides the layer's own
    /// rule.
    pub(crate) fn initialise(
        &self,
        device: &Device,
        dtype: DType,
        key: Key,
        rule: Option<Init>,
    ) -> Result<()> {
        let dtype = self.dtype.unwrap_or(dtype);
        let count = Shape::new(&self.dims)?.numel();
        let drawn = match device {
            Device::Meta(_) => Tensor::zeros(device, &self.dims, dtype)?,
            _ => {
                let values = rule.unwrap_or(self.init).draw(count, key).ok_or_else(|| {
                    Error::new(
                        ErrorKind::OutOfMemory,
                        "init",
                        format!("there is not enough memory for {count} weights"),
                    )
                    .with("dims", format_args!("{:?}", self.dims))
                    .help("use a narrower network or smaller images")
                })?;
                Tensor::from_vec(device, values, &self.dims)?.to_dtype(dtype)?
            }
        };
        if let Some(value) = self.value.get() {
            return value.copy_from(&drawn);
        }
        let value = if self.role == Role::Weight { drawn.requires_grad() } else { drawn };
        // If another thread initialised the same model at the same time, it drew the same values.
        let _ = self.value.set(value);
        Ok(())
    }
}

/// A height and a width. One number stands for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair(pub [usize; 2]);

impl From<usize> for Pair {
    fn from(both: usize) -> Pair {
        Pair([both; 2])
    }
}

impl From<[usize; 2]> for Pair {
    fn from(pair: [usize; 2]) -> Pair {
        Pair(pair)
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [h, w] = self.0;
        if h == w { write!(f, "{h}") } else { write!(f, "({h}, {w})") }
    }
}
