//! Files: tensors by name, and replacing a file as a whole.

mod atomic;
pub mod safetensors;

pub use atomic::{check_writable, replace, write_atomically};
pub use safetensors::TensorFile;
