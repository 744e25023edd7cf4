//! Combines an op that has weights with the ReLU after it.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \max(0, f(x)) \\
//! g &= \mathrm{dy} \, [y > 0], \quad \text{given to } f \text{ for its dy}
//! \end{aligned}
//! ```
//!
//! Kernels that finish each sum in a register apply ReLU there, before they write it. Other kernels write the output
//! first and then apply ReLU in place. Backward reads the output, as backward of `relu` does, so `f(x)` itself is never
//! saved.

use crate::core::shape::MAX_RANK;
use crate::core::{DType, Result, Shape};
use crate::cpu::context::CHUNK;
use crate::cpu::{CpuCtx, View, ViewMut, reduce};
use crate::cuda::{CudaCtx, DeviceView};
use crate::float_type;
use crate::ops::elementwise::cuda::over_quads;
use crate::ops::elementwise::relu::Relu;
use crate::ops::elementwise::unary::Unary;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::reduce::cuda::sum_to;
use crate::tensor::{
    Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, Update, apply, one_float, update,
};
use smallvec::SmallVec;

/// An op whose kernels can end with ReLU.
pub(in crate::ops) trait OpBeforeRelu: Op {
    /// The name of the combined op.
    const WITH_RELU: &'static str;
    /// Number of dimensions of the output after the dimension of the bias.
    const AFTER: usize;

    /// As [`Op::cpu`], with ReLU.
    fn cpu_relu(&self, cx: &CpuCtx, plan: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()>;

    /// As [`Op::cuda`], with ReLU.
    fn cuda_relu(&self, cx: &CudaCtx, plan: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()>;
}

/// Applies ReLU to an output in place.
pub(in crate::ops) fn rectify(op: &str, cx: &CpuCtx, dtype: DType, y: &mut ViewMut) -> Result<()> {
    float_type!(op, dtype, T => {
        let y = y.get::<T>();
        let work = y.len();
        cx.pieces(y, CHUNK, work, |_, y| y.iter_mut().for_each(|y| *y = Relu.y(*y)));
        Ok(())
    })
}

/// The combined op.
#[derive(Debug)]
pub(in crate::ops) struct WithRelu<O>(pub O);

impl<O: OpBeforeRelu> Op for WithRelu<O> {
    fn name(&self) -> &'static str {
        O::WITH_RELU
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        self.0.infer(x)
    }

    fn saves(&self) -> Saves {
        self.0.saves().and_outputs(&[0])
    }

    fn cpu(&self, cx: &CpuCtx, plan: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        self.0.cpu_relu(cx, plan, x, y)
    }

    fn cuda(&self, cx: &CudaCtx, plan: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        self.0.cuda_relu(cx, plan, x, y)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let bias = needs.get(2) == Some(&true);
        let grad = WithReluGrad { after: O::AFTER, bias: bias.then(|| saved.meta(2).shape) };
        let (through, db) = grad.run(&saved.output(0), dy)?;
        let mut grads = self.0.backward(saved, &through, &[needs[0], needs[1], false][..needs.len()])?;
        if bias {
            grads[2] = db;
        }
        Ok(grads)
    }

    fn flops(&self, x: &[Meta], y: &[Meta]) -> u64 {
        self.0.flops(x, y) + y[0].numel() as u64
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        self.0.dependence(x)
    }
}

/// The gradient of ReLU, `g`, and if wanted the bias's gradient `db`, from `(y, dy)`. `db` is the sum of `g` over each
/// channel; both are computed in one pass over memory. If no other tensor uses the memory of `dy`, `g` overwrites it.
#[derive(Debug)]
struct WithReluGrad {
    after: usize,
    bias: Option<Shape>,
}

impl WithReluGrad {
    const NAME: &'static str = "with_relu_grad";

    fn run(self, y: &Tensor, dy: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
        if dy.owns_storage() {
            let db = self.bias.map(|bias| Tensor::zeros(dy.device(), bias.dims(), dy.dtype())).transpose()?;
            update(&self, &SmallVec::<[&Tensor; 2]>::from_iter([dy].into_iter().chain(&db)), &[y])?;
            return Ok((dy.clone(), db));
        }
        let mut outputs = apply(Gradient(self), &[y, dy])?.into_iter();
        Ok((outputs.next().expect("every op has a first output"), outputs.next()))
    }

    /// One comparison per element, and one addition if there is a bias.
    fn work(&self, y: &Meta) -> u64 {
        y.numel() as u64 * if self.bias.is_some() { 2 } else { 1 }
    }

    /// `[n, channels, len]` of an output.
    fn channels(&self, y: &Shape) -> [usize; 3] {
        let after = y.rank() - self.after;
        let [len, channels] = [y.dims()[after..].iter().product(), y.dims()[after - 1]];
        [y.dims()[..after - 1].iter().product(), channels, len]
    }

    fn on_cpu(&self, cx: &CpuCtx, y: &View, dy: Option<&View>, d: &mut [ViewMut]) -> Result<()> {
        let (d, db) = d.split_at_mut(1);
        float_type!(Self::NAME, y.dtype, T => {
            let (dy, db) = (dy.map(View::get::<T>), db.first_mut().map(ViewMut::get));
            reduce::relu_grad(cx, self.channels(&y.shape), y.get(), dy, d[0].get::<T>(), db);
            Ok(())
        })
    }

    fn on_cuda(&self, cx: &CudaCtx, y: &DeviceView, dy: &DeviceView, d: &[DeviceView]) -> Result<()> {
        let n = y.numel();
        Relu.dx_cuda(cx, over_quads(n), [y.f32()?, dy.f32()?], d[0].f32()?, n as i64)?;
        let Some(db) = d.get(1) else { return Ok(()) };
        let mut kept = SmallVec::<[usize; MAX_RANK]>::from_elem(1, self.after + 1);
        kept[0] = db.numel();
        sum_to(cx, &d[0], &DeviceView { shape: Shape::new(&kept)?, ..*db }, 1.0)
    }
}

impl GradientOp for WithReluGrad {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(Self::NAME, x)?;
        let plan = Plan::new(x[0].shape, dtype);
        Ok(match self.bias {
            Some(bias) => plan.and(bias, dtype),
            None => plan,
        })
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        self.on_cpu(cx, &x[0], Some(&x[1]), y)
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        self.on_cuda(cx, &x[0], &x[1], y)
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        self.work(&x[0])
    }
}

impl Update for WithReluGrad {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn cpu(&self, cx: &CpuCtx, targets: &mut [ViewMut], x: &[View]) -> Result<()> {
        self.on_cpu(cx, &x[0], None, targets)
    }

    fn cuda(&self, cx: &CudaCtx, targets: &[DeviceView], x: &[DeviceView]) -> Result<()> {
        self.on_cuda(cx, &x[0], &targets[0], targets)
    }

    fn flops(&self, targets: &[Meta], _x: &[Meta]) -> u64 {
        self.work(&targets[0])
    }
}
