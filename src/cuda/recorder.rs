//! What a program launches on a GPU, and what each launch costs, found without a GPU.
//!
//! The simulated driver of `tests/sim` can list launches without running them (a dry run), and it can count the memory
//! accesses, barriers and branches of a sample of each launch's blocks. `tests/sim/README.md` says what is counted and
//! how; `tests/sim/src/requests.h` draws what an access costs. [`crate::testing::steps`] records whole training steps.

use super::driver::Simulator;
use crate::core::{Error, ErrorKind, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Add;

/// The recorder of the simulated driver. While it records, results are wrong, because blocks are missing.
#[derive(Debug, Clone, Copy)]
pub struct LaunchRecorder(Simulator);

/// Memory instructions of one kind. A request is one instruction of one warp.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct Traffic {
    pub requests: f64,
    /// Sectors of 32 bytes for global memory, wavefronts for shared memory.
    pub units: f64,
    /// The fewest sectors or wavefronts that could serve as many bytes.
    pub ideal: f64,
    /// Cache lines of 128 bytes. For atomics, the most lanes that meet at one address, summed over the requests.
    pub lines: f64,
    /// 32 lanes times the bytes of a lane, summed over the requests.
    pub bytes: f64,
}

impl Add for Traffic {
    type Output = Traffic;

    fn add(self, other: Traffic) -> Traffic {
        Traffic {
            requests: self.requests + other.requests,
            units: self.units + other.units,
            ideal: self.ideal + other.ideal,
            lines: self.lines + other.lines,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// What a kernel, or a line of its source, does.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Counters {
    pub global_load: Traffic,
    pub global_store: Traffic,
    pub global_atomic: Traffic,
    pub shared_load: Traffic,
    pub shared_store: Traffic,
    pub shared_atomic: Traffic,
    /// The global side of `cp.async`.
    pub async_load: Traffic,
    /// The shared side of `cp.async`.
    pub async_store: Traffic,
    pub ldmatrix: Traffic,
    /// Branches of warps, at places where not all went the same way.
    pub branches: f64,
    /// Those in which the lanes of one warp went different ways.
    pub divergent: f64,
    /// Operations of whole warps by name: `mma.sync...`, shuffles, votes.
    pub operations: BTreeMap<String, f64>,
}

/// The counters of one launch.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LaunchCounters {
    /// The blocks that ran. The other counters are scaled up from them to all blocks.
    pub blocks_counted: f64,
    /// Barriers that a block passes, summed over the blocks.
    pub barriers: f64,
    /// Different sectors that each block reads, summed: the traffic between L2 and L1 if L1 keeps everything.
    pub block_read: f64,
    pub block_written: f64,
    /// Different sectors that all blocks read: the traffic of DRAM if L2 keeps everything.
    pub launch_read: f64,
    pub launch_written: f64,
    #[serde(flatten)]
    pub all: Counters,
}

/// One piece of work for the device.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DeviceNode {
    /// True if the replay of a graph ran it.
    pub of_graph: bool,
    #[serde(flatten)]
    pub work: DeviceWork,
}

/// What a node does.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum DeviceWork {
    Launch {
        kernel: String,
        grid: [u32; 3],
        block: [u32; 3],
        /// Bytes of shared memory per block.
        dynamic_shared: usize,
        static_shared: usize,
        /// Of a counting run.
        counters: Option<Box<LaunchCounters>>,
    },
    Copy {
        bytes: usize,
        to_device: bool,
        from_device: bool,
    },
    Fill {
        bytes: usize,
    },
}

/// What was recorded.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Recording {
    /// In order.
    pub nodes: Vec<DeviceNode>,
    /// By kernel, then by line of source (`kernels/norm.cu:57`). Of a counting run.
    pub lines: BTreeMap<String, BTreeMap<String, Counters>>,
}

impl LaunchRecorder {
    /// The recorder, if the driver's library is the simulator's.
    ///
    /// # Errors
    /// There is no driver, or a real one.
    pub fn find() -> Result<LaunchRecorder> {
        Simulator::find().map(LaunchRecorder).ok_or_else(|| {
            Error::new(ErrorKind::Device, "recorder", "there is no simulated GPU").help(
                "build it with `COUNT=1 tests/sim/build.sh target/sim/count` (it needs g++), and set \
                 LD_LIBRARY_PATH=target/sim/count",
            )
        })
    }

    /// From now on, lists launches and runs none. Copies and fills are done.
    pub fn dry_run(&self) {
        self.0.record(1, 0);
    }

    /// True if this simulator was built with `COUNT=1`.
    pub fn can_count(&self) -> bool {
        self.0.can_count()
    }

    /// From now on, runs this many evenly spaced blocks of each launch and counts what they do; `None` is all blocks.
    ///
    /// # Errors
    /// The simulator was built without counters.
    pub fn count(&self, blocks: Option<u64>) -> Result<()> {
        if self.0.record(2, blocks.unwrap_or(0)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Device, "recorder", "this simulated GPU was built without counters")
            .help("build one with `COUNT=1 tests/sim/build.sh target/sim/count`, and set LD_LIBRARY_PATH to that folder"))
    }

    /// Ends the recording and returns it. From now on, launches run as usual.
    ///
    /// # Errors
    /// The simulator is of another version of this project.
    pub fn finish(&self) -> Result<Recording> {
        let text = self.0.report();
        self.0.record(0, 0);
        serde_json::from_str(&text).map_err(|e| {
            Error::new(ErrorKind::Device, "recorder", format!("the simulator's report cannot be read: {e}"))
                .help(
                    "build the simulator from the same commit: `COUNT=1 tests/sim/build.sh target/sim/count`",
                )
        })
    }
}
