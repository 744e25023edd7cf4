//! Files of tensors.

pub mod safetensors;

pub use safetensors::TensorFile;
