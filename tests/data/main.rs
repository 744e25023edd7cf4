//! Tests of data: reading, finding, loading, and all kinds of bad files.

mod archives;
mod bad_idx;
mod bad_sets;
#[cfg(feature = "cli")]
mod cli;
mod fetch;
mod files;
mod loader;
mod lookup;
#[cfg(feature = "images")]
mod pictures;
mod show;
mod transforms;
