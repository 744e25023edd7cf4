//! Instruments that look into a network without the network knowing: they run it, watch its layers through a
//! [`Hook`](crate::nn::Hook), and read its tape.
//!
//! | file | what |
//! |---|---|
//! | `tape.rs` | the ops recorded between two tensors |
//! | `receptive_field.rs` | [`ReceptiveField`]: which input pixels an output sees |
//! | `steps/` | [`conv_steps`] and its like: every number behind one output |
//! | `summary.rs` | [`summary`]: shapes, parameters, FLOPs and receptive field, layer by layer; [`describe`] |
//! | `gpu.rs` | [`Gpu`]: the GPU, and whether the kernels work on it |
//! | `report/` | [`report`]: a network and an image, looked into, as data and as one page |
//! | `machine.rs` | [`Machine`]: the processor, its SIMD and memory, and the GEMM speed it reaches |

mod gpu;
mod machine;
mod receptive_field;
pub mod report;
pub mod steps;
mod summary;
mod tape;

pub use gpu::{Gpu, ptx};
pub use machine::{Machine, gemm_roof, peak_resident_bytes};
pub use receptive_field::{ReceptiveField, receptive_field};
pub use steps::{
    batch_norm_steps, conv_grad_input_steps, conv_grad_weight_steps, conv_steps, conv_transpose_spread,
    conv_transpose_steps, pool_steps, softmax_steps,
};
pub use summary::{Extent, LayerSummary, Stopped, Summary, describe, summary};
