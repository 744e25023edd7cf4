//! Rectified linear unit.
//!
//! ```text
//! y = max(x, 0)        dx = dy * [y > 0]
//! ```
//!
//! The derivative at 0 is taken as 0, as in PyTorch (`F.relu`). Backward reads the output, not the input: the output
//! is kept alive by the next layer anyway. NaN stays NaN.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![-1f32, 0.0, 2.0], &[3])?;
//! assert_eq!(x.relu()?.to_vec::<f32>()?, [0.0, 0.0, 2.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::{Case, Input, OpSpec, one};
use crate::core::{Float, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::float_type;
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// `max(x, 0)`.
#[derive(Debug)]
pub struct Relu;

impl Op for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, one_float(self.name(), x)?))
    }

    fn saves(&self) -> Saves {
        Saves::outputs(&[0])
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => {
            cx.map(x[0].get::<T>(), y[0].get::<T>(), |v| if v <= T::ZERO { T::ZERO } else { v });
            Ok(())
        })
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Ok(smallvec![Some(one(apply(ReluGrad, &[&saved.output(0), dy])?))])
    }
}

/// `dx = dy * [y > 0]` from `(y, dy)`.
#[derive(Debug)]
struct ReluGrad;

impl Op for ReluGrad {
    fn name(&self) -> &'static str {
        "relu_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, one_float(self.name(), x)?))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => {
            let dx = |y, dy| if y <= T::ZERO { T::ZERO } else { dy };
            cx.zip(x[0].get::<T>(), x[1].get::<T>(), y[0].get::<T>(), dx);
            Ok(())
        })
    }

    fn backward(&self, _saved: &Saved, _dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        Err(super::no_second_gradient(self.name()))
    }
}

impl Tensor {
    /// `max(x, 0)`, element by element. Any shape. PyTorch: `F.relu`.
    ///
    /// # Errors
    /// A dtype that does not compute.
    pub fn relu(&self) -> Result<Tensor> {
        Ok(one(apply(Relu, &[self])?))
    }
}

/// This op's row.
pub static SPEC: OpSpec = OpSpec {
    name: "relu",
    torch: "F.relu(input)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &[],
    build: |_| Ok(Arc::new(Relu)),
    cases: || {
        vec![
            Case::new("plain", "").input("input", &[2, 3, 5]),
            Case::new("scalar", "").input("input", &[]).edge(),
            Case::new("empty", "").input("input", &[0, 3]).edge(),
            Case::new("feature maps", "").input("input", &[64, 16, 26, 26]).bench(),
        ]
    },
};
