//! Instruments that look into a network without the network knowing: they run it, watch its layers through a
//! [`Hook`](crate::nn::Hook), and read its tape.
//!
//! | file | what |
//! |---|---|
//! | `tape.rs` | the ops recorded between two tensors |
//! | `receptive_field.rs` | [`ReceptiveField`]: which input pixels an output sees |
//! | `summary.rs` | [`summary`]: shapes, parameters, FLOPs and receptive field, layer by layer; [`describe`] |
//! | `gpu.rs` | [`Gpu`]: the GPU, and whether the kernels work on it |
//! | `array.rs` | [`Array`]: numbers with a shape, what instruments hand out |
//! | `activations.rs` | [`activations`]: what every layer takes and makes of it |
//! | `filters.rs` | [`filters`]: the kernels of the convolutional layers |
//! | `machine.rs` | [`Machine`]: the processor, its SIMD and memory, and the GEMM speed it reaches |

mod activations;
mod array;
mod filters;
mod gpu;
mod machine;
mod receptive_field;
mod summary;
mod tape;

pub use activations::{Activation, activations};
pub use array::Array;
pub use filters::{Filters, filters};
pub use gpu::{Gpu, ptx};
pub use machine::{Machine, gemm_roof, peak_resident_bytes};
pub use receptive_field::{ReceptiveField, receptive_field};
pub use summary::{Extent, LayerSummary, Stopped, Summary, describe, summary};
