//! One element of an op's output, term by term, to follow the computation by hand.
//!
//! Each function takes the op's own inputs and a place, and returns every number behind the element at that place, in
//! f64 and as plain data. The functions compute slowly, from the definition, and their results equal the op's
//! (`tests/inspect/steps.rs` compares them on every case of the op table). The page of `receptive inspect` shows the
//! same numbers.
//!
//! | file | what |
//! |---|---|
//! | `conv.rs` | [`conv_steps`]: the patch, the kernel, the products; [`conv_grad_weight_steps`] |
//! | `gather.rs` | [`conv_grad_input_steps`], [`conv_transpose_steps`]: sums of many terms; [`conv_transpose_spread`] |
//! | `gemm.rs` | [`ConvGemm`]: the same output in a matrix product, and its tile |
//! | `pool.rs` | [`pool_steps`]: the window, the winner, the divisor |
//! | `batch_norm.rs` | [`batch_norm_steps`]: mean, variance, scale and shift |
//! | `softmax.rs` | [`softmax_steps`]: shifted exponentials and their sum |
//! | `elements.rs` | tensors as f64 values, accessed by index |
//!
//! ```
//! use receptive::inspect::conv_steps;
//! use receptive::ops::conv2d::Conv2dOptions;
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let image = Tensor::from_vec(&cpu, vec![1f32, 2.0, 4.0, 3.0, 5.0, 7.0, 6.0, 8.0, 9.0], &[1, 1, 3, 3])?;
//! let weight = Tensor::from_vec(&cpu, vec![1f32, 0.0, 0.0, -1.0], &[1, 1, 2, 2])?;
//! let steps = conv_steps(&image, &weight, None, &Conv2dOptions::default(), [0, 0, 1, 1])?;
//! let products: Vec<f64> = steps.taps.iter().map(|tap| tap.product).collect();
//! assert_eq!((&products[..], steps.result), (&[5.0, 0.0, 0.0, -9.0][..], -4.0));
//! # Ok::<(), receptive::Error>(())
//! ```

mod batch_norm;
mod conv;
mod elements;
mod gather;
mod gemm;
mod pool;
mod softmax;

pub use batch_norm::{BatchNormSteps, batch_norm_steps};
pub use conv::{ConvSteps, ConvTap, GradWeightSteps, GradWeightTerm, conv_grad_weight_steps, conv_steps};
pub use gather::{
    ConvTransposeSpread, ConvTransposeSteps, GradInputSteps, Reached, SpreadTap, conv_grad_input_steps,
    conv_transpose_spread, conv_transpose_steps,
};
pub use gemm::{ConvGemm, DepthBlock, GemmTile, conv_tiling};
pub use pool::{PoolSteps, PoolTap, Pooled, Pooling, pool_steps};
pub use softmax::{SoftmaxSteps, SoftmaxTerm, softmax_steps};
