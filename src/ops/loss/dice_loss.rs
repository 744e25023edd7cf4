//! Soft Dice loss: 1 minus the overlap of a predicted mask with the true mask.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! p &= \operatorname{sigmoid}(x) \\
//! A &= \textstyle 2 \sum p \, t + \mathrm{smooth} \\
//! B &= \textstyle \sum p + \sum t + \mathrm{smooth} \\
//! l &= 1 - A / B \\
//! y &= \textstyle\frac{1}{n} \sum l \text{ (mean)}, \quad \sum l \text{ (sum)}, \quad l \text{ (none)} \\
//! \mathrm{dx} &= \frac{A / B - 2 t}{B} \, p \, (1 - p) \, g \\
//! \mathrm{dt} &= \frac{A / B - 2 p}{B} \, g \\
//! g &= \mathrm{dy} / n \text{ (mean)}, \quad \mathrm{dy} \text{ (sum, none)}
//! \end{aligned}
//! ```
//!
//! A and B are sums over one channel of one image, so there are n = N C losses l.
//!
//! The Dice coefficient of two sets is `2 |P and T| / (|P| + |T|)`. If membership is a probability, it has a gradient,
//! by the quotient rule with `d A / d p = 2 t`, `d B / d p = 1` and `d p / d x = p (1 - p)`. A small object counts as
//! much as a large one. A loss averaged over pixels would already be small if the net predicted only background. With
//! `smooth` above 0, an empty prediction for an empty mask has loss 0 and not 0 / 0. Milletari et al. 2016 (V-Net);
//! PyTorch has no function for it.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, d1, ..]` | logits |
//! | target | as input | from 0 to 1 |
//! | output | scalar; `[N, C]` with `reduction=none` | |
//! | probabilities | as input | p; hidden from callers, kept for backward |
//! | ratio, total | `[N, C]` | A / B and B; hidden from callers, kept for backward |
//!
//! ```
//! use receptive::ops::dice_loss::DiceLoss;
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_vec(&cpu, vec![0f64; 4], &[1, 1, 2, 2])?;
//! let target = Tensor::from_vec(&cpu, vec![1f64, 1.0, 0.0, 0.0], &[1, 1, 2, 2])?;
//! // All p are 1/2: A = 2 * 1 + 1, B = 2 + 2 + 1.
//! assert_eq!(x.dice_loss(&target, DiceLoss::default())?.item()?, 1.0 - 3.0 / 5.0);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::reduction::{Of, Reduction};
use crate::core::{Error, Float, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut, reduce};
use crate::cuda::{CudaCtx, DeviceView, Launch, Ptr, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::{Case, Fill, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// The settings, with their usual defaults.
#[derive(Debug, Clone, Copy)]
pub struct DiceLoss {
    /// Added to the numerator and the denominator; 0 or more.
    pub smooth: f64,
    pub reduction: Reduction,
}

impl Default for DiceLoss {
    fn default() -> Self {
        DiceLoss { smooth: 1.0, reduction: Reduction::Mean }
    }
}

/// The number of channels of all images, and the number of elements per channel.
fn rows(input: &Shape) -> (usize, usize) {
    let [n, c, d] = input.around(1);
    (n * c, d)
}

impl DiceLoss {
    fn forward<T: Float>(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) {
        let (rows, d) = rows(&x[0].shape);
        let [y, p, ratio, total] = y else { unreachable!("infer plans four outputs") };
        let (p, t, smooth) = (p.get::<T>(), x[1].get::<T>(), T::from_f64(self.smooth));
        cx.map(x[0].get::<T>(), p, T::sigmoid);
        let mut scratch = cx.scratch(size_of_val(p));
        let scratch = scratch.slice_mut::<T>();
        let sum = |x: &[T], sums: &mut [T]| {
            reduce::sum(cx, [rows, d, 1], x, sums);
            sums.iter_mut().for_each(|sum| *sum += smooth);
        };
        let (ratio, total) = (ratio.get::<T>(), total.get::<T>());
        cx.zip(p, t, scratch, |p, t| (p + p) * t);
        sum(scratch, ratio);
        cx.zip(p, t, scratch, |p, t| p + t);
        sum(scratch, total);
        ratio.iter_mut().zip(&*total).for_each(|(a, &b)| *a /= b);
        let ratio = &*ratio;
        self.reduction.reduce(cx, rows, |i| T::ONE - ratio[i], |_| T::from_f64(rows as f64), y.get::<T>());
    }
}

impl Op for DiceLoss {
    fn name(&self) -> &'static str {
        "dice_loss"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let (dtype, shape) = (one_float(self.name(), x)?, x[0].shape);
        let [n, c, _, ..] = *shape.dims() else {
            return Err(Error::shape(self.name(), "input has no dimension to sum over")
                .with("input", shape)
                .expected("[N, C, d1, ...]")
                .help("add a channel dimension to the masks: input.reshape(&[n, 1, h, w])"));
        };
        if x[1].shape != shape {
            return Err(Error::shape(self.name(), "target disagrees with input")
                .with("input", shape)
                .with("target", x[1].shape)
                .expected(format!("target {shape}")));
        }
        if !(self.smooth >= 0.0 && self.smooth.is_finite()) {
            let what = format!("smooth {} is not a number of 0 or more", self.smooth);
            return Err(Error::argument(self.name(), what));
        }
        let rows = Shape::new(&[n, c])?;
        let plan = Plan::new(self.reduction.shape(rows), dtype);
        Ok(plan.hidden(shape, dtype).hidden(rows, dtype).hidden(rows, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[1]).and_outputs(&[1, 2, 3])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => {
            self.forward::<T>(cx, x, y);
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        /// Number of elements of a row that one block sums.
        const PART: usize = 8192;
        let (rows, d) = rows(&x[0].shape);
        let parts = d.div_ceil(PART);
        let sums = cx.scratch::<f64>(2 * rows * parts)?;
        let (input, target, p) = (x[0].f32()?, x[1].f32()?, y[1].f32()?);
        let launch = Launch::blocks([rows * parts, 1, 1], 256);
        kernels::dice_sums_f32(cx, launch, input, target, d as i64, PART as i64, p, sums.ptr())?;
        let (ratio, total, smooth) = (y[2].f32()?, y[3].f32()?, self.smooth);
        let (sums, n, parts) = (sums.ptr(), rows as i64, parts as i64);
        let losses = |losses, _| {
            kernels::dice_ratio_f32(cx, Launch::over(rows), sums, n, parts, smooth, ratio, total, losses)
        };
        self.reduction.reduce_cuda(cx, rows, false, losses, y[0].f32()?, Ptr::NULL)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let [p, ratio, total] = [1, 2, 3].map(|i| saved.output(i));
        let inputs = [&p, &saved.input(1), &ratio, &total, dy];
        let gradient = |of: Of| {
            let run = || Gradient::of(DiceLossGrad { reduction: self.reduction, of }, &inputs);
            needs[of as usize].then(run).transpose()
        };
        Ok(smallvec![gradient(Of::Input)?, gradient(Of::Target)?])
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        9 * x[0].numel() as u64
    }

    fn dependence(&self, _x: &[Meta]) -> Dependence {
        Dependence::Global
    }
}

/// `dx` or `dt` from `(p, t, A / B, B, dy)`.
#[derive(Debug)]
struct DiceLossGrad {
    reduction: Reduction,
    of: Of,
}

impl GradientOp for DiceLossGrad {
    fn name(&self) -> &'static str {
        "dice_loss_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, one_float(self.name(), x)?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (rows, d) = rows(&x[0].shape);
        float_type!(self.name(), x[0].dtype, T => {
            let [p, t, ratio, total, dy] = [0, 1, 2, 3, 4].map(|i| x[i].get::<T>());
            let n = self.reduction.count::<T>(rows);
            let of = self.of;
            cx.pieces(y[0].get::<T>(), d, p.len(), |row, y| {
                let scale = self.reduction.spread(dy, row) / n / total[row];
                let (ratio, p, t) = (ratio[row], &p[row * d..], &t[row * d..]);
                let elements = y.iter_mut().zip(p).zip(t);
                match of {
                    Of::Input => elements.for_each(|((y, &p), &t)| {
                        *y = (ratio - t - t) * scale * p * (T::ONE - p);
                    }),
                    Of::Target => elements.for_each(|((y, &p), _)| *y = (ratio - p - p) * scale),
                }
            });
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (rows, d) = rows(&x[0].shape);
        let [p, t, ratio, total, dy] = [x[0].f32()?, x[1].f32()?, x[2].f32()?, x[3].f32()?, x[4].f32()?];
        let each = i32::from(self.reduction == Reduction::None);
        let (of_target, divisor) = (i32::from(self.of == Of::Target), self.reduction.count(rows));
        let (launch, d, n, dx) = (Launch::over(y[0].numel()), d as i64, y[0].numel() as i64, y[0].f32()?);
        kernels::dice_bwd_f32(cx, launch, p, t, ratio, total, dy, d, divisor, each, of_target, dx, n)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// The soft Dice loss of these logits `[N, C, d1, ..]` against masks of the same shape with values from 0 to 1.
    ///
    /// # Errors
    /// Fewer than three dimensions; a target of another shape; a dtype other than f32 and f64, or two different dtypes.
    pub fn dice_loss(&self, target: &Tensor, settings: DiceLoss) -> Result<Tensor> {
        Ok(one(apply(settings, &[self, target])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "dice_loss",
    torch: "1 - (2 * (p * target).sum(dims) + smooth) / ((p + target).sum(dims) + smooth), p = input.sigmoid()",
    inputs: &[Input::new("input"), Input::new("target")],
    outputs: &["output"],
    attrs: &["smooth", "reduction"],
    layer: None,
    build: |attrs| {
        let default = DiceLoss::default();
        Ok(Arc::new(DiceLoss {
            smooth: attrs.or("smooth", default.smooth)?,
            reduction: attrs.or("reduction", default.reduction)?,
        }))
    },
    cases: || {
        let pair = |case: Case, dims: &[usize]| {
            case.input("input", dims).filled("target", dims, Fill::Uniform(0.0, 1.0))
        };
        vec![
            pair(Case::new("mean", ""), &[2, 1, 3, 4]),
            pair(Case::new("channels, sum", "reduction=sum"), &[2, 3, 5]),
            pair(Case::new("none", "reduction=none smooth=0.25"), &[3, 2, 2, 3]),
            pair(Case::new("volumes, not smoothed", "smooth=0"), &[2, 1, 2, 3, 2]),
            pair(Case::new("one element", ""), &[1, 1, 1]).edge(),
            pair(Case::new("nothing to sum", ""), &[2, 1, 0]).edge(),
            pair(Case::new("empty batch, sum", "reduction=sum"), &[0, 1, 4, 4]).edge(),
            pair(Case::new("masks", ""), &[4, 1, 128, 128]).bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Device, ErrorKind};

    /// The ends of the scale: a correct mask has loss 0, a completely wrong one nearly 1, and an empty prediction for
    /// an empty mask 0.
    #[test]
    fn right_is_zero_and_wrong_is_one() {
        let cpu = Device::cpu().unwrap();
        let x = Tensor::full(&cpu, -200.0, &[3, 1, 999], DType::F64).unwrap();
        let full = Tensor::full(&cpu, 1.0, &[3, 1, 999], DType::F64).unwrap();
        let none = Tensor::zeros(&cpu, &[3, 1, 999], DType::F64).unwrap();
        let loss = |x: &Tensor, t| x.dice_loss(t, DiceLoss::default()).unwrap().item().unwrap();
        assert_eq!(loss(&x, &none), 0.0);
        assert!((loss(&x, &full) - 0.999).abs() < 1e-12);
        assert_eq!(loss(&x.neg().unwrap(), &full), 0.0);
    }

    #[test]
    fn inputs_that_do_not_fit_are_refused() {
        let meta = Device::meta();
        let tensor = |dims: &[usize]| Tensor::zeros(&meta, dims, DType::F32).unwrap();
        let kind = |x: &[usize], t: &[usize], smooth| {
            let settings = DiceLoss { smooth, ..DiceLoss::default() };
            tensor(x).dice_loss(&tensor(t), settings).unwrap_err().kind()
        };
        assert_eq!(kind(&[4, 4], &[4, 4], 1.0), ErrorKind::Shape);
        assert_eq!(kind(&[2, 1, 4], &[2, 4], 1.0), ErrorKind::Shape);
        assert_eq!(kind(&[2, 1, 4], &[2, 1, 4], f64::NAN), ErrorKind::Argument);
    }
}
