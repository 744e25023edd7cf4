//! Puts the dimensions in another order; `transpose` exchanges two of them.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{i_{\mathrm{dims}[0]}, \, i_{\mathrm{dims}[1]}, \, \ldots} &= x_{i_0, \, i_1, \, \ldots} \\
//! \mathrm{dx}_{i_0, \, i_1, \, \ldots} &= \mathrm{dy}_{i_{\mathrm{dims}[0]}, \, i_{\mathrm{dims}[1]}, \, \ldots}
//! \end{aligned}
//! ```
//!
//! Dimension `d` of the output is dimension `dims[d]` of the input. Elements are only moved, so the gradient is moved
//! back by the inverse permutation. Tensors here are always contiguous, so the elements are copied, tile by tile. If
//! the order keeps every element in place (only dimensions of size 1 move), the output is a view. PyTorch:
//! `torch.permute`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any | any dtype |
//! | output | the input's dimensions in the order `dims` | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])?;
//! assert_eq!(x.transpose(0, 1)?.to_vec::<f32>()?, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda;
use crate::core::shape::MAX_RANK;
use crate::core::{Error, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut, gather};
use crate::cuda::{CudaCtx, DeviceView};
use crate::element_type;
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

type Order = SmallVec<[usize; MAX_RANK]>;

/// `torch.permute(input, dims)`.
#[derive(Debug)]
pub struct Permute {
    /// The input dimension for each output dimension; negative ones count from the end.
    pub dims: SmallVec<[isize; MAX_RANK]>,
}

impl Permute {
    fn order(&self, shape: &Shape) -> Result<Order> {
        let wrong = |what: &str| {
            Error::shape("permute", what.to_owned())
                .with("input", shape)
                .with("dims", format_args!("{:?}", &self.dims[..]))
                .expected(format!("each dimension from 0 to {} once", shape.rank() as isize - 1))
        };
        if self.dims.len() != shape.rank() {
            return Err(wrong("dims does not list every dimension"));
        }
        let order = self.dims.iter().map(|&d| shape.dim("permute", d)).collect::<Result<Order>>()?;
        if (0..order.len()).any(|i| order[..i].contains(&order[i])) {
            return Err(wrong("a dimension is listed twice"));
        }
        Ok(order)
    }
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let Meta { shape, dtype } = x[0];
        let order = self.order(&shape)?;
        let dims: Order = order.iter().map(|&d| shape.dims()[d]).collect();
        let in_place = gather::merged(shape.dims(), &shape.strides(), &order).len() < 2;
        let output = Shape::new(&dims)?;
        Ok(if in_place { Plan::view(output, dtype, 0) } else { Plan::new(output, dtype) })
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (order, strides) = (self.order(&x[0].shape)?, x[0].shape.strides());
        element_type!(x[0].dtype, T => {
            gather::permute(cx, x[0].dims(), &strides, &order, x[0].get::<T>(), y[0].get::<T>());
        });
        Ok(())
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (order, strides) = (self.order(&x[0].shape)?, x[0].shape.strides());
        let (from, to) = (x[0].bytes(), y[0].bytes());
        cuda::permute(cx, x[0].dims(), &strides, &order, x[0].dtype.size(), from, to)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let order = self.order(&saved.meta(0).shape)?;
        let mut inverse: Order = smallvec![0; order.len()];
        for (to, &from) in order.iter().enumerate() {
            inverse[from] = to;
        }
        Ok(smallvec![Some(dy.permute(&inverse)?)])
    }

    fn flops(&self, _x: &[Meta], _y: &[Meta]) -> u64 {
        0
    }
}

impl Tensor {
    /// Puts the dimensions in another order: output dimension `d` is dimension `dims[d]` of this tensor. PyTorch:
    /// `torch.permute`.
    ///
    /// # Errors
    /// `dims` that do not name every dimension once.
    pub fn permute(&self, dims: &[usize]) -> Result<Tensor> {
        let dims = dims.iter().map(|&d| d as isize).collect();
        Ok(one(apply(Permute { dims }, &[self])?))
    }

    /// Exchanges two dimensions; negative ones count from the end. PyTorch: `torch.transpose`.
    ///
    /// # Errors
    /// A dimension out of range.
    pub fn transpose(&self, dim0: isize, dim1: isize) -> Result<Tensor> {
        let (a, b) = (self.shape().dim("transpose", dim0)?, self.shape().dim("transpose", dim1)?);
        let mut dims: Order = (0..self.dims().len()).collect();
        if a != b {
            dims.swap(a, b);
        }
        self.permute(&dims)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "permute",
    torch: "torch.permute(input, dims)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["dims"],
    layer: None,
    build: |attrs| {
        let dims: Vec<isize> = attrs.list("dims")?.ok_or_else(|| attrs.missing("dims"))?;
        Ok(Arc::new(Permute { dims: dims.into() }))
    },
    cases: || {
        vec![
            Case::new("matrix", "dims=1,0").input("input", &[19, 35]),
            Case::new("channels last", "dims=0,2,3,1").input("input", &[2, 3, 4, 5]),
            Case::new("channels first", "dims=0,-1,1,2").input("input", &[2, 4, 5, 3]),
            Case::new("rows stay whole", "dims=0,2,1,3").input("input", &[2, 3, 4, 5]),
            Case::new("all reversed", "dims=3,2,1,0").input("input", &[2, 3, 4, 5]),
            Case::new("cycle of five", "dims=4,1,3,0,2").input("input", &[2, 3, 2, 3, 2]),
            Case::new("identity", "dims=0,1").input("input", &[2, 3]).edge(),
            Case::new("only ones move", "dims=2,0,1,3").input("input", &[2, 1, 1, 3]).edge(),
            Case::new("scalar", "dims=()").input("input", &[]).edge(),
            Case::new("empty", "dims=2,1,0").input("input", &[2, 0, 3]).edge(),
            Case::new("square", "dims=1,0").input("input", &[2048, 2048]).bench(),
            Case::new("images to channels last", "dims=0,2,3,1").input("input", &[64, 32, 56, 56]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use crate::{DType, Device, ErrorKind, Tensor};

    #[test]
    fn orders_that_are_no_permutation_are_refused() {
        let x = Tensor::zeros(&Device::meta(), &[2, 3], DType::F32).unwrap();
        for dims in [&[0][..], &[0, 0], &[0, 2], &[0, 1, 2]] {
            assert_eq!(x.permute(dims).unwrap_err().kind(), ErrorKind::Shape, "{dims:?}");
        }
    }

    /// Blocks of rows run in parallel. Every element must arrive, also if the tile size does not divide the matrix.
    #[test]
    fn large_ragged_transposes_move_every_element() {
        let cpu = Device::cpu().unwrap();
        for dims in [[1, 301, 207], [3, 129, 150], [70, 5, 131]] {
            let n: usize = dims.iter().product();
            let x = Tensor::from_vec(&cpu, (0..n as i64).collect(), &dims).unwrap();
            let y = x.transpose(1, 2).unwrap().to_vec::<i64>().unwrap();
            let [_, rows, columns] = dims;
            for (at, &value) in y.iter().enumerate() {
                let (b, c, r) = (at / (rows * columns), at / rows % columns, at % rows);
                assert_eq!(value as usize, (b * rows + r) * columns + c, "{dims:?} at {at}");
            }
        }
    }
}
