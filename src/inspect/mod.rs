//! Instruments that look into a network without the network knowing: they run it, watch its layers through a
//! [`Hook`](crate::nn::Hook), and read its tape.
//!
//! | file | what |
//! |---|---|
//! | `tape.rs` | the ops recorded between two tensors |
//! | `receptive_field.rs` | [`ReceptiveField`]: which input pixels an output sees |
//! | `summary.rs` | [`summary`]: shapes, parameters, FLOPs and receptive field, layer by layer; [`describe`] |
//! | `array.rs` | [`Array`]: numbers with a shape, what instruments hand out |
//! | `activations.rs` | [`activations`]: what every layer takes and makes of it |
//! | `filters.rs` | [`filters`]: the kernels of the convolutional layers |
//! | `goal.rs` | [`Goal`]: what an answer is explained for, and its score; [`Heatmap`] |
//! | `gradcam.rs` | [`gradcam`]: where the channels that speak for it are active |
//! | `saliency.rs` | [`saliency`]: how strongly the score depends on each pixel |
//! | `occlusion.rs` | [`occlusion`]: what covering a part of the image costs |
//! | `gpu.rs` | [`Gpu`]: the GPU, and whether the kernels work on it |
//! | `machine.rs` | [`Machine`]: the processor, its SIMD and memory, and the GEMM speed it reaches |

mod activations;
mod array;
mod filters;
mod goal;
mod gpu;
mod gradcam;
mod machine;
mod occlusion;
mod receptive_field;
mod saliency;
mod summary;
mod tape;

pub use activations::{Activation, activations};
pub use array::Array;
pub use filters::{Filters, filters};
pub use goal::{Goal, Heatmap};
pub use gpu::{Gpu, ptx};
pub use gradcam::{gradcam, gradcam_layer};
pub use machine::{Machine, gemm_roof, peak_resident_bytes};
pub use occlusion::{OcclusionOptions, occlusion};
pub use receptive_field::{ReceptiveField, receptive_field};
pub use saliency::saliency;
pub use summary::{Extent, LayerSummary, Stopped, Summary, describe, summary};
