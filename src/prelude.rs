//! The names that most programs need. They are stable: they stay here, even if other names move before version 1.0.
//!
//! ```
//! use receptive::prelude::*;
//!
//! let cpu = Device::cpu()?;
//! let net = Sequential::new().named("fc1", Linear::new(2, 8)).named("relu", Relu).named("fc2", Linear::new(8, 1));
//! net.init(&cpu, DType::F32, 0)?;
//! let x = Tensor::randn(&cpu, &[4, 2], DType::F32, Key::new(0))?;
//! assert_eq!(net.forward(&Ctx::eval("net"), &x)?.dims(), [4, 1]);
//! # Ok::<(), receptive::Error>(())
//! ```

pub use crate::data::{DataDirs, Dataset, Loader, LoaderOptions, TensorDataset, load};
pub use crate::nn::{
    AdaptiveAvgPool2d, AvgPool2d, BatchNorm1d, BatchNorm2d, Conv2d, ConvTranspose2d, Criterion, Ctx, Dropout,
    Flatten, GroupNorm, Hook, Init, LayerNorm, Linear, LogSoftmax, Loss, MaxPool2d, Module, ModuleExt, Param,
    Relu, Residual, Sequential, Sigmoid, Softmax, Tanh, Upsample, Visitor,
};
pub use crate::optim::{Adam, Optimizer, Schedule, Sgd};
pub use crate::tensor::Op;
pub use crate::train::{
    Callback, Flow, Outcome, Phase, PhaseReport, RunConfig, StepReport, Trainer, evaluate,
};
pub use crate::{DType, Device, Error, Key, Result, Tensor};
