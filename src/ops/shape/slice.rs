//! Part of one dimension: every `step`-th index from `start` up to `end`.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{\ldots,i,\ldots} &= x_{\ldots,\,\mathrm{start} + i \, \mathrm{step},\,\ldots} \\
//! \mathrm{dx}_{\ldots,k,\ldots} &= \mathrm{dy}_{\ldots,\,(k - \mathrm{start}) / \mathrm{step},\,\ldots},
//!   \quad 0 \text{ where nothing was read}
//! \end{aligned}
//! ```
//!
//! Every output element is a copy of one input element, which receives its gradient. The rest of `dx` is zero. Negative
//! `start` and `end` count from the end of the dimension, and both are clamped to it, as in `x[start:end:step]`. A
//! slice of the outermost dimension with step 1 is contiguous in memory, so it is a view and not a copy. PyTorch:
//! `x[:, start:end:step]`, `torch.narrow`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | at least one dimension | any dtype |
//! | output | as input, with size `ceil((end - start) / step)` at `dim` | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![0f32, 1.0, 2.0, 3.0, 4.0, 5.0], &[2, 3])?;
//! assert_eq!(x.slice(1, Some(-2), None, 1)?.to_vec::<f32>()?, [1.0, 2.0, 4.0, 5.0]);
//! assert!(x.narrow(0, 1, 1)?.shares_storage(&x));
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda::copy;
use crate::core::{Element, Error, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut, gather};
use crate::cuda::kernels::{self, Pad};
use crate::cuda::{CudaCtx, DeviceView, Launch};
use crate::element_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::images::axis;
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// `input[.., start:end:step, ..]` along `dim`.
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    pub dim: isize,
    pub start: Option<isize>,
    pub end: Option<isize>,
    pub step: isize,
}

/// A slice for a given input shape: the sizes `[before, size, after]` around the dimension, and the indices it takes.
struct Resolved {
    dim: usize,
    around: [usize; 3],
    start: usize,
    step: usize,
    len: usize,
}

impl Slice {
    fn resolve(&self, shape: &Shape) -> Result<Resolved> {
        let wrong = |what: &str| Error::shape("slice", what.to_owned()).with("input", shape);
        if shape.rank() == 0 {
            return Err(wrong("a scalar has no dimension to slice").help("reshape it to [1] first"));
        }
        let step = usize::try_from(self.step).ok().filter(|&step| step > 0);
        let step = step.ok_or_else(|| wrong("step must be positive").with("step", self.step))?;
        let dim = shape.dim("slice", self.dim)?;
        let size = shape.dims()[dim] as isize;
        let clamp = |i: isize| (if i < 0 { i.saturating_add(size) } else { i }).clamp(0, size) as usize;
        let start = clamp(self.start.unwrap_or(0));
        let end = clamp(self.end.unwrap_or(size)).max(start);
        Ok(Resolved { dim, around: shape.around(dim), start, step, len: (end - start).div_ceil(step) })
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let Meta { shape, dtype } = x[0];
        let Resolved { dim, around: [before, _, after], start, step, len } = self.resolve(&shape)?;
        let mut dims: SmallVec<[usize; 6]> = shape.dims().into();
        dims[dim] = len;
        let output = Shape::new(&dims)?;
        let view = before == 1 && step == 1;
        Ok(if view { Plan::view(output, dtype, start * after) } else { Plan::new(output, dtype) })
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let Resolved { around: [before, size, after], start, step, len, .. } = self.resolve(&x[0].shape)?;
        let taken = (0..len).map(|i| (start + i * step) * after).collect();
        let axes = [gather::whole(before, size * after), taken, gather::whole(after, 1)];
        element_type!(x[0].dtype, T => gather::gather(cx, x[0].get::<T>(), &axes, T::POISON, y[0].get::<T>()));
        Ok(())
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let Resolved { around: [before, size, after], start, step, len, .. } = self.resolve(&x[0].shape)?;
        let bytes = x[0].dtype.size();
        let dims = [(before, size * after, len * after), (len, step * after, after), (after, 1, 1)];
        copy(cx, x[0].bytes().at(start * after * bytes), y[0].bytes(), bytes, &dims)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Ok(smallvec![Some(Gradient::of(SliceGrad { input: saved.meta(0), forward: *self }, &[dy])?)])
    }

    fn flops(&self, _x: &[Meta], _y: &[Meta]) -> u64 {
        0
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        let Ok(slice) = self.resolve(&x[0].shape) else { return Dependence::Global };
        let Some(axis) = axis(&x[0].shape, slice.dim) else { return Dependence::Pointwise };
        let (mut start, mut step) = ([0; 2], [1; 2]);
        (start[axis], step[axis]) = (slice.start as isize, slice.step);
        Dependence::Strided { start, step }
    }

    /// Only the elements in the slice are read.
    fn bytes(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        2 * y[0].bytes() as u64
    }
}

fn innermost_first(dims: [usize; 3]) -> [i64; 6] {
    let [outer, middle, inner] = dims.map(|d| d as i64);
    [inner, middle, outer, 0, 0, 0]
}

/// `dx` from `dy`: the elements of `dy` at their positions in the input, else 0.
#[derive(Debug)]
struct SliceGrad {
    input: Meta,
    forward: Slice,
}

impl GradientOp for SliceGrad {
    fn name(&self) -> &'static str {
        "slice_grad"
    }

    fn infer(&self, _x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(self.input.shape, self.input.dtype))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let Resolved { around: [before, size, after], start, step, len, .. } =
            self.forward.resolve(&self.input.shape)?;
        let mut source = vec![gather::OUTSIDE; size];
        (0..len).for_each(|i| source[start + i * step] = i * after);
        let axes = [gather::whole(before, len * after), source, gather::whole(after, 1)];
        element_type!(x[0].dtype, T => {
            gather::gather(cx, x[0].get::<T>(), &axes, T::from_f64(0.0), y[0].get::<T>());
        });
        Ok(())
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let shape = self.input.shape;
        let Resolved { around: [before, size, after], start, step, len, .. } =
            self.forward.resolve(&shape)?;
        // The kernel of constant padding writes zeros around and between the elements, which are `step` apart.
        let mut pad = Pad { n: shape.numel() as i64, rank: 3, ..Pad::default() };
        (pad.out, pad.size) = (innermost_first([before, size, after]), innermost_first([before, len, after]));
        pad.stride = innermost_first([len * after, after, 1]);
        (pad.before, pad.step) = (innermost_first([0, start, 0]), innermost_first([1, step, 1]));
        kernels::pad(
            cx,
            Launch::over(shape.numel()),
            x[0].bytes(),
            y[0].bytes(),
            x[0].dtype.size() as i32,
            0,
            pad,
        )
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// `x[.., start:end:step, ..]` along `dim`, with negative indices and clamping as in Python. It is a view if it is
    /// contiguous in memory: with step 1 along the outermost dimension.
    ///
    /// # Errors
    /// A scalar, a `dim` out of range, a step that is not positive.
    pub fn slice(&self, dim: isize, start: Option<isize>, end: Option<isize>, step: isize) -> Result<Tensor> {
        Ok(one(apply(Slice { dim, start, end, step }, &[self])?))
    }

    /// `length` indices of `dim`, starting at `start`. PyTorch: `torch.narrow`.
    ///
    /// # Errors
    /// A range that is not within the dimension.
    pub fn narrow(&self, dim: isize, start: usize, length: usize) -> Result<Tensor> {
        let size = self.shape().around(self.shape().dim("narrow", dim)?)[1];
        if start.checked_add(length).is_none_or(|end| end > size) {
            return Err(Error::shape(
                "narrow",
                format!("{start} + {length} is beyond the dimension's {size}"),
            )
            .with("input", self.shape()));
        }
        self.slice(dim, Some(start as isize), Some((start + length) as isize), 1)
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "slice",
    torch: "torch.ops.aten.slice(input, dim=0, start=None, end=None, step=1)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["dim", "start", "end", "step"],
    layer: None,
    build: |attrs| {
        Ok(Arc::new(Slice {
            dim: attrs.or("dim", 0)?,
            start: attrs.get("start")?,
            end: attrs.get("end")?,
            step: attrs.or("step", 1)?,
        }))
    },
    cases: || {
        vec![
            Case::new("leading rows", "start=1 end=3").input("input", &[4, 3]),
            Case::new("every second row", "step=2").input("input", &[5, 2]),
            Case::new("channels", "dim=1 start=1 end=3").input("input", &[2, 4, 3, 2]),
            Case::new("columns backwards", "dim=-1 start=-3 end=-1").input("input", &[3, 5]),
            Case::new("columns in steps", "dim=1 start=1 step=3").input("input", &[2, 9]),
            Case::new("clamped", "dim=1 start=-99 end=99").input("input", &[2, 3]).edge(),
            Case::new("nothing", "start=3 end=1").input("input", &[4, 2]).edge(),
            Case::new("empty batch", "dim=1 end=2").input("input", &[0, 3]).edge(),
            Case::new("crop", "dim=3 start=16 end=80").input("input", &[32, 16, 96, 96]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use crate::{DType, Device, ErrorKind, Tensor};

    #[test]
    fn slices_outside_what_exists_are_refused() {
        let meta = Device::meta();
        let x = Tensor::zeros(&meta, &[4], DType::F32).unwrap();
        assert_eq!(x.slice(0, None, None, 0).unwrap_err().kind(), ErrorKind::Shape);
        assert_eq!(x.slice(1, None, None, 1).unwrap_err().kind(), ErrorKind::Shape);
        assert_eq!(x.narrow(0, 3, 2).unwrap_err().kind(), ErrorKind::Shape);
        let scalar = Tensor::zeros(&meta, &[], DType::F32).unwrap();
        assert_eq!(scalar.slice(0, None, None, 1).unwrap_err().kind(), ErrorKind::Shape);
    }

    /// A view of a view must include the offset of the first view.
    #[test]
    fn a_slice_of_a_slice_keeps_its_offset() {
        let x = Tensor::from_vec(&Device::cpu().unwrap(), (0..12i64).collect(), &[6, 2]).unwrap();
        let y = x.narrow(0, 2, 4).unwrap().narrow(0, 1, 2).unwrap();
        assert!(y.shares_storage(&x));
        assert_eq!(y.to_vec::<i64>().unwrap(), [6, 7, 8, 9]);
    }
}
