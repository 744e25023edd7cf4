//! A launch function per kernel, with the parameters of the kernel's declaration, and Rust versions of the structs that
//! kernels take. `build.rs` generates both from `kernels/`. The driver checks neither the number nor the types of the
//! arguments. With these functions, the Rust compiler checks them.

use super::CudaCtx;
use super::launch::{Launch, Ptr, argument};
use crate::core::Result;

/// A `.cu` file's PTX and the names of its kernels.
#[cfg(feature = "cuda")]
pub(super) struct KernelModule {
    pub file: &'static str,
    pub ptx: &'static str,
    pub kernels: &'static [&'static str],
}

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
