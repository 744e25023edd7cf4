//! Softmax: scores into probabilities.
//!
//! ```text
//! y[i] = exp(x[i] - m) / sum_k exp(x[k] - m),   m = max_k x[k]        dx[i] = y[i] (dy[i] - sum_k y[k] dy[k])
//! ```
//!
//! along dimension `dim`. The shift by `m` changes nothing in exact arithmetic (it cancels) and keeps `exp` from
//! overflowing in ours. The gradient: `d y[k] / d x[i] = y[k] ([i = k] - y[i])`, since raising one score lowers every
//! other share; summed against `dy` it gives the line above, which needs the output only.
//!
//! As in PyTorch (`F.softmax`) a row of minus infinities has no answer and is NaN; a single one has probability 0.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any; classes along `dim` |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![1000f32, 1000.0, f32::NEG_INFINITY], &[1, 3])?;
//! assert_eq!(x.softmax(-1)?.to_vec::<f32>()?, [0.5, 0.5, 0.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::{Case, Input, OpSpec, one};
use crate::core::Result;
use crate::cpu::{CpuCtx, View, ViewMut, softmax as loops};
use crate::float_type;
use crate::tensor::{Field, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// `F.softmax(input, dim)`.
#[derive(Debug)]
pub struct Softmax {
    pub dim: isize,
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
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
            loops::softmax(cx, around, x[0].get::<T>(), y[0].get::<T>());
            Ok(())
        })
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Ok(smallvec![Some(one(apply(SoftmaxGrad { dim: self.dim }, &[&saved.output(0), dy])?))])
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        4 * x[0].numel() as u64
    }

    fn field(&self, _x: &[Meta]) -> Field {
        Field::Global
    }
}

/// `dx = y (dy - sum y dy)` from `(y, dy)`.
#[derive(Debug)]
struct SoftmaxGrad {
    dim: isize,
}

impl Op for SoftmaxGrad {
    fn name(&self) -> &'static str {
        "softmax_grad"
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
            loops::softmax_grad(cx, around, x[0].get::<T>(), x[1].get::<T>(), y[0].get::<T>());
            Ok(())
        })
    }

    fn backward(&self, _saved: &Saved, _dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Err(super::no_second_gradient(self.name()))
    }
}

impl Tensor {
    /// Probabilities along `dim`: positive, summing to 1. Any shape. PyTorch: `F.softmax`.
    ///
    /// # Errors
    /// A `dim` out of range; a dtype that does not compute.
    pub fn softmax(&self, dim: isize) -> Result<Tensor> {
        Ok(one(apply(Softmax { dim }, &[self])?))
    }
}

/// This op's row.
pub static SPEC: OpSpec = OpSpec {
    name: "softmax",
    torch: "F.softmax(input, dim)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["dim"],
    build: |attrs| Ok(Arc::new(Softmax { dim: attrs.need("dim")? })),
    cases,
};

/// The cases of softmax and of log_softmax.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("rows", "dim=-1").input("input", &[5, 21]),
        Case::new("class maps", "dim=1").input("input", &[2, 3, 4, 5]),
        Case::new("first dimension", "dim=0").input("input", &[4, 3]),
        Case::new("many columns", "dim=-2").input("input", &[2, 40, 130]),
        Case::new("one class", "dim=1").input("input", &[3, 1]).edge(),
        Case::new("scalar", "dim=0").input("input", &[]).edge(),
        Case::new("empty batch", "dim=1").input("input", &[0, 10]).edge(),
        Case::new("no classes", "dim=1").input("input", &[3, 0]).edge(),
        Case::new("ImageNet classes", "dim=1").input("input", &[256, 1000]).bench(),
        Case::new("segmentation", "dim=1").input("input", &[8, 21, 128, 128]).bench(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    /// Subtracting a maximum of minus infinity, or adding up a NaN, must not produce a confident probability.
    #[test]
    fn infinite_scores_follow_pytorch() {
        let cpu = Device::cpu().unwrap();
        let inf = f32::INFINITY;
        let scores = vec![-inf, -inf, 0.0, -inf, inf, 0.0, f32::NAN, 0.0];
        let x = Tensor::from_vec(&cpu, scores, &[4, 2]).unwrap();
        let y = x.softmax(1).unwrap().to_vec::<f32>().unwrap();
        assert!(y[0].is_nan() && y[1].is_nan(), "all minus infinity: {y:?}");
        assert_eq!(y[2..4], [1.0, 0.0]);
        assert!(y[4].is_nan() && y[6].is_nan() && y[7].is_nan(), "{y:?}");
        let log = x.log_softmax(1).unwrap().to_vec::<f32>().unwrap();
        assert!(log[0].is_nan() && log[4].is_nan() && log[7].is_nan(), "{log:?}");
        assert_eq!(log[2..4], [0.0, -inf]);
    }
}
