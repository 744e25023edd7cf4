//! Tensors as f64 values on the host, accessed by index.

use crate::core::{Error, Result};
use crate::tensor::Tensor;

/// A tensor's elements.
pub struct Elements {
    dims: Vec<usize>,
    values: Vec<f64>,
}

impl Elements {
    /// The elements of `x`, viewed with the sizes `dims`. For example, a single image becomes a batch of one.
    ///
    /// # Errors
    /// A tensor without values.
    pub fn shaped(x: &Tensor, dims: &[usize]) -> Result<Elements> {
        debug_assert_eq!(x.numel(), dims.iter().product::<usize>());
        Ok(Elements { dims: dims.to_vec(), values: x.detach().to_f64()? })
    }

    /// The elements of `x`.
    ///
    /// # Errors
    /// As [`shaped`](Self::shaped).
    pub fn of(x: &Tensor) -> Result<Elements> {
        Self::shaped(x, x.dims())
    }

    /// The element at an index.
    pub fn at(&self, index: &[usize]) -> f64 {
        self.values[flat(index, &self.dims)]
    }

    /// All elements, row-major.
    pub fn all(&self) -> &[f64] {
        &self.values
    }
}

/// The position of an index in row-major order.
pub fn flat(index: &[usize], dims: &[usize]) -> usize {
    index.iter().zip(dims).fold(0, |at, (i, n)| at * n + i)
}

/// Returns an error if a tensor of these dimensions has no element at this place.
///
/// # Errors
/// A place that the tensor does not have.
pub fn check_place(op: &str, tensor: &str, at: &[usize], dims: &[usize]) -> Result<()> {
    if at.len() == dims.len() && at.iter().zip(dims).all(|(i, n)| i < n) {
        return Ok(());
    }
    Err(Error::shape(op, format!("the {tensor} has no element {at:?}"))
        .with(tensor, format_args!("{dims:?}")))
}
