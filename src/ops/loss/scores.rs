//! How class labels correspond to class scores.

use crate::core::{DType, Error, ErrorKind, Result, Shape};
use crate::cpu::CpuCtx;
use crate::cpu::context::CHUNK;
use crate::cuda::{CudaCtx, DeviceView, Ptr, kernels};
use crate::tensor::Meta;
use std::ops::Range;

/// Class scores `[C]`, `[N, C]` or `[N, C, d1, ..]`, seen as `[n, c, d]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassScores {
    input: Shape,
    pub n: usize,
    pub c: usize,
    pub d: usize,
    /// The shape that class labels must have: that of the scores without C.
    pub labels: Shape,
}

impl ClassScores {
    /// # Errors
    /// A scalar; class weights that are not one per class.
    pub fn new(op: &str, input: Shape, weight: Option<Shape>) -> Result<ClassScores> {
        let dims = input.dims();
        if dims.is_empty() {
            return Err(Error::shape(op, "input is a scalar and has no dimension for classes")
                .with("input", input)
                .expected("[C], [N, C] or [N, C, d1, ...]"));
        }
        let class = usize::from(dims.len() > 1);
        let [n, c, d] = input.around(class);
        if let Some(weight) = weight.filter(|w| w.dims() != [c]) {
            return Err(Error::shape(op, "class weights disagree with the classes of input")
                .with("input", input)
                .with("weight", weight)
                .expected(format!("weight [{c}]")));
        }
        let labels: Vec<usize> =
            dims.iter().enumerate().filter(|(i, _)| *i != class).map(|(_, &d)| d).collect();
        Ok(ClassScores { input, n, c, d, labels: Shape::new(&labels)? })
    }

    /// The number of labels.
    pub fn samples(&self) -> usize {
        self.n * self.d
    }

    /// The flat position of the score of `class` for sample `i` (in the labels' order).
    pub fn at(&self, i: usize, class: usize) -> usize {
        (i / self.d * self.c + class) * self.d + i % self.d
    }

    /// Arguments for the GPU kernels: the sizes, the target and the class weights.
    pub fn targets(&self, target: &DeviceView, weight: Option<&DeviceView>) -> Result<kernels::LossTargets> {
        let mut targets = kernels::LossTargets {
            weight: weight.map_or(Ok(Ptr::NULL), DeviceView::f32)?,
            n: self.n as i64,
            c: self.c as i64,
            d: self.d as i64,
            ..Default::default()
        };
        match target.dtype {
            DType::I64 => targets.labels = target.i64()?,
            _ => targets.probabilities = target.f32()?,
        }
        Ok(targets)
    }

    /// The address where GPU kernels report a label that is neither a class nor `ignore_index`.
    pub fn fault(&self, cx: &CudaCtx, op: &'static str, ignore_index: i64) -> Ptr<u64> {
        let classes = self.c;
        cx.fault(
            op,
            format!("a label is out of range for {classes} classes and is not ignore_index {ignore_index},"),
        )
    }

    /// Splits the gradient of the scores into pieces of whole planes, and calls `f(samples, start, piece)` for each
    /// piece: `samples` are its samples (in the labels' order), and `start` is its first position in the gradient.
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
