//! Turns the driver's error codes into messages.

use crate::core::{Error, ErrorKind};
use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult;

/// The error that says why the GPU cannot be used.
pub(super) fn unavailable(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Device, "cuda", what)
}

/// The error for a code that the driver returned while `doing` something, with a hint on what to do.
pub(super) fn explain(doing: &str, error: DriverError) -> Error {
    use CUresult as R;
    let (why, help) = match error.0 {
        R::CUDA_ERROR_NO_DEVICE => ("a driver is installed, but it finds no GPU", "use `Device::cpu()`"),
        R::CUDA_ERROR_STUB_LIBRARY => (
            "libcuda is the toolkit's stub for linking, not a driver",
            "remove the stub's folder from LD_LIBRARY_PATH",
        ),
        R::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => {
            ("the driver's library and its kernel module have different versions", "restart the machine")
        }
        R::CUDA_ERROR_UNSUPPORTED_PTX_VERSION
        | R::CUDA_ERROR_INVALID_PTX
        | R::CUDA_ERROR_NO_BINARY_FOR_GPU => {
            ("the driver cannot translate the kernels for this GPU", "update the NVIDIA driver")
        }
        R::CUDA_ERROR_OUT_OF_MEMORY => ("out of memory", "use a smaller batch or smaller images"),
        R::CUDA_ERROR_ILLEGAL_ADDRESS => {
            ("a kernel read or wrote outside its memory", "this is a bug; a debug build names the kernel")
        }
        R::CUDA_ERROR_LAUNCH_FAILED => ("a kernel failed", "this is a bug; a debug build names the kernel"),
        R::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED | R::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED => {
            ("this operation cannot be part of a CUDA graph", "train with `GraphMode::Off`")
        }
        _ => ("the driver returned an error", "see `receptive doctor`"),
    };
    unavailable(format!("cannot {doing}: {why}")).with("driver", format_args!("{:?}", error.0)).help(help)
}
