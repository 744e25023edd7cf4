//! The machinery that tests and benches share. Everything that checks ops iterates their table.
//!
//! | file | what |
//! |---|---|
//! | `close.rs` | comparing tensors, so that NaN fails and a failure names the element |
//! | `cases.rs` | visiting every case of every op, and running one forward and backward |
//! | `conformance.rs` | f32 against f64 |
//! | `gradcheck.rs` | gradients against central differences |
//! | `roofline.rs` | how fast a GPU can be, measured |
//! | `steps.rs` | timing whole training steps |

pub mod cases;
pub mod close;
pub mod conformance;
pub mod gradcheck;
pub mod roofline;
pub mod steps;

pub use cases::{Failure, for_each_case};
pub use close::{Mismatch, Place, Tolerance, close};
