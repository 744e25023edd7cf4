//! Binary cross-entropy of logits: sigmoid and loss in one op.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! l &= -w \, \bigl( p \, t \ln s + (1 - t) \ln(1 - s) \bigr) \qquad s = \operatorname{sigmoid}(x) \\
//!   &= w \, \bigl( p \, t \operatorname{softplus}(-x) + (1 - t) \operatorname{softplus}(x) \bigr) \\
//! \operatorname{softplus}(x) &= \ln(1 + e^x) = \max(x, 0) + \ln(1 + e^{-|x|}) \\
//! y &= \textstyle\frac{1}{n} \sum l \text{ (mean)}, \quad \sum l \text{ (sum)}, \quad l \text{ (none)} \\
//! \mathrm{dx} &= w \, \bigl( (1 - t) \, s - p \, t \operatorname{sigmoid}(-x) \bigr) \, g \\
//! \mathrm{dt} &= w \, \bigl( p \operatorname{softplus}(-x) - \operatorname{softplus}(x) \bigr) \, g \\
//! g &= \mathrm{dy} / n \text{ (mean)}, \quad \mathrm{dy} \text{ (sum, none)}
//! \end{aligned}
//! ```
//!
//! The op takes logits x and not probabilities `sigmoid(x)` so that it can use the second line. For x = 40, `s` rounds
//! to 1 and `ln(1 - s)` is minus infinity. The softplus terms are positive, never overflow, and lose no digits to
//! cancellation. The gradients follow because the derivative of softplus is sigmoid. `p` (pos_weight) is the weight of
//! positive targets, `w` (weight) that of each element. Both broadcast to the input and get no gradient. Targets should
//! lie from 0 to 1. Other values are not checked, as in PyTorch (`F.binary_cross_entropy_with_logits`). The mean over
//! no elements is NaN.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | any | logits |
//! | target | as input | |
//! | weight | any that broadcasts to the input's shape | optional |
//! | pos_weight | any that broadcasts to the input's shape | optional |
//! | output | scalar; as input with `reduction=none` | |
//!
//! ```
//! use receptive::ops::Reduction;
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_vec(&cpu, vec![0f64, 1e4], &[2])?.requires_grad();
//! let target = Tensor::from_vec(&cpu, vec![1f64, 0.0], &[2])?;
//! let loss = x.binary_cross_entropy_with_logits(&target, None, None, Reduction::Sum)?;
//! assert_eq!(loss.item()?, 2f64.ln() + 1e4);
//! loss.backward()?;
//! assert_eq!(x.grad().unwrap().to_vec::<f64>()?, [-0.5, 1.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::reduction::{Of, Reduction};
use crate::core::{Error, Float, Result, Shape};
use crate::cpu::context::CHUNK;
use crate::cpu::{CpuCtx, View, ViewMut, broadcast};
use crate::cuda::kernels::{self, Walk};
use crate::cuda::{CudaCtx, DeviceView, Launch, Ptr};
use crate::float_type;
use crate::ops::elementwise::cuda::walk;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::{Case, Fill, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// `F.binary_cross_entropy_with_logits(input, target, weight, pos_weight, reduction)`. `weight` and `pos_weight` tell
/// which of these two inputs follow the target, in this order.
#[derive(Debug, Clone, Copy)]
pub struct BinaryCrossEntropyWithLogits {
    pub weight: bool,
    pub pos_weight: bool,
    pub reduction: Reduction,
}

/// The loss of one element, not yet multiplied by `weight`.
#[inline(always)]
fn loss<T: Float>(x: T, t: T, p: T) -> T {
    p * t * (-x).softplus() + (T::ONE - t) * x.softplus()
}

impl BinaryCrossEntropyWithLogits {
    /// Arguments for the GPU kernels: how to index the weights, broadcast to the input's shape, and pointers to them. A
    /// missing weight has a null pointer.
    fn walk(&self, input: &Shape, weights: &[DeviceView]) -> Result<(Walk, [Ptr<f32>; 2])> {
        let mut given = weights.iter();
        let mut next = |present: bool| if present { given.next() } else { None };
        let weights = [next(self.weight), next(self.pos_weight)];
        let [w, p] = weights.map(|v| v.map_or(Shape::SCALAR, |v| v.shape));
        let at = |v: Option<&DeviceView>| v.map_or(Ok(Ptr::NULL), DeviceView::f32);
        Ok((walk(input, [input, &w, &p]), [at(weights[0])?, at(weights[1])?]))
    }

    /// `y = w f(x, t, p)`, with the weights broadcast to the shape of `y`. A missing weight counts as 1.
    fn weighted<T: Float>(
        &self,
        cx: &CpuCtx,
        [x, t]: [View; 2],
        weights: &[View],
        y: &mut ViewMut,
        f: impl Fn(T, T, T) -> T + Sync + Send,
    ) {
        if weights.is_empty() {
            return cx.zip(
                x.get::<T>(),
                t.get::<T>(),
                y.get::<T>(),
                #[inline(always)]
                move |x, t| f(x, t, T::ONE),
            );
        }
        let one = [T::ONE];
        let none = (Shape::SCALAR, &one[..]);
        let mut given = weights.iter().map(|v| (v.shape, v.get::<T>()));
        let mut next = |present: bool| present.then(|| given.next()).flatten().unwrap_or(none);
        let ((w_shape, w), (p_shape, p)) = (next(self.weight), next(self.pos_weight));
        let (x, t, shape) = (x.get::<T>(), t.get::<T>(), y.shape);
        broadcast::gather(cx, [&shape, &w_shape, &p_shape], y, |[i, j, k]| w[j] * f(x[i], t[i], p[k]));
    }
}

impl Op for BinaryCrossEntropyWithLogits {
    fn name(&self) -> &'static str {
        "binary_cross_entropy_with_logits"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let shape = x[0].shape;
        if x[1].shape != shape {
            return Err(Error::shape(self.name(), "target disagrees with input")
                .with("input", shape)
                .with("target", x[1].shape)
                .expected(format!("target {shape}")));
        }
        for weight in &x[2..] {
            if !weight.shape.broadcast(self.name(), &shape).is_ok_and(|all| all == shape) {
                return Err(Error::shape(self.name(), "a weight does not broadcast to the input")
                    .with("input", shape)
                    .with("weight", weight.shape)
                    .help(
                        "its dimensions are aligned from the right; each must be 1 or equal to the input's",
                    ));
            }
        }
        Ok(Plan::new(self.reduction.shape(shape), dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1, 2, 3][..2 + self.weight as usize + self.pos_weight as usize])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (pair, weights) = ([x[0], x[1]], &x[2..]);
        float_type!(self.name(), x[0].dtype, T => {
            let losses = |y: &mut ViewMut| self.weighted(cx, pair, weights, y, loss::<T>);
            self.reduction.collect::<T>(cx, x[0].shape, &mut y[0], losses);
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (walk, [weight, pos_weight]) = self.walk(&x[0].shape, &x[2..])?;
        let (input, target, n) = (x[0].f32()?, x[1].f32()?, x[0].numel());
        let losses = |losses, _| {
            kernels::bce_fwd_f32(cx, Launch::over(n), input, target, weight, pos_weight, losses, walk)
        };
        self.reduction.reduce_cuda(cx, n, false, losses, y[0].f32()?, Ptr::NULL)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let saved: SmallVec<[Tensor; 4]> = (0..needs.len()).map(|i| saved.input(i)).collect();
        let inputs: SmallVec<[&Tensor; 5]> = [dy].into_iter().chain(&saved).collect();
        let mut grads: Grads = smallvec![None; needs.len()];
        for (of, grad) in [Of::Input, Of::Target].into_iter().zip(&mut grads) {
            if needs[of as usize] {
                *grad = Some(Gradient::of(BinaryCrossEntropyWithLogitsGrad { forward: *self, of }, &inputs)?);
            }
        }
        Ok(grads)
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        8 * x[0].numel() as u64
    }

    fn dependence(&self, _x: &[Meta]) -> Dependence {
        Dependence::Global
    }
}

/// `dx` or `dt` from `dy` and the inputs.
#[derive(Debug)]
struct BinaryCrossEntropyWithLogitsGrad {
    forward: BinaryCrossEntropyWithLogits,
    of: Of,
}

impl GradientOp for BinaryCrossEntropyWithLogitsGrad {
    fn name(&self) -> &'static str {
        "binary_cross_entropy_with_logits_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[1].shape, one_float(self.name(), x)?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (dy, pair, weights) = (x[0], [x[1], x[2]], &x[3..]);
        let (forward, y) = (self.forward, &mut y[0]);
        float_type!(self.name(), dy.dtype, T => {
            // With mean or sum there is one dy for all elements; the loop multiplies by it. With `none` each element
            // has its own dy, which a second loop multiplies in.
            let (dy, n) = (dy.get::<T>(), forward.reduction.count::<T>(pair[0].shape.numel()));
            let each = forward.reduction == Reduction::None;
            let g = if each { T::ONE } else { dy[0] / n };
            match self.of {
                Of::Input => forward.weighted(
                    cx,
                    pair,
                    weights,
                    y,
                    #[inline(always)]
                    move |x: T, t, p| g * ((T::ONE - t) * x.sigmoid() - p * t * (-x).sigmoid()),
                ),
                Of::Target => forward.weighted(cx, pair, weights, y, |x: T, _, p| {
                    g * (p * (-x).softplus() - x.softplus())
                }),
            }
            if each {
                let (y, work) = (y.get::<T>(), dy.len());
                cx.pieces(y, CHUNK, work, |piece, y| {
                    y.iter_mut().zip(&dy[piece * CHUNK..]).for_each(|(y, &dy)| *y *= dy);
                });
            }
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (walk, [weight, pos_weight]) = self.forward.walk(&x[1].shape, &x[3..])?;
        let (dy, input, target, dx) = (x[0].f32()?, x[1].f32()?, x[2].f32()?, y[0].f32()?);
        let each = i32::from(self.forward.reduction == Reduction::None);
        let (of_target, n) = (i32::from(self.of == Of::Target), self.forward.reduction.count(y[0].numel()));
        let launch = Launch::over(y[0].numel());
        kernels::bce_bwd_f32(cx, launch, dy, input, target, weight, pos_weight, n, each, of_target, dx, walk)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// The binary cross-entropy of these logits (any shape) against `target`, which has the same shape and values from
    /// 0 to 1. `weight` and `pos_weight` broadcast to the logits. PyTorch: `F.binary_cross_entropy_with_logits`.
    ///
    /// # Errors
    /// A target of another shape; weights that do not broadcast; a dtype other than f32 and f64, or two different
    /// dtypes.
    pub fn binary_cross_entropy_with_logits(
        &self,
        target: &Tensor,
        weight: Option<&Tensor>,
        pos_weight: Option<&Tensor>,
        reduction: Reduction,
    ) -> Result<Tensor> {
        let op = BinaryCrossEntropyWithLogits {
            weight: weight.is_some(),
            pos_weight: pos_weight.is_some(),
            reduction,
        };
        let inputs: SmallVec<[&Tensor; 4]> =
            [self, target].into_iter().chain(weight).chain(pos_weight).collect();
        Ok(one(apply(op, &inputs)?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "binary_cross_entropy_with_logits",
    torch: "F.binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction='mean')",
    inputs: &[
        Input::new("input"),
        Input::new("target"),
        Input::new("weight").optional().constant(),
        Input::new("pos_weight").optional().constant(),
    ],
    outputs: &["output"],
    attrs: &["reduction"],
    layer: None,
    build: |attrs| {
        Ok(Arc::new(BinaryCrossEntropyWithLogits {
            weight: attrs.has_input("weight"),
            pos_weight: attrs.has_input("pos_weight"),
            reduction: attrs.or("reduction", Reduction::Mean)?,
        }))
    },
    cases,
};

fn cases() -> Vec<Case> {
    let pair = |case: Case, dims: &[usize]| {
        case.input("input", dims).filled("target", dims, Fill::Uniform(0.0, 1.0))
    };
    let weight = |case: Case, name, dims: &[usize]| case.filled(name, dims, Fill::Uniform(0.5, 2.0));
    let large = |case: Case, dims: &[usize]| {
        let case = case.filled("input", dims, Fill::Uniform(-60.0, 60.0));
        case.filled("target", dims, Fill::Uniform(0.0, 1.0))
    };
    vec![
        pair(Case::new("mean", ""), &[3, 4]),
        pair(Case::new("sum", "reduction=sum"), &[3, 4]),
        pair(Case::new("none", "reduction=none"), &[3, 4]),
        weight(pair(Case::new("weighted samples", ""), &[3, 4]), "weight", &[3, 1]),
        weight(pair(Case::new("positive weights", ""), &[3, 4]), "pos_weight", &[4]),
        weight(
            weight(pair(Case::new("both weights", "reduction=none"), &[2, 3, 4, 2]), "weight", &[2, 1, 1, 1]),
            "pos_weight",
            &[3, 1, 1],
        ),
        large(Case::new("large logits", "reduction=none"), &[40]),
        weight(pair(Case::new("scalar", ""), &[]), "weight", &[]).edge(),
        weight(pair(Case::new("empty, sum", "reduction=sum"), &[0, 3]), "pos_weight", &[3]).edge(),
        pair(Case::new("masks", ""), &[4, 1, 128, 128]).bench(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Device, ErrorKind};

    /// Logits for which `ln(1 - sigmoid(x))` would be infinite or round to 0, in both precisions.
    #[test]
    fn large_logits_keep_their_loss_and_gradient() {
        let cpu = Device::cpu().unwrap();
        for dtype in [DType::F32, DType::F64] {
            let get = |v: [f64; 4]| Tensor::from_slice(&cpu, &v, &[4]).unwrap().to_dtype(dtype).unwrap();
            let x = get([1e4, -1e4, 1e4, -20.0]).requires_grad();
            let target = get([0.0, 1.0, 1.0, 0.0]);
            let y = x.binary_cross_entropy_with_logits(&target, None, None, Reduction::None).unwrap();
            let tiny = (-20f64).exp();
            let want = [1e4, 1e4, 0.0, tiny.ln_1p()];
            let close = |got: Vec<f64>, want: [f64; 4]| {
                got.iter().zip(want).for_each(|(g, w)| assert!((g - w).abs() <= 1e-6 * w.abs(), "{g} {w}"));
            };
            close(y.to_f64().unwrap(), want);
            y.sum_all().unwrap().backward().unwrap();
            close(x.grad().unwrap().to_f64().unwrap(), [1.0, -1.0, 0.0, tiny / (1.0 + tiny)]);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let meta = Device::meta();
        let tensor = |dims: &[usize]| Tensor::zeros(&meta, dims, DType::F32).unwrap();
        let (x, t) = (tensor(&[2, 3]), tensor(&[2, 3]));
        let kind = |target: &Tensor, weight: Option<&Tensor>| {
            let y = x.binary_cross_entropy_with_logits(target, weight, None, Reduction::Mean);
            y.unwrap_err().kind()
        };
        assert_eq!(kind(&tensor(&[3]), None), ErrorKind::Shape);
        assert_eq!(kind(&t, Some(&tensor(&[2]))), ErrorKind::Shape);
        assert_eq!(kind(&t, Some(&tensor(&[4, 2, 3]))), ErrorKind::Shape);
    }
}
