//! Ops that move, repeat or drop elements but compute nothing.

mod cuda;

pub mod cat;
pub mod expand;
pub mod flatten;
pub mod pad;
pub mod permute;
pub mod reshape;
pub mod slice;

use super::OpSpec;

/// The rows of this family.
pub(super) const ROWS: &[&OpSpec] =
    &[&cat::SPEC, &expand::SPEC, &flatten::SPEC, &pad::SPEC, &permute::SPEC, &reshape::SPEC, &slice::SPEC];
