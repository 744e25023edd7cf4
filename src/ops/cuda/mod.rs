//! What the launch code of several ops shares: how a tensor is walked, copied and reduced on a GPU.

mod copy;
pub(crate) mod reduce;
mod walk;

pub(super) use copy::{copy, permute};
pub(super) use walk::{over_quads, walk};
