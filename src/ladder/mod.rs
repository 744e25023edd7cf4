//! Ladders: every version of a kernel, from naive to fast, in one table a family.
//!
//! A rung is promoted, never copied: training runs the very function the table names, `--gemm-rung N` trains with any
//! of them, and the benches check each against an f64 reference before they time it.

pub mod conv2d;
pub mod gemm;

pub use conv2d::ConvRung;
pub use gemm::GemmRung;
