//! The CPU backend: recycled buffers, a thread pool that cuts work deterministically, and the loops themselves.
//!
//! Loops take slices and write slices. They do not use tensors, so each can be read, tested and timed alone.
//!
//! # How a hot loop is written
//!
//! A loop is fast when all of it is compiled into one function: the one that [`simd`] compiles for the processor's
//! registers. So every function that it calls per element is `#[inline(always)]`, and the loop uses an index:
//! `for i in 0..n`, over slices that were just cut to the same length. The compiler may leave an iterator's `zip`,
//! `chunks` or `map` over an array, and a slice's `copy_from_slice`, as calls. One call per thousand elements costs
//! little; one call per row of sixteen costs much.

// The loops use an index: see above.
#![allow(clippy::needless_range_loop)]

mod arena;
pub mod broadcast;
pub mod buffer;
mod chunks;
pub mod context;
pub mod conv2d;
mod disjoint;
pub mod dot_products;
pub mod fork_join;
pub mod gather;
pub mod gemm;
pub mod norm;
mod open;
pub mod outer_product;
pub mod peak;
pub mod pool;
pub mod reduce;
pub mod resample;
pub mod simd;
pub mod softmax;
pub mod vector;
pub mod view;

pub use buffer::{Buffer, BufferPool, PoolStats};
pub use chunks::Pieces;
pub use context::{CpuCtx, CpuOptions};
pub(crate) use open::check_threads;
pub use simd::Simd;
pub use view::{View, ViewMut};
