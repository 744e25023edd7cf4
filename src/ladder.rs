//! Ladders: every version of a kernel, from naive to fast, in one table a family and device.
//!
//! A rung is promoted, never copied: training runs the very function the table names, `--gemm-rung N` and
//! `--conv-rung N` train with any of them, on the CPU as on the GPU, and `cargo bench --bench ladder` checks each
//! against an f64 reference before it times it.
//!
//! This file has the form of a row. Each family owns its table:
//!
//! | | CPU | GPU |
//! |---|---|---|
//! | matrix products | `cpu/gemm/ladder.rs` | `cuda/gemm/ladder.rs` |
//! | convolution | `cpu/conv2d/ladder.rs` | `cuda/conv2d/ladder.rs` |
//!
//! **To add a rung:** write its file, declare it in the family's `mod.rs`, and add its row to the family's table.

use crate::core::{Error, Result};

/// A row of a ladder's table. `V` says what the family's versions consist of.
#[derive(Debug)]
pub struct Rung<V: 'static> {
    /// Its place on the ladder, as `--gemm-rung` and `--conv-rung` take it.
    pub number: u32,
    /// A short name.
    pub name: &'static str,
    /// The one idea a reader takes from it.
    pub teaches: &'static str,
    /// Its loops or kernels, and what they need.
    pub version: V,
}

/// The rung with this number; `setting` is what an error names.
///
/// # Errors
/// No such rung: the message lists them.
pub fn find<V>(setting: &str, rungs: &'static [Rung<V>], number: u32) -> Result<&'static Rung<V>> {
    rungs.iter().find(|rung| rung.number == number).ok_or_else(|| {
        let known: Vec<String> =
            rungs.iter().map(|rung| format!("{} ({})", rung.number, rung.name)).collect();
        Error::argument(setting, format!("there is no rung {number}")).expected(known.join(", "))
    })
}
