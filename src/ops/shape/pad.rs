//! Padding: adds a border. A negative pad crops instead.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{\ldots,i,\ldots} &= x_{\ldots,\,s(i - \mathrm{before}),\,\ldots} \\
//! \mathrm{dx}_{\ldots,k,\ldots} &= \sum_{i \,:\, s(i - \mathrm{before}) = k} \mathrm{dy}_{\ldots,i,\ldots}
//! \end{aligned}
//! ```
//!
//! | mode | s(j), for j outside the input | e.g. 2 on both sides of `a b c d` |
//! |---|---|---|
//! | constant | none: `value` | `0 0 a b c d 0 0` |
//! | reflect | mirrored at the edge element | `c b a b c d c b` |
//! | replicate | the edge element | `a a a b c d d d` |
//! | circular | from the other end | `c d a b c d a b` |
//!
//! An element that is read several times receives the sum of those gradients. The gradient of a constant border is
//! dropped. So the gradient of constant padding is padding with the signs reversed. PyTorch: `F.pad`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any | any dtype in forward |
//! | output | size + before + after for each padded dimension | `pad` = before, after of the last dimension, then of the one before it, ... |
//!
//! ```
//! use receptive::ops::pad::PadMode;
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 2.0, 3.0], &[1, 3])?;
//! assert_eq!(x.pad(&[1, -1], PadMode::Constant(9.0))?.to_vec::<f32>()?, [9.0, 1.0, 2.0]);
//! assert_eq!(x.pad(&[2, 1], PadMode::Reflect)?.to_vec::<f32>()?, [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use crate::core::{DType, Element, Error, Result, Shape};
use crate::cpu::gather::{self, AxisOffsets, OUTSIDE};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use crate::{element_type, float_type};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// The values of the border.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PadMode {
    /// This value.
    Constant(f64),
    /// The input mirrored at its edge element.
    Reflect,
    /// The edge element.
    Replicate,
    /// The elements from the input's other end.
    Circular,
}

impl PadMode {
    /// The mode's number in `kernels/args.cuh`.
    fn code(self) -> i32 {
        match self {
            PadMode::Constant(_) => 0,
            PadMode::Reflect => 1,
            PadMode::Replicate => 2,
            PadMode::Circular => 3,
        }
    }

    /// The input index that is read at position `j` (0 is the input's first element), in a dimension of `size` that is
    /// padded by `[before, after]`. `None` for the constant.
    fn source(self, j: isize, size: isize, [before, after]: [isize; 2]) -> Option<usize> {
        let index = match self {
            _ if (0..size).contains(&j) && self != PadMode::Circular => j,
            PadMode::Constant(_) => return None,
            PadMode::Reflect if j < 0 => -j,
            PadMode::Reflect => 2 * (size - 1) - j,
            PadMode::Replicate => j.clamp(0, size - 1),
            PadMode::Circular => {
                // Elements that a negative pad crops are not repeated in the other border.
                let first = (-before).max(0);
                let left = size - first - (-after).max(0);
                first + (j - first).rem_euclid(left)
            }
        };
        Some(index as usize)
    }

    /// # Errors
    /// A border that is too large for this mode and a dimension of `size`.
    fn check(self, d: usize, size: isize, [before, after]: [isize; 2], input: &Shape) -> Result<()> {
        let cropped = (-before).max(0) + (-after).max(0);
        let border = before.max(after);
        let limit = match self {
            PadMode::Constant(_) => isize::MAX,
            PadMode::Reflect => size - 1,
            PadMode::Replicate => {
                if size > 0 {
                    isize::MAX
                } else {
                    0
                }
            }
            // PyTorch leaves elements unwritten if the border is longer than the dimension.
            PadMode::Circular => size - cropped,
        };
        if cropped <= size && border <= limit.max(0) {
            return Ok(());
        }
        let what =
            if cropped > size { "is cropped by more than its size" } else { "is too small for this border" };
        Err(Error::shape("pad", format!("dimension {d} {what}"))
            .with("input", input)
            .with("pad", format_args!("[{before}, {after}]"))
            .with("mode", format_args!("{self:?}"))
            .help(
                "reflect pads by at most size - 1, circular by at most the size left; a negative pad crops",
            ))
    }
}

/// `F.pad(input, pad, mode, value)`.
#[derive(Debug, Clone)]
pub struct Pad {
    /// The pads before and after each dimension, last dimension first.
    pub pad: SmallVec<[isize; 12]>,
    pub mode: PadMode,
}

impl Pad {
    /// The pads before and after each padded dimension, outermost first.
    fn borders(&self) -> impl DoubleEndedIterator<Item = [isize; 2]> {
        self.pad.chunks_exact(2).rev().map(|p| [p[0], p[1]])
    }

    /// The number of leading dimensions that are not padded.
    fn untouched(&self, input: &Shape) -> usize {
        input.rank() - self.pad.len() / 2
    }

    fn output(&self, input: &Shape) -> Result<Shape> {
        if self.pad.len() % 2 == 1 || self.pad.len() / 2 > input.rank() {
            return Err(Error::shape("pad", format!("{} pads do not fit this input", self.pad.len()))
                .with("input", input)
                .expected("two pads for each padded dimension, from the last dimension backwards"));
        }
        let mut dims: SmallVec<[usize; 6]> = input.dims().into();
        let first = self.untouched(input);
        for (d, [before, after]) in (first..).zip(self.borders()) {
            let size = dims[d] as isize;
            self.mode.check(d, size, [before, after], input)?;
            let padded = size.checked_add(before).and_then(|n| n.checked_add(after));
            dims[d] = padded
                .ok_or_else(|| Error::shape("pad", "the output is too large").with("input", input))?
                as usize;
        }
        Shape::new(&dims)
    }

    /// One table per padded dimension: for each output index the offset in an input plane.
    fn axes(&self, input: &Shape) -> Vec<AxisOffsets> {
        let strides = input.strides();
        let axis = |(d, border): (usize, [isize; 2])| {
            let size = input.dims()[d] as isize;
            let source =
                |i| self.mode.source(i - border[0], size, border).map_or(OUTSIDE, |k| k * strides[d]);
            (0..size + border[0] + border[1]).map(source).collect()
        };
        (self.untouched(input)..).zip(self.borders()).map(axis).collect()
    }

    /// Arguments for the GPU kernels: the padded dimensions, innermost first, and all others merged into one.
    fn kernel(&self, input: &Shape, output: &Shape) -> kernels::Pad {
        let (planes, strides) = (self.planes(input), input.strides());
        let mut pad = kernels::Pad { n: output.numel() as i64, mode: self.mode.code(), ..Default::default() };
        let innermost = (self.untouched(input)..input.rank()).rev();
        let padded = innermost.zip(self.pad.chunks_exact(2));
        let dims = padded.map(|(d, border)| (output.dims()[d], input.dims()[d], strides[d], border[0]));
        let others = (planes, planes, input.numel() / planes.max(1), 0);
        let others = (self.untouched(input) > 0).then_some(others);
        for (i, (out, size, stride, before)) in dims.chain(others).enumerate() {
            (pad.out[i], pad.size[i], pad.stride[i]) = (out as i64, size as i64, stride as i64);
            (pad.before[i], pad.step[i], pad.rank) = (before as i64, 1, i as i32 + 1);
        }
        pad
    }

    /// The number of planes: the product of the dimensions that are not padded.
    fn planes(&self, input: &Shape) -> usize {
        input.dims()[..self.untouched(input)].iter().product()
    }
}

/// The bits of `value` as an element of `dtype`.
fn bits(dtype: DType, value: f64) -> u64 {
    let mut bytes = [0; 8];
    element_type!(dtype, T => bytes[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&<T as Element>::from_f64(value))));
    u64::from_le_bytes(bytes)
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(self.output(&x[0].shape)?, x[0].dtype))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let shape = x[0].shape;
        let planes = self.planes(&shape);
        let mut axes = self.axes(&shape);
        axes.insert(0, gather::whole(planes, shape.numel() / planes.max(1)));
        if self.pad.is_empty() {
            axes = vec![gather::whole(planes, 1)];
        }
        let value = if let PadMode::Constant(value) = self.mode { value } else { f64::NAN };
        element_type!(x[0].dtype, T => {
            gather::gather(cx, x[0].get::<T>(), &axes, <T as Element>::from_f64(value), y[0].get::<T>());
        });
        Ok(())
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let value = if let PadMode::Constant(value) = self.mode { value } else { f64::NAN };
        let (n, bytes) = (y[0].numel(), x[0].dtype.size() as i32);
        let pad = self.kernel(&x[0].shape, &y[0].shape);
        kernels::pad(cx, Launch::over(n), x[0].bytes(), y[0].bytes(), bytes, bits(x[0].dtype, value), pad)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let dx = if let PadMode::Constant(_) = self.mode {
            let pad: SmallVec<[isize; 12]> = self.pad.iter().map(|p| -p).collect();
            dy.pad(&pad, PadMode::Constant(0.0))?
        } else {
            Gradient::of(PadGrad { input: saved.meta(0), forward: self.clone() }, &[dy])?
        };
        Ok(smallvec![Some(dx)])
    }

    fn flops(&self, _x: &[Meta], _y: &[Meta]) -> u64 {
        0
    }

    /// The receptive field ignores borders, even if they repeat elements of the input.
    fn dependence(&self, x: &[Meta]) -> Dependence {
        if x[0].shape.rank() <= 2 {
            return Dependence::Pointwise;
        }
        let start = |innermost: usize| self.pad.get(2 * innermost).map_or(0, |before| -before);
        Dependence::Strided { start: [start(1), start(0)], step: [1, 1] }
    }
}

/// `dx` from `dy`: each element of `dy` is added where its value came from.
#[derive(Debug)]
struct PadGrad {
    input: Meta,
    forward: Pad,
}

impl GradientOp for PadGrad {
    fn name(&self) -> &'static str {
        "pad_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(self.input.shape, one_float(self.name(), x)?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (planes, axes) = (self.forward.planes(&self.input.shape), self.forward.axes(&self.input.shape));
        float_type!(self.name(), x[0].dtype, T => {
            gather::scatter_add(cx, planes, x[0].get::<T>(), &axes, y[0].get::<T>());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (n, pad) = (y[0].numel(), self.forward.kernel(&self.input.shape, &x[0].shape));
        kernels::pad_bwd_f32(cx, Launch::over(n), x[0].f32()?, y[0].f32()?, n as i64, pad)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// Adds borders to the last dimensions. `pad` lists the pads before and after the last dimension, then those of the
    /// dimension before it, and so on. Negative pads crop. PyTorch: `F.pad`.
    ///
    /// # Errors
    /// An odd number of pads, pads for more dimensions than there are, or a border that is too large for `mode`.
    pub fn pad(&self, pad: &[isize], mode: PadMode) -> Result<Tensor> {
        Ok(one(apply(Pad { pad: pad.into(), mode }, &[self])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "pad",
    torch: "F.pad(input, pad, mode='constant', value=None)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["pad", "mode", "value"],
    layer: None,
    build: |attrs| {
        let pad: Vec<isize> = attrs.list("pad")?.ok_or_else(|| attrs.missing("pad"))?;
        let value: Option<f64> = attrs.get("value")?;
        let mode = match attrs.text("mode").unwrap_or("constant") {
            "constant" => PadMode::Constant(value.unwrap_or(0.0)),
            other if value.is_some() => {
                return Err(Error::argument("pad", format!("mode {other} does not take a value")));
            }
            "reflect" => PadMode::Reflect,
            "replicate" => PadMode::Replicate,
            "circular" => PadMode::Circular,
            other => return Err(attrs.malformed("mode", other, "constant, reflect, replicate or circular")),
        };
        Ok(Arc::new(Pad { pad: pad.into(), mode }))
    },
    cases: || {
        vec![
            Case::new("image", "pad=1,2,0,1").input("input", &[2, 3, 4, 5]),
            Case::new("value", "pad=2,1 value=-1.5").input("input", &[2, 3]),
            Case::new("crop and pad", "pad=-1,2,1,-2").input("input", &[2, 4, 5]),
            Case::new("batch too", "pad=1,0,0,1,-1,1").input("input", &[2, 2, 3]),
            Case::new("reflect", "pad=2,3,1,2 mode=reflect").input("input", &[2, 2, 3, 4]),
            Case::new("reflect, crop", "pad=-1,3 mode=reflect").input("input", &[1, 2, 5]),
            Case::new("replicate", "pad=2,1,0,3 mode=replicate").input("input", &[2, 2, 3, 4]),
            Case::new("replicate, crop", "pad=-4,2 mode=replicate").input("input", &[2, 4]),
            Case::new("circular", "pad=2,4,3,1 mode=circular").input("input", &[2, 2, 3, 4]),
            Case::new("circular, crop", "pad=-2,3 mode=circular").input("input", &[2, 5]),
            Case::new("nothing to do", "pad=()").input("input", &[2, 3]).edge(),
            Case::new("all cropped", "pad=-2,-2").input("input", &[2, 4]).edge(),
            Case::new("from nothing", "pad=1,2").input("input", &[2, 0]).edge(),
            Case::new("empty batch", "pad=1,1 mode=reflect").input("input", &[0, 2, 3]).edge(),
            Case::new("random crop's border", "pad=4,4,4,4 mode=reflect")
                .input("input", &[128, 3, 32, 32])
                .bench(),
            Case::new("convolution's border", "pad=1,1,1,1").input("input", &[64, 32, 56, 56]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Device, ErrorKind};

    #[test]
    fn borders_that_cannot_be_drawn_are_refused() {
        let x = Tensor::zeros(&Device::meta(), &[2, 3], DType::F32).unwrap();
        let constant = PadMode::Constant(0.0);
        let cases: [(&[isize], PadMode); 8] = [
            (&[1], constant),
            (&[1; 6], constant),
            (&[-2, -2], constant),
            (&[-4, 9], constant),
            (&[isize::MAX, 1], constant),
            (&[3, 0], PadMode::Reflect),
            (&[4, 0], PadMode::Circular),
            (&[-1, 3], PadMode::Circular),
        ];
        for (pad, mode) in cases {
            assert_eq!(x.pad(pad, mode).unwrap_err().kind(), ErrorKind::Shape, "{pad:?} {mode:?}");
        }
    }
}
