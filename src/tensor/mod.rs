//! Tensors, the trait that every op implements, the one place that runs ops, and the tape that differentiates them.
//!
//! | file | what |
//! |---|---|
//! | `tensor.rs` | [`Tensor`]: shared storage, a shape, and the op that made it if that was recorded |
//! | `create.rs` | ones, ranges, random numbers |
//! | `operators.rs` | `+`, `-`, `*`, `/` |
//! | `storage.rs` | the memory of a tensor, with a version number that each in-place update raises |
//! | `device.rs` | [`Device`]: a CPU, a GPU, or shapes only |
//! | `op.rs` | [`Op`]: infer, run, backward |
//! | `blank.rs` | memory that the host fills and then turns into a tensor |
//! | `exec.rs` | infer -> allocate -> run -> record, for each device |
//! | `node.rs`, `backward.rs` | the tape, and the loop that runs it backwards |
//! | `observe.rs` | the observer that sees every op while it runs |
//! | `distribution.rs` | mean, deviation and histogram of the elements, for the inspection tools |
//! | `display.rs` | a tensor printed as text |

mod backward;
mod blank;
mod create;
mod device;
mod display;
pub mod distribution;
mod exec;
mod node;
mod observe;
mod op;
mod operators;
mod storage;
#[allow(clippy::module_inception)] // the file named after the type it holds
mod tensor;

pub use crate::core::Window;
pub use blank::Blank;
pub use device::{Device, DeviceOptions, MetaCtx};
pub use exec::{apply, apply_dyn, update};
pub use node::{LeafId, Node, Origin, Saved};
pub use observe::{Observer, OpRun, Scope};
pub(crate) use observe::{Watch, within};
pub use op::{Dependence, Grads, Meta, Op, Outputs, Plan, Saves, Update, float_inputs};
pub(crate) use op::{one_float, total_bytes};
pub use storage::{Cell, Data};
pub use tensor::Tensor;
