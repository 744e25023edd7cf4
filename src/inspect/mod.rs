//! Instruments that look into a network without the network knowing: they run it, watch its layers through a
//! [`Hook`](crate::nn::Hook), and read its tape.
//!
//! | file | what |
//! |---|---|
//! | `tape.rs` | the ops recorded between two tensors |
//! | `receptive_field.rs` | [`ReceptiveField`]: which input pixels an output sees |
//! | `summary.rs` | [`summary`]: shapes, parameters, FLOPs and receptive field, layer by layer; [`describe`] |
//! | `gpu.rs` | [`Gpu`]: the GPU, and whether the kernels work on it |
//! | `report/` | [`report`]: a network and an image, looked into, as data and as one page |
//! | `machine.rs` | [`Machine`]: the processor, its SIMD and memory, and the GEMM speed it reaches |

mod gpu;
mod machine;
mod receptive_field;
pub mod report;
mod summary;
mod tape;

pub use gpu::{Gpu, ptx};
pub use machine::{Machine, gemm_roof, peak_resident_bytes};
pub use receptive_field::{ReceptiveField, receptive_field};
pub use summary::{Extent, LayerSummary, Stopped, Summary, describe, summary};
