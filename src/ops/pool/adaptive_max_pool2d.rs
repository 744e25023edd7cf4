//! Max pooling to a chosen output size, for inputs of any size.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{n,c,i,j} &= \max_{(p,q) \in \mathrm{window}(i,j)} x_{n,c,p,q} \\
//! \mathrm{dx}_{n,c,p,q} &= \sum_{(p,q) \text{ wins in } \mathrm{window}(i,j)} \mathrm{dy}_{n,c,i,j} \\
//! \mathrm{window}(i,j) &= \{ (p,q) : \lfloor i H / H' \rfloor \le p < \lceil (i + 1) H / H' \rceil, \;
//!   \lfloor j W / W' \rfloor \le q < \lceil (j + 1) W / W' \rceil \}
//! \end{aligned}
//! ```
//!
//! Each window's gradient goes to its winner, the input with the maximum. An input that lies in several windows can win
//! several times. Ties and NaN are handled as in [`max_pool2d`](super::max_pool2d). PyTorch: `F.adaptive_max_pool2d`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, H, W]` or `[C, H, W]` | |
//! | output | `[N, C, H', W']` or `[C, H', W']` | `[H', W'] = output_size`; `None` keeps the input's size |
//! | indices | as output, i64 | flat position of the winner in its `H x W` plane |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let image = Tensor::from_vec(&Device::cpu()?, vec![1f32, 9.0, 4.0, 8.0, 16.0], &[1, 1, 1, 5])?;
//! let (y, indices) = image.adaptive_max_pool2d_with_indices([1, 2])?;
//! assert_eq!(y.to_vec::<f32>()?, [9.0, 16.0]);
//! assert_eq!(indices.to_vec::<i64>()?, [1, 4]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::adaptive::{OutputSize, under};
use super::cuda;
use crate::core::{DType, Result, Shape};
use crate::cpu::{CpuCtx, View, ViewMut, pool};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::images::images;
use crate::ops::{Case, Fill, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// `F.adaptive_max_pool2d`, with its indices as a second output.
#[derive(Debug)]
pub struct AdaptiveMaxPool2d(pub OutputSize);

impl Op for AdaptiveMaxPool2d {
    fn name(&self) -> &'static str {
        "adaptive_max_pool2d"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let shape = self.0.shape(self.name(), &x[0].shape)?;
        Ok(Plan::new(shape, dtype).and(shape, DType::I64))
    }

    fn saves(&self) -> Saves {
        Saves::outputs(&[1])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let planes = pool::Planes::new(images(self.name(), &x[0].shape)?, images(self.name(), &y[0].shape)?);
        let [output, indices] = y else { unreachable!("infer plans two outputs") };
        let sizes = [(planes.h, planes.oh), (planes.w, planes.ow)];
        let window = |axis: usize, i| {
            let (input, outputs) = sizes[axis];
            under(i, input, outputs).step_by(1)
        };
        float_type!(self.name(), x[0].dtype, T => {
            pool::adaptive_max(cx, &planes, window, x[0].get::<T>(), output.get(), indices.get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let planes = pool::Planes::new(images(self.name(), &x[0].shape)?, images(self.name(), &y[0].shape)?);
        let (launch, windows) = (Launch::over(y[0].numel()), cuda::windows(&planes, None));
        let (x, output, indices, n) = (x[0].f32()?, y[0].f32()?, y[1].i64()?, y[0].numel() as i64);
        kernels::adaptive_max_pool2d_fwd_f32(cx, launch, x, output, indices, windows, n)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let op = AdaptiveMaxPool2dGrad { input: saved.meta(0).shape };
        Ok(smallvec![Some(Gradient::of(op, &[dy, &saved.output(1)])?)])
    }

    fn flops(&self, x: &[Meta], y: &[Meta]) -> u64 {
        x[0].numel().max(y[0].numel()) as u64
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        self.0.dependence(&x[0].shape)
    }
}

/// `dx` from `(dy, indices)`: each dy is added to the gradient of its window's winner.
#[derive(Debug)]
struct AdaptiveMaxPool2dGrad {
    input: Shape,
}

impl GradientOp for AdaptiveMaxPool2dGrad {
    fn name(&self) -> &'static str {
        "adaptive_max_pool2d_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(self.input, one_float(self.name(), &x[..1])?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let planes = pool::Planes::new(images(self.name(), &self.input)?, images(self.name(), &x[0].shape)?);
        float_type!(self.name(), x[0].dtype, T => {
            pool::adaptive_max_grad(cx, &planes, x[0].get::<T>(), x[1].get(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let planes = pool::Planes::new(images(self.name(), &self.input)?, images(self.name(), &x[0].shape)?);
        let (launch, windows) = (Launch::over(y[0].numel()), cuda::windows(&planes, None));
        let (dy, indices, dx, n) = (x[0].f32()?, x[1].i64()?, y[0].f32()?, y[0].numel() as i64);
        kernels::adaptive_max_pool2d_bwd_f32(cx, launch, dy, indices, dx, windows, n)
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        x[0].numel() as u64
    }
}

impl Tensor {
    /// The maxima of `[N, C, H, W]` or `[C, H, W]` over windows chosen so that the output has size `output_size`.
    /// PyTorch: `F.adaptive_max_pool2d`.
    ///
    /// # Errors
    /// Another rank, images without pixels, a dtype other than f32 and f64.
    pub fn adaptive_max_pool2d(&self, output_size: impl Into<OutputSize>) -> Result<Tensor> {
        Ok(one(apply(AdaptiveMaxPool2d(output_size.into()), &[self])?))
    }

    /// As [`adaptive_max_pool2d`](Self::adaptive_max_pool2d), and also returns the flat position of each winner in its
    /// plane. PyTorch: `F.adaptive_max_pool2d(.., return_indices=True)`.
    ///
    /// # Errors
    /// As [`adaptive_max_pool2d`](Self::adaptive_max_pool2d).
    pub fn adaptive_max_pool2d_with_indices(
        &self,
        output_size: impl Into<OutputSize>,
    ) -> Result<(Tensor, Tensor)> {
        let mut outputs = apply(AdaptiveMaxPool2d(output_size.into()), &[self])?.into_iter();
        let mut next = || outputs.next().expect("infer plans two outputs");
        Ok((next(), next()))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "adaptive_max_pool2d",
    torch: "F.adaptive_max_pool2d(input, output_size, return_indices=True)",
    inputs: &[Input::new("input")],
    outputs: &["output", "indices"],
    attrs: &["output_size"],
    layer: None,
    build: |attrs| Ok(Arc::new(AdaptiveMaxPool2d(OutputSize::from_attrs(attrs)?))),
    cases,
};

fn cases() -> Vec<Case> {
    let case = |label, attrs, input: &[usize]| Case::new(label, attrs).filled("input", input, Fill::Distinct);
    vec![
        case("divides", "output_size=3,2", &[2, 3, 6, 4]),
        case("overlap", "output_size=3", &[2, 2, 7, 5]),
        case("larger than the input", "output_size=5,7", &[1, 2, 3, 4]),
        case("keeps the width", "output_size=2,None", &[2, 2, 5, 6]),
        case("global", "output_size=1", &[2, 3, 4, 3]).edge(),
        case("one image", "output_size=2", &[3, 5, 4]).edge(),
        case("empty batch", "output_size=2", &[0, 3, 4, 4]).edge(),
        case("spp", "output_size=4", &[32, 256, 13, 13]).bench(),
    ]
}
