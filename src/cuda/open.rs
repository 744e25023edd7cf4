//! Opens a GPU, and checks that the rungs in the options exist.

use super::conv2d::ladder as conv2d;
use super::driver::Driver;
use super::gemm::ladder as gemm;
use super::{CudaCtx, CudaOptions};
use crate::core::Result;
use std::sync::Arc;

impl CudaCtx {
    /// Opens the GPU.
    ///
    /// # Errors
    /// There is no driver or no such GPU, the driver or GPU is too old, or a rung is unknown.
    pub fn new(options: &CudaOptions) -> Result<CudaCtx> {
        // The GPU is opened first: if there is none, the error should say so, even if a rung is unknown too.
        let driver = Arc::new(Driver::open(options.ordinal)?);
        options.gemm_rung.map(gemm::rung).transpose()?;
        options.conv_rung.map(conv2d::rung).transpose()?;
        CudaCtx::start(driver, options)
    }
}
