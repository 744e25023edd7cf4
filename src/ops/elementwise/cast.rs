//! Conversion between element types.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \operatorname{round}(x, \mathrm{dtype}) \\
//! \mathrm{dx} &= \operatorname{round}(\mathrm{dy}, \text{dtype of } x)
//! \end{aligned}
//! ```
//!
//! The derivative of the rounding is taken as 1. A conversion to a narrower float rounds to nearest. A conversion to an
//! integer truncates towards zero, and values out of range become the smallest or largest integer. Only conversions
//! between floating-point types have a gradient. PyTorch: `input.to(dtype)`.
//!
//! ```
//! use receptive::{DType, Device, Tensor};
//! let labels = Tensor::from_vec(&Device::cpu()?, vec![3u8, 1], &[2])?;
//! assert_eq!(labels.to_dtype(DType::I64)?.to_vec::<i64>()?, [3, 1]);
//! # Ok::<(), receptive::Error>(())
//! ```

use crate::core::{DType, Element, Error, ErrorKind, Result};
use crate::cpu::context::CHUNK;
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::element_type;
use crate::ops::one;
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply};
use smallvec::smallvec;

/// `input.to(dtype)`.
#[derive(Debug)]
pub struct Cast(DType);

impl Op for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, self.0))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        element_type!(x[0].dtype, X => element_type!(self.0, Y => convert::<X, Y>(cx, x[0].get(), y[0].get())));
        Ok(())
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (n, from, to) = (x[0].numel(), code(x[0].dtype), code(self.0));
        kernels::cast(cx, Launch::over(n), x[0].bytes(), y[0].bytes(), from, to, n as i64)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let from = saved.meta(0).dtype;
        if !from.is_float() || !self.0.is_float() {
            let what = format!("a conversion from {from} to {} has no gradient", self.0);
            return Err(Error::new(ErrorKind::NotDifferentiable, self.name(), what));
        }
        Ok(smallvec![Some(dy.to_dtype(from)?)])
    }
}

/// Generic so that it calls the conversions of [`Element`]: the 16-bit types have their own methods with the same
/// names.
fn convert<X: Element, Y: Element>(cx: &CpuCtx, x: &[X], y: &mut [Y]) {
    let work = y.len();
    // There are 36 pairs of types. Each is compiled once, not once per vector width.
    cx.pieces(y, CHUNK, work, |piece, y| {
        for (y, x) in y.iter_mut().zip(&x[piece * CHUNK..]) {
            *y = Y::from_f64(x.to_f64());
        }
    });
}

/// The number of an element type in `kernels/cast.cu`.
fn code(dtype: DType) -> i32 {
    match dtype {
        DType::F32 => 0,
        DType::F64 => 1,
        DType::BF16 => 2,
        DType::F16 => 3,
        DType::I64 => 4,
        DType::U8 => 5,
    }
}

impl Tensor {
    /// The same values in another element type. PyTorch: `input.to(dtype)`.
    ///
    /// # Errors
    /// None.
    pub fn to_dtype(&self, dtype: DType) -> Result<Tensor> {
        if dtype == self.dtype() { Ok(self.clone()) } else { Ok(one(apply(Cast(dtype), &[self])?)) }
    }
}

#[cfg(test)]
mod tests {
    use crate::{DType, Device, Tensor};

    /// If an f32 is close to the middle between two 16-bit values, its last bits decide which one is nearer.
    #[test]
    fn narrow_floats_are_the_nearest() {
        let bit = f32::EPSILON;
        let x = Tensor::from_slice(&Device::cpu().unwrap(), &[1.0, 1.0 + bit], &[2]).unwrap();
        for (dtype, step) in [(DType::BF16, 1.0 / 128.0), (DType::F16, 1.0 / 1024.0)] {
            let y = x.add_scalar(step / 2.0).unwrap().to_dtype(dtype).unwrap();
            assert_eq!(y.to_f64().unwrap(), [1.0, 1.0 + step], "{dtype}");
        }
    }
}
