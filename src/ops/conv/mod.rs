//! Convolutions and their gradients.

mod loops;

pub mod conv2d;
pub mod conv2d_relu;
pub mod conv_transpose2d;

use super::OpSpec;

/// The rows of this family.
pub(super) const ROWS: &[&OpSpec] = &[&conv2d::SPEC, &conv2d_relu::SPEC, &conv_transpose2d::SPEC];
