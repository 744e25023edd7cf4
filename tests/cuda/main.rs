//! The CUDA device, on a real GPU or on the simulator (`tests/sim`), whichever the driver's library belongs to.
//!
//! Without either these tests pass over themselves, unless `RECEPTIVE_REQUIRE_CUDA=1` makes that a failure.
//! `tests/sim/suite.sh` runs them on a machine with no GPU.

mod conformance;
mod memory;
mod training;

use receptive::Device;
use receptive::cuda::{CudaCtx, CudaOptions};
use std::sync::Arc;

/// The device with every check on, if there is one.
fn cuda() -> Option<Device> {
    match Device::cuda_with(&CudaOptions { poison: true, check: true, ..CudaOptions::default() }) {
        Ok(device) => Some(device),
        Err(error) if std::env::var("RECEPTIVE_REQUIRE_CUDA").is_ok_and(|v| v == "1") => panic!("{error}"),
        Err(error) => {
            eprintln!("passed over: {error}");
            None
        }
    }
}

/// Its context.
fn context(device: &Device) -> &Arc<CudaCtx> {
    device.as_cuda().expect("a CUDA device")
}
