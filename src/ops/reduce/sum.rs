//! Sum over dimensions.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{\mathrm{kept}} &= \sum_{\mathrm{summed}} x_{\mathrm{kept},\mathrm{summed}} \\
//! \mathrm{dx}_{\mathrm{kept},\mathrm{summed}} &= \mathrm{dy}_{\mathrm{kept}}
//! \end{aligned}
//! ```
//!
//! Every summand has derivative 1, so each receives the gradient of its sum: `dx` is `dy` expanded over the summed
//! dimensions. The sum of no elements is 0. Numbers are added in a fixed order, block by block. So a sum of a million
//! f32 numbers stays accurate, and any number of threads gives the same bits. PyTorch: `torch.sum`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | the input's without the dimensions `dim` (all if none are given); with `keepdim` they stay with size 1 |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])?;
//! assert_eq!(x.sum(&[-1], false)?.to_vec::<f32>()?, [6.0, 15.0]);
//! assert_eq!(x.sum(&[0], true)?.dims(), [1, 3]);
//! assert_eq!(x.sum_all()?.item()?, 21.0);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda as reduce;
use crate::core::shape::MAX_RANK;
use crate::core::{Error, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut, broadcast};
use crate::cuda::{CudaCtx, DeviceView};
use crate::float_type;
use crate::ops::images::dependence_along;
use crate::ops::{Attrs, Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// The dimensions that a reduction removes, as the caller gave them. Shared with [`mean`](super::mean).
#[derive(Debug, Clone, Default)]
pub struct Dims {
    /// An empty list stands for all dimensions.
    pub dim: SmallVec<[isize; MAX_RANK]>,
    /// Whether the removed dimensions stay with size 1.
    pub keepdim: bool,
}

impl Dims {
    pub(super) fn new(dim: &[isize], keepdim: bool) -> Dims {
        Dims { dim: dim.into(), keepdim }
    }

    pub(super) fn from_attrs(attrs: &Attrs) -> Result<Dims> {
        Ok(Dims::new(&attrs.list("dim")?.unwrap_or_default(), attrs.flag("keepdim", false)?))
    }

    /// The reduced shape twice: with size 1 for the removed dimensions, and as the caller sees it.
    pub(super) fn reduce(&self, op: &str, input: &Shape) -> Result<(Shape, Shape)> {
        let mut removed = [self.dim.is_empty(); MAX_RANK];
        for &dim in &self.dim {
            if std::mem::replace(&mut removed[input.dim(op, dim)?], true) {
                return Err(Error::shape(op, format!("dim {dim} is given twice"))
                    .with("input", input)
                    .with("dim", format_args!("{:?}", &self.dim[..])));
            }
        }
        let mut kept: SmallVec<[usize; MAX_RANK]> = input.dims().into();
        kept.iter_mut().zip(removed).filter(|(_, removed)| *removed).for_each(|(d, _)| *d = 1);
        let seen: SmallVec<[usize; MAX_RANK]> =
            (input.dims().iter().zip(removed)).filter(|(_, removed)| !removed).map(|(&d, _)| d).collect();
        let kept = Shape::new(&kept)?;
        Ok((kept, if self.keepdim { kept } else { Shape::new(&seen)? }))
    }
}

/// `torch.sum(input, dim, keepdim)`.
#[derive(Debug)]
pub struct Sum(pub Dims);

impl Op for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(self.0.reduce(self.name(), &x[0].shape)?.1, one_float(self.name(), x)?))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        y[0].shape = self.0.reduce(self.name(), &x[0].shape)?.0;
        float_type!(self.name(), x[0].dtype, T => {
            broadcast::sum_to::<T>(cx, x[0], &mut y[0]);
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (kept, _) = self.0.reduce(self.name(), &x[0].shape)?;
        reduce::sum_to(cx, &x[0], &DeviceView { shape: kept, ..y[0] }, 1.0)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let input = saved.meta(0).shape;
        let (kept, _) = self.0.reduce(self.name(), &input)?;
        Ok(smallvec![Some(dy.reshape(kept.dims())?.expand(input.dims())?)])
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        x[0].numel() as u64
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        dependence_along(self.name(), &x[0].shape, &self.0.dim)
    }
}

impl Tensor {
    /// The sum over these dimensions, or over all if `dim` is empty. Negative ones count from the end.
    /// PyTorch: `torch.sum`.
    ///
    /// # Errors
    /// A dimension out of range or named twice; a dtype other than f32 and f64.
    pub fn sum(&self, dim: &[isize], keepdim: bool) -> Result<Tensor> {
        Ok(one(apply(Sum(Dims::new(dim, keepdim)), &[self])?))
    }

    /// The sum of all elements, a scalar.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn sum_all(&self) -> Result<Tensor> {
        self.sum(&[], false)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "sum",
    torch: "torch.sum(input, dim=None, keepdim=False)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["dim", "keepdim"],
    layer: None,
    build: |attrs| Ok(Arc::new(Sum(Dims::from_attrs(attrs)?))),
    cases: || {
        let mut cases = cases();
        cases.push(Case::new("sum of nothing", "dim=0").input("input", &[0, 3]).edge());
        cases.push(Case::new("all of nothing", "").input("input", &[2, 0]).edge());
        cases
    },
};

/// The cases of sum and mean.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("all", "").input("input", &[2, 3, 4]),
        Case::new("rows", "dim=-1").input("input", &[3, 37]),
        Case::new("columns", "dim=0 keepdim=true").input("input", &[70, 3]),
        Case::new("in the middle", "dim=1").input("input", &[2, 5, 3]),
        Case::new("channels kept", "dim=0,2,3").input("input", &[2, 3, 4, 5]),
        Case::new("two apart, kept", "dim=(-1,0) keepdim=true").input("input", &[2, 3, 4]),
        Case::new("empty list", "dim=()").input("input", &[2, 3]).edge(),
        Case::new("scalar", "dim=0").input("input", &[]).edge(),
        Case::new("no output", "dim=1").input("input", &[0, 3]).edge(),
        Case::new("feature maps", "dim=0,2,3").input("input", &[64, 32, 56, 56]).bench(),
        Case::new("everything", "").input("input", &[4_000_000]).bench(),
    ]
}

#[cfg(test)]
mod tests {
    use crate::{DType, Device, ErrorKind, Tensor};

    #[test]
    fn dimensions_out_of_range_or_twice_are_refused() {
        let x = Tensor::zeros(&Device::meta(), &[2, 3], DType::F32).unwrap();
        for dim in [&[2][..], &[-3], &[1, -1]] {
            assert_eq!(x.sum(dim, false).unwrap_err().kind(), ErrorKind::Shape, "{dim:?}");
        }
        assert_eq!(x.to_dtype(DType::I64).unwrap().sum_all().unwrap_err().kind(), ErrorKind::DType);
    }
}
