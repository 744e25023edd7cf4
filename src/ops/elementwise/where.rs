//! Chooses between two tensors, element by element.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= x \text{ where condition is true}, \quad z \text{ else} \\
//! \mathrm{dx} &= \mathrm{dy} \text{ where condition is true}, \quad 0 \text{ else} \\
//! \mathrm{dz} &= 0 \text{ where condition is true}, \quad \mathrm{dy} \text{ else}
//! \end{aligned}
//! ```
//!
//! z is `other`. Each output is a copy of an element of x or of z. That element receives the full gradient, the other
//! one receives 0. All three operands broadcast, and the gradient of a broadcast operand is the sum over its copies. An
//! element that was not chosen has no effect: if it is NaN or infinite, the output and the gradients still are not.
//! PyTorch: `torch.where`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | condition | any that broadcasts with the others | u8: 0 is false, anything else true |
//! | input, other | any that broadcast | a number is a tensor of rank 0 |
//! | output | all shapes broadcast | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let condition = Tensor::from_vec(&cpu, vec![1u8, 0, 1], &[3])?;
//! let x = Tensor::from_vec(&cpu, vec![1f32, 2.0, 3.0], &[3])?;
//! let zero = Tensor::scalar(&cpu, 0f32);
//! assert_eq!(x.where_(&condition, &zero)?.to_vec::<f32>()?, [1.0, 0.0, 3.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda::walk;
use crate::core::{DType, Error, Float, Result};
use crate::cpu::{CpuCtx, View, ViewMut, broadcast};
use crate::cuda::{CudaCtx, DeviceView, Launch, Ptr, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::{Case, Fill, Input, OpSpec, one};
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// `torch.where(condition, input, other)`.
#[derive(Debug)]
pub struct Where;

impl Op for Where {
    fn name(&self) -> &'static str {
        "where"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        check_mask(self.name(), "condition", &x[0])?;
        let dtype = one_float(self.name(), &x[1..])?;
        let values = x[1].shape.broadcast(self.name(), &x[2].shape)?;
        Ok(Plan::new(x[0].shape.broadcast(self.name(), &values)?, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[1].dtype, T => {
            choose::<T>(cx, x[0], x[1], x[2], &mut y[0]);
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (a, b) = (x[1].f32()?, x[2].f32()?);
        let walk = walk(&y[0].shape, [&x[0].shape, &x[1].shape, &x[2].shape]);
        kernels::where_f32(cx, Launch::over(y[0].numel()), x[0].u8()?, a, b, 0.0, y[0].f32()?, walk)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let gradient = |i: usize| {
            let part = || MaskedGrad { keep: i == 1 }.apply(&saved.input(0), dy);
            needs[i].then(|| part()?.sum_to_size(saved.meta(i).dims())).transpose()
        };
        Ok(smallvec![None, gradient(1)?, gradient(2)?])
    }
}

/// `y = a` where the mask is set, else `b`. All three are broadcast to the shape of `y`.
pub(super) fn choose<T: Float>(cx: &CpuCtx, mask: View, a: View, b: View, y: &mut ViewMut) {
    let shapes = [&mask.shape, &a.shape, &b.shape];
    let (mask, a, b) = (mask.get::<u8>(), a.get::<T>(), b.get::<T>());
    broadcast::gather(cx, shapes, y, |[i, j, k]| if mask[i] != 0 { a[j] } else { b[k] });
}

/// # Errors
/// A mask that is not u8.
pub(super) fn check_mask(op: &str, name: &str, mask: &Meta) -> Result<()> {
    if mask.dtype == DType::U8 {
        return Ok(());
    }
    Err(Error::dtype(op, format!("{name} is {}, not a mask", mask.dtype))
        .with(name, format_args!("{} {}", mask.shape, mask.dtype))
        .expected("u8, where 0 is false")
        .help(format!("convert first: {name}.to_dtype(DType::U8)")))
}

/// `dy` where the mask is set (`keep`) or where it is not, else 0; from `(mask, dy)`.
#[derive(Debug)]
pub(super) struct MaskedGrad {
    pub keep: bool,
}

impl MaskedGrad {
    pub(super) fn apply(self, mask: &Tensor, dy: &Tensor) -> Result<Tensor> {
        Gradient::of(self, &[mask, dy])
    }
}

impl GradientOp for MaskedGrad {
    fn name(&self) -> &'static str {
        "where_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[1].shape, one_float(self.name(), &x[1..])?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let keep = self.keep;
        float_type!(self.name(), x[1].dtype, T => {
            let (mask, dy) = (x[0].get::<u8>(), x[1].get::<T>());
            broadcast::gather(cx, [&x[0].shape, &x[1].shape], &mut y[0], |[i, j]| {
                if (mask[i] != 0) == keep { dy[j] } else { T::ZERO }
            });
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (dy, n) = (x[1].f32()?, y[0].numel());
        let (a, b) = if self.keep { (dy, Ptr::NULL) } else { (Ptr::NULL, dy) };
        let walk = walk(&y[0].shape, [&x[0].shape, &x[1].shape, &x[1].shape]);
        kernels::where_f32(cx, Launch::over(n), x[0].u8()?, a, b, 0.0, y[0].f32()?, walk)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// This tensor where `condition` (u8) is not 0, else `other`. All shapes broadcast. PyTorch:
    /// `torch.where(condition, self, other)`.
    ///
    /// # Errors
    /// A condition that is not u8; shapes that do not broadcast; a dtype other than f32 and f64, or two different
    /// dtypes.
    pub fn where_(&self, condition: &Tensor, other: &Tensor) -> Result<Tensor> {
        Ok(one(apply(Where, &[condition, self, other])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "where",
    torch: "torch.where(condition, input, other)",
    inputs: &[Input::new("condition").constant(), Input::new("input"), Input::new("other")],
    outputs: &["output"],
    attrs: &[],
    layer: None,
    build: |_| Ok(Arc::new(Where)),
    cases: || {
        let three = |label, c: &[usize], x: &[usize], o: &[usize]| {
            Case::new(label, "").filled("condition", c, Fill::Mask).input("input", x).input("other", o)
        };
        vec![
            three("same shape", &[2, 3, 5], &[2, 3, 5], &[2, 3, 5]),
            three("numbers", &[4, 5], &[], &[]),
            three("condition stretches", &[3, 1], &[2, 3, 4], &[2, 3, 4]),
            three("all stretch", &[3, 1, 1], &[2, 1, 4, 1], &[5]),
            three("scalars", &[], &[], &[]).edge(),
            three("empty", &[0, 3], &[3], &[1, 1]).edge(),
            three("feature maps", &[64, 16, 26, 26], &[64, 16, 26, 26], &[]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, ErrorKind};

    /// A product with the mask would give 0 * inf = NaN for an infinite element that was not chosen.
    #[test]
    fn what_is_not_chosen_leaves_no_trace() {
        let cpu = Device::cpu().unwrap();
        let condition = Tensor::from_slice(&cpu, &[1u8, 0, 255], &[3]).unwrap();
        let x = Tensor::from_slice(&cpu, &[1.0, f64::NAN, 3.0], &[3]).unwrap().requires_grad();
        let other = Tensor::from_slice(&cpu, &[f64::INFINITY, 2.0, f64::NAN], &[3]).unwrap().requires_grad();
        let y = x.where_(&condition, &other).unwrap();
        assert_eq!(y.to_vec::<f64>().unwrap(), [1.0, 2.0, 3.0]);
        y.mul(&y).unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f64>().unwrap(), [2.0, 0.0, 6.0]);
        assert_eq!(other.grad().unwrap().to_vec::<f64>().unwrap(), [0.0, 4.0, 0.0]);
    }

    #[test]
    fn conditions_and_values_that_do_not_fit_are_refused() {
        let meta = Device::meta();
        let tensor = |dims: &[usize], dtype| Tensor::zeros(&meta, dims, dtype).unwrap();
        let x = tensor(&[2, 3], DType::F32);
        let kind = |c: &Tensor, other: &Tensor| x.where_(c, other).unwrap_err().kind();
        assert_eq!(kind(&x, &x), ErrorKind::DType);
        assert_eq!(kind(&tensor(&[3], DType::U8), &tensor(&[3], DType::F64)), ErrorKind::DType);
        assert_eq!(kind(&tensor(&[2], DType::U8), &x), ErrorKind::Shape);
    }
}
