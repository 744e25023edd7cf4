//! The largest element: of the whole tensor, or along one dimension together with its index.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! \text{all:} \quad
//!   y &= \max_i x_i \\
//!   \mathrm{dx}_i &= \frac{\mathrm{dy} \, [x_i = y]}{\text{how many are equal to } y} \\
//! \text{dim:} \quad
//!   y_{\ldots} &= \max_k x_{\ldots,k,\ldots} \qquad \mathrm{indices}_{\ldots} = \text{the first such } k \\
//!   \mathrm{dx}_{\ldots,k,\ldots} &= \mathrm{dy}_{\ldots} \, [k = \mathrm{indices}_{\ldots}]
//! \end{aligned}
//! ```
//!
//! A small change of any element but the largest does not change the maximum, so only the largest element receives a
//! gradient. If several elements are the largest, the derivative does not exist. Then the op does the same as PyTorch
//! (`torch.max`). The maximum over all elements shares the gradient evenly among them, which is a subgradient. The
//! maximum along a dimension gives it to the first one, whose index it returns. NaN counts as the largest.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any, not empty along the reduced dimensions | |
//! | output | scalar without `dim`; else the input's without that dimension, or with 1 there (`keepdim`) | |
//! | indices | as output | i64; with `dim` only |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 5.0, 5.0, 4.0, 3.0, 2.0], &[2, 3])?;
//! let (values, indices) = x.max_dim(1, false)?;
//! assert_eq!(values.to_vec::<f32>()?, [5.0, 4.0]);
//! assert_eq!(indices.to_vec::<i64>()?, [1, 0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda;
use super::sum::Dims;
use crate::core::{DType, Element, Error, Float, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut, reduce};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::images::dependence_along;
use crate::ops::{Case, Fill, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// `torch.max(input)`, or `torch.max(input, dim, keepdim)`.
#[derive(Debug)]
pub struct Max {
    /// `None` takes the maximum over all elements.
    pub dim: Option<isize>,
    pub keepdim: bool,
}

/// The output's shape of max or argmax, and the input's sizes `[before, reduced, after]`. Shared with
/// [`argmax`](super::argmax).
pub(super) fn reduced(
    op: &str,
    input: &Shape,
    dim: Option<isize>,
    keepdim: bool,
) -> Result<(Shape, [usize; 3])> {
    let (_, output) = Dims::new(dim.as_slice(), keepdim).reduce(op, input)?;
    let around = match dim {
        Some(dim) => input.around(input.dim(op, dim)?),
        None => [1, input.numel(), 1],
    };
    if around[1] == 0 && output.numel() > 0 {
        return Err(Error::shape(op, "an empty input has no largest element").with("input", input));
    }
    Ok((output, around))
}

impl Op for Max {
    fn name(&self) -> &'static str {
        "max"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let (shape, _) = reduced(self.name(), &x[0].shape, self.dim, self.keepdim)?;
        let plan = Plan::new(shape, dtype);
        Ok(if self.dim.is_some() { plan.and(shape, DType::I64) } else { plan })
    }

    fn saves(&self) -> Saves {
        if self.dim.is_some() { Saves::outputs(&[1]) } else { Saves::inputs(&[0]).and_outputs(&[0]) }
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (_, around) = reduced(self.name(), &x[0].shape, self.dim, self.keepdim)?;
        let (values, indices) = y.split_at_mut(1);
        float_type!(self.name(), x[0].dtype, T => {
            let (x, values) = (x[0].get::<T>(), values[0].get::<T>());
            match indices {
                [indices] => reduce::arg_max(cx, around, x, values, indices.get()),
                _ => reduce::arg_max(cx, around, x, values, &mut [0]),
            }
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (_, around) = reduced(self.name(), &x[0].shape, self.dim, self.keepdim)?;
        // Without `dim` there is no output for the index, but the kernel needs memory to write it.
        let unasked = if y.len() == 1 { Some(cx.scratch::<i64>(1)?) } else { None };
        let indices = unasked.as_ref().map_or_else(|| y[1].i64(), |place| Ok(place.ptr()))?;
        let to = cuda::Largest { values: y[0].f32()?, indices };
        cuda::arg_max(cx, around, x[0].f32()?, to)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let dx = match self.dim {
            Some(dim) => Gradient::of(MaxDimGrad { input: saved.meta(0), dim }, &[&saved.output(1), dy])?,
            None => Gradient::of(MaxGrad, &[&saved.input(0), &saved.output(0), dy])?,
        };
        Ok(smallvec![Some(dx)])
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        x[0].numel() as u64
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        dependence_along(self.name(), &x[0].shape, self.dim.as_slice())
    }
}

/// `dx = dy / (number of largest elements)` at every largest element, from `(x, y, dy)`.
#[derive(Debug)]
struct MaxGrad;

impl GradientOp for MaxGrad {
    fn name(&self) -> &'static str {
        "max_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, one_float(self.name(), x)?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => {
            let (x, max, dy) = (x[0].get::<T>(), x[1].get::<T>()[0], x[2].get::<T>()[0]);
            let wins = |v: T| v == max || (v.is_nan() && max.is_nan());
            let winners = x.iter().filter(|&&v| wins(v)).count();
            let share = dy / T::from_f64(winners as f64);
            cx.map(x, y[0].get::<T>(), |v| if wins(v) { share } else { T::ZERO });
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (n, [x, max, dy]) = (x[0].numel(), [x[0].f32()?, x[1].f32()?, x[2].f32()?]);
        let winners = cx.scratch::<f32>(1)?;
        cuda::count_max(cx, n, x, max, winners.ptr())?;
        kernels::max_bwd_f32(cx, Launch::over(n), x, max, dy, winners.ptr(), y[0].f32()?, n as i64)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

/// `dy` at the positions of the largest elements, else 0, from `(indices, dy)`.
#[derive(Debug)]
struct MaxDimGrad {
    input: Meta,
    dim: isize,
}

impl GradientOp for MaxDimGrad {
    fn name(&self) -> &'static str {
        "max_dim_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(self.input.shape, one_float(self.name(), &x[1..])?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let shape = self.input.shape;
        let [_, n, after] = shape.around(shape.dim(self.name(), self.dim)?);
        float_type!(self.name(), x[1].dtype, T => {
            let (indices, dy, dx) = (x[0].get::<i64>(), x[1].get::<T>(), y[0].get::<T>());
            let work = dx.len();
            cx.pieces(dx, n * after, work, |b, dx| {
                dx.fill(T::ZERO);
                let outputs = b * after..(b + 1) * after;
                for (a, (&k, &dy)) in indices[outputs.clone()].iter().zip(&dy[outputs]).enumerate() {
                    dx[k as usize * after + a] = dy;
                }
            });
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let shape = self.input.shape;
        let [_, n, after] = shape.around(shape.dim(self.name(), self.dim)?);
        let (grid, [n, after, all]) =
            (Launch::over(shape.numel()), [n, after, shape.numel()].map(|v| v as i64));
        kernels::max_dim_bwd_f32(cx, grid, x[0].i64()?, x[1].f32()?, y[0].f32()?, n, after, all)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// The largest element, a scalar. PyTorch: `torch.max(input)`.
    ///
    /// # Errors
    /// An empty tensor; a dtype other than f32 and f64.
    pub fn max_all(&self) -> Result<Tensor> {
        Ok(one(apply(Max { dim: None, keepdim: false }, &[self])?))
    }

    /// The largest elements along `dim`, and their indices (i64). Of equal elements the first one counts.
    /// PyTorch: `torch.max(input, dim, keepdim)`.
    ///
    /// # Errors
    /// A `dim` out of range or of size 0; a dtype other than f32 and f64.
    pub fn max_dim(&self, dim: isize, keepdim: bool) -> Result<(Tensor, Tensor)> {
        let mut outputs = apply(Max { dim: Some(dim), keepdim }, &[self])?.into_iter();
        Ok(outputs.next().zip(outputs.next()).expect("max over a dim has two outputs"))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "max",
    torch: "torch.max(input, dim=None, keepdim=False)",
    inputs: &[Input::new("input")],
    outputs: &["output", "indices"],
    attrs: &["dim", "keepdim"],
    layer: None,
    build: |attrs| {
        let max = Max { dim: attrs.get("dim")?, keepdim: attrs.flag("keepdim", false)? };
        if max.keepdim && max.dim.is_none() {
            return Err(Error::argument("max", "keepdim needs a dim").help("add `attrs.dim = D`"));
        }
        Ok(Arc::new(max))
    },
    cases: || {
        let distinct = |case: Case, dims: &[usize]| case.filled("input", dims, Fill::Distinct);
        vec![
            distinct(Case::new("all", ""), &[3, 37]),
            distinct(Case::new("rows", "dim=-1"), &[3, 37]),
            distinct(Case::new("columns, kept", "dim=0 keepdim=true"), &[5, 3]),
            distinct(Case::new("in the middle", "dim=1"), &[2, 4, 3]),
            distinct(Case::new("scalar", "dim=0"), &[]).edge(),
            distinct(Case::new("scalar, all", ""), &[]).edge(),
            distinct(Case::new("no rows", "dim=1"), &[0, 3]).edge(),
            distinct(Case::new("class scores", "dim=1"), &[256, 1000]).bench(),
            distinct(Case::new("class maps", "dim=1"), &[8, 21, 128, 128]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use crate::{DType, Device, ErrorKind, Tensor};

    fn tensor(values: Vec<f64>, dims: &[usize]) -> Tensor {
        Tensor::from_vec(&Device::cpu().unwrap(), values, dims).unwrap().requires_grad()
    }

    /// As in PyTorch: for the maximum over all elements, equal largest elements share the gradient. Along a dimension
    /// the first one receives all of it.
    #[test]
    fn ties() {
        let x = tensor(vec![2.0, 1.0, 2.0, 2.0], &[2, 2]);
        x.max_all().unwrap().backward().unwrap();
        let third = 1.0 / 3.0;
        assert_eq!(x.grad().unwrap().to_f64().unwrap(), [third, 0.0, third, third]);

        let x = tensor(vec![2.0, 1.0, 2.0, 2.0], &[2, 2]);
        let (values, indices) = x.max_dim(0, false).unwrap();
        assert_eq!(indices.to_vec::<i64>().unwrap(), [0, 1]);
        values.backward_with(&values.detach()).unwrap();
        assert_eq!(x.grad().unwrap().to_f64().unwrap(), [2.0, 0.0, 0.0, 2.0]);
    }

    #[test]
    fn nan_wins_and_keeps_its_first_place() {
        let x = tensor(vec![1.0, f64::NAN, 3.0, f64::NAN, -f64::INFINITY, -f64::INFINITY], &[3, 2]);
        for (dim, want) in [(0, [1, 0]), (-2, [1, 0])] {
            let (_, indices) = x.max_dim(dim, false).unwrap();
            assert_eq!(indices.to_vec::<i64>().unwrap(), want);
        }
        assert_eq!(x.max_dim(1, false).unwrap().1.to_vec::<i64>().unwrap(), [1, 1, 0]);
        let y = x.max_all().unwrap();
        assert!(y.item().unwrap().is_nan());
        y.backward().unwrap();
        assert_eq!(x.grad().unwrap().to_f64().unwrap(), [0.0, 0.5, 0.0, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn the_largest_of_nothing_is_refused() {
        let x = Tensor::zeros(&Device::meta(), &[0, 3], DType::F32).unwrap();
        assert_eq!(x.max_all().unwrap_err().kind(), ErrorKind::Shape);
        assert_eq!(x.max_dim(0, false).unwrap_err().kind(), ErrorKind::Shape);
        assert_eq!(x.max_dim(1, false).unwrap().0.dims(), [0]);
    }
}
