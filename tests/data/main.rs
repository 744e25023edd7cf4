//! Data: reading, finding, loading, and every way a file can be bad.

mod bad_idx;
#[cfg(feature = "cli")]
mod cli;
mod fetch;
mod files;
mod loader;
mod lookup;
