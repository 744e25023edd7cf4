//! Reductions of many elements to one: sums, means, largest elements.

pub(in crate::ops) mod cuda;

pub mod argmax;
pub mod max;
pub mod mean;
pub mod sum;
pub mod sum_to_size;

use super::OpSpec;

/// The rows of this family.
pub(super) const ROWS: &[&OpSpec] = &[&argmax::SPEC, &max::SPEC, &mean::SPEC, &sum::SPEC, &sum_to_size::SPEC];
