//! Matrix products, and linear layers, which are made of one.

pub(in crate::ops) mod fused_relu;

pub mod linear;
pub mod linear_relu;
pub mod matmul;

use super::OpSpec;

/// The rows of this family.
pub(super) const ROWS: &[&OpSpec] = &[&linear::SPEC, &linear_relu::SPEC, &matmul::SPEC];
