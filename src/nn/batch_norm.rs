//! Batch normalisation layers.

use super::norm_parts::{AffineParams, RunningStats, flag, python};
use super::{BeforeRelu, Ctx, Fusion, Module, Visitor};
use crate::core::{Error, Result};
use crate::ops::batch_norm::BatchNormOptions;
use crate::tensor::Tensor;

/// A layer's name, the input shapes that it accepts, and their ranks.
type Takes = (&'static str, &'static str, &'static [usize]);

/// The common part of [`BatchNorm1d`] and [`BatchNorm2d`].
#[derive(Debug)]
struct BatchNorm {
    features: usize,
    affine: Option<AffineParams>,
    running: Option<RunningStats>,
    eps: f64,
    momentum: Option<f64>,
}

impl BatchNorm {
    fn new(features: usize) -> BatchNorm {
        let BatchNormOptions { eps, momentum, .. } = BatchNormOptions::default();
        let (affine, running) = (Some(AffineParams::new(&[features])), Some(RunningStats::new(features)));
        BatchNorm { features, affine, running, eps, momentum: Some(momentum) }
    }

    /// With `relu` the layer, the sum with a residual (if there is one) and the ReLU run as one op.
    fn forward(
        &self,
        cx: &Ctx,
        x: &Tensor,
        (kind, shapes, ranks): Takes,
        relu: Option<Option<&Tensor>>,
    ) -> Result<Tensor> {
        if !ranks.contains(&x.dims().len()) {
            return Err(Error::shape(kind, format!("input has {} dimensions", x.dims().len()))
                .with("input", x.shape())
                .expected(shapes));
        }
        let [weight, bias] = AffineParams::values(&self.affine, cx)?;
        let running = self.running.as_ref().map(RunningStats::values).transpose()?;
        let tracks = cx.is_training() && !self.running.as_ref().is_some_and(RunningStats::is_frozen);
        let settings = BatchNormOptions {
            training: tracks || running.is_none(),
            // Momentum 1 returns the batch's own statistics; `track` averages them.
            momentum: self.momentum.unwrap_or(1.0),
            eps: self.eps,
        };
        let (weight, bias) = (weight.as_ref(), bias.as_ref());
        let (y, tracked) = match relu {
            Some(residual) => x.batch_norm_relu(running, weight, bias, residual, settings)?,
            None => x.batch_norm(running, weight, bias, settings)?,
        };
        if let (true, Some(running), Some(tracked)) = (tracks, &self.running, tracked) {
            running.track(&tracked, self.momentum.is_none())?;
        }
        Ok(y)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        AffineParams::visit(&self.affine, visitor);
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
    ($(#[$doc:meta])* $name:ident, $shapes:literal, $ranks:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(BatchNorm);

        impl $name {
            /// eps 1e-5, momentum 0.1. Initially weight 1, bias 0, running mean 0 and running variance 1.
            pub fn new(features: usize) -> $name {
                $name(BatchNorm::new(features))
            }

            /// Sets the number that is added to the variance.
            pub fn eps(mut self, eps: f64) -> $name {
                self.0.eps = eps;
                self
            }

            /// Sets the weight of a batch in the running statistics; `None` averages over all batches so far.
            pub fn momentum(mut self, momentum: impl Into<Option<f64>>) -> $name {
                self.0.momentum = momentum.into();
                self
            }

            /// The same layer without weight and bias.
            pub fn no_affine(mut self) -> $name {
                self.0.affine = None;
                self
            }

            /// The same layer without running statistics. Evaluation then uses the batch's own statistics too.
            pub fn no_running_stats(mut self) -> $name {
                self.0.running = None;
                self
            }
        }

        impl BeforeRelu for $name {
            fn forward_relu(&self, cx: &Ctx, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
                self.0.forward(cx, x, (stringify!($name), $shapes, $ranks), Some(residual))
            }

            fn takes_residual(&self, x: &Tensor, residual: &Tensor) -> bool {
                x.dims() == residual.dims()
            }
        }

        impl Module for $name {
            fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
                self.0.forward(cx, x, (stringify!($name), $shapes, $ranks), None)
            }

            fn fusion(&self) -> Fusion<'_> {
                Fusion::BeforeRelu(self)
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
    BatchNorm1d, "[N, C] or [N, C, L]", &[2, 3]
}

batch_norm! {
    /// Batch normalisation of images `[N, C, H, W]`: `weight [C]`, `bias [C]`, and the buffers `running_mean [C]`,
    /// `running_var [C]` and `num_batches_tracked` (i64, a scalar). PyTorch: `nn.BatchNorm2d`.
    ///
    /// A training pass normalises by the batch's statistics and updates the buffers in place, before the optimiser's
    /// step. It does so even if weight and bias are frozen, as in PyTorch, where `requires_grad = False` does not stop
    /// the updates. If the buffers are frozen too ([`Param::freeze`](super::Param::freeze)), the layer normalises by
    /// its running statistics and does not change them, as a PyTorch layer in `eval()`. On the meta device nothing is
    /// updated.
    ///
    /// ```
    /// use receptive::nn::{BatchNorm2d, Module};
    /// let norm = BatchNorm2d::new(64);
    /// let text = "BatchNorm2d(64, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)";
    /// assert_eq!(norm.describe(), text);
    /// ```
    BatchNorm2d, "[N, C, H, W]", &[4]
}
