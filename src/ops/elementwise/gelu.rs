//! Gaussian error linear unit.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= x \, F & F &= \tfrac12 \bigl( 1 + \operatorname{erf}(x / \sqrt{2}) \bigr) \\
//! \mathrm{dx} &= \mathrm{dy} \, (F + x \, f) & f &= \frac{e^{-x^2 / 2}}{\sqrt{2 \pi}}
//! \end{aligned}
//! ```
//!
//! F is the cumulative normal distribution; f, its derivative, is the density. `approximate=tanh` replaces F by
//! `(1 + t) / 2`:
//!
//! ```math
//! \begin{aligned}
//! y &= \tfrac12 \, x \, (1 + t) \qquad t = \tanh \bigl( k \, (x + c \, x^3) \bigr) \\
//! \mathrm{dx} &= \tfrac12 \, \mathrm{dy} \, \bigl( 1 + t + x \, (1 - t^2) \, k \, (1 + 3 c \, x^2) \bigr)
//! \end{aligned}
//! ```
//!
//! k and c are constants: `k = sqrt(2 / pi)`, `c = 0.044715`. Both derivatives follow from the product rule. Hendrycks
//! and Gimpel 2016; PyTorch: `F.gelu`.
//!
//! | tensor | shape |
//! |---|---|
//! | input | any |
//! | output | as input |
//!
//! ```
//! use receptive::{Device, Tensor, ops::gelu::Approximate};
//! let x = Tensor::from_vec(&Device::cpu()?, vec![0f32, 10.0, -1e9], &[3])?;
//! assert_eq!(x.gelu(Approximate::None)?.to_vec::<f32>()?, [0.0, 10.0, 0.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::unary::{Map, Reads, Unary, cases, plain_kernels};
use crate::core::{Float, Result};
use crate::ops::{Case, Fill, Input, OpSpec};
use crate::tensor::Tensor;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
use std::sync::Arc;

/// Which formula for the normal distribution is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approximate {
    /// The exact formula, with the error function.
    None,
    /// An approximation with a hyperbolic tangent.
    Tanh,
}

/// `x` times the cumulative normal distribution at `x`.
#[derive(Debug, Clone, Copy)]
struct Exact;

impl Unary for Exact {
    const NAME: &'static str = "gelu";
    const GRAD: &'static str = "gelu_grad";
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        x * x.normal().0
    }

    #[inline(always)]
    fn dx<T: Float>(self, x: T, dy: T) -> T {
        let (below, density) = x.normal();
        dy * (below + x * density)
    }

    plain_kernels!(gelu_fwd_f32, gelu_bwd_f32);
}

/// The same, approximated with a hyperbolic tangent.
#[derive(Debug, Clone, Copy)]
struct TanhGelu;

impl Unary for TanhGelu {
    const NAME: &'static str = Exact::NAME;
    const GRAD: &'static str = Exact::GRAD;
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn y<T: Float>(self, x: T) -> T {
        T::from_f64(0.5) * x * (T::ONE + inner(x).tanh())
    }

    #[inline(always)]
    fn dx<T: Float>(self, x: T, dy: T) -> T {
        let t = inner(x).tanh();
        let flat = T::ONE - t * t;
        // For large |x| the slope 1 - t^2 is 0 and the other factor may be infinite; their product would be NaN.
        let bend = if flat == T::ZERO { flat } else { x * flat * inner_slope(x) };
        dy * T::from_f64(0.5) * (T::ONE + t + bend)
    }

    plain_kernels!(gelu_tanh_fwd_f32, gelu_tanh_bwd_f32);
}

const K: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const C: f64 = 0.044715;

/// `k (x + c x^3)`.
#[inline(always)]
fn inner<T: Float>(x: T) -> T {
    T::from_f64(K) * x * (T::ONE + T::from_f64(C) * x * x)
}

/// `k (1 + 3 c x^2)`.
#[inline(always)]
fn inner_slope<T: Float>(x: T) -> T {
    T::from_f64(K) * (T::ONE + T::from_f64(3.0 * C) * x * x)
}

impl Tensor {
    /// `x` times the cumulative normal distribution at `x`. Any shape. PyTorch: `F.gelu`.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn gelu(&self, approximate: Approximate) -> Result<Tensor> {
        match approximate {
            Approximate::None => self.map(Exact),
            Approximate::Tanh => self.map(TanhGelu),
        }
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "gelu",
    torch: "F.gelu(input, approximate='none')",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["approximate"],
    layer: Some("GELU"),
    build: |attrs| match attrs.text("approximate") {
        None | Some("none") => Ok(Arc::new(Map(Exact))),
        Some("tanh") => Ok(Arc::new(Map(TanhGelu))),
        Some(text) => Err(attrs.malformed("approximate", text, "none or tanh")),
    },
    cases: || {
        let mut cases = cases("", Fill::Normal);
        cases.push(Case::new("tanh", "approximate=tanh").input("input", &[3, 7]));
        cases
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    /// x^3 overflows for much smaller x than x itself. The gradient must not become infinity times zero.
    #[test]
    fn large_inputs_are_the_identity_or_zero() {
        for approximate in [Approximate::None, Approximate::Tanh] {
            let x =
                Tensor::from_slice(&Device::cpu().unwrap(), &[-1e30f32, 1e30], &[2]).unwrap().requires_grad();
            let y = x.gelu(approximate).unwrap();
            assert_eq!(y.to_vec::<f32>().unwrap(), [0.0, 1e30], "{approximate:?}");
            y.sum_to_size(&[]).unwrap().backward().unwrap();
            assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), [0.0, 1.0], "{approximate:?}");
        }
    }
}
