//! Average pooling over 2-d windows.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{n,c,i,j} &= \frac{1}{\mathrm{divisor}_{i,j}} \sum_{(p,q) \in \mathrm{window}(i,j)} x_{n,c,p,q} \\
//! \mathrm{dx}_{n,c,p,q} &= \sum_{\mathrm{window}(i,j) \ni (p,q)}
//!   \frac{\mathrm{dy}_{n,c,i,j}}{\mathrm{divisor}_{i,j}} \\
//! \mathrm{window}(i,j) &= \{ (i S_H - P_H + k_h, \; j S_W - P_W + k_w) : 0 \le k_h < K_H, \; 0 \le k_w < K_W \}
//! \end{aligned}
//! ```
//!
//! S is the stride, P the padding and K the kernel size. Each input enters a window's mean with factor `1 / divisor`,
//! so it receives that share of the window's gradient. The divisor is `divisor_override` if given. Else it is the
//! number of the window's taps that lie in the input or its padding (`count_include_pad`, the default), or in the input
//! alone. `ceil_mode` can create taps beyond the padding; they never count. PyTorch: `F.avg_pool2d`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, H, W]` or `[C, H, W]` | |
//! | output | `[N, C, H', W']` or `[C, H', W']` | `H' = floor((H + 2 PH - KH) / SH) + 1`, ceil with `ceil_mode` |
//!
//! ```
//! use receptive::ops::avg_pool2d::AvgPool2dOptions;
//! use receptive::{Device, Tensor};
//! let image = Tensor::from_vec(&Device::cpu()?, (0..16).map(|v| v as f32).collect(), &[1, 1, 4, 4])?;
//! let y = image.avg_pool2d(&AvgPool2dOptions::new([2, 2]))?;
//! assert_eq!(y.to_vec::<f32>()?, [2.5, 4.5, 10.5, 12.5]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda;
use crate::core::{Error, Result, Shape, Window};
use crate::cpu::pool::{self, Planes};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::images::{images, pooled};
use crate::ops::{Attrs, Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::ops::Range;
use std::sync::Arc;

/// Settings of an average pooling, with PyTorch's names. Pairs are `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvgPool2dOptions {
    pub kernel_size: [usize; 2],
    /// PyTorch's default is the kernel's size.
    pub stride: [usize; 2],
    /// On each side; at most half of the kernel.
    pub padding: [usize; 2],
    /// Whether a last window may extend beyond the edge. It must start inside the input or the padding before it.
    pub ceil_mode: bool,
    /// Whether padding counts in the divisor.
    pub count_include_pad: bool,
    /// Divides each sum by this number instead. Must not be 0.
    pub divisor_override: Option<i64>,
}

impl AvgPool2dOptions {
    /// PyTorch's defaults: windows side by side, no padding.
    pub fn new(kernel_size: [usize; 2]) -> Self {
        AvgPool2dOptions {
            kernel_size,
            stride: kernel_size,
            padding: [0, 0],
            ceil_mode: false,
            count_include_pad: true,
            divisor_override: None,
        }
    }

    /// Reads the settings from attributes in text form.
    ///
    /// # Errors
    /// No `kernel_size`, or text of the wrong form.
    pub fn from_attrs(attrs: &Attrs) -> Result<Self> {
        let default = Self::new(attrs.pair("kernel_size")?.ok_or_else(|| attrs.missing("kernel_size"))?);
        Ok(AvgPool2dOptions {
            stride: attrs.pair("stride")?.unwrap_or(default.stride),
            padding: attrs.pair("padding")?.unwrap_or(default.padding),
            ceil_mode: attrs.flag("ceil_mode", false)?,
            count_include_pad: attrs.flag("count_include_pad", true)?,
            divisor_override: attrs.get("divisor_override")?,
            ..default
        })
    }

    pub fn window(&self) -> Window {
        let Self { kernel_size: kernel, stride, padding, .. } = *self;
        Window { kernel, stride, padding: padding.map(|p| [p; 2]), dilation: [1, 1] }
    }

    /// The input rows and columns that output `o` of a plane covers, and its divisor.
    #[inline]
    pub fn under(&self, planes: &Planes, o: usize) -> ([Range<usize>; 2], f64) {
        let (rows, down) = self.along(0, planes.h, o / planes.ow);
        let (columns, across) = self.along(1, planes.w, o % planes.ow);
        let divisor = self.divisor_override.map_or((down * across) as f64, |d| d as f64);
        ([rows, columns], divisor)
    }

    /// For one axis with `size` inputs: the range of inputs in window number `place`, and how many of its taps count in
    /// the divisor.
    #[inline]
    fn along(&self, axis: usize, size: usize, place: usize) -> (Range<usize>, usize) {
        let (before, kernel) = (self.padding[axis], self.kernel_size[axis]);
        let start = place * self.stride[axis]; // in the padded image
        let real = start.saturating_sub(before)..(start + kernel).saturating_sub(before).min(size);
        let counted =
            if self.count_include_pad { (size + 2 * before - start).min(kernel) } else { real.len() };
        (real, counted)
    }

    /// Arguments for the GPU kernels: whether padding counts, and `divisor_override`, 0 if there is none.
    fn divides_by(&self) -> (i32, f32) {
        (i32::from(self.count_include_pad), self.divisor_override.map_or(0.0, |d| d as f32))
    }
}

/// `F.avg_pool2d`.
#[derive(Debug)]
pub struct AvgPool2d(pub AvgPool2dOptions);

impl Op for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        if self.0.divisor_override == Some(0) {
            return Err(Error::argument(self.name(), "divisor_override is 0"));
        }
        Ok(Plan::new(pooled(self.name(), &x[0].shape, &self.0.window(), self.0.ceil_mode)?, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let planes = Planes::new(images(self.name(), &x[0].shape)?, images(self.name(), &y[0].shape)?);
        float_type!(self.name(), x[0].dtype, T => {
            pool::average(cx, &planes, |o| self.0.under(&planes, o), x[0].get::<T>(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let planes = Planes::new(images(self.name(), &x[0].shape)?, images(self.name(), &y[0].shape)?);
        let (windows, (padded, divisor)) =
            (cuda::windows(&planes, Some(&self.0.window())), self.0.divides_by());
        let lanes = cuda::lanes(self.0.kernel_size.iter().product());
        let (x, n, y) = (x[0].f32()?, y[0].numel(), y[0].f32()?);
        let launch = Launch::teams(n, lanes);
        kernels::avg_pool2d_fwd_f32(cx, launch, x, y, windows, padded, divisor, lanes as i32, n as i64)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let op = AvgPool2dGrad { options: self.0, input: saved.meta(0).shape };
        Ok(smallvec![Some(Gradient::of(op, &[dy])?)])
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        (y[0].numel() * self.0.kernel_size[0] * self.0.kernel_size[1]) as u64
    }

    fn dependence(&self, _x: &[Meta]) -> Dependence {
        Dependence::Window(self.0.window())
    }
}

/// `dx` from `dy`: each dy is divided among the inputs of its window.
#[derive(Debug)]
struct AvgPool2dGrad {
    options: AvgPool2dOptions,
    input: Shape,
}

impl GradientOp for AvgPool2dGrad {
    fn name(&self) -> &'static str {
        "avg_pool2d_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(self.input, one_float(self.name(), x)?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let planes = Planes::new(images(self.name(), &self.input)?, images(self.name(), &x[0].shape)?);
        float_type!(self.name(), x[0].dtype, T => {
            pool::share(cx, &planes, |o| self.options.under(&planes, o), x[0].get::<T>(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let planes = Planes::new(images(self.name(), &self.input)?, images(self.name(), &x[0].shape)?);
        let windows = cuda::windows(&planes, Some(&self.options.window()));
        let (launch, (padded, divisor)) = (Launch::over(y[0].numel()), self.options.divides_by());
        let (dy, dx, n) = (x[0].f32()?, y[0].f32()?, y[0].numel() as i64);
        kernels::avg_pool2d_bwd_f32(cx, launch, dy, dx, windows, padded, divisor, n)
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        (x[0].numel() * self.options.kernel_size[0] * self.options.kernel_size[1]) as u64
    }
}

impl Tensor {
    /// The mean of each window of `[N, C, H, W]` or `[C, H, W]`. PyTorch: `F.avg_pool2d`.
    ///
    /// # Errors
    /// Another rank, a window larger than the padded input, padding of more than half the kernel, zero kernel, stride
    /// or divisor, a dtype other than f32 and f64.
    pub fn avg_pool2d(&self, options: &AvgPool2dOptions) -> Result<Tensor> {
        Ok(one(apply(AvgPool2d(*options), &[self])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "avg_pool2d",
    torch: "F.avg_pool2d(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"],
    layer: None,
    build: |attrs| Ok(Arc::new(AvgPool2d(AvgPool2dOptions::from_attrs(attrs)?))),
    cases,
};

fn cases() -> Vec<Case> {
    let case = |label, attrs, input: &[usize]| Case::new(label, attrs).input("input", input);
    vec![
        case("2x2", "kernel_size=2", &[2, 3, 6, 4]),
        case("overlap", "kernel_size=3,2 stride=1,2", &[2, 2, 5, 7]),
        case("gaps", "kernel_size=2 stride=3", &[1, 2, 7, 8]),
        case("padded", "kernel_size=3 stride=2 padding=1", &[2, 2, 6, 7]),
        case("pad not counted", "kernel_size=3,2 stride=2 padding=1 count_include_pad=false", &[2, 2, 6, 7]),
        case("ceil_mode", "kernel_size=3 stride=2 ceil_mode=true", &[2, 2, 6, 6]),
        case("ceil_mode, padded", "kernel_size=3 stride=2 padding=1 ceil_mode=true", &[1, 2, 6, 4]),
        case(
            "ceil_mode, pad not counted",
            "kernel_size=3 stride=2 padding=1 ceil_mode=true count_include_pad=false",
            &[1, 2, 6, 4],
        ),
        case("divisor", "kernel_size=2 padding=1 divisor_override=-3", &[1, 2, 4, 5]),
        case("global", "kernel_size=4,3", &[2, 3, 4, 3]).edge(),
        case("1x1 image, ceil_mode", "kernel_size=2 ceil_mode=true", &[2, 2, 1, 1]).edge(),
        case("one image", "kernel_size=2", &[3, 4, 4]).edge(),
        case("empty batch", "kernel_size=2", &[0, 3, 4, 4]).edge(),
        case("lenet5-tanh", "kernel_size=2", &[64, 6, 28, 28]).bench(),
        case("googlenet end", "kernel_size=3", &[64, 1024, 3, 3]).bench(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    /// The divisor is the same as in PyTorch for a corner window that extends beyond the padding (`ceil_mode`): padding
    /// counts, taps beyond it do not.
    #[test]
    fn taps_beyond_the_padding_never_count() {
        let x = Tensor::full(&Device::cpu().unwrap(), 1.0, &[1, 4, 4], crate::DType::F64).unwrap();
        let options = AvgPool2dOptions {
            stride: [2, 2],
            padding: [1, 1],
            ceil_mode: true,
            ..AvgPool2dOptions::new([3, 3])
        };
        let corner = |options: AvgPool2dOptions| x.avg_pool2d(&options).unwrap().to_f64().unwrap()[8];
        assert_eq!(corner(options), 0.25);
        assert_eq!(corner(AvgPool2dOptions { count_include_pad: false, ..options }), 1.0);
        assert_eq!(corner(AvgPool2dOptions { divisor_override: Some(2), ..options }), 0.5);
    }

    #[test]
    fn impossible_settings_are_refused() {
        let x = Tensor::zeros(&Device::meta(), &[1, 4, 4], crate::DType::F32).unwrap();
        let new = AvgPool2dOptions::new;
        for options in [
            new([5, 1]),
            AvgPool2dOptions { stride: [0, 1], ..new([2, 2]) },
            AvgPool2dOptions { padding: [0, 2], ..new([2, 2]) },
            AvgPool2dOptions { divisor_override: Some(0), ..new([2, 2]) },
        ] {
            assert!(x.avg_pool2d(&options).is_err(), "{options:?}");
        }
    }
}
