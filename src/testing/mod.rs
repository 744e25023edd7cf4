//! The machinery that tests and benches share. Everything that checks ops iterates their table.
//!
//! | file | what |
//! |---|---|
//! | `bench.rs` | flags, statistic and provenance of a bench |
//! | `close.rs` | comparing tensors, so that NaN fails and a failure names the element |
//! | `cases.rs` | visiting every case of every op, and running one forward and backward |
//! | `conformance.rs` | f32 against f64 |
//! | `gradcheck.rs` | gradients against central differences |
//! | `layers.rs` | the layers whose kernels are timed: products, and the networks' convolutions |
//! | `step_cases.rs` | the networks and batches whose steps are timed |
//! | `steps.rs` | timing whole training steps |

pub mod bench;
pub mod cases;
pub mod close;
pub mod conformance;
pub mod gradcheck;
pub mod layers;
pub mod step_cases;
pub mod steps;

pub use cases::{Failure, for_each_case};
pub use close::{Mismatch, Place, Tolerance, close};
