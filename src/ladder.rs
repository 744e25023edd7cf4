//! Ladders: all versions of a kernel, from naive to fast, in one table per family and device.
//!
//! A rung is one version. There are no separate copies for teaching: training runs the functions that the tables name.
//! `--gemm-rung N` and `--conv-rung N` train with any rung, on the CPU and on the GPU. `cargo bench --bench ladder`
//! checks each rung against an f64 reference before it times it.
//!
//! This file defines the type of a table's row. Each family has its own tables:
//!
//! | | CPU | GPU |
//! |---|---|---|
//! | matrix products | `cpu/gemm/ladder.rs` | `cuda/gemm/ladder.rs` |
//! | convolution | `cpu/conv2d/ladder.rs` | `cuda/conv2d/ladder.rs` |
//!
//! **To add a rung:** write its file, and add its row to the family's table. If the file is Rust, declare it in the
//! family's `mod.rs`. `build.rs` finds a `.cu` file in `kernels/` by itself.

use crate::core::{Error, Result};

/// A row of a ladder's table. `V` is the type that holds a family's loops or kernels.
#[derive(Debug)]
pub struct Rung<V: 'static> {
    /// Its number on the ladder, for `--gemm-rung` and `--conv-rung`.
    pub number: u32,
    /// A short name.
    pub name: &'static str,
    /// The one idea that a reader learns from it.
    pub teaches: &'static str,
    /// Its loops or kernels, and what they need.
    pub version: V,
}

/// The rung with this number. An error names `setting`, the setting that chose it.
///
/// # Errors
/// No rung has this number. The message lists all rungs.
pub fn find<V>(setting: &str, rungs: &'static [Rung<V>], number: u32) -> Result<&'static Rung<V>> {
    rungs.iter().find(|rung| rung.number == number).ok_or_else(|| {
        let known: Vec<String> =
            rungs.iter().map(|rung| format!("{} ({})", rung.number, rung.name)).collect();
        Error::argument(setting, format!("there is no rung {number}")).expected(known.join(", "))
    })
}
