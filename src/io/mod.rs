//! Files: tensors by name, and replacing a file in one step.

mod atomic;
mod foreign;
mod json_lines;
mod regular;
pub mod safetensors;

pub use atomic::{check_writable, remove_abandoned, replace, write_atomically};
pub use json_lines::read_json_lines;
pub use regular::open_regular;
pub use safetensors::TensorFile;
