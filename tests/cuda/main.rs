//! Tests of the CUDA device, on a real GPU or on the simulator (`tests/sim`), depending on the driver's library.
//!
//! Without either, these tests do nothing and pass, unless `RECEPTIVE_REQUIRE_CUDA=1` makes that a failure.
//! `tests/sim/suite.sh` runs them on a machine with no GPU.

mod attribution;
mod conformance;
mod diff;
mod elements;
mod large;
mod losses;
mod memory;
mod profile;
mod training;
mod updates;

use receptive::Device;
use receptive::cuda::CudaCtx;
use receptive::testing::cases::checked_cuda as cuda;
use std::sync::Arc;

/// A device's context.
fn context(device: &Device) -> &Arc<CudaCtx> {
    device.as_cuda().expect("a CUDA device")
}
