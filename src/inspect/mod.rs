//! Instruments that analyse a network without changing it. They run it, watch its layers through a
//! [`Hook`](crate::nn::Hook), and read its tape.
//!
//! | file | what |
//! |---|---|
//! | `tape.rs` | the ops recorded between two tensors |
//! | `receptive_field.rs` | [`ReceptiveField`]: the input pixels that an output depends on |
//! | `steps/` | [`conv_steps`] and similar: every number behind one output |
//! | `summary.rs` | [`summary`]: shapes, parameters, FLOPs and receptive field, layer by layer; [`describe`] |
//! | `dry_run.rs` | the image that a dry run follows through a model |
//! | `array.rs` | [`Array`]: numbers with a shape, which the instruments return |
//! | `activations.rs` | [`activations`]: the input and the output of every layer |
//! | `filters.rs` | [`filters`]: the kernels of the convolutional layers |
//! | `attribution_target.rs` | [`Goal`]: what a prediction is explained for, and its score; [`Heatmap`] |
//! | `gradcam.rs` | [`gradcam`]: where the channels that support the goal are active |
//! | `saliency.rs` | [`saliency`]: how strongly the score depends on each pixel |
//! | `occlusion.rs` | [`occlusion`]: how much the score falls when a part of the image is covered |
//! | `layer_health.rs` | [`layer_health`]: norms of weights, gradients and updates, dead units, spread of outputs |
//! | `autograd_graph/` | [`autograd_graph`]: the tape behind a tensor as data, DOT and SVG |
//! | `numerics_diff.rs` | [`numerics_diff`]: the same network computed in two ways, layer by layer |
//! | `profile/` | [`profile`]: the time, work and memory of every op of training steps, by layer |
//! | `roofline.rs` | [`Roof`]: the measured peak speeds of a device |
//! | `layer_graph.rs` | [`layer_graph`]: how the layers are connected, and the part of the image they depend on |
//! | `diagram/` | [`diagram`]: the layers as boxes and arrows, repeated blocks drawn once |
//! | `attrs.rs` | a layer's settings, read from its description |
//! | `gpu_time/` | [`gpu_time`]: what limits each GPU kernel of a step, and its predicted time, without a GPU |
//! | `gpu.rs` | [`Gpu`]: the GPU, and whether the kernels work on it |
//! | `machine.rs` | [`Machine`]: the processor, its SIMD and memory, and its measured GEMM speed |

mod activations;
mod array;
mod attribution_target;
mod attrs;
mod autograd_graph;
mod diagram;
mod dry_run;
mod filters;
mod gpu;
pub mod gpu_time;
mod gradcam;
mod layer_graph;
mod layer_health;
mod machine;
mod numerics_diff;
mod occlusion;
pub mod profile;
mod receptive_field;
mod roofline;
mod saliency;
pub mod steps;
mod summary;
mod tape;

pub use crate::tensor::distribution::{BINS, Histogram, Spread};
pub use activations::{Activation, activations};
pub use array::Array;
pub(crate) use array::parameter;
pub use attribution_target::{Goal, Heatmap};
pub(crate) use attrs::attrs;
pub use autograd_graph::{
    AutogradGraph, GraphEdge, GraphNode, GraphNodeKind, TapeNames, autograd_graph, model_graph,
};
pub use diagram::{Diagram, DiagramBox, RepeatedBoxes, diagram};
pub use filters::{Filters, filters};
pub use gpu::{Gpu, ptx};
pub use gradcam::{gradcam, gradcam_layer};
pub use layer_graph::{LayerGraph, Row, RowKind, layer_graph};
pub use layer_health::{LayerHealth, copy_weights, layer_health};
pub use machine::{Machine, gemm_roof, peak_resident_bytes};
pub use numerics_diff::{Computed, Difference, LayerDiff, NumericsDiff, ParameterDiff, numerics_diff};
pub use occlusion::{OcclusionOptions, occlusion};
pub use receptive_field::{ReceptiveField, receptive_field};
pub use roofline::Roof;
pub use saliency::saliency;
pub use steps::{
    batch_norm_steps, conv_grad_input_steps, conv_grad_weight_steps, conv_steps, conv_transpose_spread,
    conv_transpose_steps, pool_steps, softmax_steps,
};
pub use summary::{Extent, FailedDryRun, LayerSummary, Summary, describe, summary};
