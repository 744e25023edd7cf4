//! Layers: parameters with names, and the context in which a forward pass runs.
//!
//! | file | what |
//! |---|---|
//! | `module.rs`, `state.rs` | [`Module`]: forward and visit; [`ModuleExt`]: state_dict, loading, counting |
//! | `param.rs`, `init.rs` | [`Param`]: a tensor whose values are drawn when the model is initialised, and the rules |
//! | `ctx.rs` | [`Ctx`]: train or eval, randomness, the path of the running layer, hooks |
//! | `conv.rs`, `conv_transpose.rs`, `linear.rs` | the layers with weights |
//! | `batch_norm.rs`, `norm.rs`, `norm_parts.rs` | the normalisations, and what they share |
//! | `activation.rs`, `pool.rs`, `upsample.rs`, `dropout.rs`, `flatten.rs` | layers without parameters |
//! | `sequential.rs`, `residual.rs`, `concat.rs` | layers made of layers: one after another, or in parallel |
//! | `fuse.rs` | adjacent layers that run as one op |
//! | `loss.rs`, `criterion.rs` | [`Loss`]: compares an output with its target; [`Criterion`]: a loss with settings |

mod activation;
mod batch_norm;
mod concat;
mod conv;
mod conv_transpose;
mod criterion;
mod ctx;
mod dropout;
mod flatten;
mod fuse;
mod init;
mod linear;
mod loss;
mod module;
mod norm;
mod norm_parts;
mod param;
mod pool;
mod residual;
mod sequential;
mod state;
mod upsample;

pub use activation::{Gelu, LeakyRelu, LogSoftmax, OpLayer, Relu, Scale, Sigmoid, Silu, Softmax, Tanh};
pub use batch_norm::{BatchNorm1d, BatchNorm2d};
pub use concat::Concat;
pub use conv::Conv2d;
pub use conv_transpose::ConvTranspose2d;
pub use criterion::Criterion;
pub use ctx::{Ctx, Hook, Mode};
pub use dropout::{Dropout, Dropout2d};
pub use flatten::Flatten;
pub use fuse::{BeforeLoss, BeforeRelu, Fusion};
pub use init::{Init, Scheme};
pub use linear::Linear;
pub use loss::Loss;
pub use module::{Module, Visitor};
pub use norm::{GroupNorm, InstanceNorm2d, LayerNorm, LocalResponseNorm};
pub use param::{Pair, Param, Role};
pub use pool::{AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d};
pub use residual::Residual;
pub use sequential::Sequential;
pub use state::{LoadReport, ModuleExt};
pub use upsample::{Factors, Upsample};
