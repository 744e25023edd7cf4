//! Data: reading, finding, loading, and every way a file can be bad.

mod bad_idx;
mod files;
mod loader;
mod lookup;
