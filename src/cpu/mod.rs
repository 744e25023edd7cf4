//! The CPU: recycled buffers, a thread pool with deterministic cutting, and the loops themselves.
//!
//! Slices in, slices out: nothing here knows a tensor, so every loop can be read, tested and timed alone.
//!
//! # How a hot loop is written
//!
//! A loop is fast when all of it ends up in one function, the one that [`simd`] compiles for a processor's registers. So all
//! that it calls for each element is `#[inline(always)]`, and it counts: `for i in 0..n`, over slices that were just cut
//! to one length. An iterator's `zip`, `chunks` or `map` over an array and a slice's `copy_from_slice` may stay calls. That
//! costs little once for a thousand elements, and much for each row of sixteen.

// The loops count: see above.
#![allow(clippy::needless_range_loop)]

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
