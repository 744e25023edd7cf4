//! Elementwise ops: functions of one tensor, of two tensors with broadcasting, and choices by a mask.

mod binary;
mod clamp_tensors;
pub(in crate::ops) mod cuda;
pub(in crate::ops) mod unary;

pub mod abs;
pub mod add;
pub mod cast;
pub mod clamp;
pub mod div;
pub mod exp;
pub mod gelu;
pub mod leaky_relu;
pub mod log;
pub mod masked_fill;
pub mod mul;
pub mod neg;
pub mod pow;
pub mod relu;
pub mod sigmoid;
pub mod silu;
pub mod sqrt;
pub mod sub;
pub mod tanh;
pub mod r#where;

use super::OpSpec;

/// The rows of this family.
pub(super) const ROWS: &[&OpSpec] = &[
    &abs::SPEC,
    &add::SPEC,
    &clamp::SPEC,
    &div::SPEC,
    &exp::SPEC,
    &gelu::SPEC,
    &leaky_relu::SPEC,
    &log::SPEC,
    &masked_fill::SPEC,
    &mul::SPEC,
    &neg::SPEC,
    &pow::SPEC,
    &relu::SPEC,
    &sigmoid::SPEC,
    &silu::SPEC,
    &sqrt::SPEC,
    &sub::SPEC,
    &tanh::SPEC,
    &r#where::SPEC,
];
