//! Limits values to a range.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \min(\max(x, \mathrm{min}), \mathrm{max}) \\
//! \mathrm{dx} &= \mathrm{dy} \, [\mathrm{min} < x < \mathrm{max}] \\
//! \mathrm{d\,min} &= \mathrm{dy} \, [x < \mathrm{min} \le \mathrm{max}] \\
//! \mathrm{d\,max} &= \mathrm{dy} \, [x > \mathrm{max} \text{ or } \mathrm{max} < \mathrm{min}]
//! \end{aligned}
//! ```
//!
//! Each output is a copy of x, min or max, and its gradient goes to the one that was copied. If `max < min`, that is
//! `max`. If x is equal to a limit, the rules are those of PyTorch 2.15 (`torch.clamp`): if the limit is a number, the
//! gradient is 0; if it is a tensor, x and the limit get half of the gradient each. Either limit may be missing. The
//! limits are numbers or tensors, but not one of each. NaN stays NaN, and a NaN limit gives NaN.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any | |
//! | min, max | any that broadcast with input | or numbers, as attributes |
//! | output | all shapes broadcast | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![-3f32, 0.5, 7.0], &[3])?;
//! assert_eq!(x.clamp(Some(0.0), Some(6.0))?.to_vec::<f32>()?, [0.0, 0.5, 6.0]);
//! assert_eq!(x.clamp(None, Some(6.0))?.to_vec::<f32>()?, [-3.0, 0.5, 6.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::clamp_tensors::ClampTensors;
use super::unary::{self, Map, Reads, Unary};
use crate::core::{Error, Float, Result};
use crate::cuda::{CudaCtx, Launch, Ptr, kernels};
use crate::ops::{Attrs, Case, Fill, Input, OpSpec};
use crate::tensor::{Op, Tensor};
use std::sync::Arc;

/// Limits by two numbers.
#[derive(Debug, Clone, Copy)]
pub struct Clamp {
    min: Option<f64>,
    max: Option<f64>,
}

impl Clamp {
    /// The limits. A missing limit is infinite.
    #[inline(always)]
    fn limits<T: Float>(self) -> (T, T) {
        let or = |limit: Option<f64>, missing| T::from_f64(limit.unwrap_or(missing));
        (or(self.min, f64::NEG_INFINITY), or(self.max, f64::INFINITY))
    }
}

impl Unary for Clamp {
    const NAME: &'static str = "clamp";
    const GRAD: &'static str = "clamp_grad";
    const READS: Reads = Reads::Input;

    fn check(self) -> Result<()> {
        if self.min.is_none() && self.max.is_none() { Err(no_limits()) } else { Ok(()) }
    }

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        let (min, max) = self.limits();
        at_most(at_least(x, min), max)
    }

    #[inline(always)]
    fn dx<T: Float>(self, x: T, dy: T) -> T {
        let (min, max) = self.limits();
        let above = self.min.is_none() || min < x;
        let below = self.max.is_none() || x < max;
        if above && below { dy } else { T::ZERO }
    }

    fn y_cuda(self, cx: &CudaCtx, grid: Launch, x: Ptr<f32>, y: Ptr<f32>, n: i64) -> Result<()> {
        let (min, max) = self.limits::<f32>();
        kernels::clamp_fwd_f32(cx, grid, x, y, min, max, n)
    }

    fn dx_cuda(self, cx: &CudaCtx, grid: Launch, [x, dy]: [Ptr<f32>; 2], dx: Ptr<f32>, n: i64) -> Result<()> {
        let ((min, max), [above, below]) =
            (self.limits::<f32>(), [self.min, self.max].map(|v| v.is_some() as i32));
        kernels::clamp_bwd_f32(cx, grid, x, dy, dx, min, max, above, below, n)
    }
}

/// `max(x, min)`; NaN if either is NaN.
#[inline(always)]
pub(super) fn at_least<T: Float>(x: T, min: T) -> T {
    if min <= x || x.is_nan() { x } else { min }
}

/// `min(x, max)`; NaN if either is NaN.
#[inline(always)]
pub(super) fn at_most<T: Float>(x: T, max: T) -> T {
    if x <= max || x.is_nan() { x } else { max }
}

pub(super) fn no_limits() -> Error {
    Error::argument("clamp", "at least one of min and max is needed").help("clamp(Some(0.0), None)")
}

impl Tensor {
    /// `min(max(x, min), max)`, element by element. One limit may be missing. Any shape. PyTorch: `torch.clamp`.
    ///
    /// # Errors
    /// Neither limit; a dtype other than f32 and f64.
    pub fn clamp(&self, min: Option<f64>, max: Option<f64>) -> Result<Tensor> {
        self.map(Clamp { min, max })
    }
}

fn build(attrs: &Attrs) -> Result<Arc<dyn Op>> {
    let numbers = Clamp { min: attrs.get("min")?, max: attrs.get("max")? };
    let tensors = ["min", "max"].map(|name| attrs.has_input(name));
    if tensors == [false; 2] {
        numbers.check()?;
        return Ok(Arc::new(Map(numbers)));
    }
    if numbers.check().is_ok() {
        return Err(Error::argument("clamp", "one limit is a tensor and the other is a number")
            .expected("two tensors or two numbers")
            .help("give the number as a tensor of rank 0"));
    }
    Ok(Arc::new(ClampTensors::new(tensors)))
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "clamp",
    torch: "torch.clamp(input, min=None, max=None)",
    inputs: &[Input::new("input"), Input::new("min").optional(), Input::new("max").optional()],
    outputs: &["output"],
    attrs: &["min", "max"],
    layer: None,
    build,
    cases: || {
        let tensors = |label, x: &[usize]| Case::new(label, "").filled("input", x, Fill::Uniform(-3.0, 3.0));
        let (low, high) = (Fill::Uniform(-2.0, -0.5), Fill::Uniform(0.5, 2.0));
        let mut cases = unary::cases("min=-0.5 max=1.25", Fill::Normal);
        cases.extend([
            Case::new("from below", "min=0.25").input("input", &[4, 5]),
            Case::new("from above", "max=0.25").input("input", &[4, 5]),
            Case::new("crossed limits", "min=1 max=-1").input("input", &[7]).edge(),
            tensors("tensors", &[3, 4, 5]).filled("min", &[5], low).filled("max", &[4, 1], high),
            tensors("crossed tensors", &[4, 5]).filled("min", &[5], high).filled("max", &[4, 1], low).edge(),
            tensors("tensor from below", &[5]).filled("min", &[3, 5], low),
            tensors("tensor from above", &[3, 1]).filled("max", &[4], high),
            tensors("empty tensors", &[0, 4]).filled("min", &[4], low).filled("max", &[], high).edge(),
        ]);
        cases
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, ErrorKind};

    /// NaN is neither smaller nor larger than a limit, so plain comparisons could turn it into a number. The gradients
    /// at the limits are those of PyTorch 2.15.
    #[test]
    fn nan_stays_nan_and_boundaries_are_pytorchs() {
        let cpu = Device::cpu().unwrap();
        let x = Tensor::from_slice(&cpu, &[-2.0, -1.0, 0.0, 1.0, f64::NAN], &[5]).unwrap().requires_grad();
        let limit = |v: f64| Some(Tensor::scalar(&cpu, v).requires_grad());
        let check = |y: Tensor, values: [f64; 4], dx: [f64; 5]| {
            let got = y.to_vec::<f64>().unwrap();
            assert_eq!(got[..4], values);
            assert!(got[4].is_nan());
            x.zero_grad();
            y.sum_to_size(&[]).unwrap().backward().unwrap();
            assert_eq!(x.grad().unwrap().to_vec::<f64>().unwrap(), dx);
        };
        let numbers = x.clamp(Some(-1.0), Some(1.0)).unwrap();
        check(numbers, [-1.0, -1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0, 0.0]);
        let (min, max) = (limit(-1.0), limit(1.0));
        let tensors = x.clamp_tensors(min.as_ref(), max.as_ref()).unwrap();
        check(tensors, [-1.0, -1.0, 0.0, 1.0], [0.0, 0.5, 1.0, 0.5, 1.0]);
        assert_eq!(min.unwrap().grad().unwrap().item().unwrap(), 1.5);
        assert_eq!(max.unwrap().grad().unwrap().item().unwrap(), 0.5);
        let below = x.clamp_tensors(limit(-1.0).as_ref(), None).unwrap();
        check(below, [-1.0, -1.0, 0.0, 1.0], [0.0, 0.5, 1.0, 1.0, 1.0]);
        let crossed = x.clamp_tensors(limit(1.0).as_ref(), limit(-1.0).as_ref()).unwrap();
        check(crossed, [-1.0; 4], [0.0, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn no_limit_at_all_is_refused() {
        let x = Tensor::scalar(&Device::cpu().unwrap(), 1f32);
        assert_eq!(x.clamp(None, None).unwrap_err().kind(), ErrorKind::Argument);
        assert_eq!(x.clamp_tensors(None, None).unwrap_err().kind(), ErrorKind::Argument);
    }
}
