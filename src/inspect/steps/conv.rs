//! One output of a convolution, and one element of the gradient of its weights. The formulas are in
//! [`crate::ops::conv2d`].

use super::elements::{Elements, check_place};
use super::gemm::ConvGemm;
use crate::core::{ConvShape, Error, Result};
use crate::ops::conv2d::{Conv2d, Conv2dOptions};
use crate::ops::images::check_dy;
use crate::tensor::{Op, Tensor};
use serde::Serialize;

/// Everything behind one output of a convolution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvSteps {
    /// Image, output channel, row, column.
    pub at: [usize; 4],
    /// The terms of the sum, in the order of the weight's row: channel, then row, then column of the kernel.
    pub taps: Vec<ConvTap>,
    /// Sum of the products.
    pub sum: f64,
    pub bias: Option<f64>,
    /// The sum plus the bias.
    pub result: f64,
    /// The same output as an element of a matrix product.
    pub gemm: ConvGemm,
}

/// One term of an output's sum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ConvTap {
    /// The input's channel.
    pub channel: usize,
    /// Row and column in the kernel.
    pub tap: [usize; 2],
    /// Row and column of the input. In the padding they are below 0 or beyond the last one.
    pub at: [isize; 2],
    /// Whether this tap is in the padding; then x is 0.
    pub padding: bool,
    pub x: f64,
    pub weight: f64,
    pub product: f64,
}

/// The steps to output `at`, `[n, o, i, j]`, of `x.conv2d(weight, bias, options)`.
///
/// # Errors
/// An error of the op; a place that the output does not have.
pub fn conv_steps(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Conv2dOptions,
    at: [usize; 4],
) -> Result<ConvSteps> {
    let op = Conv2d(*options);
    let metas: Vec<_> = [x, weight].into_iter().chain(bias).map(Tensor::meta).collect();
    op.infer(&metas)?;
    let g = options.conv_shape(op.name(), x.shape(), weight.shape())?;
    check_place(op.name(), "output", &at, &[g.n, g.o, g.oh, g.ow])?;
    let image = Elements::shaped(x, &[g.n, g.c, g.h, g.w])?;
    let taps = taps(&g, &image, &Elements::of(weight)?, at);
    let sum = taps.iter().map(|tap| tap.product).sum();
    let bias = bias.map(|b| Ok::<_, Error>(Elements::of(b)?.at(&at[1..2]))).transpose()?;
    let gemm = ConvGemm::new(x.device(), &g, at, &taps);
    Ok(ConvSteps { at, sum, bias, result: sum + bias.unwrap_or(0.0), gemm, taps })
}

fn taps(g: &ConvShape, image: &Elements, kernel: &Elements, [n, o, i, j]: [usize; 4]) -> Vec<ConvTap> {
    let [kh, kw] = g.window.kernel;
    let (rows, columns) = (g.window.taps(0, i, g.h), g.window.taps(1, j, g.w));
    let first = o / g.og() * g.cg();
    let places = (0..g.cg()).flat_map(|c| (0..kh).flat_map(move |a| (0..kw).map(move |b| (c, a, b))));
    let tap = |(c, a, b)| {
        let (channel, at) = (first + c, [g.window.reach(0, i, a), g.window.reach(1, j, b)]);
        let padding = !rows.contains(&a) || !columns.contains(&b);
        let x = if padding { 0.0 } else { image.at(&[n, channel, at[0] as usize, at[1] as usize]) };
        let weight = kernel.at(&[o, c, a, b]);
        ConvTap { channel, tap: [a, b], at, padding, x, weight, product: x * weight }
    };
    places.map(tap).collect()
}

/// Everything behind one element of the gradient of the weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GradWeightSteps {
    /// Output channel, input channel within the group, row and column of the kernel.
    pub at: [usize; 4],
    /// The input's channel.
    pub channel: usize,
    pub terms: Vec<GradWeightTerm>,
    /// Number of outputs whose tap is in the padding. They add nothing.
    pub padding: usize,
    pub result: f64,
}

/// One term: an output that used the weight, and the input that the weight was multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GradWeightTerm {
    pub image: usize,
    /// Row and column of the output.
    pub output: [usize; 2],
    /// Row and column of the input.
    pub input: [usize; 2],
    pub x: f64,
    pub dy: f64,
    pub product: f64,
}

/// The steps to element `at`, `[o, c, kh, kw]`, of the gradient of `weight` in `x.conv2d(weight, ..)`. `dy` is the
/// gradient of the output.
///
/// # Errors
/// An error of the op; a `dy` without the output's shape; a place that the weight does not have.
pub fn conv_grad_weight_steps(
    x: &Tensor,
    dy: &Tensor,
    weight: &Tensor,
    options: &Conv2dOptions,
    at: [usize; 4],
) -> Result<GradWeightSteps> {
    const OP: &str = "conv2d_grad_weight";
    let g = conv_shape(OP, x, dy, weight, options)?;
    check_place(OP, "weight", &at, weight.dims())?;
    let (image, upstream) =
        (Elements::shaped(x, &[g.n, g.c, g.h, g.w])?, Elements::shaped(dy, &[g.n, g.o, g.oh, g.ow])?);
    let [o, c, a, b] = at;
    let channel = o / g.og() * g.cg() + c;
    let mut terms = Vec::new();
    for n in 0..g.n {
        for i in g.window.inside(0, a, g.h, g.oh) {
            for j in g.window.inside(1, b, g.w, g.ow) {
                let input = [g.window.position(0, i, a), g.window.position(1, j, b)];
                let (x, dy) = (image.at(&[n, channel, input[0], input[1]]), upstream.at(&[n, o, i, j]));
                terms.push(GradWeightTerm { image: n, output: [i, j], input, x, dy, product: x * dy });
            }
        }
    }
    let padding = g.n * g.out_plane() - terms.len();
    let result = terms.iter().map(|term| term.product).sum();
    Ok(GradWeightSteps { at, channel, terms, padding, result })
}

/// The sizes of a convolution of `x`, if `dy` is the gradient of its output.
///
/// # Errors
/// An error of the op; a `dy` without the output's shape.
pub(super) fn conv_shape(
    op: &str,
    x: &Tensor,
    dy: &Tensor,
    weight: &Tensor,
    options: &Conv2dOptions,
) -> Result<ConvShape> {
    let g = options.conv_shape(op, x.shape(), weight.shape())?;
    check_dy(op, [g.n, g.o, g.oh, g.ow], &dy.meta())?;
    Ok(g)
}
