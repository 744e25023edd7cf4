//! The same elements with another shape.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_j &= x_i \quad \text{where } i \text{ and } j \text{ have the same row-major position} \\
//! \mathrm{dx} &= \mathrm{dy} \text{ under the shape of } x
//! \end{aligned}
//! ```
//!
//! Tensors are contiguous and row-major, so no element moves. The output shares the input's memory, and dx shares that
//! of dy. One dimension may be `-1`: its size is computed from the number of elements. PyTorch: `torch.reshape`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | `shape`, with as many elements as the input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])?;
//! let y = x.reshape(&[3, -1])?;
//! assert_eq!(y.dims(), [3, 2]);
//! assert!(y.shares_storage(&x));
//! # Ok::<(), receptive::Error>(())
//! ```

use crate::core::shape::MAX_RANK;
use crate::core::{Error, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView};
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// `torch.reshape(input, shape)`.
#[derive(Debug)]
pub struct Reshape {
    /// The dimensions; at most one of them is -1.
    pub shape: SmallVec<[isize; MAX_RANK]>,
}

impl Reshape {
    /// The shape with -1 replaced by the size that gives the input's number of elements.
    fn resolve(&self, input: &Shape) -> Result<Shape> {
        let wrong = |what: &str| {
            Error::shape("reshape", what.to_owned())
                .with("input", input)
                .with("shape", format_args!("{:?}", &self.shape[..]))
        };
        if self.shape.iter().any(|&d| d < -1) {
            return Err(wrong("a dimension is negative").expected("dimensions of 0 or more, at most one -1"));
        }
        let left_open = self.shape.iter().filter(|&&d| d == -1).count();
        if left_open > 1 {
            return Err(wrong("only one dimension can be -1"));
        }
        let mut dims: SmallVec<[usize; MAX_RANK]> = self.shape.iter().map(|&d| d.max(1) as usize).collect();
        for (dim, &d) in dims.iter_mut().zip(&self.shape) {
            *dim = if d == 0 { 0 } else { *dim };
        }
        let known = Shape::new(&dims)?.numel();
        if let Some(open) = self.shape.iter().position(|&d| d == -1) {
            if known == 0 {
                return Err(wrong("-1 is ambiguous, because another dimension is 0")
                    .help("give the size instead of -1"));
            }
            dims[open] = input.numel() / known;
        }
        let shape = Shape::new(&dims)?;
        if shape.numel() != input.numel() {
            return Err(wrong("the shape has another number of elements than the input")
                .expected(format!("{} elements", input.numel())));
        }
        Ok(shape)
    }
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::view(self.resolve(&x[0].shape)?, x[0].dtype, 0))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, _cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        y[0].bytes.copy_from_slice(x[0].bytes);
        Ok(())
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        cx.copy(y[0].bytes(), x[0].bytes(), x[0].size())
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Ok(smallvec![Some(dy.reshape(saved.meta(0).dims())?)])
    }

    fn flops(&self, _x: &[Meta], _y: &[Meta]) -> u64 {
        0
    }
}

impl Tensor {
    /// The same elements with another shape, shared and not copied. One dimension may be -1. PyTorch: `torch.reshape`.
    ///
    /// Dimensions may have any integer type: `x.reshape(&[2, -1])`, `x.reshape(y.dims())`. `x.reshape::<usize>(&[])`
    /// turns a single element into a scalar.
    ///
    /// # Errors
    /// Another number of elements, a negative dimension, or more than one -1.
    pub fn reshape<D: Copy + TryInto<isize>>(&self, shape: &[D]) -> Result<Tensor> {
        let exact = |&d: &D| d.try_into().map_err(|_| Error::shape("reshape", "a dimension is too large"));
        let shape = shape.iter().map(exact).collect::<Result<_>>()?;
        Ok(one(apply(Reshape { shape }, &[self])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "reshape",
    torch: "torch.reshape(input, shape)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["shape"],
    layer: None,
    build: |attrs| {
        let shape = attrs.list("shape")?.ok_or_else(|| attrs.missing("shape"))?;
        Ok(Arc::new(Reshape { shape: shape.into() }))
    },
    cases: || {
        vec![
            Case::new("split", "shape=4,3,2").input("input", &[4, 6]),
            Case::new("merge", "shape=-1,10").input("input", &[3, 2, 5]),
            Case::new("scalar to vector", "shape=1").input("input", &[]).edge(),
            Case::new("vector to scalar", "shape=()").input("input", &[1]).edge(),
            Case::new("empty", "shape=-1,3").input("input", &[0, 6]).edge(),
            Case::new("empty, written out", "shape=0,7").input("input", &[2, 0]).edge(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Device, ErrorKind};

    #[test]
    fn impossible_shapes_are_refused() {
        let x = Tensor::zeros(&Device::meta(), &[2, 3], DType::F32).unwrap();
        for shape in [&[4][..], &[-1, -1], &[-2, 3], &[-1, 0], &[-1, 4], &[1, 1, 1, 1, 1, 1, 6]] {
            assert_eq!(x.reshape(shape).unwrap_err().kind(), ErrorKind::Shape, "{shape:?}");
        }
    }

    /// A view of a view must count its offset from the storage, not from the view.
    #[test]
    fn gradients_pass_through_shared_memory() {
        let x = Tensor::from_vec(&Device::cpu().unwrap(), vec![1f32, 2.0, 3.0, 4.0], &[4])
            .unwrap()
            .requires_grad();
        let y = x.reshape(&[2, 2]).unwrap().reshape(&[-1]).unwrap();
        let dy = y.detach();
        y.backward_with(&dy).unwrap();
        let grad = x.grad().unwrap();
        assert_eq!(grad.to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert!(!grad.shares_storage(&dy), "the caller's tensor must not become the gradient buffer");
    }
}
