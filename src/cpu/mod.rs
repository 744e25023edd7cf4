//! The CPU: recycled buffers, a thread pool with deterministic cutting, and the loops themselves.
//!
//! Slices in, slices out: nothing here knows a tensor, so every loop can be read, tested and timed alone.

mod arena;
pub mod broadcast;
pub mod buffer;
pub mod context;
pub mod conv2d;
mod disjoint;
pub mod dots;
pub mod gather;
pub mod gemm;
pub mod norm;
mod open;
pub mod outer;
mod parallel;
pub mod pool;
pub mod reduce;
pub mod resample;
pub mod roof;
pub mod simd;
pub mod softmax;
pub mod team;
pub mod vector;
pub mod view;

pub use buffer::{Buffer, BufferPool, PoolStats};
pub use context::{CpuCtx, CpuOptions};
pub(crate) use open::check_threads;
pub use parallel::Pieces;
pub use simd::Simd;
pub use view::{View, ViewMut};
