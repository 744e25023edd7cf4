//! The GPU: its properties, whether the kernels load on it, and whether they compute correctly.

use crate::core::{Error, ErrorKind, Key, Result};
use crate::cuda::{CudaOptions, GpuInfo, kernels};
use crate::tensor::{Device, Tensor};
use serde::Serialize;
use std::time::Instant;

/// A GPU that works.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gpu {
    #[serde(flatten)]
    pub facts: GpuInfo,
    /// Milliseconds for translating and loading all kernels.
    pub load_ms: f64,
    /// The largest difference between a matrix product on the GPU and on the CPU.
    pub largest_difference: f64,
}

/// The tools that made this program's PTX.
pub fn ptx() -> &'static str {
    kernels::MADE_WITH
}

impl Gpu {
    /// Opens the GPU, loads every kernel and multiplies two matrices with them.
    ///
    /// # Errors
    /// No driver, no GPU, or one that is too old; kernels that do not load, or that compute wrong results.
    pub fn detect(ordinal: usize) -> Result<Gpu> {
        let device = Device::cuda_with(&CudaOptions { ordinal, ..CudaOptions::default() })?;
        let cx = device.as_cuda().expect("a device just opened as CUDA");
        let start = Instant::now();
        cx.load_all()?;
        let load_ms = start.elapsed().as_secs_f64() * 1e3;
        let largest_difference = compare(&device)?;
        Ok(Gpu { facts: cx.facts(), load_ms, largest_difference })
    }
}

/// The largest difference between the products of two matrices on this device and on the CPU.
fn compare(device: &Device) -> Result<f64> {
    let cpu = Device::cpu()?;
    let product = |device: &Device| {
        let matrix = |name: &str, dims: [usize; 2]| {
            let key = Key::new(0).child(name);
            let values = (0..(dims[0] * dims[1]) as u64).map(|i| key.uniform(i) as f32).collect();
            Tensor::from_vec::<f32>(device, values, &dims)
        };
        matrix("a", [67, 130])?.matmul(&matrix("b", [130, 35])?)?.to_vec::<f32>()
    };
    let pairs = product(device)?.into_iter().zip(product(&cpu)?);
    let differences: Vec<f64> = pairs.map(|(a, b)| f64::from((a - b).abs())).collect();
    let largest = differences.iter().copied().fold(0.0, f64::max);
    // The sums have 130 products below 1. Compare every difference, because `max` ignores NaN.
    if !differences.iter().all(|&d| d < 1e-3) {
        let what = format!("a matrix product differs from the CPU's by up to {largest}, or is not a number");
        return Err(Error::new(ErrorKind::Device, "cuda", what).help("do not use this GPU; please report it"));
    }
    Ok(largest)
}
