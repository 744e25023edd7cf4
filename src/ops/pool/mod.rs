//! Pooling over windows of images, and resizing of images.

pub mod adaptive;
mod cuda;

pub mod adaptive_avg_pool2d;
pub mod adaptive_max_pool2d;
pub mod avg_pool2d;
pub mod interpolate;
pub mod max_pool2d;

pub use adaptive::OutputSize;

use super::OpSpec;

/// The rows of this family.
pub(super) const ROWS: &[&OpSpec] = &[
    &adaptive_avg_pool2d::SPEC,
    &adaptive_max_pool2d::SPEC,
    &avg_pool2d::SPEC,
    &interpolate::SPEC,
    &max_pool2d::SPEC,
];
