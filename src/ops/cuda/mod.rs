//! What the launch code of several ops shares: how a tensor is walked, copied and reduced on a GPU.

mod copy;
pub(super) mod norm;
mod pool;
pub(crate) mod reduce;
mod resample;
mod walk;

pub(super) use copy::{copy, permute};
pub(super) use pool::{lanes, windows};
pub(super) use resample::resample;
pub(super) use walk::{over_quads, walk};
