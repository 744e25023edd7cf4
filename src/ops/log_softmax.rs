//! The logarithm of softmax, which the losses start from.
//!
//! ```text
//! y[i] = x[i] - m - ln(sum_k exp(x[k] - m)),   m = max_k x[k]        dx[i] = dy[i] - exp(y[i]) sum_k dy[k]
//! ```
//!
//! along dimension `dim`. Taking the logarithm of a softmax would lose every probability that rounds to 0; here a very
//! unlikely class keeps its score. The gradient: `d y[k] / d x[i] = [i = k] - softmax(x)[i]`, and the softmax is
//! `exp(y)`, so only the output is kept. PyTorch: `F.log_softmax`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any; classes along `dim` |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![0f64, 800.0], &[2])?;
//! assert_eq!(x.log_softmax(0)?.to_vec::<f64>()?, [-800.0, 0.0]);
//! assert_eq!(x.softmax(0)?.to_vec::<f64>()?, [0.0, 1.0], "ln(0) would be minus infinity");
//! # Ok::<(), receptive::Error>(())
//! ```

use super::{Input, OpSpec, one};
use crate::core::Result;
use crate::cpu::{CpuCtx, View, ViewMut, softmax as loops};
use crate::float_type;
use crate::tensor::{Field, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// `F.log_softmax(input, dim)`.
#[derive(Debug)]
pub struct LogSoftmax {
    pub dim: isize,
}

impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        x[0].shape.dim(self.name(), self.dim)?;
        Ok(Plan::new(x[0].shape, one_float(self.name(), x)?))
    }

    fn saves(&self) -> Saves {
        Saves::outputs(&[0])
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let around = x[0].shape.around(x[0].shape.dim(self.name(), self.dim)?);
        float_type!(self.name(), x[0].dtype, T => {
            loops::log_softmax(cx, around, x[0].get::<T>(), y[0].get::<T>());
            Ok(())
        })
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Ok(smallvec![Some(one(apply(LogSoftmaxGrad { dim: self.dim }, &[&saved.output(0), dy])?))])
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        4 * x[0].numel() as u64
    }

    fn field(&self, _x: &[Meta]) -> Field {
        Field::Global
    }
}

/// `dx = dy - exp(y) sum dy` from `(y, dy)`.
#[derive(Debug)]
struct LogSoftmaxGrad {
    dim: isize,
}

impl Op for LogSoftmaxGrad {
    fn name(&self) -> &'static str {
        "log_softmax_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, one_float(self.name(), x)?))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let around = x[0].shape.around(x[0].shape.dim(self.name(), self.dim)?);
        float_type!(self.name(), x[0].dtype, T => {
            loops::log_softmax_grad(cx, around, x[0].get::<T>(), x[1].get::<T>(), y[0].get::<T>());
            Ok(())
        })
    }

    fn backward(&self, _saved: &Saved, _dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Err(super::no_second_gradient(self.name()))
    }
}

impl Tensor {
    /// `ln(softmax(x))` along `dim`, without the detour. Any shape. PyTorch: `F.log_softmax`.
    ///
    /// # Errors
    /// A `dim` out of range; a dtype that does not compute.
    pub fn log_softmax(&self, dim: isize) -> Result<Tensor> {
        Ok(one(apply(LogSoftmax { dim }, &[self])?))
    }
}

/// This op's row.
pub static SPEC: OpSpec = OpSpec {
    name: "log_softmax",
    torch: "F.log_softmax(input, dim)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["dim"],
    build: |attrs| Ok(Arc::new(LogSoftmax { dim: attrs.need("dim")? })),
    cases: super::softmax::cases,
};
