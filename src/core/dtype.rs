//! Element types: an enum everywhere, generics only inside the CPU loops.
//!
//! | dtype | role |
//! |---|---|
//! | f32 | training and inference |
//! | f64 | the reference: gradient checks and reference runs |
//! | bf16, f16 | storage; convert to f32 to compute |
//! | i64 | labels and indices |
//! | u8 | images and masks |

use super::math::{self, double};
use std::fmt;

/// `2^63`: every i64 is below it.
const TWO_63: f64 = (1u64 << 63) as f64;

/// The element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    F32,
    F64,
    BF16,
    F16,
    I64,
    U8,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 => 4,
            DType::BF16 | DType::F16 => 2,
            DType::U8 => 1,
        }
    }

    /// Whether arithmetic runs in this type. The 16-bit types only store.
    pub fn computes(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// Whether this type can hold the number. A floating type holds every number, rounded; for the others it must be
    /// whole and in their range.
    pub fn holds(self, value: f64) -> bool {
        match self {
            DType::I64 => value.fract() == 0.0 && (-TWO_63..TWO_63).contains(&value),
            DType::U8 => value.fract() == 0.0 && (0.0..=255.0).contains(&value),
            DType::F32 | DType::F64 | DType::BF16 | DType::F16 => true,
        }
    }

    /// Whether this is a floating type, including the types that only store.
    pub fn is_float(self) -> bool {
        !matches!(self, DType::I64 | DType::U8)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::BF16 => "bf16",
            DType::F16 => "f16",
            DType::I64 => "i64",
            DType::U8 => "u8",
        })
    }
}

/// A Rust type that can be an element of a tensor.
pub trait Element: bytemuck::Pod + Send + Sync + PartialEq + fmt::Debug {
    /// The matching [`DType`].
    const DTYPE: DType;
    /// Fresh outputs are filled with this in checked builds, so that a test fails if an element was never written.
    const POISON: Self;
    /// Rounds to the nearest representable value; integers truncate, as `as` does.
    fn from_f64(x: f64) -> Self;
    /// Exact, except for large i64.
    fn to_f64(self) -> f64;
}

macro_rules! element {
    ($($t:ty, $dtype:ident, $poison:expr, $from:expr, $to:expr;)*) => {$(
        impl Element for $t {
            const DTYPE: DType = DType::$dtype;
            const POISON: Self = $poison;
            #[inline(always)]
            fn from_f64(x: f64) -> Self { ($from)(x) }
            #[inline(always)]
            fn to_f64(self) -> f64 { ($to)(self) }
        }
    )*};
}

element! {
    f32, F32, f32::NAN, |x| x as f32, |x| x as f64;
    f64, F64, f64::NAN, |x| x, |x| x;
    // Converted through f32, as in PyTorch. The conversions of `half` from f64 drop its last 32 bits before they round,
    // and so lose the last three bits of an f32.
    half::bf16, BF16, half::bf16::NAN, |x| half::bf16::from_f32(x as f32), half::bf16::to_f64;
    half::f16, F16, half::f16::NAN, |x| half::f16::from_f32(x as f32), half::f16::to_f64;
    i64, I64, i64::MIN, |x| x as i64, |x| x as f64;
    u8, U8, 0xA5, |x| x as u8, |x| x as f64;
}

/// The types in which arithmetic runs: `f32` and `f64`. Only CPU loops are generic over it.
pub trait Float:
    Element
    + PartialOrd
    + Default
    + std::iter::Sum
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Neg<Output = Self>
    + std::ops::AddAssign
    + std::ops::SubAssign
    + std::ops::MulAssign
    + std::ops::DivAssign
{
    const ZERO: Self;
    const ONE: Self;
    const NEG_INFINITY: Self;
    fn abs(self) -> Self;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn sqrt(self) -> Self;
    fn tanh(self) -> Self;
    fn powf(self, exponent: Self) -> Self;
    /// `ln(1 + e^self)`.
    fn softplus(self) -> Self;
    /// The standard normal distribution at `self`, and its density there.
    fn normal(self) -> (Self, Self);
    /// `1 / (1 + e^-self)`, computed from `e^-|self|`, which cannot overflow.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let z = (-self.abs()).exp();
        (if self < Self::ZERO { z } else { Self::ONE }) / (Self::ONE + z)
    }
    fn is_nan(self) -> bool;
    fn is_finite(self) -> bool;
}

macro_rules! float {
    ($($t:ident, $normal:path, { $($function:ident: $path:path),* };)*) => {$(
        impl Float for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NEG_INFINITY: Self = $t::NEG_INFINITY;
            $(
                #[inline(always)]
                fn $function(self) -> Self { $path(self) }
            )*
            #[inline(always)]
            fn powf(self, exponent: Self) -> Self { $t::powf(self, exponent) }
            #[inline(always)]
            fn normal(self) -> (Self, Self) { $normal(self) }
            #[inline(always)]
            fn is_nan(self) -> bool { $t::is_nan(self) }
            #[inline(always)]
            fn is_finite(self) -> bool { $t::is_finite(self) }
        }
    )*};
}

float! {
    f32, math::normal, {
        abs: f32::abs, sqrt: f32::sqrt, exp: math::exp, ln: math::ln, tanh: math::tanh, softplus: math::softplus
    };
    f64, double::normal, {
        abs: f64::abs, sqrt: f64::sqrt, exp: f64::exp, ln: f64::ln, tanh: f64::tanh, softplus: double::softplus
    };
}

/// Runs a generic body with `$T` bound to `f32` or `f64`: `float_type!(op, dtype, T => body)`.
///
/// Any other dtype is an error that names `$op`. Ops already refuse it in `infer`.
#[macro_export]
macro_rules! float_type {
    ($op:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::core::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::core::DType::F64 => {
                type $T = f64;
                $body
            }
            other => Err($crate::core::Error::dtype($op, format!("{other} is not f32 or f64"))),
        }
    };
}

/// Runs a generic body with `$T` bound to the Rust type of any dtype: `element_type!(dtype, T => body)`.
#[macro_export]
macro_rules! element_type {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::core::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::core::DType::F64 => {
                type $T = f64;
                $body
            }
            $crate::core::DType::BF16 => {
                type $T = half::bf16;
                $body
            }
            $crate::core::DType::F16 => {
                type $T = half::f16;
                $body
            }
            $crate::core::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::core::DType::U8 => {
                type $T = u8;
                $body
            }
        }
    };
}
