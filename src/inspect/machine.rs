//! The machine: the processor's abilities, the memory of this process, and the speed of a plain matrix product.

use crate::core::{Key, Result};
use crate::tensor::{Device, Tensor};
use serde::Serialize;
use std::time::{Duration, Instant};

/// The processor and its memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// The processor's name, if the system reports it.
    pub cpu: Option<String>,
    /// Number of threads that this process can run at once.
    pub cores: usize,
    /// The SIMD extensions that the processor has and this crate's loops can use.
    pub simd: Vec<&'static str>,
    /// Total memory in bytes, if the system reports it.
    pub memory_bytes: Option<u64>,
    /// Memory that is available to new programs, in bytes.
    pub available_bytes: Option<u64>,
}

impl Machine {
    /// Reads these facts from the system.
    pub fn detect() -> Machine {
        Machine {
            cpu: field_of("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, |n| n.get()),
            simd: simd(),
            memory_bytes: kilobytes("/proc/meminfo", "MemTotal"),
            available_bytes: kilobytes("/proc/meminfo", "MemAvailable"),
        }
    }
}

/// The peak resident memory of this process in bytes (`VmHWM`), if the system reports it.
pub fn peak_resident_bytes() -> Option<u64> {
    kilobytes("/proc/self/status", "VmHWM")
}

/// The value of the first line `key : value` in one of Linux's text tables.
fn field_of(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
}

/// A value in kB, converted to bytes.
fn kilobytes(file: &str, key: &str) -> Option<u64> {
    let value = field_of(file, key)?;
    value.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(target_arch = "x86_64")]
fn simd() -> Vec<&'static str> {
    let found = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    found.into_iter().filter_map(|(name, here)| here.then_some(name)).collect()
}

#[cfg(target_arch = "aarch64")]
fn simd() -> Vec<&'static str> {
    vec!["neon"]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn simd() -> Vec<&'static str> {
    Vec::new()
}

/// Rows, columns and depth of the measured product. They are large enough to make it limited by arithmetic.
const SIZE: usize = 512;

/// GFLOP/s of f32 matrix products of 512 x 512 x 512 on this device: the fastest of the runs in about `time`.
///
/// # Errors
/// A device that does not compute, such as meta.
pub fn gemm_roof(device: &Device, time: Duration) -> Result<f64> {
    let matrix = |name: &str| {
        let key = Key::new(0).child(name);
        let values = (0..(SIZE * SIZE) as u64).map(|i| key.uniform(i) as f32).collect();
        Tensor::from_vec::<f32>(device, values, &[SIZE, SIZE])
    };
    let (a, b) = (matrix("a")?, matrix("b")?);
    let start = Instant::now();
    let mut best = f64::INFINITY;
    loop {
        let one = Instant::now();
        a.linear(&b, None)?;
        device.synchronize()?;
        best = best.min(one.elapsed().as_secs_f64());
        if start.elapsed() > time {
            return Ok(2.0 * (SIZE as f64).powi(3) / best / 1e9);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holding 64 MiB raises the peak by about as much. The test runs in its own process, because the memory of other
    /// tests that run at the same time would count too.
    #[test]
    #[cfg(target_os = "linux")]
    fn peak_memory_sees_what_was_held() {
        const ALONE: &str = "RECEPTIVE_TEST_ALONE";
        if std::env::var_os(ALONE).is_none() {
            let test = "inspect::machine::tests::peak_memory_sees_what_was_held";
            let alone = std::process::Command::new(std::env::current_exe().unwrap())
                .args([test, "--exact"])
                .env(ALONE, "1")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&alone.stdout);
            assert!(alone.status.success() && said.contains("1 passed"), "{said}");
            return;
        }
        let before = peak_resident_bytes().unwrap();
        let held = std::hint::black_box(vec![1u8; 64 << 20]);
        let raised = peak_resident_bytes().unwrap() - before;
        // The memory in use was a little larger before than it is at this moment.
        assert!((held.len() as u64 * 3 / 4..held.len() as u64 * 2).contains(&raised), "{raised} bytes");
    }

    #[test]
    fn a_roof_is_a_rate() {
        let roof = gemm_roof(&Device::cpu().unwrap(), Duration::from_millis(10)).unwrap();
        assert!(roof > 0.01 && roof < 1e6, "{roof} GFLOP/s");
    }
}
