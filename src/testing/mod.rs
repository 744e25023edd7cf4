//! Code that tests and benchmarks share. Everything that checks ops iterates over their table.
//!
//! | file | what |
//! |---|---|
//! | `alone.rs` | pauses what runs in the background while something is measured |
//! | `bench.rs` | flags, statistic and provenance of a benchmark |
//! | `close.rs` | compares tensors, so that NaN fails and a failure names the element |
//! | `cases.rs` | visits every case of every op, and runs one forward and backward |
//! | `conformance.rs` | compares f32 with f64 |
//! | `gradcheck.rs` | compares gradients with central differences |
//! | `layers.rs` | the layers whose kernels are timed: products, and the networks' convolutions |
//! | `step_cases.rs` | the networks and batches whose steps are timed |
//! | `steps.rs` | times whole training steps |

mod alone;
pub mod bench;
pub mod cases;
pub mod close;
pub mod conformance;
mod gradcheck;
pub mod layers;
pub mod step_cases;
pub mod steps;

pub use alone::{Alone, measure_alone};
pub use cases::{Failure, for_each_case};
pub use close::{Mismatch, Place, Tolerance, close};
pub use gradcheck::{gradcheck, gradcheck_case};
