//! Average pooling to a chosen output size, for inputs of any size.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{n,c,i,j} &= \frac{1}{|\mathrm{window}(i,j)|} \sum_{(p,q) \in \mathrm{window}(i,j)} x_{n,c,p,q} \\
//! \mathrm{dx}_{n,c,p,q} &= \sum_{\mathrm{window}(i,j) \ni (p,q)} \frac{\mathrm{dy}_{n,c,i,j}}{|\mathrm{window}(i,j)|} \\
//! \mathrm{window}(i,j) &= \{ (p,q) : \lfloor i H / H' \rfloor \le p < \lceil (i + 1) H / H' \rceil, \;
//!   \lfloor j W / W' \rfloor \le q < \lceil (j + 1) W / W' \rceil \}
//! \end{aligned}
//! ```
//!
//! Each input enters a window's mean with factor 1 / size, so it receives that share of the window's gradient.
//! Neighbouring windows can overlap if H' does not divide H. An input in several windows then receives the sum of its
//! shares. A classifier that ends in `output_size = 1` takes images of any size. PyTorch: `F.adaptive_avg_pool2d`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, H, W]` or `[C, H, W]` | |
//! | output | `[N, C, H', W']` or `[C, H', W']` | `[H', W'] = output_size`; `None` keeps the input's size |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let image = Tensor::from_vec(&Device::cpu()?, vec![1f32, 2.0, 4.0, 8.0, 16.0], &[1, 1, 1, 5])?;
//! assert_eq!(image.adaptive_avg_pool2d([1, 2])?.to_vec::<f32>()?, [7.0 / 3.0, 28.0 / 3.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::adaptive::{OutputSize, under};
use super::cuda;
use crate::core::{Result, Shape};
use crate::cpu::pool::{self, Planes};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::images::images;
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::ops::Range;
use std::sync::Arc;

/// `F.adaptive_avg_pool2d`.
#[derive(Debug)]
pub struct AdaptiveAvgPool2d(pub OutputSize);

/// The rows and columns that output `o` of a plane covers, and how many elements they hold.
pub fn window(planes: &Planes, o: usize) -> ([Range<usize>; 2], f64) {
    let rows = under(o / planes.ow, planes.h, planes.oh);
    let columns = under(o % planes.ow, planes.w, planes.ow);
    let elements = rows.len() * columns.len();
    ([rows, columns], elements as f64)
}

impl Op for AdaptiveAvgPool2d {
    fn name(&self) -> &'static str {
        "adaptive_avg_pool2d"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        Ok(Plan::new(self.0.shape(self.name(), &x[0].shape)?, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let planes = Planes::new(images(self.name(), &x[0].shape)?, images(self.name(), &y[0].shape)?);
        float_type!(self.name(), x[0].dtype, T => {
            pool::average(cx, &planes, |o| window(&planes, o), x[0].get::<T>(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let planes = Planes::new(images(self.name(), &x[0].shape)?, images(self.name(), &y[0].shape)?);
        let lanes = cuda::lanes(x[0].numel() / y[0].numel());
        let (x, n, y) = (x[0].f32()?, y[0].numel(), y[0].f32()?);
        let (launch, windows) = (Launch::teams(n, lanes), cuda::windows(&planes, None));
        kernels::adaptive_avg_pool2d_fwd_f32(cx, launch, x, y, windows, lanes as i32, n as i64)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let op = AdaptiveAvgPool2dGrad { input: saved.meta(0).shape };
        Ok(smallvec![Some(Gradient::of(op, &[dy])?)])
    }

    fn flops(&self, x: &[Meta], y: &[Meta]) -> u64 {
        (x[0].numel() + y[0].numel()) as u64
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        self.0.dependence(&x[0].shape)
    }
}

/// `dx` from `dy`: each dy is divided evenly among the inputs of its window.
#[derive(Debug)]
struct AdaptiveAvgPool2dGrad {
    input: Shape,
}

impl GradientOp for AdaptiveAvgPool2dGrad {
    fn name(&self) -> &'static str {
        "adaptive_avg_pool2d_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(self.input, one_float(self.name(), x)?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let planes = Planes::new(images(self.name(), &self.input)?, images(self.name(), &x[0].shape)?);
        float_type!(self.name(), x[0].dtype, T => {
            pool::share(cx, &planes, |o| window(&planes, o), x[0].get::<T>(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let planes = Planes::new(images(self.name(), &self.input)?, images(self.name(), &x[0].shape)?);
        let (launch, windows) = (Launch::over(y[0].numel()), cuda::windows(&planes, None));
        let (dy, dx, n) = (x[0].f32()?, y[0].f32()?, y[0].numel() as i64);
        kernels::adaptive_avg_pool2d_bwd_f32(cx, launch, dy, dx, windows, n)
    }

    fn flops(&self, x: &[Meta], y: &[Meta]) -> u64 {
        (x[0].numel() + y[0].numel()) as u64
    }
}

impl Tensor {
    /// The means of `[N, C, H, W]` or `[C, H, W]` over windows chosen so that the output has size `output_size`.
    /// PyTorch: `F.adaptive_avg_pool2d`.
    ///
    /// # Errors
    /// Another rank, images without pixels, a dtype other than f32 and f64.
    pub fn adaptive_avg_pool2d(&self, output_size: impl Into<OutputSize>) -> Result<Tensor> {
        Ok(one(apply(AdaptiveAvgPool2d(output_size.into()), &[self])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "adaptive_avg_pool2d",
    torch: "F.adaptive_avg_pool2d(input, output_size)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["output_size"],
    layer: None,
    build: |attrs| Ok(Arc::new(AdaptiveAvgPool2d(OutputSize::from_attrs(attrs)?))),
    cases,
};

fn cases() -> Vec<Case> {
    let case = |label, attrs, input: &[usize]| Case::new(label, attrs).input("input", input);
    vec![
        case("divides", "output_size=3,2", &[2, 3, 6, 4]),
        case("overlap", "output_size=3", &[2, 2, 7, 5]),
        case("larger than the input", "output_size=5,7", &[1, 2, 3, 4]),
        case("keeps the height", "output_size=None,2", &[2, 2, 5, 6]),
        case("global", "output_size=1", &[2, 3, 4, 3]).edge(),
        case("one image", "output_size=2", &[3, 5, 4]).edge(),
        case("empty batch", "output_size=2", &[0, 3, 4, 4]).edge(),
        case("resnet18 end", "output_size=1", &[64, 512, 7, 7]).bench(),
        case("alexnet", "output_size=6", &[32, 256, 13, 13]).bench(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::tensor::Device;

    /// PyTorch computes an empty output but refuses to compute its gradient. Here the gradient is zero.
    #[test]
    fn an_output_of_nothing_has_a_gradient_of_zeros() {
        let cpu = Device::cpu().unwrap();
        let pools: [fn(&Tensor) -> Result<Tensor>; 2] =
            [|x| x.adaptive_avg_pool2d([0, 2]), |x| x.adaptive_max_pool2d([0, 2])];
        for pool in pools {
            let x = Tensor::full(&cpu, 1.0, &[2, 3, 3], DType::F32).unwrap().requires_grad();
            let y = pool(&x).unwrap();
            assert_eq!(y.dims(), [2, 0, 2]);
            y.backward_with(&y.detach()).unwrap();
            assert_eq!(x.grad().unwrap().to_f64().unwrap(), [0.0; 18]);
        }
    }

    #[test]
    fn images_without_pixels_are_refused() {
        for dims in [&[1, 2, 0, 3][..], &[1, 2, 3, 0], &[4, 4]] {
            let x = Tensor::zeros(&Device::meta(), dims, DType::F32).unwrap();
            assert!(x.adaptive_avg_pool2d(2).is_err(), "{dims:?}");
            assert!(x.adaptive_max_pool2d(2).is_err(), "{dims:?}");
        }
    }
}
