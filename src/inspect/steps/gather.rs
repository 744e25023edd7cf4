//! Sums that collect many values in one place. An element of an input's gradient collects from the outputs that the
//! input took part in. An output of a transposed convolution collects from the inputs that cover it. Both are the same
//! sum over the outputs of a convolution.

use super::conv::conv_shape;
use super::elements::{Elements, check_place};
use crate::core::{ConvShape, Error, Result};
use crate::ops::conv_transpose2d::{ConvTranspose2d, ConvTranspose2dOptions};
use crate::ops::conv2d::Conv2dOptions;
use crate::tensor::{Op, Tensor};
use serde::Serialize;

/// One term: a value from another place, and the weight it is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Reached {
    /// Channel, row and column of the other place.
    pub from: [usize; 3],
    /// Row and column in the kernel.
    pub tap: [usize; 2],
    /// The value there: an output's dy, or an input's x.
    pub value: f64,
    pub weight: f64,
    pub product: f64,
}

/// Everything behind one element of the input's gradient.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GradInputSteps {
    /// Image, input channel, row, column.
    pub at: [usize; 4],
    /// One term per output that read the input: its `dy` times the weight that it read the input with.
    pub terms: Vec<Reached>,
    pub result: f64,
}

/// The steps to element `at`, `[n, c, p, q]`, of the gradient of `x` in `x.conv2d(weight, ..)`. `dy` is the gradient of
/// the output.
///
/// # Errors
/// An error of the op; a `dy` without the output's shape; a place that the input does not have.
pub fn conv_grad_input_steps(
    x: &Tensor,
    dy: &Tensor,
    weight: &Tensor,
    options: &Conv2dOptions,
    at: [usize; 4],
) -> Result<GradInputSteps> {
    const OP: &str = "conv2d_grad_input";
    let g = conv_shape(OP, x, dy, weight, options)?;
    check_place(OP, "input", &at, &[g.n, g.c, g.h, g.w])?;
    let upstream = Elements::shaped(dy, &[g.n, g.o, g.oh, g.ow])?;
    let terms = reached(&g, &upstream, &Elements::of(weight)?, at);
    let result = terms.iter().map(|term| term.product).sum();
    Ok(GradInputSteps { at, terms, result })
}

/// Everything behind one output of a transposed convolution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvTransposeSteps {
    /// Image, output channel, row, column.
    pub at: [usize; 4],
    /// One term per input that covers the output.
    pub terms: Vec<Reached>,
    pub sum: f64,
    pub bias: Option<f64>,
    /// The sum plus the bias.
    pub result: f64,
}

/// The steps to output `at`, `[n, o, p, q]`, of `x.conv_transpose2d(weight, bias, options)`.
///
/// # Errors
/// An error of the op; a place that the output does not have.
pub fn conv_transpose_steps(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &ConvTranspose2dOptions,
    at: [usize; 4],
) -> Result<ConvTransposeSteps> {
    let op = ConvTranspose2d(*options);
    let metas: Vec<_> = [x, weight].into_iter().chain(bias).map(Tensor::meta).collect();
    op.infer(&metas)?;
    let g = options.conv_shape(op.name(), x.shape(), weight.shape())?;
    check_place(op.name(), "output", &at, &[g.n, g.c, g.h, g.w])?;
    let image = Elements::shaped(x, &[g.n, g.o, g.oh, g.ow])?;
    let terms = reached(&g, &image, &Elements::of(weight)?, at);
    let sum = terms.iter().map(|term| term.product).sum();
    let bias = bias.map(|b| Ok::<_, Error>(Elements::of(b)?.at(&at[1..2]))).transpose()?;
    Ok(ConvTransposeSteps { at, terms, sum, bias, result: sum + bias.unwrap_or(0.0) })
}

/// The terms that place `[n, c, p, q]` of `[N, C, H, W]` collects from `values [N, O, OH, OW]`.
fn reached(g: &ConvShape, values: &Elements, kernel: &Elements, [n, c, p, q]: [usize; 4]) -> Vec<Reached> {
    let [kh, kw] = g.window.kernel;
    let first = c / g.cg() * g.og();
    let mut terms = Vec::new();
    for o in first..first + g.og() {
        for a in 0..kh {
            let Some(i) = g.window.reader(0, p, a, g.oh) else { continue };
            for b in 0..kw {
                let Some(j) = g.window.reader(1, q, b, g.ow) else { continue };
                let (value, weight) = (values.at(&[n, o, i, j]), kernel.at(&[o, c % g.cg(), a, b]));
                terms.push(Reached { from: [o, i, j], tap: [a, b], value, weight, product: value * weight });
            }
        }
    }
    terms
}

/// The outputs that one input of a transposed convolution contributes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvTransposeSpread {
    /// Image, input channel, row, column.
    pub from: [usize; 4],
    pub x: f64,
    /// Sorted like the weight: by output channel, then row, then column of the kernel.
    pub taps: Vec<SpreadTap>,
}

/// One product, and the output that it is added to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SpreadTap {
    /// The output's channel.
    pub channel: usize,
    /// Row and column in the kernel.
    pub tap: [usize; 2],
    /// Row and column of the output. In the padding they are outside the output.
    pub at: [isize; 2],
    /// Whether the product falls into the padding and is dropped.
    pub cut: bool,
    pub weight: f64,
    pub product: f64,
}

/// The outputs that input `from`, `[n, c, i, j]`, of `x.conv_transpose2d(weight, .., options)` contributes to.
///
/// # Errors
/// An error of the op; a place that the input does not have.
pub fn conv_transpose_spread(
    x: &Tensor,
    weight: &Tensor,
    options: &ConvTranspose2dOptions,
    from: [usize; 4],
) -> Result<ConvTransposeSpread> {
    let op = ConvTranspose2d(*options);
    op.infer(&[x.meta(), weight.meta()])?;
    let g = options.conv_shape(op.name(), x.shape(), weight.shape())?;
    let input = [g.n, g.o, g.oh, g.ow];
    check_place(op.name(), "input", &from, &input)?;
    let (value, kernel) = (Elements::shaped(x, &input)?.at(&from), Elements::of(weight)?);
    let ([_, c, i, j], [kh, kw]) = (from, g.window.kernel);
    let (rows, columns) = (g.window.taps(0, i, g.h), g.window.taps(1, j, g.w));
    let first = c / g.og() * g.cg();
    let places = (0..g.cg()).flat_map(|o| (0..kh).flat_map(move |a| (0..kw).map(move |b| (o, a, b))));
    let tap = |(o, a, b)| {
        let (at, weight) = ([g.window.reach(0, i, a), g.window.reach(1, j, b)], kernel.at(&[c, o, a, b]));
        let cut = !rows.contains(&a) || !columns.contains(&b);
        SpreadTap { channel: first + o, tap: [a, b], at, cut, weight, product: value * weight }
    };
    Ok(ConvTransposeSpread { from, x: value, taps: places.map(tap).collect() })
}
