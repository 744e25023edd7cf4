//! Sums a tensor to a smaller shape: the adjoint of [`expand`](crate::ops::expand).
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{\ldots,0,\ldots} &= \sum_i x_{\ldots,i,\ldots} \quad \text{where } y \text{ has size 1} \\
//! \mathrm{dx}_{\ldots,i,\ldots} &= \mathrm{dy}_{\ldots,0,\ldots}
//! \end{aligned}
//! ```
//!
//! Every term enters its sum with factor 1, so each term receives the gradient of the sum. Broadcasting ops use this op
//! in backward: it gives the gradient of a broadcast operand the operand's shape. PyTorch: `Tensor.sum_to_size`. Each
//! output is summed in a fixed order, on any number of threads.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any that `size` broadcasts to |
//! | output | `size` |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1f32, 2.0, 3.0, 4.0], &[2, 2])?;
//! assert_eq!(x.sum_to_size(&[2])?.to_vec::<f32>()?, [4.0, 6.0]);
//! assert_eq!(x.sum_to_size(&[2, 1])?.to_vec::<f32>()?, [3.0, 7.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda as reduce;
use crate::core::{Error, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut, broadcast};
use crate::cuda::{CudaCtx, DeviceView};
use crate::float_type;
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// `input.sum_to_size(size)`.
#[derive(Debug)]
pub struct SumToSize {
    size: Shape,
}

impl Op for SumToSize {
    fn name(&self) -> &'static str {
        "sum_to_size"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        if !self.size.broadcast(self.name(), &x[0].shape).is_ok_and(|shape| shape == x[0].shape) {
            return Err(Error::shape(self.name(), "size does not broadcast to the input")
                .with("input", x[0].shape)
                .with("size", self.size)
                .help(
                    "dimensions are aligned from the right; each of size must be 1 or equal to the input's",
                ));
        }
        // If the element counts are equal, only dimensions of size 1 were dropped.
        let view = self.size.numel() == x[0].numel();
        Ok(if view { Plan::view(self.size, dtype, 0) } else { Plan::new(self.size, dtype) })
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => {
            broadcast::sum_to::<T>(cx, x[0], &mut y[0]);
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        reduce::sum_to(cx, &x[0], &y[0], 1.0)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Ok(smallvec![Some(dy.expand(saved.meta(0).dims())?)])
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        x[0].numel() as u64
    }
}

impl Tensor {
    /// The sum over all dimensions in which `size` would be broadcast to this shape. PyTorch:
    /// `Tensor.sum_to_size`.
    ///
    /// # Errors
    /// A `size` that does not broadcast to this shape; a dtype other than f32 and f64.
    pub fn sum_to_size(&self, size: &[usize]) -> Result<Tensor> {
        if self.dims() == size {
            return Ok(self.clone());
        }
        Ok(one(apply(SumToSize { size: Shape::new(size)? }, &[self])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "sum_to_size",
    torch: "input.sum_to_size(size)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["size"],
    layer: None,
    build: |attrs| {
        let size = attrs.list::<usize>("size")?.ok_or_else(|| attrs.missing("size"))?;
        Ok(Arc::new(SumToSize { size: Shape::new(&size)? }))
    },
    cases: || {
        vec![
            Case::new("bias", "size=3").input("input", &[4, 3]),
            Case::new("channels", "size=3,1,1").input("input", &[2, 3, 4, 5]),
            Case::new("ragged", "size=2,1,5,1").input("input", &[2, 3, 5, 4]),
            Case::new("to a row", "size=1,1,7").input("input", &[3, 5, 7]),
            Case::new("to a scalar", "size=()").input("input", &[3, 35]).edge(),
            Case::new("new dimension", "size=2,3").input("input", &[1, 2, 3]).edge(),
            Case::new("of nothing", "size=2,1").input("input", &[2, 0]).edge(),
            Case::new("channels of an empty batch", "size=2,1,1").input("input", &[0, 2, 3, 4]).edge(),
            Case::new("nothing", "size=0").input("input", &[2, 0]).edge(),
            Case::new("feature maps", "size=16,1,1").input("input", &[64, 16, 26, 26]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuOptions;
    use crate::{Device, ErrorKind};

    /// Compares every combination of kept and summed dimensions with the definition, on a shape large enough to be
    /// split among threads.
    #[test]
    fn equals_the_definition_on_any_number_of_threads() {
        let (dims, n) = ([3, 5, 70, 30], 3 * 5 * 70 * 30);
        let values: Vec<f64> = (0..n).map(|i| (i * 7919 % 1009) as f64).collect();
        for mask in 0..16 {
            let size: Vec<usize> = (0..4).map(|d| if mask >> d & 1 == 1 { 1 } else { dims[d] }).collect();
            let strides = Shape::new(&size).unwrap().strides();
            let mut expected = vec![0.0; size.iter().product()];
            for (i, v) in values.iter().enumerate() {
                let index = [i / 10500, i / 2100 % 5, i / 30 % 70, i % 30];
                expected[(0..4).map(|d| index[d] % size[d] * strides[d]).sum::<usize>()] += v;
            }
            for threads in [1, 2] {
                let cpu = Device::cpu_with(&CpuOptions::with_threads(threads)).unwrap();
                let x = Tensor::from_slice(&cpu, &values, &dims).unwrap();
                // The values are integers, so every order gives the same sum.
                assert_eq!(x.sum_to_size(&size).unwrap().to_vec::<f64>().unwrap(), expected, "{size:?}");
            }
        }
    }

    #[test]
    fn a_size_that_does_not_broadcast_is_refused() {
        let x = Tensor::zeros(&Device::cpu().unwrap(), &[2, 3], crate::DType::F32).unwrap();
        for size in [&[2][..], &[4, 2, 3], &[3, 3]] {
            assert_eq!(x.sum_to_size(size).unwrap_err().kind(), ErrorKind::Shape, "{size:?}");
        }
    }
}
