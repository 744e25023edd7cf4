//! Tensors, the contract of an op, the one place that runs ops, and the tape that differentiates them.
//!
//! | file | what |
//! |---|---|
//! | `tensor.rs` | [`Tensor`]: shared storage, a shape, maybe a place on the tape |
//! | `storage.rs` | the memory behind it, with a version that in-place updates raise |
//! | `device.rs` | [`Device`]: a context each |
//! | `op.rs` | [`Op`]: infer, run, backward |
//! | `blank.rs` | memory that the host writes and that then is a tensor |
//! | `exec.rs` | infer -> allocate -> run -> record, on each device |
//! | `node.rs`, `backward.rs` | the tape and its iterative engine |
//! | `observe.rs` | who watches all this while it runs |
//! | `distribution.rs` | how the elements are spread, for the instruments |
//! | `display.rs` | a tensor as text |

mod backward;
mod blank;
mod device;
mod display;
pub mod distribution;
mod exec;
mod node;
mod observe;
mod op;
mod storage;
#[allow(clippy::module_inception)] // the file named after the type it holds
mod tensor;

pub use crate::core::Window;
pub use blank::Blank;
pub use device::{Device, DeviceOptions, MetaCtx};
pub use exec::{apply, apply_dyn, update};
pub use node::{LeafId, Node, Origin, Saved};
pub use observe::{Observer, Run, Scope};
pub(crate) use observe::{Watch, within};
pub use op::{Field, Grads, Meta, Op, Outputs, Plan, Saves, Update};
pub(crate) use op::{one_float, total_bytes};
pub use storage::{Cell, Data};
pub use tensor::Tensor;
