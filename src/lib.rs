//! `receptive`: a from-scratch tensor engine for learning how convolutional networks work.

#[cfg(feature = "cli")]
pub mod cli;
pub mod core;
pub mod cpu;
pub mod data;
pub mod io;
pub mod ladder;
pub mod ops;
pub mod tensor;
pub mod testing;

pub use crate::core::{DType, Error, ErrorKind, Key, Result, Shape};
pub use crate::tensor::{Device, Tensor};
