//! Opens a GPU: checks the options against the ladders.

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
        // The GPU is opened first: without one, the rungs do not matter.
        let driver = Arc::new(Driver::open(options.ordinal)?);
        options.gemm_rung.map(gemm::rung).transpose()?;
        options.conv_rung.map(conv2d::rung).transpose()?;
        CudaCtx::start(driver, options)
    }
}
