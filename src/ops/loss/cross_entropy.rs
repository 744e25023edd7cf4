//! Cross-entropy of class scores against labels or class probabilities: log_softmax and the loss in one op.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! p_i &= \operatorname{softmax}(x_i) \text{ over the classes} \\
//! q_{i,c} &= (1 - s) \, t_{i,c} + s / C, \quad 0 \text{ where the label is ignore\_index} \\
//! l_i &= -\sum_c w_c \, q_{i,c} \ln p_{i,c} \\
//! y &= \textstyle\sum l / \mathrm{divisor} \text{ (mean)}, \quad \sum l \text{ (sum)}, \quad l \text{ (none)} \\
//! \mathrm{dx}_{i,c} &= g_i \, \Bigl( p_{i,c} \sum_k w_k \, q_{i,k} - w_c \, q_{i,c} \Bigr) \\
//! \mathrm{dt}_{i,c} &= -g_i \, (1 - s) \, w_c \ln p_{i,c} \quad \text{for probabilities} \\
//! g &= \mathrm{dy} / \mathrm{divisor} \text{ (mean)}, \quad \mathrm{dy} \text{ (sum, none)}
//! \end{aligned}
//! ```
//!
//! t is the target (one-hot for labels), s is `label_smoothing`, and w the class weights. For labels, the divisor is
//! `sum w[label]` over all samples that are not ignored. For probabilities it is the number of samples.
//!
//! The gradient applies the chain rule twice. The loss gives each `ln p` the gradient `-g w q`. log_softmax turns a
//! gradient `u` into `u - p sum u`. Without weights the sum over k is 1, so dx is g times the well-known `p - q`.
//! Because both steps are one op, the gradient between them is never stored. That saves a pass over the scores, the
//! largest tensor of a segmentation net.
//!
//! The semantics are those of PyTorch's `F.cross_entropy`. A floating-point target of the input's shape means
//! probabilities, an i64 target means labels. Class weights get no gradient. The mean over no samples is NaN. If all
//! labels are of classes with weight 0, the divisor is 0. Then the mean and the gradients of these samples are 0 / 0,
//! which is NaN. On a GPU only the gradient of the label's own score is then NaN.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[C]`, `[N, C]` or `[N, C, d1, ..]` | scores before softmax |
//! | target | the input's without C, i64; or as input | labels, or probabilities |
//! | weight | `[C]` | optional |
//! | output | scalar; the input's shape without C with `reduction=none` | |
//! | log-probabilities | as input | hidden from callers, kept for backward |
//! | divisor | scalar | that of the mean, else 1; hidden from callers, kept for backward |
//!
//! ```
//! use receptive::ops::cross_entropy::CrossEntropy;
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_vec(&cpu, vec![0f64, 0.0, 0.0, 0.0], &[1, 4])?.requires_grad();
//! let target = Tensor::from_vec(&cpu, vec![2i64], &[1])?;
//! let loss = x.cross_entropy(&target, None, CrossEntropy::default())?;
//! assert_eq!(loss.item()?, 4f64.ln());
//! loss.backward()?;
//! assert_eq!(x.grad().unwrap().to_vec::<f64>()?, [0.25, 0.25, -0.75, 0.25]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cross_entropy_targets::Targets;
use super::reduction::{Of, Reduction};
use super::scores::ClassScores;
use crate::core::{DType, Error, Float, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut, softmax};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::{Case, Fill, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// `F.cross_entropy(input, target, weight, ignore_index, label_smoothing, reduction)`: the settings, with PyTorch's
/// defaults.
#[derive(Debug, Clone, Copy)]
pub struct CrossEntropy {
    /// Samples with this label are ignored. Used only if the targets are labels.
    pub ignore_index: i64,
    /// The part of each target that is spread evenly over all classes, from 0 to 1.
    pub label_smoothing: f64,
    pub reduction: Reduction,
}

impl Default for CrossEntropy {
    fn default() -> Self {
        CrossEntropy { ignore_index: -100, label_smoothing: 0.0, reduction: Reduction::Mean }
    }
}

impl CrossEntropy {
    fn targets(
        &self,
        s: ClassScores,
        target: &DeviceView,
        weight: Option<&DeviceView>,
    ) -> Result<kernels::LossTargets> {
        let (ignore_index, smoothing) = (self.ignore_index, self.label_smoothing);
        Ok(kernels::LossTargets { ignore_index, smoothing, ..s.targets(target, weight)? })
    }

    fn forward<T: Float>(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let targets = Targets::<T>::new(*self, x[0].shape, x[1], x.get(2).copied())?;
        let s = targets.s;
        let [output, log_p, divisor] = y else { unreachable!("infer plans three outputs") };
        let log_p = log_p.get::<T>();
        softmax::log_softmax(cx, [s.n, s.c, s.d], x[0].get::<T>(), log_p);
        let log_p = &*log_p;
        let loss = |i: usize| {
            let mut sum = T::ZERO;
            targets.each(i, |c, wq| sum -= wq * log_p[s.at(i, c)]);
            sum
        };
        let divide_by = |scratch: &mut [T]| targets.divisor(cx, scratch);
        divisor.get::<T>()[0] = self.reduction.reduce(cx, s.samples(), loss, divide_by, output.get::<T>());
        Ok(())
    }
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let probabilities = x[1].dtype.is_float();
        let floats = x.iter().enumerate().filter(|&(i, _)| i != 1 || probabilities);
        let dtype = one_float(self.name(), &floats.map(|(_, m)| *m).collect::<SmallVec<[Meta; 3]>>())?;
        let scores = ClassScores::new(self.name(), x[0].shape, x.get(2).map(|w| w.shape))?;
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            let what = format!("label_smoothing {} is not between 0 and 1", self.label_smoothing);
            return Err(Error::argument(self.name(), what));
        }
        if !probabilities {
            scores.check_target(self.name(), &x[1])?;
        } else if x[1].shape != x[0].shape {
            return Err(Error::shape(self.name(), "class probabilities disagree with input")
                .with("input", x[0].shape)
                .with("target", x[1].shape)
                .expected(format!("target {}, or i64 labels {}", x[0].shape, scores.labels)));
        } else if self.ignore_index >= 0 {
            return Err(Error::argument(
                self.name(),
                "ignore_index works only with labels, not with class probabilities",
            ));
        }
        let plan = Plan::new(self.reduction.shape(scores.labels), dtype);
        Ok(plan.hidden(x[0].shape, dtype).hidden(Shape::SCALAR, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[1, 2]).and_outputs(&[1, 2])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        if x[1].dtype == DType::I64 {
            let scores = ClassScores::new(self.name(), x[0].shape, None)?;
            scores.check_labels(self.name(), x[1].get(), self.ignore_index)?;
        }
        float_type!(self.name(), x[0].dtype, T => self.forward::<T>(cx, x, y))
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let scores = ClassScores::new(self.name(), x[0].shape, None)?;
        let targets = self.targets(scores, &x[1], x.get(2))?;
        let (launch, lanes) = Launch::lines([scores.n, scores.c, scores.d]);
        let (input, log_p, fault) =
            (x[0].f32()?, y[1].f32()?, scores.fault(cx, self.name(), self.ignore_index));
        let losses = |losses, shares| {
            kernels::cross_entropy_fwd_f32(cx, launch, input, targets, lanes, log_p, losses, shares, fault)
        };
        let weighted = x[1].dtype == DType::I64;
        self.reduction.reduce_cuda(cx, scores.samples(), weighted, losses, y[0].f32()?, y[2].f32()?)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let (target, log_p, divisor) = (saved.input(1), saved.output(1), saved.output(2));
        let weight = (saved.len() > 2).then(|| saved.input(2));
        let inputs: SmallVec<[&Tensor; 5]> =
            [&log_p, &divisor, dy, &target].into_iter().chain(weight.as_ref()).collect();
        let mut grads: Grads = smallvec![None; saved.len()];
        for (of, grad) in [Of::Input, Of::Target].into_iter().zip(&mut grads) {
            if needs[of as usize] {
                *grad = Some(Gradient::of(CrossEntropyGrad { forward: *self, of }, &inputs)?);
            }
        }
        Ok(grads)
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        4 * x[0].numel() as u64
    }

    fn dependence(&self, _x: &[Meta]) -> Dependence {
        Dependence::Global
    }
}

/// `dx` or `dt` from `(ln p, divisor, dy, target)` and, if given, `weight`.
#[derive(Debug)]
struct CrossEntropyGrad {
    forward: CrossEntropy,
    of: Of,
}

impl CrossEntropyGrad {
    fn run<T: Float>(&self, cx: &CpuCtx, x: &[View], gradient: &mut [T]) -> Result<()> {
        let targets = Targets::<T>::new(self.forward, x[0].shape, x[3], x.get(4).copied())?;
        let s = targets.s;
        let (log_p, divisor, dy) = (x[0].get::<T>(), x[1].get::<T>()[0], x[2].get::<T>());
        let rest = T::from_f64(1.0 - self.forward.label_smoothing);
        s.pieces(cx, gradient, |samples, start, gradient| {
            for i in samples {
                let g = self.forward.reduction.spread(dy, i) / divisor;
                if self.of == Of::Target {
                    for c in 0..s.c {
                        gradient[s.at(i, c) - start] = -(g * rest * targets.weight(c) * log_p[s.at(i, c)]);
                    }
                    continue;
                }
                let (mut sum, mut asks) = (T::ZERO, false);
                targets.each(i, |_, wq| (sum, asks) = (sum + wq, true));
                // An ignored sample has gradient 0, even if `g` is infinite (a mean over no samples divides by 0). A
                // sample whose class has weight 0 is not ignored: 0 / 0 gives NaN for every class, as in PyTorch.
                let scale = if asks { g * sum } else { T::ZERO };
                for c in 0..s.c {
                    gradient[s.at(i, c) - start] = log_p[s.at(i, c)].exp() * scale;
                }
                targets.each(i, |c, wq| gradient[s.at(i, c) - start] -= g * wq);
            }
        });
        Ok(())
    }
}

impl GradientOp for CrossEntropyGrad {
    fn name(&self) -> &'static str {
        "cross_entropy_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, one_float(self.name(), &x[..3])?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => self.run::<T>(cx, x, y[0].get::<T>()))
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let scores = ClassScores::new(self.name(), x[0].shape, None)?;
        let targets = self.forward.targets(scores, &x[3], x.get(4))?;
        let (log_p, divisor, dy, gradient) = (x[0].f32()?, x[1].f32()?, x[2].f32()?, y[0].f32()?);
        let each = i32::from(self.forward.reduction == Reduction::None);
        if self.of == Of::Target {
            let launch = Launch::over(y[0].numel());
            return kernels::cross_entropy_target_f32(
                cx, launch, log_p, divisor, dy, targets, each, gradient,
            );
        }
        let (launch, lanes) = Launch::lines([scores.n, scores.c, scores.d]);
        kernels::cross_entropy_bwd_f32(cx, launch, log_p, divisor, dy, targets, lanes, each, gradient)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// The cross-entropy of these scores (`[N, C]`, `[C]` or `[N, C, d1, ..]`) against i64 labels or class
    /// probabilities. `weight` has one factor per class. PyTorch: `F.cross_entropy`.
    ///
    /// # Errors
    /// A target that does not fit, labels out of range, a smoothing outside 0 to 1.
    pub fn cross_entropy(
        &self,
        target: &Tensor,
        weight: Option<&Tensor>,
        settings: CrossEntropy,
    ) -> Result<Tensor> {
        let inputs: SmallVec<[&Tensor; 3]> = [self, target].into_iter().chain(weight).collect();
        Ok(one(apply(settings, &inputs)?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "cross_entropy",
    torch: "F.cross_entropy(input, target, weight=None, ignore_index=-100, reduction='mean', label_smoothing=0.0)",
    inputs: &[Input::new("input"), Input::new("target"), Input::new("weight").optional().constant()],
    outputs: &["output"],
    attrs: &["ignore_index", "reduction", "label_smoothing"],
    layer: None,
    build: |attrs| {
        Ok(Arc::new(CrossEntropy {
            ignore_index: attrs.or("ignore_index", -100)?,
            label_smoothing: attrs.or("label_smoothing", 0.0)?,
            reduction: attrs.or("reduction", Reduction::Mean)?,
        }))
    },
    cases,
};

fn cases() -> Vec<Case> {
    let labels = |case: Case, scores: &[usize], target: &[usize]| {
        let classes = scores[usize::from(scores.len() > 1)];
        case.input("input", scores).filled("target", target, Fill::Labels(classes))
    };
    let soft = |case: Case, dims: &[usize]| {
        case.input("input", dims).filled("target", dims, Fill::Uniform(0.0, 1.0))
    };
    let weighted = |case: Case| case.filled("weight", &[3], Fill::Uniform(0.5, 2.0));
    vec![
        labels(Case::new("mean", ""), &[4, 5], &[4]),
        labels(Case::new("sum", "reduction=sum"), &[4, 5], &[4]),
        labels(Case::new("none", "reduction=none"), &[4, 5], &[4]),
        labels(Case::new("a class ignored", "ignore_index=1"), &[9, 3], &[9]),
        labels(Case::new("smoothed", "label_smoothing=0.1"), &[4, 5], &[4]),
        weighted(labels(Case::new("weighted", ""), &[4, 3], &[4])),
        weighted(labels(
            Case::new("all at once", "ignore_index=0 label_smoothing=0.3"),
            &[2, 3, 4, 5],
            &[2, 4, 5],
        )),
        weighted(labels(
            Case::new("maps, single", "reduction=none label_smoothing=0.2"),
            &[2, 3, 4],
            &[2, 4],
        )),
        soft(Case::new("probabilities", ""), &[4, 5]),
        soft(Case::new("probabilities, sum", "reduction=sum label_smoothing=0.2"), &[4, 5]),
        weighted(soft(Case::new("probability maps", "label_smoothing=0.1"), &[2, 3, 4, 2])),
        weighted(soft(Case::new("probabilities, single", "reduction=none"), &[2, 3, 4])),
        labels(Case::new("one sample", ""), &[5], &[]).edge(),
        soft(Case::new("one sample's probabilities", ""), &[5]).edge(),
        labels(Case::new("one class", ""), &[3, 1], &[3]).edge(),
        labels(Case::new("empty batch, sum", "reduction=sum"), &[0, 3], &[0]).edge(),
        labels(Case::new("ImageNet classes", ""), &[256, 1000], &[256]).bench(),
        labels(Case::new("segmentation", ""), &[8, 21, 128, 128], &[8, 128, 128]).bench(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, ErrorKind};

    /// The fused op must give the same values and gradients as its two parts.
    #[test]
    fn equals_log_softmax_and_nll_loss() {
        let cpu = Device::cpu().unwrap();
        let values: Vec<f64> = (0..24).map(|i| (i as f64 * 1.7).sin() * 3.0).collect();
        let x = Tensor::from_vec(&cpu, values, &[2, 3, 4]).unwrap();
        let target = Tensor::from_vec(&cpu, vec![0i64, 1, 2, -100, 2, 2, 1, 0], &[2, 4]).unwrap();
        let weight = Tensor::from_vec(&cpu, vec![1f64, 2.0, 0.5], &[3]).unwrap();
        let (a, b) = (x.requires_grad(), x.requires_grad());
        let fused = a.cross_entropy(&target, Some(&weight), CrossEntropy::default()).unwrap();
        let plain = b.log_softmax(1).unwrap().nll_loss(&target, Some(&weight), Default::default()).unwrap();
        fused.backward().unwrap();
        plain.backward().unwrap();
        assert!((fused.item().unwrap() - plain.item().unwrap()).abs() < 1e-14);
        let gradients =
            a.grad().unwrap().to_f64().unwrap().into_iter().zip(b.grad().unwrap().to_f64().unwrap());
        gradients.for_each(|(a, b)| assert!((a - b).abs() < 1e-14, "{a} {b}"));
    }

    #[test]
    fn with_every_label_ignored_the_mean_is_nan_and_the_gradient_zero() {
        let x = Tensor::zeros(&Device::cpu().unwrap(), &[2, 3], DType::F32).unwrap().requires_grad();
        let target = Tensor::full(x.device(), -100.0, &[2], DType::I64).unwrap();
        let y = x.cross_entropy(&target, None, CrossEntropy::default()).unwrap();
        y.backward().unwrap();
        assert!(y.item().unwrap().is_nan());
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), [0.0; 6]);
    }

    /// As in PyTorch: if the classes of all samples that are not ignored have weight 0, their gradient is 0 / 0 for
    /// every class. If another sample's class has a weight, these samples have gradient 0.
    #[test]
    fn class_weights_of_zero() {
        let cpu = Device::cpu().unwrap();
        let x = Tensor::zeros(&cpu, &[2, 3], DType::F32).unwrap();
        let run = |labels: Vec<i64>, weight: Vec<f32>, reduction| {
            let x = x.requires_grad();
            let target = Tensor::from_vec(&cpu, labels, &[2]).unwrap();
            let weight = Tensor::from_vec(&cpu, weight, &[3]).unwrap();
            let settings = CrossEntropy { reduction, ..CrossEntropy::default() };
            let y = x.cross_entropy(&target, Some(&weight), settings).unwrap();
            y.backward().unwrap();
            (y.item().unwrap(), x.grad().unwrap().to_vec::<f32>().unwrap())
        };
        let (loss, gradient) = run(vec![0, 1], vec![0.0, 0.0, 1.0], Reduction::Mean);
        assert!(loss.is_nan() && gradient.iter().all(|g| g.is_nan()), "{loss} {gradient:?}");
        let (loss, gradient) = run(vec![0, -100], vec![0.0; 3], Reduction::Mean);
        assert!(loss.is_nan() && gradient[..3].iter().all(|g| g.is_nan()), "{loss} {gradient:?}");
        assert_eq!(gradient[3..], [0.0; 3]);
        assert_eq!(run(vec![0, 1], vec![0.0; 3], Reduction::Sum), (0.0, vec![0.0; 6]));
        assert_eq!(run(vec![0, 2], vec![0.0, 0.0, 1.0], Reduction::Mean).1[..3], [0.0; 3]);
    }

    #[test]
    fn targets_and_settings_that_do_not_fit_are_refused() {
        let meta = Device::meta();
        let tensor = |dims: &[usize], dtype| Tensor::zeros(&meta, dims, dtype).unwrap();
        let x = tensor(&[2, 3], DType::F32);
        let kind = |target: &Tensor, settings| x.cross_entropy(target, None, settings).unwrap_err().kind();
        let plain = CrossEntropy::default();
        assert_eq!(kind(&tensor(&[3], DType::I64), plain), ErrorKind::Shape);
        assert_eq!(kind(&tensor(&[2], DType::F32), plain), ErrorKind::Shape);
        assert_eq!(kind(&tensor(&[2, 3], DType::F64), plain), ErrorKind::DType);
        let smoothing = CrossEntropy { label_smoothing: f64::NAN, ..plain };
        assert_eq!(kind(&tensor(&[2], DType::I64), smoothing), ErrorKind::Argument);
        let ignoring = CrossEntropy { ignore_index: 0, ..plain };
        assert_eq!(kind(&tensor(&[2, 3], DType::F32), ignoring), ErrorKind::Argument);
    }
}
