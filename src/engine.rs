//! The engine of `receptive`, a crate by itself: tensors, kernels, ops, layers, optimisers, data and networks. `receptive`
//! shows all of it again under its own name, so nobody but `receptive` needs to name this crate; the tour of all modules is there.
//!
//! It stands apart for the compiler's sake: what is above it changes more often, and is compiled in seconds.

pub mod core;
pub mod cpu;
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
