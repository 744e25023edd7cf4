//! Instruments that look into a network without the network knowing: they run it, watch its layers through a
//! [`Hook`](crate::nn::Hook), and read its tape.
//!
//! | file | what |
//! |---|---|
//! | `tape.rs` | the ops recorded between two tensors |
//! | `receptive_field.rs` | [`ReceptiveField`]: which input pixels an output sees |
//! | `summary.rs` | [`summary`]: shapes, parameters, FLOPs and receptive field, layer by layer; [`describe`] |
//! | `layer_health.rs` | [`layer_health`]: norms of weights, gradients and updates, dead units, spread of outputs |
//! | `autograd_graph/` | [`autograd_graph`]: the tape behind a tensor as data, DOT and SVG |
//! | `numerics_diff.rs` | [`numerics_diff`]: the same network computed in two ways, layer by layer |
//! | `gpu.rs` | [`Gpu`]: the GPU, and whether the kernels work on it |
//! | `report/` | [`report`]: a network and an image, looked into, as data and as one page |
//! | `machine.rs` | [`Machine`]: the processor, its SIMD and memory, and the GEMM speed it reaches |

mod autograd_graph;
mod gpu;
mod layer_health;
mod machine;
mod numerics_diff;
mod receptive_field;
pub mod report;
mod summary;
mod tape;

pub use autograd_graph::{
    AutogradGraph, GraphEdge, GraphNode, GraphNodeKind, TapeNames, autograd_graph, model_graph,
};
pub use gpu::{Gpu, ptx};
pub use layer_health::{BINS, Histogram, LayerHealth, Spread, copy_weights, layer_health};
pub use machine::{Machine, gemm_roof, peak_resident_bytes};
pub use numerics_diff::{
    Computed, Difference, LayerDiff, NumericsDiff, ParameterDiff, numerics_diff,
};
pub use receptive_field::{ReceptiveField, receptive_field};
pub use summary::{Extent, LayerSummary, Stopped, Summary, describe, summary};
