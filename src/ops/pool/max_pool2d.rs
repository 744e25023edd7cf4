//! Max pooling over 2-d windows.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{n,c,i,j} &= \max_{(p,q) \in \mathrm{window}(i,j)} x_{n,c,p,q} \\
//! \mathrm{window}(i,j) &= \{ (i S_H - P_H + k_h D_H, \; j S_W - P_W + k_w D_W) :
//!   0 \le k_h < K_H, \; 0 \le k_w < K_W \}
//! \end{aligned}
//! ```
//!
//! S is the stride, P the padding, D the dilation and K the kernel size. Padding counts as minus infinity, so it never
//! wins. The gradient of a window goes to its winner, the input with the maximum:
//!
//! ```math
//! \mathrm{dx}_{n,c,p,q} = \sum_{(p,q) \text{ wins in } \mathrm{window}(i,j)} \mathrm{dy}_{n,c,i,j}
//! ```
//!
//! Windows overlap if the stride is smaller than the kernel. An input can then win in several windows, and its gradient
//! is the sum over them. On a tie the first input in row-major order wins, and NaN beats every number, as in PyTorch
//! (`F.max_pool2d`).
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, H, W]` or `[C, H, W]` | |
//! | output | `[N, C, H', W']` or `[C, H', W']` | `H' = floor((H + 2 PH - DH (KH - 1) - 1) / SH) + 1`, ceil with `ceil_mode` |
//! | indices | as output, i64 | flat position of the winner in its `H x W` plane; -1 if the window covers only padding; optional |
//! | taps | as output, u8 | position of the winner within its window, 255 for none; i64 and -1 for none if windows have 255 taps or more; hidden from callers, kept for backward |
//!
//! ```
//! use receptive::ops::max_pool2d::MaxPool2dOptions;
//! use receptive::{Device, Tensor};
//! let image = Tensor::from_vec(&Device::cpu()?, (0..16).map(|v| v as f32).collect(), &[1, 1, 4, 4])?;
//! let (y, indices) = image.max_pool2d_with_indices(&MaxPool2dOptions::new([2, 2]))?;
//! assert_eq!(y.to_vec::<f32>()?, [5.0, 7.0, 13.0, 15.0]);
//! assert_eq!(indices.to_vec::<i64>()?, [5, 7, 13, 15]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda;
use crate::core::{DType, Result, Shape, Window};
use crate::cpu::{CpuCtx, View, ViewMut, pool};
use crate::cuda::{CudaCtx, DeviceView, Launch, Ptr, kernels};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::images::{images, pooled};
use crate::ops::{Attrs, Case, Fill, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// Runs `$body` with `$K` as the integer type that stores taps.
macro_rules! tap_type {
    ($dtype:expr, $K:ident => $body:expr) => {
        match $dtype {
            DType::U8 => {
                type $K = u8;
                $body
            }
            _ => {
                type $K = i64;
                $body
            }
        }
    };
}

/// Settings of a max pooling, with PyTorch's names. Pairs are `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool2dOptions {
    pub kernel_size: [usize; 2],
    /// PyTorch's default is the kernel's size.
    pub stride: [usize; 2],
    /// On each side; at most half of the window.
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
    /// Whether the last window may extend beyond the padded input. It must start inside the input or the padding before
    /// it.
    pub ceil_mode: bool,
}

impl MaxPool2dOptions {
    /// PyTorch's defaults: windows side by side, no padding.
    pub fn new(kernel_size: [usize; 2]) -> Self {
        let (stride, padding, dilation) = (kernel_size, [0, 0], [1, 1]);
        MaxPool2dOptions { kernel_size, stride, padding, dilation, ceil_mode: false }
    }

    /// Reads the settings from attributes in text form.
    ///
    /// # Errors
    /// No `kernel_size`, or text of the wrong form.
    pub fn from_attrs(attrs: &Attrs) -> Result<Self> {
        let default = Self::new(attrs.pair("kernel_size")?.ok_or_else(|| attrs.missing("kernel_size"))?);
        Ok(MaxPool2dOptions {
            stride: attrs.pair("stride")?.unwrap_or(default.stride),
            padding: attrs.pair("padding")?.unwrap_or(default.padding),
            dilation: attrs.pair("dilation")?.unwrap_or(default.dilation),
            ceil_mode: attrs.flag("ceil_mode", false)?,
            ..default
        })
    }

    pub fn window(&self) -> Window {
        let Self { kernel_size: kernel, stride, padding, dilation, .. } = *self;
        Window { kernel, stride, padding: padding.map(|p| [p; 2]), dilation }
    }
}

/// `F.max_pool2d`.
#[derive(Debug)]
pub struct MaxPool2d {
    pub options: MaxPool2dOptions,
    /// Whether callers receive the indices as a second output.
    pub return_indices: bool,
}

impl MaxPool2d {
    fn taps(&self) -> DType {
        let [kh, kw] = self.options.kernel_size;
        if kh * kw < u8::MAX as usize { DType::U8 } else { DType::I64 }
    }
}

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let shape = pooled(self.name(), &x[0].shape, &self.options.window(), self.options.ceil_mode)?;
        let plan = Plan::new(shape, dtype);
        let plan = if self.return_indices { plan.and(shape, DType::I64) } else { plan };
        Ok(plan.hidden(shape, self.taps()))
    }

    fn saves(&self) -> Saves {
        Saves::outputs(&[1 + usize::from(self.return_indices)])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let planes = pool::Planes::new(images(self.name(), &x[0].shape)?, images(self.name(), &y[0].shape)?);
        let window = self.options.window();
        let (outputs, taps) = y.split_at_mut(1 + usize::from(self.return_indices));
        let (output, indices) = outputs.split_at_mut(1);
        float_type!(self.name(), x[0].dtype, T => {
            tap_type!(taps[0].dtype, K => {
                let taps = taps[0].get::<K>();
                pool::max(cx, &planes, &window, x[0].get::<T>(), output[0].get(), taps);
                if let [indices] = indices {
                    pool::places(cx, &planes, &window, taps, indices.get());
                }
            });
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let planes = pool::Planes::new(images(self.name(), &x[0].shape)?, images(self.name(), &y[0].shape)?);
        let windows = cuda::windows(&planes, Some(&self.options.window()));
        let (launch, n) = (Launch::over(y[0].numel()), y[0].numel() as i64);
        let indices = if self.return_indices { y[1].i64()? } else { Ptr::NULL };
        let (x, output, taps) = (x[0].f32()?, y[0].f32()?, &y[y.len() - 1]);
        match taps.dtype {
            DType::U8 => kernels::max_pool2d_fwd_f32(cx, launch, x, output, taps.u8()?, indices, windows, n),
            _ => kernels::max_pool2d_fwd_wide_f32(cx, launch, x, output, taps.i64()?, indices, windows, n),
        }
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let op = MaxPool2dGrad { input: saved.meta(0).shape, window: self.options.window() };
        let taps = saved.output(1 + usize::from(self.return_indices));
        Ok(smallvec![Some(Gradient::of(op, &[dy, &taps])?)])
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        (y[0].numel() * self.options.kernel_size[0] * self.options.kernel_size[1]) as u64
    }

    fn dependence(&self, _x: &[Meta]) -> Dependence {
        Dependence::Window(self.options.window())
    }
}

/// `dx` from `(dy, taps)`: each dy is added to the gradient of its window's winner.
#[derive(Debug)]
struct MaxPool2dGrad {
    input: Shape,
    window: Window,
}

impl GradientOp for MaxPool2dGrad {
    fn name(&self) -> &'static str {
        "max_pool2d_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(self.input, one_float(self.name(), &x[..1])?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let planes = pool::Planes::new(images(self.name(), &self.input)?, images(self.name(), &x[0].shape)?);
        float_type!(self.name(), x[0].dtype, T => {
            let (dy, dx) = (x[0].get::<T>(), y[0].get::<T>());
            tap_type!(x[1].dtype, K => pool::max_grad(cx, &planes, &self.window, dy, x[1].get::<K>(), dx));
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let planes = pool::Planes::new(images(self.name(), &self.input)?, images(self.name(), &x[0].shape)?);
        let (launch, windows) = (Launch::over(y[0].numel()), cuda::windows(&planes, Some(&self.window)));
        let (dy, dx, n) = (x[0].f32()?, y[0].f32()?, y[0].numel() as i64);
        match x[1].dtype {
            DType::U8 => kernels::max_pool2d_bwd_f32(cx, launch, dy, x[1].u8()?, dx, windows, n),
            _ => kernels::max_pool2d_bwd_wide_f32(cx, launch, dy, x[1].i64()?, dx, windows, n),
        }
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        x[0].numel() as u64
    }
}

impl Tensor {
    /// The maximum of each window of `[N, C, H, W]` or `[C, H, W]`. PyTorch: `F.max_pool2d`.
    ///
    /// # Errors
    /// Another rank, a window larger than the padded input, padding of more than half the window, zero kernel, stride
    /// or dilation, a dtype other than f32 and f64.
    pub fn max_pool2d(&self, options: &MaxPool2dOptions) -> Result<Tensor> {
        Ok(one(apply(MaxPool2d { options: *options, return_indices: false }, &[self])?))
    }

    /// As [`max_pool2d`](Self::max_pool2d), and also returns the flat position of each winner in its plane. PyTorch:
    /// `F.max_pool2d(.., return_indices=True)`.
    ///
    /// # Errors
    /// As [`max_pool2d`](Self::max_pool2d).
    pub fn max_pool2d_with_indices(&self, options: &MaxPool2dOptions) -> Result<(Tensor, Tensor)> {
        let op = MaxPool2d { options: *options, return_indices: true };
        let mut outputs = apply(op, &[self])?.into_iter();
        let mut next = || outputs.next().expect("infer plans two outputs");
        Ok((next(), next()))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "max_pool2d",
    torch: "F.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)",
    inputs: &[Input::new("input")],
    outputs: &["output", "indices"],
    attrs: &["kernel_size", "stride", "padding", "dilation", "ceil_mode"],
    layer: None,
    build: |attrs| {
        let options = MaxPool2dOptions::from_attrs(attrs)?;
        Ok(Arc::new(MaxPool2d { options, return_indices: true }))
    },
    cases,
};

fn cases() -> Vec<Case> {
    let case = |label, attrs, input: &[usize]| Case::new(label, attrs).filled("input", input, Fill::Distinct);
    vec![
        case("2x2", "kernel_size=2", &[2, 3, 6, 4]),
        case("2x2, a row and a column left over", "kernel_size=2", &[2, 2, 5, 7]),
        case("overlap", "kernel_size=3 stride=1", &[2, 2, 5, 4]),
        case("padded", "kernel_size=3 stride=2 padding=1", &[2, 2, 7, 6]),
        case("gaps", "kernel_size=2 stride=3", &[1, 2, 7, 8]),
        case("asymmetric", "kernel_size=2,3 stride=1,2 padding=1,0 dilation=2,1", &[2, 2, 5, 7]),
        case("ceil_mode", "kernel_size=3 stride=2 ceil_mode=true", &[2, 2, 6, 6]),
        case("ceil_mode, padded", "kernel_size=2,3 stride=2 padding=1 ceil_mode=true", &[1, 2, 3, 6]),
        case("1x1 kernel", "kernel_size=1 stride=2", &[1, 2, 3, 4]).edge(),
        case("whole image", "kernel_size=4,3", &[2, 3, 4, 3]).edge(),
        case("1x1 image, ceil_mode", "kernel_size=2 ceil_mode=true", &[2, 2, 1, 1]).edge(),
        case("one image", "kernel_size=2", &[3, 4, 4]).edge(),
        case("empty batch", "kernel_size=2", &[0, 3, 4, 4]).edge(),
        case("lenet5", "kernel_size=2", &[64, 6, 28, 28]).bench(),
        case("minivgg", "kernel_size=2", &[64, 16, 24, 24]).bench(),
        case("resnet18 stem", "kernel_size=3 stride=2 padding=1", &[16, 64, 48, 48]).bench(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    fn pool(values: &[f64], dims: &[usize], options: MaxPool2dOptions) -> (Vec<f64>, Vec<i64>) {
        let x = Tensor::from_slice(&Device::cpu().unwrap(), values, dims).unwrap();
        let (y, indices) = x.max_pool2d_with_indices(&options).unwrap();
        (y.to_f64().unwrap(), indices.to_vec().unwrap())
    }

    /// Overlapping windows: an input that wins twice receives both gradients. (Engines have shipped without the sum.)
    #[test]
    fn overlap_accumulates() {
        let cpu = Device::cpu().unwrap();
        let x = Tensor::from_vec(&cpu, vec![0.0, 9.0, 1.0], &[1, 1, 1, 3]).unwrap().requires_grad();
        let options = MaxPool2dOptions { stride: [1, 1], ..MaxPool2dOptions::new([1, 2]) };
        let dy = Tensor::from_vec(&cpu, vec![2.0, 5.0], &[1, 1, 1, 2]).unwrap();
        x.max_pool2d(&options).unwrap().backward_with(&dy).unwrap();
        assert_eq!(x.grad().unwrap().to_f64().unwrap(), [0.0, 7.0, 0.0]);
    }

    /// The winner is the same as in PyTorch: the first of equal inputs, the last NaN, the first tap if all inputs are
    /// minus infinity. Tests both loops: 2x2 windows side by side have a loop of their own.
    #[test]
    fn ties_nan_and_infinity_follow_pytorch() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        for stride in [[2, 2], [1, 1]] {
            let win = |values: [f64; 4]| {
                let (y, i) =
                    pool(&values, &[1, 2, 2], MaxPool2dOptions { stride, ..MaxPool2dOptions::new([2, 2]) });
                (y[0], i[0])
            };
            assert_eq!(win([1.0, 3.0, 3.0, 2.0]), (3.0, 1));
            assert_eq!(win([-inf; 4]), (-inf, 0));
            assert_eq!(win([0.0, -0.0, 0.0, -0.0]).1, 0);
            let (y, i) = win([nan, 1.0, nan, 5.0]);
            assert!(y.is_nan() && i == 2);
        }
    }

    /// 225 taps are numbered by a byte, 256 are not. Both find the winner and give it the gradient.
    #[test]
    fn windows_of_any_size_know_their_winner() {
        let (h, w, cpu) = (16, 19, Device::cpu().unwrap());
        let values: Vec<f64> = (0..h * w).map(|i| (i * 7919 % 1009) as f64).collect();
        for k in [15, 16] {
            let options =
                MaxPool2dOptions { stride: [1, 3], padding: [2, 1], ..MaxPool2dOptions::new([k, k]) };
            let (y, indices) = pool(&values, &[1, h, w], options);
            let (oh, ow) = (h + 4 - k + 1, (w + 2 - k) / 3 + 1);
            let mut gradient = vec![0.0; h * w];
            for (o, (y, index)) in y.iter().zip(&indices).enumerate() {
                let under = |start: usize, before: usize, size: usize| {
                    start.saturating_sub(before)..(start + k - before).min(size)
                };
                let places =
                    under(o / ow, 2, h).flat_map(|p| under(o % ow * 3, 1, w).map(move |q| p * w + q));
                let winner = places.max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap();
                assert_eq!((*y, *index), (values[winner], winner as i64), "{k} output {o}");
                gradient[winner] += o as f64;
            }
            let x = Tensor::from_slice(&cpu, &values, &[1, h, w]).unwrap().requires_grad();
            let dy = Tensor::from_vec(&cpu, (0..oh * ow).map(|o| o as f64).collect(), &[1, oh, ow]).unwrap();
            x.max_pool2d(&options).unwrap().backward_with(&dy).unwrap();
            assert_eq!(x.grad().unwrap().to_f64().unwrap(), gradient, "{k}");
        }
    }

    /// All taps of a dilated window can miss the image. Then there is no winner, and no input receives a gradient.
    #[test]
    fn a_window_of_padding_has_no_winner() {
        let options = MaxPool2dOptions {
            stride: [2, 2],
            padding: [1, 1],
            dilation: [3, 3],
            ceil_mode: true,
            ..MaxPool2dOptions::new([2, 2])
        };
        assert_eq!(pool(&[1.0; 4], &[1, 2, 2], options), (vec![f64::NEG_INFINITY], vec![-1]));
        let cpu = Device::cpu().unwrap();
        let x = Tensor::full(&cpu, 1.0, &[1, 2, 2], DType::F64).unwrap().requires_grad();
        let dy = Tensor::full(&cpu, 1.0, &[1, 1, 1], DType::F64).unwrap();
        x.max_pool2d(&options).unwrap().backward_with(&dy).unwrap();
        assert_eq!(x.grad().unwrap().to_f64().unwrap(), [0.0; 4]);
    }

    #[test]
    fn impossible_windows_are_refused() {
        let x = Tensor::zeros(&Device::meta(), &[1, 4, 4], DType::F32).unwrap();
        let new = MaxPool2dOptions::new;
        for options in [
            new([5, 1]),
            new([0, 2]),
            MaxPool2dOptions { stride: [0, 1], ..new([2, 2]) },
            MaxPool2dOptions { padding: [0, 2], ..new([2, 2]) },
        ] {
            assert!(x.max_pool2d(&options).is_err(), "{options:?}");
        }
    }
}
