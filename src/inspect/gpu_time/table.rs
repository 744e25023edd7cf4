//! A training step's launches, summed by kernel.

use super::predict::{COPY, FILL, GRAPH_GAP, LAUNCH_GAP, dram_seconds};
use super::{Bottleneck, GpuCard, LaunchTime, Resources, predict};
use crate::cuda::{Counters, DeviceWork, LaunchCounters, Recording, Traffic};
use serde::Serialize;
use std::collections::BTreeMap;

/// All launches of one kernel in a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelRow {
    pub kernel: String,
    pub launches: usize,
    /// Predicted seconds of all launches together, without the gaps between them.
    pub seconds: f64,
    /// What limits the launches that take most of that time.
    pub bottleneck: Bottleneck,
    /// Seconds that each limit alone would take.
    pub limits: [(Bottleneck, f64); 7],
    /// The part of the time in which the arithmetic units or the memory would do the work alone: at 1 no faster kernel does this work.
    pub of_peak: f64,
    /// Sectors per request of global memory, and the ideal; of loads, then of stores.
    pub load_sectors: [f64; 2],
    pub store_sectors: [f64; 2],
    /// Wavefronts per ideal wavefront of shared memory: 1 without bank conflicts, 0 without shared memory.
    pub conflicts: f64,
    /// The part of a multiprocessor's warps that is used, weighted by time.
    pub occupancy: f64,
    /// Bytes of device memory that are read and written.
    pub bytes: f64,
    /// Registers per thread, and bytes per thread that were spilled.
    pub registers: f64,
    pub spilled: f64,
    /// The lines of source that do something with memory or part a warp: `kernels/norm.cu:57`.
    #[serde(skip)]
    pub lines: BTreeMap<String, Counters>,
}

/// The table of a step on one card. Times are predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelTable {
    pub card: GpuCard,
    /// The slowest kernel first.
    pub rows: Vec<KernelRow>,
    pub nodes: usize,
    /// Predicted seconds of copies and fills, of the gaps between nodes, and of the whole step.
    pub copy_seconds: f64,
    pub gap_seconds: f64,
    pub seconds: f64,
    /// Kernels without counters or without a row in `kernels/resources.tsv`. They are missing in `rows`.
    pub unknown: Vec<String>,
}

impl KernelRow {
    /// The headings of [`cells`](Self::cells).
    pub const HEADINGS: [&'static str; 6] = ["limit", "peak", "load", "store", "banks", "warps"];
    /// What the headings mean.
    pub const LEGEND: &'static str = "\
peak: part of the time that arithmetic or memory alone would take
load, store: sectors per request / ideal
banks: wavefronts per ideal one; warps: occupancy";

    /// What limits the kernel and how well it uses memory, for tables of text.
    pub fn cells(&self) -> [String; 6] {
        let pair = |[units, ideal]: [f64; 2]| or_dash(units, format!("{units:.1}/{ideal:.1}"));
        [
            self.bottleneck.name().to_owned(),
            format!("{:.0} %", 100.0 * self.of_peak),
            pair(self.load_sectors),
            pair(self.store_sectors),
            or_dash(self.conflicts, format!("{:.2}", self.conflicts)),
            format!("{:.0} %", 100.0 * self.occupancy),
        ]
    }

    /// A line for each kernel that spills.
    pub fn spills<'a>(rows: impl IntoIterator<Item = &'a KernelRow>) -> String {
        let spilling = rows.into_iter().filter(|row| row.spilled > 0.0);
        spilling.map(|row| format!("{} spills {:.0} bytes per thread\n", row.kernel, row.spilled)).collect()
    }
}

fn or_dash(value: f64, text: String) -> String {
    if value > 0.0 { text } else { "-".to_owned() }
}

impl KernelTable {
    /// Sums a recorded step up.
    pub fn new(card: &GpuCard, recording: &Recording) -> KernelTable {
        let mut sums = BTreeMap::<&str, KernelSum>::new();
        let (mut copy_seconds, mut gap_seconds) = (0.0, 0.0);
        let mut unknown = Vec::new();
        for node in &recording.nodes {
            gap_seconds += if node.of_graph { GRAPH_GAP } else { LAUNCH_GAP };
            match &node.work {
                DeviceWork::Copy { bytes, .. } => copy_seconds += COPY + dram_seconds(card, *bytes as f64),
                DeviceWork::Fill { bytes } => copy_seconds += FILL + dram_seconds(card, *bytes as f64),
                DeviceWork::Launch { kernel, grid, block, dynamic_shared, static_shared, counters } => {
                    let (Some(counters), Some(resources)) = (counters, Resources::of(card.arch, kernel))
                    else {
                        unknown.push(kernel.clone());
                        continue;
                    };
                    let count = |n: &[u32; 3]| n.iter().map(|&n| f64::from(n)).product::<f64>();
                    let shared = (dynamic_shared + static_shared) as f64;
                    let time = predict(card, resources, count(grid), count(block), shared, counters);
                    sums.entry(kernel).or_insert_with(|| KernelSum::new(resources)).add(time, counters);
                }
            }
        }
        unknown.sort();
        unknown.dedup();
        let mut rows: Vec<KernelRow> =
            sums.into_iter().map(|(kernel, sum)| sum.row(kernel, recording)).collect();
        rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let seconds = rows.iter().map(|row| row.seconds).sum::<f64>() + copy_seconds + gap_seconds;
        KernelTable {
            card: *card,
            rows,
            nodes: recording.nodes.len(),
            copy_seconds,
            gap_seconds,
            seconds,
            unknown,
        }
    }
}

/// The launches of a kernel so far.
struct KernelSum {
    resources: &'static Resources,
    launches: usize,
    seconds: f64,
    by_bottleneck: BTreeMap<Bottleneck, f64>,
    limits: Option<[(Bottleneck, f64); 7]>,
    occupancy: f64,
    load: Traffic,
    store: Traffic,
    shared: Traffic,
    bytes: f64,
    /// Seconds that the arithmetic units or the memory alone would take.
    peak: f64,
}

impl KernelSum {
    fn new(resources: &'static Resources) -> KernelSum {
        let none = Traffic::default();
        KernelSum {
            resources,
            launches: 0,
            seconds: 0.0,
            by_bottleneck: BTreeMap::new(),
            limits: None,
            occupancy: 0.0,
            load: none,
            store: none,
            shared: none,
            bytes: 0.0,
            peak: 0.0,
        }
    }

    fn add(&mut self, time: LaunchTime, counters: &LaunchCounters) {
        let all = &counters.all;
        self.launches += 1;
        self.seconds += time.seconds;
        *self.by_bottleneck.entry(time.bottleneck).or_default() += time.seconds;
        self.occupancy += time.seconds * time.occupancy;
        let sum = |before: [(Bottleneck, f64); 7]| {
            std::array::from_fn(|i| (before[i].0, before[i].1 + time.limits[i].1))
        };
        self.limits = Some(self.limits.map_or(time.limits, sum));
        self.load = self.load + all.global_load + all.async_load;
        self.store = self.store + all.global_store;
        self.shared = self.shared + all.shared_load + all.shared_store + all.async_store + all.ldmatrix;
        self.peak += time.peak();
        self.bytes += 32.0 * (counters.launch_read + counters.launch_written);
    }

    fn row(self, kernel: &str, recording: &Recording) -> KernelRow {
        let per = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
        let sectors = |t: Traffic| [per(t.units, t.requests), per(t.ideal, t.requests)];
        let most = self.by_bottleneck.iter().max_by(|a, b| a.1.total_cmp(b.1));
        KernelRow {
            kernel: kernel.to_owned(),
            launches: self.launches,
            seconds: self.seconds,
            bottleneck: most.map_or(Bottleneck::Start, |(of, _)| *of),
            limits: self.limits.unwrap_or([(Bottleneck::Start, 0.0); 7]),
            of_peak: per(self.peak, self.seconds),
            load_sectors: sectors(self.load),
            store_sectors: sectors(self.store),
            conflicts: per(self.shared.units, self.shared.ideal),
            occupancy: per(self.occupancy, self.seconds),
            bytes: self.bytes,
            registers: self.resources.registers,
            spilled: self.resources.spilled,
            lines: recording.lines.get(kernel).cloned().unwrap_or_default(),
        }
    }
}
