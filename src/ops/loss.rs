//! What the losses share: reductions, and how class labels lie against class scores.

use crate::core::{DType, Error, ErrorKind, Float, Result, Shape};
use crate::cpu::context::CHUNK;
use crate::cpu::{CpuCtx, ViewMut, reduce};
use crate::cuda::{CudaCtx, DeviceView, Launch, Ptr, kernels};
use crate::ops::AttrValue;
use crate::tensor::Meta;
use std::ops::Range;
use std::str::FromStr;

/// How the losses of single elements become the result. PyTorch: `reduction`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Not at all: one loss an element.
    None,
    /// The average; for class losses weighted by the class weights. NaN of nothing.
    #[default]
    Mean,
    /// The sum.
    Sum,
}

impl FromStr for Reduction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Reduction> {
        match text {
            "none" => Ok(Reduction::None),
            "mean" => Ok(Reduction::Mean),
            "sum" => Ok(Reduction::Sum),
            _ => Err(Error::argument("reduction", format!("`{text}` is not a reduction"))
                .expected(Reduction::FORM)),
        }
    }
}

impl AttrValue for Reduction {
    const FORM: &'static str = "mean, sum or none";
}

impl Reduction {
    /// The result's shape, from that of the single losses.
    pub(super) fn shape(self, elements: Shape) -> Shape {
        if self == Reduction::None { elements } else { Shape::SCALAR }
    }

    /// Reduces `n` single losses to `y`, and returns what it divided them by: for a mean `divisor`, which gets scratch
    /// memory of `n` elements, else 1.
    pub(super) fn reduce<T: Float>(
        self,
        cx: &CpuCtx,
        n: usize,
        loss: impl Fn(usize) -> T + Sync + Send,
        divisor: impl FnOnce(&mut [T]) -> T,
        y: &mut [T],
    ) -> T {
        if self == Reduction::None {
            cx.fill_with(y, loss);
            return T::ONE;
        }
        let mut scratch = cx.scratch(n * size_of::<T>());
        let single = scratch.slice_mut::<T>();
        cx.fill_with(single, loss);
        let sum = total(cx, single);
        let divisor = if self == Reduction::Mean { divisor(single) } else { T::ONE };
        y[0] = sum / divisor;
        divisor
    }

    /// As [`reduce`](Self::reduce) on a GPU: `launch` writes `n` single losses to the first place it is given and, where
    /// `weighted`, their shares of the divisor to the second. `divisor` may be null.
    pub(super) fn reduce_cuda(
        self,
        cx: &CudaCtx,
        n: usize,
        weighted: bool,
        launch: impl FnOnce(Ptr<f32>, Ptr<f32>) -> Result<()>,
        y: Ptr<f32>,
        divisor: Ptr<f32>,
    ) -> Result<()> {
        /// Losses that a block sums.
        const PART: usize = 4096;
        let shares = cx.scratch::<f32>(n)?;
        if self == Reduction::None {
            launch(y, shares.ptr())?;
            return if divisor.is_null() { Ok(()) } else { cx.fill_f32(divisor, 1.0, 1) };
        }
        let single = cx.scratch::<f32>(n)?;
        launch(single.ptr(), shares.ptr())?;
        let weighted = weighted && self == Reduction::Mean;
        let (parts, shares) = (n.div_ceil(PART), if weighted { shares.ptr() } else { Ptr::NULL });
        let sums = cx.scratch::<f64>(2 * parts)?;
        let grid = Launch::blocks([parts, 1, 1], 256);
        kernels::loss_partial_f32(cx, grid, single.ptr(), shares, n as i64, PART as i64, sums.ptr())?;
        let given = if weighted { 0.0 } else { self.count(n) };
        let grid = Launch::blocks([1, 1, 1], 256);
        kernels::loss_total_f32(cx, grid, sums.ptr(), parts as i64, given, y, divisor)
    }

    /// As [`reduce`](Self::reduce), for single losses of this shape that `losses` writes in a loop of its own and that
    /// all count alike.
    pub(super) fn collect<T: Float>(
        self,
        cx: &CpuCtx,
        shape: Shape,
        y: &mut ViewMut,
        losses: impl FnOnce(&mut ViewMut),
    ) {
        if self == Reduction::None {
            return losses(y);
        }
        let mut scratch = cx.scratch(shape.numel() * size_of::<T>());
        let mut single = ViewMut { shape, dtype: y.dtype, bytes: scratch.bytes_mut() };
        losses(&mut single);
        y.get::<T>()[0] = total(cx, single.get::<T>()) / self.count(shape.numel());
    }

    /// What divides the sum of `n` single losses that count alike.
    pub(super) fn count<T: Float>(self, n: usize) -> T {
        if self == Reduction::Mean { T::from_f64(n as f64) } else { T::ONE }
    }

    /// The gradient of single loss `i`, from the gradient of the result.
    pub(super) fn spread<T: Copy>(self, dy: &[T], i: usize) -> T {
        dy[if self == Reduction::None { i } else { 0 }]
    }
}

/// Whose gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Of {
    Input = 0,
    Target = 1,
}

/// The sum of all elements.
pub(super) fn total<T: Float>(cx: &CpuCtx, x: &[T]) -> T {
    let mut sum = [T::ZERO];
    reduce::sum(cx, (1, x.len(), 1), x, &mut sum);
    sum[0]
}

/// Class scores `[C]`, `[N, C]` or `[N, C, d1, ..]`, seen as `[n, c, d]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scores {
    input: Shape,
    pub n: usize,
    pub c: usize,
    pub d: usize,
    /// The shape of class labels that fit: the scores' without C.
    pub labels: Shape,
}

impl Scores {
    /// # Errors
    /// A scalar; class weights that are not one a class.
    pub fn new(op: &str, input: Shape, weight: Option<Shape>) -> Result<Scores> {
        let dims = input.dims();
        if dims.is_empty() {
            return Err(Error::shape(op, "input is a scalar, without a dimension of classes")
                .with("input", input)
                .expected("[C], [N, C] or [N, C, d1, ...]"));
        }
        let class = usize::from(dims.len() > 1);
        let (n, c, d) = input.around(class);
        if let Some(weight) = weight.filter(|w| w.dims() != [c]) {
            return Err(Error::shape(op, "class weights disagree with the classes of input")
                .with("input", input)
                .with("weight", weight)
                .expected(format!("weight [{c}]")));
        }
        let labels: Vec<usize> =
            dims.iter().enumerate().filter(|(i, _)| *i != class).map(|(_, &d)| d).collect();
        Ok(Scores { input, n, c, d, labels: Shape::new(&labels)? })
    }

    /// The number of labels.
    pub fn samples(&self) -> usize {
        self.n * self.d
    }

    /// Where the score of `class` lies for sample `i` (in the labels' order).
    pub fn at(&self, i: usize, class: usize) -> usize {
        (i / self.d * self.c + class) * self.d + i % self.d
    }

    /// As kernels take them, with what each sample should have been.
    pub fn goal(&self, target: &DeviceView, weight: Option<&DeviceView>) -> Result<kernels::Goal> {
        let mut goal = kernels::Goal {
            weight: weight.map_or(Ok(Ptr::NULL), DeviceView::f32)?,
            n: self.n as i64,
            c: self.c as i64,
            d: self.d as i64,
            ..Default::default()
        };
        match target.dtype {
            DType::I64 => goal.labels = target.i64()?,
            _ => goal.probabilities = target.f32()?,
        }
        Ok(goal)
    }

    /// Where kernels report a label that is neither a class nor `ignore_index`.
    pub fn fault(&self, cx: &CudaCtx, op: &'static str, ignore_index: i64) -> Ptr<u64> {
        let classes = self.c;
        cx.fault(op, format!("a label is out of range for {classes} classes, and not {ignore_index},"))
    }

    /// Cuts the gradient of the scores at whole planes, and calls `f(samples, start, piece)` for each piece: its
    /// samples (in the labels' order), and where in the gradient it starts.
    pub fn pieces<T: Send>(
        &self,
        cx: &CpuCtx,
        gradient: &mut [T],
        f: impl Fn(Range<usize>, usize, &mut [T]) + Sync + Send,
    ) {
        let plane = self.c * self.d;
        let planes = (CHUNK / plane.max(1)).max(1);
        let work = gradient.len();
        cx.pieces(gradient, planes * plane, work, |piece, gradient| {
            let first = piece * planes;
            let samples = first * self.d..first * self.d + gradient.len() / self.c;
            f(samples, first * plane, gradient);
        });
    }

    /// # Errors
    /// Labels of another shape, or not i64.
    pub fn check_target(&self, op: &str, target: &Meta) -> Result<()> {
        if target.dtype != DType::I64 {
            return Err(Error::dtype(op, format!("target is {}, not class labels", target.dtype))
                .with("target", format_args!("{} {}", target.shape, target.dtype))
                .expected("i64")
                .help("convert first: target.to_dtype(DType::I64)"));
        }
        if target.shape != self.labels {
            return Err(Error::shape(op, "target disagrees with input")
                .with("input", self.input)
                .with("target", target.shape)
                .expected(format!("target {}", self.labels)));
        }
        Ok(())
    }

    /// # Errors
    /// A label that is neither a class nor `ignore_index`: the first one is named, with its position.
    pub fn check_labels(&self, op: &str, target: &[i64], ignore_index: i64) -> Result<()> {
        let outside = |&label: &i64| label != ignore_index && !(0..self.c as i64).contains(&label);
        let Some(flat) = target.iter().position(outside) else { return Ok(()) };
        let strides = self.labels.strides();
        let position: Vec<usize> =
            self.labels.dims().iter().zip(strides).map(|(&size, stride)| flat / stride % size).collect();
        let what =
            format!("label {} at position {position:?} is out of range for {} classes", target[flat], self.c);
        Err(Error::new(ErrorKind::Format, op, what).with("target", self.labels).expected(format!(
            "labels from 0 to {}, or ignore_index {ignore_index}",
            self.c.saturating_sub(1)
        )))
    }
}
