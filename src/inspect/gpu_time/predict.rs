//! The predicted time of a launch: that of an empty kernel, and the largest of seven limits.
//!
//! ```math
//! t = t_0 + \max(\text{issue}, \text{fma}, \text{tensor}, \text{L1}, \text{latency}, \text{L2}, \text{DRAM})
//! ```
//!
//! The limits are those of the multiprocessor with the most blocks. A grid of \(B\) blocks on \(S\) multiprocessors gives the busiest one \(n = \lceil B / S \rceil\) blocks. So a grid of 133
//! blocks takes as long on an H100 as one of 264: this is what "waves" cost. Each limit is the time that one unit needs for
//! those blocks if it never waits:
//!
//! | limit | cycles |
//! |---|---|
//! | issue | warp instructions / (4 schedulers x [`ISSUE`]) |
//! | fma | 32 x multiply-adds of a warp / the card's rate |
//! | tensor | multiply-adds of the matrix instructions / the card's rate |
//! | L1 | wavefronts of shared memory + cache lines of global memory, one per cycle |
//! | latency | [`ROUND`] cycles for each turn of the loop, or each barrier, of the blocks that follow each other |
//! | L2, DRAM | bytes / the card's rate, for the whole launch |
//!
//! How many instructions a launch has follows from two tables. The simulator counts how often the memory and matrix
//! instructions run. The assembler's table says how many other instructions stand beside them in the loop. So
//!
//! ```math
//! \text{turns} = \frac{\text{counted bytes or matrix instructions}}{\text{those of one turn}}, \qquad
//! \text{instructions} = \text{turns} \cdot \text{instructions of one turn} + \text{warps} \cdot \text{the rest}
//! ```
//!
//! Of the rest of a kernel (its beginning, its end, paths for odd sizes), a warp runs about the part [`REST`].
//!
//! The constants were set before a card had run the kernels, from published measurements, and then left alone. They may
//! change only together with the table of predictions in `docs/gpu.md`.

use super::{GpuCard, KernelLoop, Resources};
use crate::cuda::LaunchCounters;
use serde::{Deserialize, Serialize};

/// Warp instructions that a scheduler starts per cycle in well-written code.
pub const ISSUE: f64 = 0.7;
/// The part of the code outside the main loop that a warp runs.
pub const REST: f64 = 0.5;
/// Cycles from a load of global memory to its use, with a barrier between them.
pub const ROUND: f64 = 650.0;
/// The same if `cp.async` loads the next tile while this one is computed.
pub const ASYNC_ROUND: f64 = 250.0;
/// Seconds that an empty kernel takes: its blocks start, and its last store arrives.
pub const START: f64 = 1.0e-6;
/// Seconds from the end of a node to the start of the next: in a replayed graph, and launched one by one.
pub const GRAPH_GAP: f64 = 1.2e-6;
pub const LAUNCH_GAP: f64 = 4.0e-6;
/// Seconds of a small copy between host and device, and of a small fill.
pub const COPY: f64 = 2.0e-6;
pub const FILL: f64 = 0.6e-6;

/// What limits a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bottleneck {
    Issue,
    Fma,
    Tensor,
    L1,
    Latency,
    L2,
    Dram,
    /// The time that even an empty kernel takes.
    Start,
}

impl Bottleneck {
    /// Its name in words.
    pub fn name(self) -> &'static str {
        match self {
            Bottleneck::Issue => "instructions",
            Bottleneck::Fma => "multiply-adds",
            Bottleneck::Tensor => "tensor cores",
            Bottleneck::L1 => "L1",
            Bottleneck::Latency => "latency",
            Bottleneck::L2 => "L2",
            Bottleneck::Dram => "DRAM",
            Bottleneck::Start => "start",
        }
    }
}

/// The predicted time of a launch, and what it consists of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LaunchTime {
    pub seconds: f64,
    pub bottleneck: Bottleneck,
    /// Seconds of each limit.
    pub limits: [(Bottleneck, f64); 7],
    /// Warps that a multiprocessor holds, as a part of those that it could hold.
    pub occupancy: f64,
    pub instructions: f64,
}

impl LaunchTime {
    /// Seconds that the arithmetic units or the memory alone would take: no kernel that does this work can be faster.
    pub fn peak(&self) -> f64 {
        let arithmetic_or_memory = [Bottleneck::Fma, Bottleneck::Tensor, Bottleneck::L2, Bottleneck::Dram];
        let of = self.limits.iter().filter(|(limit, _)| arithmetic_or_memory.contains(limit));
        of.map(|(_, seconds)| *seconds).fold(0.0, f64::max)
    }
}

/// The time that a launch of `grid` blocks of `threads` threads would take on a card, from its counters.
pub fn predict(
    card: &GpuCard,
    resources: &Resources,
    grid: f64,
    threads: f64,
    shared: f64,
    counters: &LaunchCounters,
) -> LaunchTime {
    let warps = grid * (threads / 32.0).ceil();
    let work = Demand::of(resources, grid, warps, counters);
    let resident = card.resident_blocks(resources.registers, shared, threads).max(1.0);
    let blocks = (grid / card.multiprocessors).ceil();
    // What the busiest multiprocessor has of a total over all blocks.
    let busiest = |total: f64| total / grid * blocks;
    let cycles = |n: f64| n / card.clock;
    let all = &counters.all;
    let wavefronts = [all.shared_load, all.shared_store, all.shared_atomic, all.async_store, all.ldmatrix]
        .iter()
        .map(|t| t.units)
        .sum::<f64>();
    let lines = [all.global_load, all.global_store, all.async_load].iter().map(|t| t.lines).sum::<f64>()
        + all.global_atomic.units;
    let turns_in_a_row = work.rounds / grid * (blocks / resident).ceil();
    let l2_bytes = 32.0 * (counters.block_read + counters.block_written);
    let limits = [
        (Bottleneck::Issue, cycles(busiest(work.instructions) / (4.0 * ISSUE))),
        (Bottleneck::Fma, cycles(busiest(32.0 * work.fma) / card.fma)),
        (
            Bottleneck::Tensor,
            cycles(busiest(work.tensor[0]) / card.tensor[0] + busiest(work.tensor[1]) / card.tensor[1]),
        ),
        (Bottleneck::L1, cycles(busiest(wavefronts + lines))),
        (Bottleneck::Latency, cycles(turns_in_a_row * if work.is_async { ASYNC_ROUND } else { ROUND })),
        (Bottleneck::L2, l2_bytes / card.l2_rate),
        (Bottleneck::Dram, dram_seconds(card, 32.0 * (counters.launch_read + counters.launch_written))),
    ];
    let (bottleneck, longest) =
        limits.iter().copied().fold((Bottleneck::Start, 0.0), |a, b| if b.1 > a.1 { b } else { a });
    LaunchTime {
        seconds: START + longest,
        bottleneck: if longest < START { Bottleneck::Start } else { bottleneck },
        limits,
        occupancy: (resident.min(blocks) * (threads / 32.0).ceil() / (card.threads / 32.0)).min(1.0),
        instructions: work.instructions,
    }
}

/// Seconds of device memory for a launch that touches so many bytes. Up to half of L2, the bytes are still there from the
/// launch before.
pub fn dram_seconds(card: &GpuCard, bytes: f64) -> f64 {
    (bytes - 0.5 * card.l2).max(0.0).min(bytes) / card.dram_rate
}

/// What all blocks of a launch have to do.
struct Demand {
    instructions: f64,
    /// f32 multiply-add instructions of warps.
    fma: f64,
    /// Multiply-adds of matrix instructions, tf32 and bf16.
    tensor: [f64; 2],
    /// Waits for memory that follow each other, summed over the blocks.
    rounds: f64,
    is_async: bool,
}

impl Demand {
    fn of(resources: &Resources, grid: f64, warps: f64, counters: &LaunchCounters) -> Demand {
        let all = &counters.all;
        let matrix = |of: &str| -> f64 {
            all.operations
                .iter()
                .filter(|(name, _)| name.starts_with("mma") && name.contains(of))
                .map(|(_, n)| n)
                .sum()
        };
        let [tf32, bf16] = ["tf32", "bf16"].map(matrix);
        let is_async = all.async_load.requests > 0.0;
        let Some(main) = main_loop(resources, counters, tf32 + bf16) else {
            let instructions = warps * REST * resources.instructions;
            return Demand { instructions, fma: 0.0, tensor: [0.0; 2], rounds: counters.barriers, is_async };
        };
        let turns = turns(main, counters, tf32 + bf16);
        let rest = (resources.instructions - main.instructions).max(0.0);
        // m16n8k8 and m16n8k16.
        let tensor = [tf32 * 1024.0, bf16 * 2048.0];
        Demand {
            instructions: turns * main.instructions + warps * REST * rest,
            fma: turns * main.count("FFMA"),
            tensor,
            rounds: counters.barriers.max(grid * turns / warps.max(1.0)),
            is_async,
        }
    }
}

/// The loop that does the work: the one with the most multiply-adds or, if there are none, the one whose loads and stores of
/// global memory are as wide as those that were counted.
fn main_loop<'a>(resources: &'a Resources, counters: &LaunchCounters, matrix: f64) -> Option<&'a KernelLoop> {
    let global = counters.all.global_load + counters.all.global_store;
    let width = global.bytes / (32.0 * global.requests.max(1.0));
    let score = |l: &KernelLoop| {
        if matrix > 0.0 {
            return (l.count("HMMA"), 0.0);
        }
        let count = l.count("LDG") + l.count("STG");
        let own = (l.bytes("LDG") + l.bytes("STG")) / count.max(1.0);
        let distance = if count > 0.0 { (own / width.max(1.0)).ln().abs() } else { f64::INFINITY };
        // 16 multiply-adds in a turn are no accident of a division or a polynomial.
        (if l.count("FFMA") >= 64.0 { l.count("FFMA") } else { 0.0 }, -distance)
    };
    let loops = resources.loops.iter().filter(|l| moved(l) > 0.0 || l.count("HMMA") > 0.0);
    loops.max_by(|a, b| score(a).partial_cmp(&score(b)).unwrap_or(std::cmp::Ordering::Equal))
}

/// How often all warps together run the loop.
fn turns(main: &KernelLoop, counters: &LaunchCounters, matrix: f64) -> f64 {
    let all = &counters.all;
    if main.count("HMMA") > 0.0 {
        return matrix / main.count("HMMA");
    }
    let shared = main.bytes("LDS");
    if main.count("FFMA") >= 64.0 && shared > 0.0 {
        return all.shared_load.bytes / (32.0 * shared);
    }
    let counted = all.global_load + all.global_store + all.shared_load + all.shared_store;
    counted.bytes / (32.0 * moved(main))
}

/// Bytes that a lane moves in a turn.
fn moved(l: &KernelLoop) -> f64 {
    ["LDG", "STG", "LDS", "STS"].iter().map(|kind| l.bytes(kind)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::{Counters, Traffic};

    /// A copy of `bytes` bytes with 16 bytes per lane: side by side, so each request is 16 sectors.
    fn copy(bytes: f64) -> LaunchCounters {
        let requests = bytes / 512.0;
        let traffic = Traffic {
            requests,
            units: 16.0 * requests,
            ideal: 16.0 * requests,
            lines: 4.0 * requests,
            bytes,
        };
        let sectors = bytes / 32.0;
        LaunchCounters {
            blocks_counted: 1.0,
            block_read: sectors,
            block_written: sectors,
            launch_read: sectors,
            launch_written: sectors,
            all: Counters { global_load: traffic, global_store: traffic, ..Counters::default() },
            ..LaunchCounters::default()
        }
    }

    fn time_of(card: &str, kernel: &str, blocks: f64, counters: &LaunchCounters) -> LaunchTime {
        let card = GpuCard::find(card).unwrap();
        predict(card, Resources::of(card.arch, kernel).unwrap(), blocks, 256.0, 0.0, counters)
    }

    #[test]
    fn a_large_copy_takes_as_long_as_its_bytes() {
        let card = GpuCard::find("h100").unwrap();
        let time = time_of("h100", "roof_copy_f32", 65535.0, &copy(1e9));
        assert_eq!(time.bottleneck, Bottleneck::Dram);
        let on_paper = START + (2e9 - 0.5 * card.l2) / card.dram_rate;
        assert!((time.seconds - on_paper).abs() < 1e-9, "{} {on_paper}", time.seconds);
    }

    /// What fits into L2 does not wait for DRAM.
    #[test]
    fn a_small_copy_comes_from_l2() {
        let time = time_of("h100", "roof_copy_f32", 264.0, &copy(8e6));
        assert_eq!((time.bottleneck, time.limits[6].1), (Bottleneck::L2, 0.0));
        assert_eq!(time_of("h100", "roof_copy_f32", 1.0, &copy(512.0)).bottleneck, Bottleneck::Start);
    }

    /// An H100 has 132 multiprocessors. One block more than these is a second block for one of them.
    #[test]
    fn a_block_too_many_costs_a_wave() {
        let per_block =
            |blocks: f64| time_of("h100", "roof_copy_f32", blocks, &copy(blocks * 1e5)).limits[0].1;
        assert!((per_block(132.0) / per_block(66.0) - 1.0).abs() < 1e-9);
        assert!((per_block(133.0) / per_block(132.0) - 2.0).abs() < 1e-9);
        assert!((per_block(264.0) / per_block(133.0) - 1.0).abs() < 1e-9);
    }

    /// Registers, threads and shared memory limit how many blocks are resident.
    #[test]
    fn resident_blocks_are_those_of_the_occupancy_tables() {
        let card = GpuCard::find("a100").unwrap();
        // 32 registers: 8 blocks of 256 threads fill 2048 threads. 128: 65536 / (128 x 256) = 2. 80 KiB of 164: 2.
        assert_eq!(card.resident_blocks(32.0, 0.0, 256.0), 8.0);
        assert_eq!(card.resident_blocks(128.0, 0.0, 256.0), 2.0);
        assert_eq!(card.resident_blocks(32.0, 80.0 * 1024.0, 256.0), 2.0);
        assert_eq!(card.resident_blocks(32.0, 0.0, 32.0), 32.0);
    }

    /// The time of a product is not below that of its multiply-adds, and the instructions agree with the assembler's mix.
    #[test]
    fn a_product_takes_at_least_its_multiply_adds() {
        let [m, n, k] = [4096.0, 4096.0, 4096.0];
        let blocks = m / 128.0 * n / 128.0;
        // A thread computes 8 x 8 sums: for each k it reads 16 floats, 4 at a time.
        let warps = blocks * 8.0;
        let requests = warps * k * 4.0;
        let shared = Traffic {
            requests,
            units: 4.0 * requests,
            ideal: 4.0 * requests,
            lines: 0.0,
            bytes: 512.0 * requests,
        };
        let counters = LaunchCounters {
            barriers: blocks * k / 8.0,
            all: Counters { shared_load: shared, ..copy(4.0 * m * k).all },
            ..copy(4.0 * m * k)
        };
        let time = time_of("a100", "gemm_v07_f32", blocks, &counters);
        let card = GpuCard::find("a100").unwrap();
        let fma = m * n * k / (card.multiprocessors * card.fma * card.clock);
        assert!(time.seconds > fma && time.seconds < 3.0 * fma, "{} {fma}", time.seconds);
        assert!((time.limits[1].1 / fma - 1.0).abs() < 0.1, "{:?} {fma}", time.limits);
    }
}
