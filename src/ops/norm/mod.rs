//! Normalisations: the family of batch norm, where groups of elements share statistics, and softmax along a dimension.

mod cuda;
mod normalise;
mod softmax_family;

pub mod batch_norm;
pub mod batch_norm_relu;
pub mod group_norm;
pub mod instance_norm;
pub mod layer_norm;
pub mod local_response_norm;
pub mod log_softmax;
pub mod softmax;

use super::OpSpec;

/// The rows of this family.
pub(super) const ROWS: &[&OpSpec] = &[
    &batch_norm::SPEC,
    &batch_norm_relu::SPEC,
    &group_norm::SPEC,
    &instance_norm::SPEC,
    &layer_norm::SPEC,
    &local_response_norm::SPEC,
    &log_softmax::SPEC,
    &softmax::SPEC,
];
