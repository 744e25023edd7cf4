//! What the ops of two broadcast operands share: everything except the formula. The second operand is a tensor, or a
//! number given as an attribute.

use super::cuda::{over_quads, walk};
use crate::core::{Element, Error, Float, Result};
use crate::cpu::{CpuCtx, View, ViewMut, broadcast};
use crate::cuda::kernels::Walk;
use crate::cuda::{CudaCtx, DeviceView, Launch, Ptr};
use crate::float_type;
use crate::ops::gradient::GradientOp;
use crate::ops::{Attrs, Case, Fill, one};
use crate::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use std::fmt::Debug;

/// A function of two elements.
pub(super) trait Binary: Debug + Copy + Send + Sync + 'static {
    const NAME: &'static str;

    /// The second operand, if it is a number and not a tensor.
    fn number(self) -> Option<f64>;

    /// The function.
    fn y<T: Float>(self, a: T, b: T) -> T;

    /// Launches its kernel.
    fn cuda(self, cx: &CudaCtx, on: Operands) -> Result<()>;
}

/// A function of two elements with gradients.
pub(super) trait Differentiable: Binary {
    /// What the gradients read.
    fn saves(self) -> Saves;

    /// The gradient of the first operand, in the output's shape.
    fn da(self, saved: &Saved, dy: &Tensor) -> Result<Tensor>;

    /// The gradient of the second operand, in the output's shape.
    fn db(self, saved: &Saved, dy: &Tensor) -> Result<Tensor>;
}

/// The arguments of the GPU kernel of a function of two operands. If `b` is null, `number` is the second operand.
pub(super) struct Operands {
    pub grid: Launch,
    pub a: Ptr<f32>,
    pub b: Ptr<f32>,
    pub number: f32,
    pub y: Ptr<f32>,
    pub walk: Walk,
}

/// The op of a function of two operands.
#[derive(Debug)]
pub(super) struct Zip<F>(pub F);

impl<F: Binary> Zip<F> {
    fn plan(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(F::NAME, x)?;
        let shape = match x {
            [a, b] => a.shape.broadcast(F::NAME, &b.shape)?,
            _ => x[0].shape,
        };
        Ok(Plan::new(shape, dtype))
    }

    fn run(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let f = self.0;
        float_type!(F::NAME, x[0].dtype, T => {
            match f.number().map(T::from_f64) {
                Some(b) => cx.map(x[0].get::<T>(), y[0].get::<T>(), |a| f.y(a, b)),
                None => broadcast::zip::<T>(cx, x[0], x[1], &mut y[0], |a, b| f.y(a, b)),
            }
            Ok(())
        })
    }

    fn launch(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let y = &y[0];
        let (b, walk) = match x {
            [a, b] => (b.f32()?, walk(&y.shape, [&a.shape, &b.shape])),
            _ => (Ptr::NULL, walk(&y.shape, [&x[0].shape])),
        };
        let number = self.0.number().unwrap_or(0.0) as f32;
        self.0
            .cuda(cx, Operands { grid: over_quads(y.numel()), a: x[0].f32()?, b, number, y: y.f32()?, walk })
    }
}

impl<F: Differentiable> Op for Zip<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        self.plan(x)
    }

    fn saves(&self) -> Saves {
        self.0.saves()
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        self.run(cx, x, y)
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        self.launch(cx, x, y)
    }

    /// A broadcast operand is read several times, so its gradient is the sum over its copies.
    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let gradient = |i: usize| {
            let whole = if i == 0 { self.0.da(saved, dy) } else { self.0.db(saved, dy) };
            whole?.sum_to_size(saved.meta(i).dims())
        };
        (0..needs.len()).map(|i| needs[i].then(|| gradient(i)).transpose()).collect()
    }
}

/// A function of two elements that computes a gradient of another op.
impl<F: Binary> GradientOp for Zip<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        self.plan(x)
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        self.run(cx, x, y)
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        self.launch(cx, x, y)
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        y[0].numel() as u64
    }
}

impl Tensor {
    /// Applies a function of two operands. Without `other`, the function's number is the second operand.
    pub(super) fn zip<F: Differentiable>(&self, f: F, other: Option<&Tensor>) -> Result<Tensor> {
        Ok(one(match other {
            Some(other) => apply(Zip(f), &[self, other])?,
            None => apply(Zip(f), &[self])?,
        }))
    }
}

/// Reads the operand `name`, which is given either as a tensor (then the result is `None`) or as a number.
///
/// # Errors
/// Neither, or both.
pub(super) fn operand(attrs: &Attrs, op: &'static str, name: &str) -> Result<Option<f64>> {
    match (attrs.has_input(name), attrs.get::<f64>(name)?) {
        (true, Some(number)) => Err(Error::argument(op, format!("`{name}` is given twice"))
            .with("attribute", number)
            .expected(format!("a tensor `{name}` or a number {name}=VALUE, not both"))),
        (false, None) => Err(Error::argument(op, format!("`{name}` is missing"))
            .expected(format!("a tensor `{name}` or a number {name}=VALUE"))),
        (_, number) => Ok(number),
    }
}

/// The shapes on which every function of two operands is checked.
pub(super) fn cases(second: &'static str, number: &str, [a, b]: [Fill; 2]) -> Vec<Case> {
    let tensors =
        |label, x: &[usize], y: &[usize]| Case::new(label, "").filled("input", x, a).filled(second, y, b);
    vec![
        tensors("same shape", &[2, 3, 5], &[2, 3, 5]),
        tensors("bias", &[4, 3], &[3]),
        tensors("channels", &[2, 3, 4, 5], &[3, 1, 1]),
        tensors("both stretch", &[3, 1, 4], &[2, 1, 5, 1]),
        tensors("input stretches", &[5], &[2, 3, 5]),
        Case::new("number", number).filled("input", &[2, 7], a),
        tensors("scalar", &[2, 3], &[]).edge(),
        tensors("scalars", &[], &[]).edge(),
        tensors("empty", &[0, 3], &[3]).edge(),
        tensors("stretched to nothing", &[1, 3], &[0, 1]).edge(),
        tensors("feature maps", &[64, 16, 26, 26], &[64, 16, 26, 26]).bench(),
        tensors("channels of feature maps", &[64, 16, 26, 26], &[16, 1, 1]).bench(),
    ]
}
