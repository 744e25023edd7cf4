//! The index of the largest element. For class scores it is the predicted class.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! y_{\ldots} = \min \, \{ k : x_{\ldots,k,\ldots} = \max_i x_{\ldots,i,\ldots} \} \qquad \text{no gradient}
//! ```
//!
//! An index jumps from one value to another, so it has no useful derivative, and backward returns a typed error.
//! Without `dim` the index counts all elements in row-major order. NaN counts as the largest. PyTorch: `torch.argmax`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any, not empty along the reduced dimensions | |
//! | output | scalar without `dim`; else the input's without that dimension, or with 1 there (`keepdim`) | i64 |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let scores = Tensor::from_vec(&Device::cpu()?, vec![0.1f32, 0.7, 0.2, 0.5, 0.4, 0.1], &[2, 3])?;
//! assert_eq!(scores.argmax(Some(1), false)?.to_vec::<i64>()?, [1, 0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda;
use super::max::reduced;
use crate::core::{DType, Error, ErrorKind, Result};
use crate::cpu::{CpuCtx, View, ViewMut, reduce};
use crate::cuda::{CudaCtx, DeviceView};
use crate::float_type;
use crate::ops::images::dependence_along;
use crate::ops::{Case, Fill, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use std::sync::Arc;

/// `torch.argmax(input, dim, keepdim)`.
#[derive(Debug)]
pub struct Argmax {
    /// `None` searches all elements.
    pub dim: Option<isize>,
    pub keepdim: bool,
}

impl Op for Argmax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        one_float(self.name(), x)?;
        Ok(Plan::new(reduced(self.name(), &x[0].shape, self.dim, self.keepdim)?.0, DType::I64))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (_, around) = reduced(self.name(), &x[0].shape, self.dim, self.keepdim)?;
        float_type!(self.name(), x[0].dtype, T => {
            let indices = y[0].get::<i64>();
            let mut values = cx.scratch(indices.len() * size_of::<T>());
            reduce::arg_max(cx, around, x[0].get::<T>(), values.slice_mut(), indices);
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (_, around) = reduced(self.name(), &x[0].shape, self.dim, self.keepdim)?;
        let values = cx.scratch::<f32>(y[0].numel())?;
        let to = cuda::Largest { values: values.ptr(), indices: y[0].i64()? };
        cuda::arg_max(cx, around, x[0].f32()?, to)
    }

    fn backward(&self, _saved: &Saved, _dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Err(Error::new(ErrorKind::NotDifferentiable, self.name(), "indices have no gradient")
            .help("detach the tensor first"))
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        x[0].numel() as u64
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        dependence_along(self.name(), &x[0].shape, self.dim.as_slice())
    }
}

impl Tensor {
    /// The index (i64) of the largest element along `dim`, or among all elements. Of equal elements the first one
    /// counts. PyTorch: `torch.argmax`.
    ///
    /// # Errors
    /// A `dim` out of range; no elements to choose from; a dtype other than f32 and f64.
    pub fn argmax(&self, dim: Option<isize>, keepdim: bool) -> Result<Tensor> {
        Ok(one(apply(Argmax { dim, keepdim }, &[self])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "argmax",
    torch: "torch.argmax(input, dim=None, keepdim=False)",
    inputs: &[Input::new("input").constant()],
    outputs: &["output"],
    attrs: &["dim", "keepdim"],
    layer: None,
    build: |attrs| Ok(Arc::new(Argmax { dim: attrs.get("dim")?, keepdim: attrs.flag("keepdim", false)? })),
    cases: || {
        let distinct = |case: Case, dims: &[usize]| case.filled("input", dims, Fill::Distinct);
        vec![
            distinct(Case::new("all", ""), &[3, 37]),
            distinct(Case::new("all, kept", "keepdim=true"), &[3, 4]),
            distinct(Case::new("rows", "dim=-1"), &[3, 37]),
            distinct(Case::new("columns, kept", "dim=0 keepdim=true"), &[5, 3]),
            distinct(Case::new("class maps", "dim=1"), &[2, 4, 3, 5]),
            distinct(Case::new("scalar", "dim=0"), &[]).edge(),
            distinct(Case::new("no rows", "dim=1"), &[0, 3]).edge(),
            distinct(Case::new("class scores", "dim=1"), &[256, 1000]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use crate::{DType, Device, ErrorKind, Tensor};

    #[test]
    fn backward_says_that_an_index_has_no_gradient() {
        let x = Tensor::zeros(&Device::cpu().unwrap(), &[3], DType::F32).unwrap().requires_grad();
        let y = x.argmax(Some(0), false).unwrap();
        assert_eq!(y.item().unwrap(), 0.0, "the first of equal ones");
        assert_eq!(y.backward().unwrap_err().kind(), ErrorKind::NotDifferentiable);
    }
}
