//! Ops with random elements, which a key determines: dropout.

pub mod dropout;
pub mod dropout2d;

use super::OpSpec;

/// The rows of this family.
pub(super) const ROWS: &[&OpSpec] = &[&dropout::SPEC, &dropout2d::SPEC];
