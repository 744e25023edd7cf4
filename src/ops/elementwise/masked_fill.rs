//! Writes one value wherever a mask is set.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \mathrm{value} \text{ where mask is set}, \quad x \text{ else} \\
//! \mathrm{dx} &= 0 \text{ where mask is set}, \quad \mathrm{dy} \text{ else} \\
//! \mathrm{d\,value} &= \sum_{\text{where mask is set}} \mathrm{dy}
//! \end{aligned}
//! ```
//!
//! Elements filled with minus infinity before a softmax get probability 0; that is how padding is masked. Overwritten
//! elements get gradient 0. `value` is a number or a tensor of rank 0. It is copied to every position where the mask is
//! set, so its gradient is the sum over these positions. PyTorch: `Tensor.masked_fill`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any | |
//! | mask | any that broadcasts with input | u8: 0 is not set, all other values are set |
//! | value | `[]` | or a number, as attribute |
//! | output | both shapes broadcast | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_vec(&cpu, vec![1f32, 2.0, 3.0], &[3])?;
//! let mask = Tensor::from_vec(&cpu, vec![0u8, 1, 0], &[3])?;
//! assert_eq!(x.masked_fill(&mask, -1.0)?.to_vec::<f32>()?, [1.0, -1.0, 3.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::binary::operand;
use super::cuda::walk;
use super::r#where::{MaskedGrad, check_mask, choose};
use crate::core::{Element, Error, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, Ptr, kernels};
use crate::float_type;
use crate::ops::{Case, Fill, Input, OpSpec, one};
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// `input.masked_fill(mask, value)`. If `value` is `None`, the value is the third input.
#[derive(Debug)]
pub struct MaskedFill {
    value: Option<f64>,
}

impl Op for MaskedFill {
    fn name(&self) -> &'static str {
        "masked_fill"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        check_mask(self.name(), "mask", &x[1])?;
        let floats = x.iter().enumerate().filter(|&(i, _)| i != 1).map(|(_, m)| *m);
        let dtype = one_float(self.name(), &floats.collect::<SmallVec<[Meta; 2]>>())?;
        if let Some(value) = x.get(2).filter(|v| v.shape != Shape::SCALAR) {
            return Err(Error::shape(self.name(), "value is not a single number")
                .with("value", value.shape)
                .expected("a tensor of rank 0")
                .help("to choose between two tensors, use other.where_(&mask, &input)"));
        }
        Ok(Plan::new(x[0].shape.broadcast(self.name(), &x[1].shape)?, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[1])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => {
            let number = self.value.map(|value| [T::from_f64(value)]);
            let value = match &number {
                Some(value) => View { shape: Shape::SCALAR, dtype: T::DTYPE, bytes: bytemuck::bytes_of(value) },
                None => x[2],
            };
            choose::<T>(cx, x[1], value, x[0], &mut y[0]);
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (value, number) = match self.value {
            Some(number) => (Ptr::NULL, number as f32),
            None => (x[2].f32()?, 0.0),
        };
        let (n, mask, input) = (y[0].numel(), x[1].u8()?, x[0].f32()?);
        let walk = walk(&y[0].shape, [&x[1].shape, &Shape::SCALAR, &x[0].shape]);
        kernels::where_f32(cx, Launch::over(n), mask, value, input, number, y[0].f32()?, walk)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let mut grads: Grads = smallvec![None; needs.len()];
        for (i, keep) in [(0, false), (2, true)] {
            if needs.get(i) == Some(&true) {
                let part = MaskedGrad { keep }.apply(&saved.input(1), dy)?;
                grads[i] = Some(part.sum_to_size(saved.meta(i).dims())?);
            }
        }
        Ok(grads)
    }
}

impl Tensor {
    /// `value` where `mask` (u8) is not 0, else this tensor; both broadcast. PyTorch: `Tensor.masked_fill`.
    ///
    /// # Errors
    /// A mask that is not u8; shapes that do not broadcast; a dtype other than f32 and f64.
    pub fn masked_fill(&self, mask: &Tensor, value: f64) -> Result<Tensor> {
        Ok(one(apply(MaskedFill { value: Some(value) }, &[self, mask])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "masked_fill",
    torch: "input.masked_fill(mask, value)",
    inputs: &[Input::new("input"), Input::new("mask").constant(), Input::new("value").optional()],
    outputs: &["output"],
    attrs: &["value"],
    layer: None,
    build: |attrs| Ok(Arc::new(MaskedFill { value: operand(attrs, "masked_fill", "value")? })),
    cases: || {
        let masked =
            |case: Case, x: &[usize], mask: &[usize]| case.input("input", x).filled("mask", mask, Fill::Mask);
        vec![
            masked(Case::new("number", "value=-1.5"), &[3, 4, 5], &[3, 4, 5]),
            masked(Case::new("large number", "value=-1e4"), &[4, 5], &[4, 5]),
            masked(Case::new("mask stretches", "value=0"), &[2, 3, 4], &[3, 1]),
            masked(Case::new("input stretches", "value=2"), &[4], &[2, 3, 1]),
            masked(Case::new("tensor", ""), &[3, 5], &[5]).input("value", &[]),
            masked(Case::new("scalar", "value=1"), &[], &[]).edge(),
            masked(Case::new("empty", ""), &[0, 3], &[3]).input("value", &[]).edge(),
            masked(Case::new("attention", "value=-inf"), &[16, 8, 128, 128], &[128, 128]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Device, ErrorKind, ops};
    use std::collections::BTreeMap;

    #[test]
    fn masks_and_values_that_do_not_fit_are_refused() {
        let meta = Device::meta();
        let tensor = |dims: &[usize], dtype| Tensor::zeros(&meta, dims, dtype).unwrap();
        let x = tensor(&[2, 3], DType::F32);
        assert_eq!(x.masked_fill(&x, 0.0).unwrap_err().kind(), ErrorKind::DType);
        assert_eq!(x.masked_fill(&tensor(&[2], DType::U8), 0.0).unwrap_err().kind(), ErrorKind::Shape);
        let inputs =
            [("input", x.clone()), ("mask", tensor(&[3], DType::U8)), ("value", tensor(&[1], DType::F32))];
        let inputs: BTreeMap<String, Tensor> = inputs.map(|(name, x)| (name.to_owned(), x)).into();
        let error = ops::find("masked_fill").unwrap().call(&BTreeMap::new(), &inputs).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Shape);
    }
}
