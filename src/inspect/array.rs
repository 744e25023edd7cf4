//! Numbers with a shape: the form in which the instruments return tensors.

use crate::core::{DType, Result};
use crate::nn::{Module, ModuleExt};
use crate::tensor::Tensor;
use serde::Serialize;

/// Numbers with a shape, row-major.
///
/// ```
/// use receptive::inspect::Array;
/// use receptive::{Device, Tensor};
/// let x = Tensor::from_vec(&Device::cpu()?, vec![1f64, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])?;
/// assert_eq!(Array::of(&x)?, Array { dims: vec![2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] });
/// # Ok::<(), receptive::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Array {
    /// The sizes, the outermost dimension first, as in the tensor.
    pub dims: Vec<usize>,
    /// The elements, as many as the product of `dims`.
    pub values: Vec<f32>,
}

impl Array {
    /// The elements of a tensor, copied to the host. Types other than f32 are rounded to f32.
    ///
    /// # Errors
    /// A meta tensor, which has no elements.
    pub fn of(x: &Tensor) -> Result<Array> {
        let values = match x.dtype() {
            DType::F32 => x.to_vec()?,
            _ => x.to_f64()?.into_iter().map(|v| v as f32).collect(),
        };
        Ok(Array { dims: x.dims().to_vec(), values })
    }
}

/// A layer's own parameter or buffer. `None` if it has none of this name.
///
/// # Errors
/// A layer without values.
pub fn parameter(module: &dyn Module, name: &str) -> Result<Option<Array>> {
    let found = module.params().into_iter().find(|(path, _)| path == name);
    found.map(|(_, param)| Array::of(param.value()?)).transpose()
}
