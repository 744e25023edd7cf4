//! Expands a tensor to a larger shape by repeating it.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{\ldots,i,\ldots} &= x_{\ldots,0,\ldots} \quad \text{where } x \text{ has size 1} \\
//! \mathrm{dx}_{\ldots,0,\ldots} &= \sum_i \mathrm{dy}_{\ldots,i,\ldots}
//! \end{aligned}
//! ```
//!
//! Shapes are aligned at the right. Dimensions of size 1 and missing dimensions are repeated. Each element of `x` is
//! read several times, so its gradient is the sum over all of its copies: [`sum_to_size`](crate::ops::sum_to_size).
//! PyTorch: `Tensor.expand`. PyTorch's result shares memory with the input. Here it is a copy unless no element is
//! repeated.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any that broadcasts to `size` | any dtype |
//! | output | `size` | -1 in `size` keeps the input's dimension |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 2.0], &[2, 1])?;
//! assert_eq!(x.expand(&[2, 3])?.to_vec::<f32>()?, [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda::copy;
use crate::core::shape::MAX_RANK;
use crate::core::{Error, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut, broadcast};
use crate::cuda::{CudaCtx, DeviceView};
use crate::element_type;
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// `input.expand(size)`.
#[derive(Debug)]
pub struct Expand {
    /// The output's dimensions; -1 keeps the input's.
    size: SmallVec<[isize; MAX_RANK]>,
}

impl Expand {
    fn output(&self, x: &Shape) -> Result<Shape> {
        let refuse = |what: String| {
            Error::shape("expand", what).with("input", x).with("size", format_args!("{:?}", self.size)).help(
                "dimensions are aligned from the right; only those of size 1 can grow; -1 keeps a dimension",
            )
        };
        let Some(new) = self.size.len().checked_sub(x.rank()) else {
            return Err(refuse("size has fewer dimensions than the input".into()));
        };
        let dims = self.size.iter().enumerate().map(|(d, &size)| {
            let own = d.checked_sub(new).map(|d| x.dims()[d]);
            match (own, usize::try_from(size)) {
                (Some(own), Err(_)) if size == -1 => Ok(own),
                (None | Some(1), Ok(size)) => Ok(size),
                (Some(own), Ok(size)) if own == size => Ok(size),
                (None, _) => Err(refuse(format!("new dimension {d} cannot be {size}"))),
                (Some(own), _) => Err(refuse(format!("dimension {d} of size {own} cannot become {size}"))),
            }
        });
        Shape::new(&dims.collect::<Result<Vec<usize>>>()?)
    }
}

impl Op for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let shape = self.output(&x[0].shape)?;
        // If the element counts are equal, only dimensions of size 1 were added.
        let view = shape.numel() == x[0].numel();
        Ok(if view { Plan::view(shape, x[0].dtype, 0) } else { Plan::new(shape, x[0].dtype) })
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        element_type!(x[0].dtype, T => broadcast::expand::<T>(cx, x[0], &mut y[0]));
        Ok(())
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let layout = broadcast::BroadcastLayout::new(&y[0].shape, [&y[0].shape, &x[0].shape]);
        let dims: SmallVec<[_; MAX_RANK]> =
            layout.dims().iter().map(|&(n, [to, from])| (n, from, to)).collect();
        copy(cx, x[0].bytes(), y[0].bytes(), x[0].dtype.size(), &dims)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Ok(smallvec![Some(dy.sum_to_size(saved.meta(0).dims())?)])
    }

    fn flops(&self, _x: &[Meta], _y: &[Meta]) -> u64 {
        0
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        let input = x[0].dims();
        let rows_and_columns = &input[input.len().saturating_sub(2)..];
        match self.output(&x[0].shape) {
            Ok(y) if y.rank() <= 2 || y.dims().ends_with(rows_and_columns) => Dependence::Pointwise,
            _ => Dependence::Global,
        }
    }
}

impl Tensor {
    /// The same values expanded to `size`. PyTorch: `Tensor.expand`.
    ///
    /// # Errors
    /// A dimension that is neither 1 nor equal to the one in `size`.
    pub fn expand(&self, size: &[usize]) -> Result<Tensor> {
        if self.dims() == size {
            return Ok(self.clone());
        }
        let size = Shape::new(size)?.dims().iter().map(|&d| d as isize).collect();
        Ok(one(apply(Expand { size }, &[self])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "expand",
    torch: "input.expand(size)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["size"],
    layer: None,
    build: |attrs| {
        let size = attrs.list::<isize>("size")?.ok_or_else(|| attrs.missing("size"))?;
        Ok(Arc::new(Expand { size: size.into() }))
    },
    cases: || {
        vec![
            Case::new("bias", "size=4,3").input("input", &[3]),
            Case::new("channels", "size=2,-1,4,5").input("input", &[3, 1, 1]),
            Case::new("ragged", "size=2,3,5,4").input("input", &[2, 1, 5, 1]),
            Case::new("scalar", "size=2,3").input("input", &[]).edge(),
            Case::new("new dimension", "size=1,2,3").input("input", &[2, 3]).edge(),
            Case::new("to nothing", "size=0,3").input("input", &[1, 3]).edge(),
            Case::new("rank 0", "size=()").input("input", &[]).edge(),
            Case::new("feature maps", "size=64,16,26,26").input("input", &[16, 1, 1]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use crate::{Device, ErrorKind, Tensor};

    /// A size that does not fit gives an error with both shapes, and nothing is read out of bounds.
    #[test]
    fn what_does_not_stretch_is_refused() {
        let x = Tensor::from_vec(&Device::cpu().unwrap(), vec![1f32, 2.0], &[2]).unwrap();
        for size in [&[3][..], &[2, 1], &[], &[1; 7]] {
            let error = x.expand(size).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape, "{size:?}");
        }
    }
}
