//! The speeds of GPUs.

use crate::core::{Error, Result};
use serde::Serialize;

/// A GPU as the time model sees it. Rates are per multiprocessor and clock cycle, unless they say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GpuCard {
    /// The name on the command line.
    pub name: &'static str,
    pub title: &'static str,
    /// The architecture that the assembler is asked for.
    pub arch: &'static str,
    pub multiprocessors: f64,
    /// Clock cycles per second under load.
    pub clock: f64,
    /// f32 multiply-adds.
    pub fma: f64,
    /// Multiply-adds of the tensor cores by `mma.sync` with f32 sums, for tf32 and for bf16.
    pub tensor: [f64; 2],
    /// Threads, blocks, and bytes of shared memory that a multiprocessor holds.
    pub threads: f64,
    pub blocks: f64,
    pub shared: f64,
    /// Bytes of the L2 cache, and bytes per second between it and the multiprocessors.
    pub l2: f64,
    pub l2_rate: f64,
    /// Bytes per second of device memory that a copy reaches.
    pub dram_rate: f64,
}

const H100: GpuCard = GpuCard {
    name: "h100",
    title: "H100 SXM",
    arch: "sm_90",
    multiprocessors: 132.0,
    clock: 1.755e9,
    fma: 128.0,
    tensor: [0.62 * 1024.0, 0.62 * 2048.0],
    threads: 2048.0,
    blocks: 32.0,
    shared: 228.0 * 1024.0,
    l2: 50e6,
    l2_rate: 5.5e12,
    dram_rate: 0.92 * 3.35e12,
};

/// The table of cards.
///
/// Multiprocessors, clocks, tensor rates, cache and memory sizes: NVIDIA's white papers "A100 Tensor Core GPU" (2020), "H100
/// Tensor Core GPU" (2022), "Ampere GA102" (2021), "Ada GPU Architecture" (2023), and the data sheets of the H200 (2024) and
/// L4 (2023). Threads, blocks and shared memory: CUDA C++ Programming Guide, compute capabilities. A copy reaches about
/// 92 % of the data sheet's memory rate. `mma.sync` reaches 62 % of the H100's peak, which needs `wgmma` (Luo et al. 2024,
/// "Benchmarking and Dissecting the Nvidia Hopper GPU Architecture via Microbenchmarking"). The rates of L2 are those that
/// such benchmarks report, and are the least certain numbers here.
pub static CARDS: &[GpuCard] = &[
    GpuCard {
        name: "a100",
        title: "A100 80 GB",
        arch: "sm_80",
        multiprocessors: 108.0,
        clock: 1.41e9,
        fma: 64.0,
        tensor: [512.0, 1024.0],
        threads: 2048.0,
        blocks: 32.0,
        shared: 164.0 * 1024.0,
        l2: 40e6,
        l2_rate: 4.5e12,
        dram_rate: 0.92 * 2.039e12,
    },
    H100,
    // The same chip with other memory.
    GpuCard { name: "h200", title: "H200 SXM", dram_rate: 0.92 * 4.8e12, ..H100 },
    GpuCard {
        name: "rtx3090",
        title: "RTX 3090",
        arch: "sm_86",
        multiprocessors: 82.0,
        clock: 1.695e9,
        fma: 128.0,
        tensor: [128.0, 256.0],
        threads: 1536.0,
        blocks: 16.0,
        shared: 100.0 * 1024.0,
        l2: 6e6,
        l2_rate: 2.2e12,
        dram_rate: 0.92 * 0.936e12,
    },
    GpuCard {
        name: "rtx4090",
        title: "RTX 4090",
        arch: "sm_89",
        multiprocessors: 128.0,
        clock: 2.52e9,
        fma: 128.0,
        tensor: [128.0, 256.0],
        threads: 1536.0,
        blocks: 24.0,
        shared: 100.0 * 1024.0,
        l2: 72e6,
        l2_rate: 4.8e12,
        dram_rate: 0.92 * 1.008e12,
    },
    GpuCard {
        name: "l4",
        title: "L4",
        arch: "sm_89",
        multiprocessors: 58.0,
        clock: 2.04e9,
        fma: 128.0,
        tensor: [256.0, 512.0],
        threads: 1536.0,
        blocks: 24.0,
        shared: 100.0 * 1024.0,
        l2: 48e6,
        l2_rate: 2.0e12,
        dram_rate: 0.92 * 0.3e12,
    },
];

impl GpuCard {
    /// The card with this name.
    ///
    /// # Errors
    /// No card has this name. The message lists all names.
    pub fn find(name: &str) -> Result<&'static GpuCard> {
        CARDS.iter().find(|card| card.name == name).ok_or_else(|| {
            let names: Vec<&str> = CARDS.iter().map(|card| card.name).collect();
            Error::argument("gpu", format!("there is no card `{name}` in the table"))
                .expected(format!("one of {}", names.join(", ")))
        })
    }

    /// Blocks of a kernel that a multiprocessor holds at once: its registers, shared memory and threads must suffice.
    pub fn resident_blocks(&self, registers: f64, shared: f64, threads: f64) -> f64 {
        // A warp gets registers in units of 256, and the system reserves 1 KiB of shared memory for each block.
        let warps = (threads / 32.0).ceil();
        let per_warp = (registers * 32.0 / 256.0).ceil() * 256.0;
        let by_registers = ((65536.0 / per_warp).floor() / warps).floor();
        let by_shared = (self.shared / (shared + 1024.0)).floor();
        (self.threads / (32.0 * warps)).floor().min(self.blocks).min(by_registers).min(by_shared)
    }
}
