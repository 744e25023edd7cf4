//! Mean over dimensions.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{\mathrm{kept}} &= \frac{1}{n} \sum_{\mathrm{averaged}} x_{\mathrm{kept},\mathrm{averaged}} \\
//! \mathrm{dx}_{\mathrm{kept},\mathrm{averaged}} &= \mathrm{dy}_{\mathrm{kept}} / n \\
//! n &= \text{the product of the averaged sizes}
//! \end{aligned}
//! ```
//!
//! The mean is the [`sum`] divided by the number of summands n, so each summand receives 1/n of the gradient. The mean
//! over no elements is 0 / 0 = NaN, as in PyTorch (`torch.mean`).
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | the input's without the dimensions `dim` (all if none are given); with `keepdim` they stay with size 1 |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])?;
//! assert_eq!(x.mean(&[1], false)?.to_vec::<f32>()?, [2.0, 5.0]);
//! assert_eq!(x.mean_all()?.item()?, 3.5);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda as reduce;
use super::sum::{self, Dims};
use crate::core::{Element, Result};
use crate::cpu::{CpuCtx, View, ViewMut, broadcast};
use crate::cuda::{CudaCtx, DeviceView};
use crate::float_type;
use crate::ops::images::dependence_along;
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// `torch.mean(input, dim, keepdim)`.
#[derive(Debug)]
pub struct Mean(pub Dims);

impl Op for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(self.0.reduce(self.name(), &x[0].shape)?.1, one_float(self.name(), x)?))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (kept, _) = self.0.reduce(self.name(), &x[0].shape)?;
        y[0].shape = kept;
        float_type!(self.name(), x[0].dtype, T => {
            broadcast::sum_to::<T>(cx, x[0], &mut y[0]);
            let y = y[0].get::<T>();
            let count = T::from_f64(x[0].shape.numel() as f64 / y.len() as f64);
            y.iter_mut().for_each(|y| *y /= count);
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (kept, _) = self.0.reduce(self.name(), &x[0].shape)?;
        let count = x[0].numel() as f64 / kept.numel() as f64;
        reduce::sum_to(cx, &x[0], &DeviceView { shape: kept, ..y[0] }, count)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let input = saved.meta(0).shape;
        let (kept, _) = self.0.reduce(self.name(), &input)?;
        // Divides before it expands, because dy is smaller. If no elements are averaged, dx is empty.
        let count = input.numel() as f64 / kept.numel().max(1) as f64;
        Ok(smallvec![Some(dy.reshape(kept.dims())?.div_scalar(count)?.expand(input.dims())?)])
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        x[0].numel() as u64
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        dependence_along(self.name(), &x[0].shape, &self.0.dim)
    }
}

impl Tensor {
    /// The mean over these dimensions, or over all if `dim` is empty. Negative ones count from the end.
    /// PyTorch: `torch.mean`.
    ///
    /// # Errors
    /// A dimension out of range or named twice; a dtype other than f32 and f64.
    pub fn mean(&self, dim: &[isize], keepdim: bool) -> Result<Tensor> {
        Ok(one(apply(Mean(Dims::new(dim, keepdim)), &[self])?))
    }

    /// The mean of all elements, a scalar.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn mean_all(&self) -> Result<Tensor> {
        self.mean(&[], false)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "mean",
    torch: "torch.mean(input, dim=None, keepdim=False)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["dim", "keepdim"],
    layer: None,
    build: |attrs| Ok(Arc::new(Mean(Dims::from_attrs(attrs)?))),
    cases: || {
        let mut cases = sum::cases();
        cases.push(Case::new("no input, no output", "dim=0").input("input", &[0, 0]).edge());
        cases
    },
};

#[cfg(test)]
mod tests {
    use crate::{DType, Device, Tensor};

    #[test]
    fn the_mean_of_nothing_is_nan() {
        let x = Tensor::zeros(&Device::cpu().unwrap(), &[0, 3], DType::F32).unwrap().requires_grad();
        let y = x.mean(&[0], false).unwrap();
        assert!(y.to_vec::<f32>().unwrap().iter().all(|v| v.is_nan()));
        y.backward_with(&y.detach()).unwrap();
        assert_eq!(x.grad().unwrap().dims(), [0, 3]);
    }
}
