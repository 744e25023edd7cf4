//! The engine of `receptive`, as a separate crate: tensors, kernels, ops, layers, optimisers, data and networks.
//! `receptive` re-exports all of it, so no other crate needs to name this one. The overview of all modules is there.
//!
//! It is separate to save compile time: the code above it changes more often, and then compiles in seconds.

pub mod core;
#[allow(unsafe_code)]
pub mod cpu;
#[allow(unsafe_code)]
pub mod cuda;
pub mod data;
pub mod io;
pub mod ladder;
pub mod models;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod tensor;

pub use crate::core::{DType, Error, ErrorKind, Key, Result, Shape};
pub use crate::tensor::{Device, Tensor};
