//! Losses: they compare a network's outputs with targets and give one number, which training reduces.

mod cross_entropy_targets;
mod reduction;
mod scores;

pub mod binary_cross_entropy_with_logits;
pub mod cross_entropy;
pub mod dice_loss;
pub mod mse_loss;
pub mod nll_loss;

pub use reduction::Reduction;

use super::OpSpec;

/// The rows of this family.
pub(super) const ROWS: &[&OpSpec] = &[
    &binary_cross_entropy_with_logits::SPEC,
    &cross_entropy::SPEC,
    &dice_loss::SPEC,
    &mse_loss::SPEC,
    &nll_loss::SPEC,
];
