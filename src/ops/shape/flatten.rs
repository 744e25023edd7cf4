//! Merges a range of dimensions into one. Networks use it between the last convolution and the first linear layer.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! \text{shape of } x &= [d_0, \ldots, d_s, \ldots, d_e, \ldots] \\
//! \text{shape of } y &= [d_0, \ldots, d_s \cdots d_e, \ldots] \\
//! \mathrm{dx} &= \mathrm{dy} \text{ under the shape of } x
//! \end{aligned}
//! ```
//!
//! s is `start_dim` and e is `end_dim`. The row-major position of every element stays the same, so the output and the
//! gradient are views, as in [`reshape`](super::reshape). PyTorch: `torch.flatten`; `nn.Flatten` starts at dimension 1
//! to keep the batch.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any; a scalar counts as `[1]` |
//! | output | dimensions `start_dim ..= end_dim` merged |
//!
//! ```
//! use receptive::{DType, Device, Tensor};
//! let maps = Tensor::zeros(&Device::meta(), &[64, 16, 5, 5], DType::F32)?;
//! assert_eq!(maps.flatten(1, -1)?.dims(), [64, 400]);
//! # Ok::<(), receptive::Error>(())
//! ```

use crate::core::{Error, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView};
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// `torch.flatten(input, start_dim, end_dim)`.
#[derive(Debug)]
pub struct Flatten {
    pub start_dim: isize,
    pub end_dim: isize,
}

impl Op for Flatten {
    fn name(&self) -> &'static str {
        "flatten"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let shape = x[0].shape;
        let (start, end) = (shape.dim(self.name(), self.start_dim)?, shape.dim(self.name(), self.end_dim)?);
        if start > end {
            return Err(Error::shape(self.name(), format!("start_dim {start} comes after end_dim {end}"))
                .with("input", shape));
        }
        let flat = if shape.rank() == 0 {
            Shape::new(&[1])?
        } else {
            let mut dims: SmallVec<[usize; 6]> = shape.dims()[..start].into();
            dims.push(shape.dims()[start..=end].iter().product());
            dims.extend_from_slice(&shape.dims()[end + 1..]);
            Shape::new(&dims)?
        };
        Ok(Plan::view(flat, x[0].dtype, 0))
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
    /// Merges dimensions `start_dim ..= end_dim` into one, without a copy. Negative ones count from the end.
    /// PyTorch: `torch.flatten`.
    ///
    /// # Errors
    /// A dimension out of range, or `start_dim` after `end_dim`.
    pub fn flatten(&self, start_dim: isize, end_dim: isize) -> Result<Tensor> {
        Ok(one(apply(Flatten { start_dim, end_dim }, &[self])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "flatten",
    torch: "torch.flatten(input, start_dim=0, end_dim=-1)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["start_dim", "end_dim"],
    layer: None,
    build: |attrs| {
        Ok(Arc::new(Flatten { start_dim: attrs.or("start_dim", 0)?, end_dim: attrs.or("end_dim", -1)? }))
    },
    cases: || {
        vec![
            Case::new("all", "").input("input", &[2, 3, 4]),
            Case::new("after the batch", "start_dim=1").input("input", &[2, 3, 2, 2]),
            Case::new("in the middle", "start_dim=-3 end_dim=-2").input("input", &[2, 3, 2, 2]),
            Case::new("one dimension alone", "start_dim=1 end_dim=1").input("input", &[2, 3]),
            Case::new("scalar", "").input("input", &[]).edge(),
            Case::new("empty batch", "start_dim=1").input("input", &[0, 3, 2]).edge(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Device, ErrorKind};

    #[test]
    fn dimensions_out_of_order_or_range_are_refused() {
        let x = Tensor::zeros(&Device::meta(), &[2, 3], DType::F32).unwrap();
        for (start, end) in [(1, 0), (2, -1), (0, -3)] {
            assert_eq!(x.flatten(start, end).unwrap_err().kind(), ErrorKind::Shape, "{start}..={end}");
        }
    }
}
