//! Negative log-likelihood of labels: minus the predicted log-probability of each sample's label.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! l_i &= -w_{t_i} \, x_{i,t_i}, \quad 0 \text{ where } t_i \text{ is ignore\_index} \\
//! y &= \textstyle\sum l / \sum_i w_{t_i} \text{ (mean)}, \quad \sum l \text{ (sum)}, \quad l \text{ (none)} \\
//! \mathrm{dx}_{i,c} &= -w_c \, g_i \, [c = t_i], \quad 0 \text{ where } t_i \text{ is ignore\_index} \\
//! g &= \textstyle\mathrm{dy} / \sum_i w_{t_i} \text{ (mean)}, \quad \mathrm{dy} \text{ (sum, none)}
//! \end{aligned}
//! ```
//!
//! The loss of a sample depends on one score, so only that score receives a gradient. The mean divides by the sum of
//! the labels' weights, not by their number. So a large weight for a rare class does not raise the scale of the loss.
//! If every label is ignored, the mean is 0 / 0 = NaN, as in PyTorch (`F.nll_loss`). Class weights get no gradient.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[C]`, `[N, C]` or `[N, C, d1, ..]` | log-probabilities, from `log_softmax` |
//! | target | the input's without C | i64 |
//! | weight | `[C]` | optional |
//! | output | scalar; as target with `reduction=none` | |
//! | divisor | scalar | `sum w[t]` for a mean, else 1; hidden from callers, kept for backward |
//!
//! ```
//! use receptive::ops::nll_loss::NllLoss;
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_vec(&cpu, vec![-0.5f64, -1.0, -0.25, -2.0], &[2, 2])?;
//! let target = Tensor::from_vec(&cpu, vec![0i64, 1], &[2])?;
//! assert_eq!(x.nll_loss(&target, None, NllLoss::default())?.item()?, (0.5 + 2.0) / 2.0);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::reduction::{Reduction, total};
use super::scores::ClassScores;
use crate::core::{Float, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::{Case, Fill, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float, total_bytes};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// `F.nll_loss(input, target, weight, ignore_index, reduction)`: the settings, with PyTorch's defaults.
#[derive(Debug, Clone, Copy)]
pub struct NllLoss {
    /// Samples with this label are ignored.
    pub ignore_index: i64,
    pub reduction: Reduction,
}

impl Default for NllLoss {
    fn default() -> Self {
        NllLoss { ignore_index: -100, reduction: Reduction::Mean }
    }
}

impl NllLoss {
    /// The weight of a label, 0 for the ignored one.
    fn weight<T: Float>(&self, weight: Option<&[T]>, label: i64) -> T {
        if label == self.ignore_index { T::ZERO } else { weight.map_or(T::ONE, |w| w[label as usize]) }
    }

    fn targets(
        &self,
        s: ClassScores,
        target: &DeviceView,
        weight: Option<&DeviceView>,
    ) -> Result<kernels::LossTargets> {
        Ok(kernels::LossTargets { ignore_index: self.ignore_index, ..s.targets(target, weight)? })
    }

    fn forward<T: Float>(&self, cx: &CpuCtx, s: ClassScores, x: &[View], y: &mut [ViewMut]) {
        let (input, target) = (x[0].get::<T>(), x[1].get::<i64>());
        let weight = x.get(2).map(View::get::<T>);
        let loss = |i: usize| {
            let label = target[i];
            if label == self.ignore_index {
                return T::ZERO;
            }
            -(self.weight(weight, label) * input[s.at(i, label as usize)])
        };
        let divisor = |scratch: &mut [T]| {
            cx.map(target, scratch, |label| self.weight(weight, label));
            total(cx, scratch)
        };
        y[1].get::<T>()[0] = self.reduction.reduce(cx, s.samples(), loss, divisor, y[0].get::<T>());
    }
}

impl Op for NllLoss {
    fn name(&self) -> &'static str {
        "nll_loss"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let floats: SmallVec<[Meta; 2]> = std::iter::once(x[0]).chain(x.get(2).copied()).collect();
        let dtype = one_float(self.name(), &floats)?;
        let scores = ClassScores::new(self.name(), x[0].shape, x.get(2).map(|w| w.shape))?;
        scores.check_target(self.name(), &x[1])?;
        Ok(Plan::new(self.reduction.shape(x[1].shape), dtype).hidden(Shape::SCALAR, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[1, 2]).and_outputs(&[1])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let scores = ClassScores::new(self.name(), x[0].shape, None)?;
        scores.check_labels(self.name(), x[1].get(), self.ignore_index)?;
        float_type!(self.name(), x[0].dtype, T => {
            self.forward::<T>(cx, scores, x, y);
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let scores = ClassScores::new(self.name(), x[0].shape, None)?;
        let targets = self.targets(scores, &x[1], x.get(2))?;
        let (input, n, fault) =
            (x[0].f32()?, scores.samples(), scores.fault(cx, self.name(), self.ignore_index));
        let losses = |losses, shares| {
            kernels::nll_loss_fwd_f32(cx, Launch::over(n), input, targets, losses, shares, fault)
        };
        self.reduction.reduce_cuda(cx, n, true, losses, y[0].f32()?, y[1].f32()?)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let (target, divisor) = (saved.input(1), saved.output(1));
        let grad = NllLossGrad { input: saved.meta(0), forward: *self };
        let mut grads: Grads = smallvec![None; saved.len()];
        grads[0] = Some(if saved.len() > 2 {
            Gradient::of(grad, &[&target, &divisor, dy, &saved.input(2)])?
        } else {
            Gradient::of(grad, &[&target, &divisor, dy])?
        });
        Ok(grads)
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        2 * x[1].numel() as u64
    }

    /// Only one score per sample is read.
    fn bytes(&self, x: &[Meta], y: &[Meta]) -> u64 {
        total_bytes(&x[1..]) + (x[1].numel() * x[0].dtype.size()) as u64 + total_bytes(y)
    }

    fn dependence(&self, _x: &[Meta]) -> Dependence {
        Dependence::Global
    }
}

/// `dx[i, c] = -w[c] g[i] [c = t[i]]` from `(target, divisor, dy)` and, if given, `weight`.
#[derive(Debug)]
struct NllLossGrad {
    input: Meta,
    forward: NllLoss,
}

impl GradientOp for NllLossGrad {
    fn name(&self) -> &'static str {
        "nll_loss_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(self.input.shape, one_float(self.name(), &x[1..])?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let s = ClassScores::new(self.name(), self.input.shape, None)?;
        let target = x[0].get::<i64>();
        float_type!(self.name(), x[1].dtype, T => {
            let (divisor, dy) = (x[1].get::<T>()[0], x[2].get::<T>());
            let weight = x.get(3).map(View::get::<T>);
            s.pieces(cx, y[0].get::<T>(), |samples, start, dx| {
                dx.fill(T::ZERO);
                for i in samples {
                    let label = target[i];
                    if label != self.forward.ignore_index {
                        let g = self.forward.reduction.spread(dy, i) / divisor;
                        dx[s.at(i, label as usize) - start] = -(self.forward.weight(weight, label) * g);
                    }
                }
            });
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let scores = ClassScores::new(self.name(), self.input.shape, None)?;
        let targets = self.forward.targets(scores, &x[0], x.get(3))?;
        let (launch, each) = (Launch::over(y[0].numel()), self.forward.reduction == Reduction::None);
        kernels::nll_loss_bwd_f32(cx, launch, x[1].f32()?, x[2].f32()?, targets, i32::from(each), y[0].f32()?)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// The negative log-likelihood of class labels under these log-probabilities (`[N, C]`, `[C]` or `[N, C, d1, ..]`).
    /// `weight` has one factor per class. PyTorch: `F.nll_loss`.
    ///
    /// # Errors
    /// Labels that do not fit the shape, are not i64, or are out of range.
    pub fn nll_loss(&self, target: &Tensor, weight: Option<&Tensor>, settings: NllLoss) -> Result<Tensor> {
        let inputs: SmallVec<[&Tensor; 3]> = [self, target].into_iter().chain(weight).collect();
        Ok(one(apply(settings, &inputs)?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "nll_loss",
    torch: "F.nll_loss(input, target, weight=None, ignore_index=-100, reduction='mean')",
    inputs: &[
        Input::new("input"),
        Input::new("target").constant(),
        Input::new("weight").optional().constant(),
    ],
    outputs: &["output"],
    attrs: &["ignore_index", "reduction"],
    layer: None,
    build: |attrs| {
        let ignore_index = attrs.or("ignore_index", -100)?;
        Ok(Arc::new(NllLoss { ignore_index, reduction: attrs.or("reduction", Reduction::Mean)? }))
    },
    cases: || {
        let labels = |case: Case, scores: &[usize], target: &[usize]| {
            let classes = scores[usize::from(scores.len() > 1)];
            case.input("input", scores).filled("target", target, Fill::Labels(classes))
        };
        let weighted = |case: Case, classes| case.filled("weight", &[classes], Fill::Uniform(0.5, 2.0));
        vec![
            labels(Case::new("mean", ""), &[4, 3], &[4]),
            labels(Case::new("sum", "reduction=sum"), &[4, 3], &[4]),
            labels(Case::new("none", "reduction=none"), &[4, 3], &[4]),
            labels(Case::new("a class ignored", "ignore_index=1"), &[9, 3], &[9]),
            weighted(labels(Case::new("weighted", ""), &[4, 3], &[4]), 3),
            weighted(labels(Case::new("weighted maps", "ignore_index=0"), &[2, 3, 4, 5], &[2, 4, 5]), 3),
            weighted(labels(Case::new("weighted, single", "reduction=none"), &[2, 3, 4], &[2, 4]), 3),
            labels(Case::new("one sample", ""), &[5], &[]).edge(),
            labels(Case::new("empty batch, sum", "reduction=sum"), &[0, 3], &[0]).edge(),
            labels(Case::new("one class", "reduction=sum"), &[3, 1], &[3]).edge(),
            labels(Case::new("ImageNet classes", ""), &[256, 1000], &[256]).bench(),
            labels(Case::new("segmentation", ""), &[8, 21, 128, 128], &[8, 128, 128]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Device, ErrorKind};

    #[test]
    fn a_label_out_of_range_is_named_with_its_position() {
        let cpu = Device::cpu().unwrap();
        let x = Tensor::zeros(&cpu, &[2, 3, 2], DType::F32).unwrap();
        let target = Tensor::from_vec(&cpu, vec![0i64, 2, -100, 3], &[2, 2]).unwrap();
        let error = x.nll_loss(&target, None, NllLoss::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(
            error.to_string().contains("label 3 at position [1, 1] is out of range for 3 classes"),
            "{error}"
        );
    }

    /// As in PyTorch: a mean over no samples is NaN, but ignored samples still receive gradient 0.
    #[test]
    fn with_every_label_ignored_the_mean_is_nan_and_the_gradient_zero() {
        let cpu = Device::cpu().unwrap();
        let x = Tensor::zeros(&cpu, &[2, 3], DType::F32).unwrap().requires_grad();
        let target = Tensor::from_vec(&cpu, vec![-100i64, -100], &[2]).unwrap();
        let y = x.nll_loss(&target, None, NllLoss::default()).unwrap();
        y.backward().unwrap();
        assert!(y.item().unwrap().is_nan());
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), [0.0; 6]);
    }

    #[test]
    fn targets_and_weights_that_do_not_fit_are_refused() {
        let meta = Device::meta();
        let tensor = |dims: &[usize], dtype| Tensor::zeros(&meta, dims, dtype).unwrap();
        let (x, weight) = (tensor(&[2, 3], DType::F32), tensor(&[2], DType::F32));
        let kind =
            |target: &Tensor, weight| x.nll_loss(target, weight, NllLoss::default()).unwrap_err().kind();
        assert_eq!(kind(&tensor(&[3], DType::I64), None), ErrorKind::Shape);
        assert_eq!(kind(&tensor(&[2], DType::U8), None), ErrorKind::DType);
        assert_eq!(kind(&tensor(&[2], DType::I64), Some(&weight)), ErrorKind::Shape);
    }
}
