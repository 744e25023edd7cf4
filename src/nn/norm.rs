//! Normalisation layers.

use super::{Ctx, Init, Module, Param, Visitor};
use crate::core::{DType, Float, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::float_type;
use crate::ops::batch_norm::BatchNormOptions;
use crate::tensor::{Tensor, Update, update};

/// A weight that starts at 1 and a bias that starts at 0.
#[derive(Debug)]
struct Affine {
    weight: Param,
    bias: Param,
}

impl Affine {
    fn new(dims: &[usize]) -> Affine {
        let param = |value| Param::new(dims, Init::Constant(value));
        Affine { weight: param(1.0), bias: param(0.0) }
    }

    fn visit<'a>(affine: &'a Option<Affine>, visitor: &mut Visitor<'a>) {
        if let Some(Affine { weight, bias }) = affine {
            visitor.param("weight", weight);
            visitor.param("bias", bias);
        }
    }

    /// Weight and bias for this pass.
    fn values(affine: &Option<Affine>, cx: &Ctx) -> Result<[Option<Tensor>; 2]> {
        let Some(Affine { weight, bias }) = affine else { return Ok([None, None]) };
        Ok([Some(cx.value(weight)?), Some(cx.value(bias)?)])
    }
}

/// The running statistics of a layer: buffers, updated in place by every training pass.
#[derive(Debug)]
struct Running {
    mean: Param,
    var: Param,
    batches: Param,
}

impl Running {
    fn new(features: usize) -> Running {
        let buffer = |value| Param::buffer(&[features], Init::Constant(value), None);
        let batches = Param::buffer(&[], Init::Constant(0.0), Some(DType::I64));
        Running { mean: buffer(0.0), var: buffer(1.0), batches }
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        visitor.param("running_mean", &self.mean);
        visitor.param("running_var", &self.var);
        visitor.param("num_batches_tracked", &self.batches);
    }

    fn values(&self) -> Result<[&Tensor; 2]> {
        Ok([self.mean.value()?, self.var.value()?])
    }

    /// Counts a batch and stores what the op made of its statistics.
    fn track(&self, [mean, var]: [Tensor; 2], cumulative: bool) -> Result<()> {
        let targets = [self.mean.value()?, self.var.value()?, self.batches.value()?];
        update(&Track { cumulative }, &targets, &[&mean, &var])
    }
}

/// Targets `running_mean`, `running_var`, `num_batches_tracked`; inputs their new values, or with `cumulative` the
/// batch's own statistics, of which each batch so far shall count the same.
#[derive(Debug)]
struct Track {
    cumulative: bool,
}

impl Track {
    fn store<T: Float>(&self, batches: i64, target: &mut [T], x: &[T]) {
        if !self.cumulative {
            return target.copy_from_slice(x);
        }
        let share = 1.0 / batches as f64;
        for (running, x) in target.iter_mut().zip(x) {
            *running = T::from_f64((1.0 - share) * running.to_f64() + share * x.to_f64());
        }
    }
}

impl Update for Track {
    fn name(&self) -> &'static str {
        "running statistics"
    }

    fn cpu(&self, _cx: &CpuCtx, targets: &mut [ViewMut], x: &[View]) -> Result<()> {
        let [mean, var, batches] = targets else { unreachable!("three targets") };
        let batches = &mut batches.get::<i64>()[0];
        *batches += 1;
        float_type!(self.name(), mean.dtype, T => {
            self.store::<T>(*batches, mean.get(), x[0].get());
            self.store::<T>(*batches, var.get(), x[1].get());
            Ok(())
        })
    }
}

/// A number as Python prints it: `1e-05`, `0.1`, `1.0`.
fn python(x: f64) -> String {
    let text = format!("{x:?}");
    match text.split_once("e-") {
        Some((digits, exponent)) if exponent.len() < 2 => format!("{digits}e-0{exponent}"),
        _ => text,
    }
}

/// A flag as Python prints it.
fn flag(on: bool) -> &'static str {
    if on { "True" } else { "False" }
}

/// What [`BatchNorm1d`] and [`BatchNorm2d`] share.
#[derive(Debug)]
struct BatchNorm {
    features: usize,
    affine: Option<Affine>,
    running: Option<Running>,
    eps: f64,
    momentum: Option<f64>,
}

impl BatchNorm {
    fn new(features: usize) -> BatchNorm {
        let BatchNormOptions { eps, momentum, .. } = BatchNormOptions::default();
        let (affine, running) = (Some(Affine::new(&[features])), Some(Running::new(features)));
        BatchNorm { features, affine, running, eps, momentum: Some(momentum) }
    }

    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        let [weight, bias] = Affine::values(&self.affine, cx)?;
        let running = self.running.as_ref().map(Running::values).transpose()?;
        let settings = BatchNormOptions {
            training: cx.is_training() || running.is_none(),
            // All of the batch's statistics: `track` averages them.
            momentum: self.momentum.unwrap_or(1.0),
            eps: self.eps,
        };
        let (y, tracked) = x.batch_norm(running, weight.as_ref(), bias.as_ref(), settings)?;
        if let (true, Some(running), Some(tracked)) = (cx.is_training(), &self.running, tracked) {
            running.track(tracked, self.momentum.is_none())?;
        }
        Ok(y)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        Affine::visit(&self.affine, visitor);
        if let Some(running) = &self.running {
            running.visit(visitor);
        }
    }

    fn settings(&self) -> String {
        let momentum = self.momentum.map_or("None".into(), python);
        let affine = flag(self.affine.is_some());
        format!(
            "({}, eps={}, momentum={momentum}, affine={affine}, bias={affine}, track_running_stats={})",
            self.features,
            python(self.eps),
            flag(self.running.is_some())
        )
    }
}

macro_rules! batch_norm {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(BatchNorm);

        impl $name {
            /// eps 1e-5, momentum 0.1; weight 1, bias 0, running mean 0 and variance 1 to start with.
            pub fn new(features: usize) -> $name {
                $name(BatchNorm::new(features))
            }

            /// What is added to the variance.
            pub fn eps(mut self, eps: f64) -> $name {
                self.0.eps = eps;
                self
            }

            /// How much of a batch's statistics goes into the running ones; `None` averages over all batches so far.
            pub fn momentum(mut self, momentum: impl Into<Option<f64>>) -> $name {
                self.0.momentum = momentum.into();
                self
            }

            /// The same without weight and bias.
            pub fn no_affine(mut self) -> $name {
                self.0.affine = None;
                self
            }

            /// The same without running statistics: the batch's own in evaluation too.
            pub fn no_running_stats(mut self) -> $name {
                self.0.running = None;
                self
            }
        }

        impl Module for $name {
            fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
                self.0.forward(cx, x)
            }

            fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
                self.0.visit(visitor);
            }

            fn kind(&self) -> &'static str {
                stringify!($name)
            }

            fn describe(&self) -> String {
                format!("{}{}", self.kind(), self.0.settings())
            }
        }
    };
}

batch_norm! {
    /// Batch normalisation of features `[N, C]` or sequences `[N, C, L]`. PyTorch: `nn.BatchNorm1d`; see
    /// [`BatchNorm2d`].
    BatchNorm1d
}

batch_norm! {
    /// Batch normalisation of images `[N, C, H, W]`: `weight [C]`, `bias [C]`, and the buffers `running_mean [C]`,
    /// `running_var [C]` and `num_batches_tracked` (i64, a scalar). PyTorch: `nn.BatchNorm2d`.
    ///
    /// A training pass normalises by the batch's statistics and updates the buffers in place, before the optimiser's
    /// step and also where weight and bias are frozen: to keep the statistics of a frozen layer run it in evaluation,
    /// as in PyTorch. On the meta device nothing is updated.
    ///
    /// ```
    /// use receptive::nn::{BatchNorm2d, Module};
    /// let norm = BatchNorm2d::new(64);
    /// let text = "BatchNorm2d(64, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)";
    /// assert_eq!(norm.describe(), text);
    /// ```
    BatchNorm2d
}
