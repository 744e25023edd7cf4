//! Resizes images to a size or by a factor.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y_{n,c,i,j} &= \sum_{p,q} R_{i,p} \, x_{n,c,p,q} \, C_{j,q} & Y &= R X C^T \\
//! \mathrm{dx}_{n,c,p,q} &= \sum_{i,j} R_{i,p} \, \mathrm{dy}_{n,c,i,j} \, C_{j,q} & \mathrm{dX} &= R^T \, \mathrm{dY} \, C
//! \end{aligned}
//! ```
//!
//! R and C are matrices (this C is not the number of channels). Each of their rows has only a few weights, side by
//! side: one for `nearest`, two for `bilinear`. There are more with `antialias`, which smooths detail too fine for a
//! smaller image. [`crate::core::resample`] has the formulas of the weights. The map is linear, so the gradient uses
//! the same loop with the transposed matrices. PyTorch: `F.interpolate`.
//!
//! A `scale_factor` sets two things: the size, `floor(H factor)`, and the distance between neighbouring outputs in the
//! input, `1 / factor`. With `recompute_scale_factor` the distance is `H / H'` instead, as it is when `size` is given.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[N, C, H, W]` | |
//! | output | `[N, C, H', W']` | `[H', W'] = size` or `floor([H, W] * scale_factor)` |
//!
//! ```
//! use receptive::ops::interpolate::{InterpolateMode, InterpolateOptions};
//! use receptive::{Device, Tensor};
//! let image = Tensor::from_vec(&Device::cpu()?, vec![0f32, 4.0], &[1, 1, 1, 2])?;
//! let nearest = InterpolateOptions::size([1, 4]);
//! assert_eq!(image.interpolate(&nearest)?.to_vec::<f32>()?, [0.0, 0.0, 4.0, 4.0]);
//! let bilinear = InterpolateOptions { mode: InterpolateMode::Bilinear, ..nearest };
//! assert_eq!(image.interpolate(&bilinear)?.to_vec::<f32>()?, [0.0, 1.0, 3.0, 4.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda;
use crate::core::resample::{Filter, ResampleWeights};
use crate::core::{Error, Result, Shape, Window};
use crate::cpu::resample::resample;
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::images::like_images;
use crate::ops::{Attrs, Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// How output pixels are computed from input pixels, with PyTorch's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterpolateMode {
    /// `nearest`: the pixel at or before the output's position in the input.
    Nearest,
    /// `nearest-exact`: the pixel that covers the output's position in the input.
    NearestExact,
    /// `bilinear`: interpolates linearly between the four neighbours.
    Bilinear,
    /// `area`: the mean of the covered pixels, as in adaptive average pooling.
    Area,
}

/// How the output's size is given, `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InterpolateSize {
    /// This height and width.
    Size([usize; 2]),
    /// The input's height and width times these factors.
    Scale([f64; 2]),
}

/// Settings of a resizing, with PyTorch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InterpolateOptions {
    /// `size` or `scale_factor`.
    pub target: InterpolateSize,
    pub mode: InterpolateMode,
    /// Bilinear only: the centres of the corner pixels of input and output coincide. Else their outer corners do.
    pub align_corners: bool,
    /// Use the factors only for the size, and compute the distances from the sizes.
    pub recompute_scale_factor: bool,
    /// Bilinear only: smooth detail that is too fine for a smaller image.
    pub antialias: bool,
}

impl InterpolateOptions {
    fn new(target: InterpolateSize) -> Self {
        let (mode, align_corners) = (InterpolateMode::Nearest, false);
        InterpolateOptions { target, mode, align_corners, recompute_scale_factor: false, antialias: false }
    }

    /// Resizes to a height and width, with mode `nearest`.
    pub fn size(size: [usize; 2]) -> Self {
        Self::new(InterpolateSize::Size(size))
    }

    /// Resizes by one factor per direction, with mode `nearest`.
    pub fn scale(factors: [f64; 2]) -> Self {
        Self::new(InterpolateSize::Scale(factors))
    }

    fn from_attrs(attrs: &Attrs) -> Result<Self> {
        let pair = |key: &str| match attrs.list::<f64>(key)?.as_deref() {
            None => Ok(None),
            Some([both]) => Ok(Some([*both; 2])),
            Some([h, w]) => Ok(Some([*h, *w])),
            Some(_) => Err(attrs.malformed(key, attrs.text(key).unwrap_or(""), "one number or two: h,w")),
        };
        let target = match (attrs.pair("size")?, pair("scale_factor")?) {
            (Some(size), None) => InterpolateSize::Size(size),
            (None, Some(factors)) => InterpolateSize::Scale(factors),
            (None, None) => return Err(attrs.missing("size").help("give size or scale_factor")),
            _ => return Err(Error::argument("interpolate", "size and scale_factor cannot both be given")),
        };
        let mode = match attrs.text("mode").unwrap_or("nearest") {
            "nearest" => InterpolateMode::Nearest,
            "nearest-exact" => InterpolateMode::NearestExact,
            "bilinear" => InterpolateMode::Bilinear,
            "area" => InterpolateMode::Area,
            other => return Err(attrs.malformed("mode", other, "nearest, nearest-exact, bilinear or area")),
        };
        Ok(InterpolateOptions {
            mode,
            align_corners: attrs.flag("align_corners", false)?,
            recompute_scale_factor: attrs.flag("recompute_scale_factor", false)?,
            antialias: attrs.flag("antialias", false)?,
            ..Self::new(target)
        })
    }

    fn filter(&self) -> Filter {
        match self.mode {
            InterpolateMode::Nearest => Filter::Nearest,
            InterpolateMode::NearestExact => Filter::NearestExact,
            InterpolateMode::Area => Filter::Area,
            InterpolateMode::Bilinear => {
                Filter::Bilinear { align_corners: self.align_corners, antialias: self.antialias }
            }
        }
    }

    fn output(&self, op: &str, input: &Shape) -> Result<Shape> {
        let [n, c, h, w] = input.nchw(op)?;
        let bilinear = self.mode == InterpolateMode::Bilinear;
        for (name, set) in [("align_corners", self.align_corners), ("antialias", self.antialias)] {
            if set && !bilinear {
                return Err(Error::argument(op, format!("{name} works only with mode bilinear"))
                    .with("mode", format_args!("{:?}", self.mode)));
            }
        }
        let size = match self.target {
            InterpolateSize::Size(_) if self.recompute_scale_factor => {
                return Err(Error::argument(op, "recompute_scale_factor needs scale_factor")
                    .help("give scale_factor instead of size"));
            }
            InterpolateSize::Size(size) => size,
            InterpolateSize::Scale(factors) if factors.iter().all(|f| f.is_finite() && *f > 0.0) => {
                [(h as f64 * factors[0]) as usize, (w as f64 * factors[1]) as usize]
            }
            InterpolateSize::Scale(factors) => {
                return Err(Error::argument(op, "scale_factor is out of range")
                    .with("scale_factor", format_args!("{factors:?}"))
                    .expected("numbers above 0"));
            }
        };
        if [h, w].contains(&0) || size.contains(&0) {
            return Err(Error::shape(
                op,
                "the images must have at least one pixel before and after resizing",
            )
            .with("input", input.named(&["N", "C", "H", "W"]))
            .with("output size", format_args!("{size:?}")));
        }
        like_images(input, [n, c, size[0], size[1]])
    }

    /// The matrices R and C, from the shapes of input and output.
    fn weights(&self, input: &[usize], output: &[usize]) -> [ResampleWeights; 2] {
        [0, 1].map(|axis| {
            let scale = match self.target {
                InterpolateSize::Scale(factors) if !self.recompute_scale_factor => Some(1.0 / factors[axis]),
                _ => None,
            };
            let scale = scale.filter(|_| self.mode != InterpolateMode::Area);
            ResampleWeights::new(input[2 + axis], output[2 + axis], self.filter(), scale)
        })
    }

    /// If the image is enlarged by a whole number, the field is a transposed window. Else it is taken as the whole
    /// input.
    fn dependence(&self, input: &Shape) -> Dependence {
        let Ok(output) = self.output("interpolate", input) else { return Dependence::Global };
        let sizes = [2, 3].map(|axis| (input.dims()[axis], output.dims()[axis]));
        if self.align_corners || sizes.iter().any(|(from, to)| !to.is_multiple_of(*from)) {
            return Dependence::Global;
        }
        let stride = sizes.map(|(from, to)| to / from);
        let (kernel, padding) = match self.mode {
            InterpolateMode::Bilinear => (stride.map(|s| 2 * s - s % 2), stride.map(|s| [s / 2; 2])),
            _ => (stride, [[0; 2]; 2]),
        };
        Dependence::Transposed(Window { kernel, stride, padding, dilation: [1, 1] })
    }
}

/// `F.interpolate` for a batch of images.
#[derive(Debug)]
pub struct Interpolate(pub InterpolateOptions);

impl Op for Interpolate {
    fn name(&self) -> &'static str {
        "interpolate"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        Ok(Plan::new(self.0.output(self.name(), &x[0].shape)?, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (input, output) = (x[0].shape, y[0].shape);
        if output.numel() == 0 {
            return Ok(());
        }
        let [rows, columns] = self.0.weights(input.dims(), output.dims());
        float_type!(self.name(), x[0].dtype, T => {
            let size = [input.dims()[2], input.dims()[3]];
            resample(cx, size, [&rows.cast(), &columns.cast()], x[0].get::<T>(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        cuda::resample(cx, self.0.weights(x[0].dims(), y[0].dims()), &x[0], &y[0])
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _needs: &[bool]) -> Result<Grads> {
        let op = InterpolateGrad { options: self.0, input: saved.meta(0).shape };
        Ok(smallvec![Some(Gradient::of(op, &[dy])?)])
    }

    fn flops(&self, _x: &[Meta], y: &[Meta]) -> u64 {
        flops(self.0.mode, y)
    }

    fn dependence(&self, x: &[Meta]) -> Dependence {
        self.0.dependence(&x[0].shape)
    }
}

/// `bilinear` needs one multiply-add per input pixel that it mixes: four without `antialias`.
fn flops(mode: InterpolateMode, y: &[Meta]) -> u64 {
    y[0].numel() as u64 * if mode == InterpolateMode::Bilinear { 8 } else { 1 }
}

/// `dx` from `dy`, by the transposed matrices.
#[derive(Debug)]
struct InterpolateGrad {
    options: InterpolateOptions,
    input: Shape,
}

impl GradientOp for InterpolateGrad {
    fn name(&self) -> &'static str {
        "interpolate_grad"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(self.input, one_float(self.name(), x)?))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let output = x[0].shape;
        if output.numel() == 0 {
            return Ok(());
        }
        let [rows, columns] = self.options.weights(self.input.dims(), output.dims()).map(|w| w.transposed());
        float_type!(self.name(), x[0].dtype, T => {
            let size = [output.dims()[2], output.dims()[3]];
            resample(cx, size, [&rows.cast(), &columns.cast()], x[0].get::<T>(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let weights = self.options.weights(self.input.dims(), x[0].dims());
        cuda::resample(cx, weights.map(|w| w.transposed()), &x[0], &y[0])
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        flops(self.options.mode, x)
    }
}

impl Tensor {
    /// Resizes a batch of images `[N, C, H, W]`. PyTorch: `F.interpolate`.
    ///
    /// # Errors
    /// Another rank, an input or output without pixels, factors that are not above 0, settings for bilinear with
    /// another mode, a dtype other than f32 and f64.
    pub fn interpolate(&self, options: &InterpolateOptions) -> Result<Tensor> {
        Ok(one(apply(Interpolate(*options), &[self])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "interpolate",
    torch: "F.interpolate(input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &["size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias"],
    layer: None,
    build: |attrs| Ok(Arc::new(Interpolate(InterpolateOptions::from_attrs(attrs)?))),
    cases,
};

fn cases() -> Vec<Case> {
    let case = |label, attrs, input: &[usize]| Case::new(label, attrs).input("input", input);
    let smooth = "mode=bilinear antialias=true";
    vec![
        case("twice", "scale_factor=2", &[2, 3, 3, 4]),
        case("nearest down", "size=3,2", &[2, 2, 7, 5]),
        case("nearest by a factor", "scale_factor=1.7,0.6", &[1, 2, 5, 6]),
        case("nearest recomputed", "scale_factor=1.7,0.6 recompute_scale_factor=true", &[1, 2, 5, 6]),
        case("nearest-exact", "size=3,9 mode=nearest-exact", &[2, 2, 7, 5]),
        case("area", "size=3,4 mode=area", &[1, 2, 7, 6]),
        case("bilinear twice", "scale_factor=2 mode=bilinear", &[2, 3, 3, 4]),
        case("bilinear down and up", "size=3,8 mode=bilinear", &[2, 2, 7, 5]),
        case("align_corners", "size=3,8 mode=bilinear align_corners=true", &[2, 2, 7, 5]),
        case("bilinear by a factor", "scale_factor=1.7,0.6 mode=bilinear", &[1, 2, 5, 6]),
        case(
            "bilinear recomputed",
            "scale_factor=1.7,0.6 mode=bilinear recompute_scale_factor=true",
            &[1, 2, 5, 6],
        ),
        case("antialias down", &format!("size=3,4 {smooth}"), &[2, 2, 11, 9]),
        case("antialias up", &format!("size=7,3 {smooth}"), &[1, 2, 4, 8]),
        case("antialias, align_corners", &format!("size=3,6 {smooth} align_corners=true"), &[1, 2, 7, 5]),
        case("same size", "size=4,3 mode=bilinear", &[2, 1, 4, 3]).edge(),
        case("from a pixel", "size=3,2 mode=bilinear align_corners=true", &[2, 2, 1, 1]).edge(),
        case("to a pixel", "size=1,1 mode=bilinear align_corners=true", &[2, 2, 3, 4]).edge(),
        case("empty batch", "size=2,2 mode=bilinear", &[0, 3, 4, 4]).edge(),
        case("unet up", "scale_factor=2 mode=bilinear", &[8, 64, 32, 32]).bench(),
        case("fcn up, nearest", "scale_factor=2", &[8, 64, 32, 32]).bench(),
        case("resize", &format!("size=128 {smooth}"), &[8, 3, 375, 500]).bench(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;
    use crate::{DType, ErrorKind};

    /// All columns of the image are equal, so a resize to one column must equal a column of a resize to three. (PyTorch
    /// 2.15 repeats the first row in this case, so no comparison with random inputs covers it.)
    #[test]
    fn one_antialiased_column_is_as_any_other() {
        let cpu = Device::cpu().unwrap();
        let x = Tensor::from_vec(&cpu, (0..24).map(|i| f64::from(i / 3)).collect(), &[1, 1, 8, 3]).unwrap();
        let to = |width: usize| {
            let size = InterpolateOptions::size([5, width]);
            let options = InterpolateOptions { mode: InterpolateMode::Bilinear, antialias: true, ..size };
            x.interpolate(&options).unwrap().to_f64().unwrap()
        };
        let (one, three) = (to(1), to(3));
        for (row, y) in one.iter().enumerate() {
            assert!((y - three[3 * row]).abs() <= 1e-14, "row {row}: {y} and {}", three[3 * row]);
        }
    }

    #[test]
    fn impossible_settings_are_typed_errors() {
        let (size, scale) = (InterpolateOptions::size, InterpolateOptions::scale);
        let image = [1, 2, 3, 4];
        for (kind, input, options) in [
            (ErrorKind::Shape, &image[1..], size([2, 2])),
            (ErrorKind::Shape, &image[..], size([0, 2])),
            (ErrorKind::Shape, &image, scale([0.3, 1.0])),
            (ErrorKind::Shape, &[1, 2, 0, 4], size([2, 2])),
            (ErrorKind::Shape, &image, scale([1e300, 1.0])),
            (ErrorKind::Argument, &image, scale([-1.0, 1.0])),
            (ErrorKind::Argument, &image, scale([f64::NAN, 1.0])),
            (ErrorKind::Argument, &image, InterpolateOptions { align_corners: true, ..size([2, 2]) }),
            (ErrorKind::Argument, &image, InterpolateOptions { antialias: true, ..size([2, 2]) }),
            (
                ErrorKind::Argument,
                &image,
                InterpolateOptions { recompute_scale_factor: true, ..size([2, 2]) },
            ),
        ] {
            let x = Tensor::zeros(&Device::meta(), input, DType::F32).unwrap();
            assert_eq!(x.interpolate(&options).unwrap_err().kind(), kind, "{input:?} {options:?}");
        }
    }
}
