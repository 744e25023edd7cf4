//! A launch function per kernel, with arguments typed as in the kernel's declaration, and Rust versions of the structs
//! that kernels take. `build.rs` generates them from `kernels/`. The driver checks neither the number nor the types of
//! arguments, so the Rust compiler checks them instead.

use super::CudaCtx;
use super::launch::{Launch, Ptr, argument};
use crate::core::Result;

/// A `.cu` file's PTX and the names of its kernels.
#[cfg(feature = "cuda")]
pub(super) struct Module {
    pub file: &'static str,
    pub ptx: &'static str,
    pub kernels: &'static [&'static str],
}

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
