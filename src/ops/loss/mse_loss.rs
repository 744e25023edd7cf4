//! Mean squared error.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! l &= (x - t)^2 \\
//! y &= \textstyle\frac{1}{n} \sum l \text{ (mean)}, \quad \sum l \text{ (sum)}, \quad l \text{ (none)} \\
//! \mathrm{dx} &= 2 \, (x - t) \, g \\
//! \mathrm{dt} &= -\mathrm{dx} \\
//! g &= \mathrm{dy} / n \text{ (mean)}, \quad \mathrm{dy} \text{ (sum, none)}
//! \end{aligned}
//! ```
//!
//! A target of another shape broadcasts against the input, and each gradient is summed back to its tensor's shape.
//! (PyTorch warns because different shapes are usually a mistake: `[N, 1]` against `[N]` compares each sample with all
//! others.) The mean over no elements is NaN. PyTorch: `F.mse_loss`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | target | as input, or one that broadcasts with it |
//! | output | scalar; the broadcast shape with `reduction=none` |
//!
//! ```
//! use receptive::ops::Reduction;
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_vec(&cpu, vec![1f32, 2.0], &[2])?;
//! let target = Tensor::from_vec(&cpu, vec![0f32, 4.0], &[2])?;
//! assert_eq!(x.mse_loss(&target, Reduction::Mean)?.item()?, (1.0 + 4.0) / 2.0);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::reduction::Reduction;
use crate::core::{Element, Float, Result};
use crate::cpu::{CpuCtx, View, ViewMut, broadcast};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use crate::ops::elementwise::cuda::{over_quads, walk};
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::reduce::cuda as reduce;
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// `F.mse_loss(input, target, reduction)`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MseLoss {
    pub reduction: Reduction,
}

impl MseLoss {
    fn forward<T: Float>(&self, cx: &CpuCtx, x: &[View], y: &mut ViewMut) -> Result<()> {
        let square = |x: T, t: T| (x - t) * (x - t);
        let shape = x[0].shape.broadcast("mse_loss", &x[1].shape)?;
        self.reduction.collect::<T>(cx, shape, y, |y| broadcast::zip::<T>(cx, x[0], x[1], y, square));
        Ok(())
    }
}

impl Op for MseLoss {
    fn name(&self) -> &'static str {
        "mse_loss"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let shape = x[0].shape.broadcast(self.name(), &x[1].shape)?;
        Ok(Plan::new(self.reduction.shape(shape), dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => self.forward::<T>(cx, x, &mut y[0]))
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let shape = x[0].shape.broadcast(self.name(), &x[1].shape)?;
        let (n, walk, [a, b]) =
            (shape.numel(), walk(&shape, [&x[0].shape, &x[1].shape]), [x[0].f32()?, x[1].f32()?]);
        let losses = |to| kernels::squared_difference_f32(cx, over_quads(n), a, b, to, walk);
        if self.reduction == Reduction::None {
            return losses(y[0].f32()?);
        }
        let single = cx.scratch::<f32>(n)?;
        losses(single.ptr())?;
        reduce::sum(cx, [1, n, 1], single.ptr(), y[0].f32()?, self.reduction.count::<f64>(n))
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let (x, t) = (saved.input(0), saved.input(1));
        // The target's gradient has the input's formula with input and target exchanged.
        let gradient = |needed: bool, a: &Tensor, b: &Tensor| {
            let full = || Gradient::of(MseLossGrad(*self), &[a, b, dy]);
            needed.then(|| full().and_then(|g| g.sum_to_size(a.dims()))).transpose()
        };
        Ok(smallvec![gradient(needs[0], &x, &t)?, gradient(needs[1], &t, &x)?])
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        3 * x[0].numel().max(x[1].numel()) as u64
    }

    fn dependence(&self, _x: &[Meta]) -> Dependence {
        Dependence::Global
    }
}

/// `2 (a - b) g` in the broadcast shape, from `(a, b, dy)`.
#[derive(Debug)]
struct MseLossGrad(MseLoss);

impl GradientOp for MseLossGrad {
    fn name(&self) -> &'static str {
        "mse_loss_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        Ok(Plan::new(x[0].shape.broadcast(self.name(), &x[1].shape)?, dtype))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let n = y[0].shape.numel();
        float_type!(self.name(), x[0].dtype, T => {
            let two = T::from_f64(2.0);
            match self.0.reduction {
                Reduction::None => {
                    broadcast::zip::<T>(cx, x[0], x[1], &mut y[0], |a, b| two * (a - b));
                    for (y, &dy) in y[0].get::<T>().iter_mut().zip(x[2].get::<T>()) {
                        *y *= dy;
                    }
                }
                reduction => {
                    let g = two * (x[2].get::<T>()[0] / reduction.count::<T>(n));
                    broadcast::zip::<T>(cx, x[0], x[1], &mut y[0], |a, b| g * (a - b));
                }
            }
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (y, walk) = (&y[0], walk(&y[0].shape, [&x[0].shape, &x[1].shape, &x[2].shape]));
        let (n, [a, b, dy]) = (y.numel(), [x[0].f32()?, x[1].f32()?, x[2].f32()?]);
        kernels::mse_loss_bwd_f32(cx, Launch::over(n), a, b, dy, y.f32()?, self.0.reduction.count(n), walk)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// The squared distance to `target`: its mean, its sum, or one value per element. PyTorch: `F.mse_loss`.
    ///
    /// # Errors
    /// Shapes that do not broadcast; a dtype other than f32 and f64, or two different dtypes.
    pub fn mse_loss(&self, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
        Ok(one(apply(MseLoss { reduction }, &[self, target])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "mse_loss",
    torch: "F.mse_loss(input, target, reduction='mean')",
    inputs: &[Input::new("input"), Input::new("target")],
    outputs: &["output"],
    attrs: &["reduction"],
    layer: None,
    build: |attrs| Ok(Arc::new(MseLoss { reduction: attrs.or("reduction", Reduction::Mean)? })),
    cases: || {
        let pair = |case: Case, x: &[usize], t: &[usize]| case.input("input", x).input("target", t);
        vec![
            pair(Case::new("mean", ""), &[3, 4], &[3, 4]),
            pair(Case::new("sum", "reduction=sum"), &[3, 4], &[3, 4]),
            pair(Case::new("none", "reduction=none"), &[3, 4], &[3, 4]),
            pair(Case::new("broadcast target", ""), &[3, 4], &[4]),
            pair(Case::new("broadcast both", "reduction=none"), &[3, 1], &[2, 1, 4]),
            pair(Case::new("scalar", ""), &[], &[]).edge(),
            pair(Case::new("empty, sum", "reduction=sum"), &[0, 3], &[0, 3]).edge(),
            pair(Case::new("images", ""), &[64, 3, 64, 64], &[64, 3, 64, 64]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Device, ErrorKind};

    #[test]
    fn the_mean_over_nothing_is_nan() {
        let x = Tensor::zeros(&Device::cpu().unwrap(), &[0], DType::F32).unwrap();
        assert!(x.mse_loss(&x, Reduction::Mean).unwrap().item().unwrap().is_nan());
    }

    /// The factor 2 is multiplied in last: twice this dy would overflow f32.
    #[test]
    fn a_large_upstream_gradient_does_not_overflow() {
        let cpu = Device::cpu().unwrap();
        let x = Tensor::from_vec(&cpu, vec![1f32, 0.5, 0.25], &[3]).unwrap().requires_grad();
        let target = Tensor::zeros(&cpu, &[3], DType::F32).unwrap();
        let dy = Tensor::from_vec(&cpu, vec![3e38f32], &[]).unwrap();
        x.mse_loss(&target, Reduction::Mean).unwrap().backward_with(&dy).unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), [2e38, 1e38, 5e37]);
    }

    #[test]
    fn shapes_that_do_not_broadcast_are_refused() {
        let meta = Device::meta();
        let x = Tensor::zeros(&meta, &[3], DType::F32).unwrap();
        let t = Tensor::zeros(&meta, &[2], DType::F32).unwrap();
        assert_eq!(x.mse_loss(&t, Reduction::Mean).unwrap_err().kind(), ErrorKind::Shape);
    }
}
