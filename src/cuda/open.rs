//! Opening a GPU: what the options ask for is checked against the ladders.

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
    /// No driver, no such GPU, or one too old; an unknown rung.
    pub fn new(options: &CudaOptions) -> Result<CudaCtx> {
        // First: without a GPU nobody asks which rungs it has.
        let driver = Arc::new(Driver::open(options.ordinal)?);
        options.gemm_rung.map(gemm::rung).transpose()?;
        options.conv_rung.map(conv2d::rung).transpose()?;
        CudaCtx::start(driver, options)
    }
}
