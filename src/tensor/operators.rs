//! The operators `+`, `-`, `*` and `/` between tensors, and between a tensor and a number. Each is the op of the same
//! name, but an error (shapes that disagree) panics with its text, at the line of the operator. The methods return a
//! [`Result`](crate::Result) instead.
//!
//! ```
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_slice(&cpu, &[1f32, 2.0, 3.0], &[3])?;
//! let y = &x * &x - 1.0;
//! assert_eq!(y.to_vec::<f32>()?, [0.0, 3.0, 8.0]);
//! assert_eq!((1.0 - &x).to_vec::<f32>()?, [0.0, -1.0, -2.0]);
//! assert_eq!((-x).to_vec::<f32>()?, [-1.0, -2.0, -3.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::Tensor;
use crate::core::Result;
use std::ops::{Add, Div, Mul, Neg, Sub};

#[track_caller]
fn unwrap(result: Result<Tensor>) -> Tensor {
    // No closure: its panic would be at this line, because `track_caller` does not reach into it.
    match result {
        Ok(tensor) => tensor,
        Err(error) => panic!("{error}"),
    }
}

/// The impls of an operator for each pair of operands, `left` and `right`.
macro_rules! operator {
    ($operator:ident, $method:ident: $([$left:ty, $right:ty] = |$l:ident, $r:ident| $result:expr;)+) => {$(
        impl $operator<$right> for $left {
            type Output = Tensor;

            #[track_caller]
            fn $method(self, right: $right) -> Tensor {
                let ($l, $r) = (self, right);
                unwrap($result)
            }
        }
    )+};
    ($operator:ident, $method:ident, $with_number:ident) => {
        operator!($operator, $method:
            [&Tensor, &Tensor] = |x, y| Tensor::$method(x, y);
            [&Tensor, Tensor] = |x, y| Tensor::$method(x, &y);
            [Tensor, &Tensor] = |x, y| Tensor::$method(&x, y);
            [Tensor, Tensor] = |x, y| Tensor::$method(&x, &y);
            [&Tensor, f64] = |x, y| Tensor::$with_number(x, y);
            [Tensor, f64] = |x, y| Tensor::$with_number(&x, y);
            [f64, &Tensor] = |x, y| number(x, y).and_then(|x| Tensor::$method(&x, y));
            [f64, Tensor] = |x, y| number(x, &y).and_then(|x| Tensor::$method(&x, &y));
        );
    };
}

operator!(Add, add, add_scalar);
operator!(Sub, sub, sub_scalar);
operator!(Mul, mul, mul_scalar);
operator!(Div, div, div_scalar);

/// The number as a tensor without dimensions, where `like` is.
fn number(value: f64, like: &Tensor) -> Result<Tensor> {
    Tensor::full(like.device(), value, &[], like.dtype())
}

impl Neg for &Tensor {
    type Output = Tensor;

    #[track_caller]
    fn neg(self) -> Tensor {
        unwrap(Tensor::neg(self))
    }
}

impl Neg for Tensor {
    type Output = Tensor;

    #[track_caller]
    fn neg(self) -> Tensor {
        -&self
    }
}
