//! conv2d / 02 im2col: writes each window's pixels to memory as a column, then multiplies matrices with a rung of the
//! GEMM ladder; `kernels/conv2d/02_im2col.cu`.

use super::{Forward, GradInput, GradWeight, SCRATCH, by_images, sizes};
use crate::core::{ConvShape, Result};
use crate::cuda::gemm::{Bias, Mat, MatBatch, Product, gemm, int32, sum_splits};
use crate::cuda::kernels::{self, Gemm};
use crate::cuda::{CudaCtx, DeviceBuffer, Launch, Ptr};

/// The number of entries of one image's columns, over all groups.
fn columns(g: &ConvShape) -> usize {
    g.c * g.taps() * g.out_plane()
}

/// The number of images for which the columns fit in the scratch memory, and so do the parts of the weights' gradient.
fn chunk(g: &ConvShape) -> usize {
    SCRATCH / columns(g).max(g.o * g.k()).max(1)
}

/// The columns of `n` images, [n, c, kh, kw, oh, ow], and their memory. The memory is `None` for a 1x1 kernel with
/// stride 1 and no padding: then the images already are the columns.
fn unfold(cx: &CudaCtx, g: &ConvShape, n: usize, x: Ptr<f32>) -> Result<(Ptr<f32>, Option<DeviceBuffer>)> {
    if g.pointwise() {
        return Ok((x, None));
    }
    let buffer = cx.scratch::<f32>(n * columns(g))?;
    kernels::conv2d_unfold_f32(cx, Launch::over(n * columns(g)), x, buffer.ptr(), sizes(g, n)?)?;
    Ok((buffer.ptr(), Some(buffer)))
}

fn rows(bias: Ptr<f32>, g: &ConvShape) -> Bias {
    if bias.is_null() { Bias::None } else { Bias::Rows { data: bias, period: g.groups } }
}

pub fn forward(cx: &CudaCtx, g: &ConvShape, to: Forward) -> Result<()> {
    let (k, pixels) = (g.k(), g.out_plane());
    by_images(g, chunk(g), |first, n| {
        let (columns_at, _columns) = unfold(cx, g, n, to.x.at(first * g.c * g.plane()))?;
        let (a, b) = (Mat::new(to.weight, k), Mat::new(columns_at, pixels));
        let product = Product::new([g.og(), k, pixels], a, b, to.y.at(first * g.o * pixels));
        let batch = MatBatch::two([n, g.groups], [0, g.og() * k], [columns(g), k * pixels]);
        gemm(cx, &Product { batch, bias: rows(to.bias, g), relu: to.relu, ..product })
    })
}

pub fn grad_input(cx: &CudaCtx, g: &ConvShape, to: GradInput) -> Result<()> {
    let (k, pixels) = (g.k(), g.out_plane());
    by_images(g, chunk(g), |first, n| {
        let dx = to.dx.at(first * g.c * g.plane());
        let a = Mat::transposed(to.weight, k);
        let b = Mat::new(to.dy.at(first * g.o * pixels), pixels);
        let batch = MatBatch::two([n, g.groups], [0, g.og() * k], [g.o * pixels, g.og() * pixels]);
        let product = |c| Product { batch, ..Product::new([k, g.og(), pixels], a, b, c) };
        if g.pointwise() {
            return gemm(cx, &Product { bias: rows(to.bias, g), ..product(dx) });
        }
        let buffer = cx.scratch::<f32>(n * columns(g))?;
        gemm(cx, &product(buffer.ptr()))?;
        kernels::conv2d_fold_f32(
            cx,
            Launch::over(n * g.c * g.plane()),
            buffer.ptr(),
            to.bias,
            dx,
            sizes(g, n)?,
        )
    })
}

/// The gradient is a sum over images. One product per image computes its part, and the parts are added in the order of
/// the images.
pub fn grad_weight(cx: &CudaCtx, g: &ConvShape, to: GradWeight) -> Result<()> {
    let (k, pixels) = (g.k(), g.out_plane());
    let size = g.o * k;
    if g.n == 0 {
        return cx.fill_bytes(to.dw.cast(), 0, size * size_of::<f32>());
    }
    by_images(g, chunk(g), |first, n| {
        let (columns_at, _columns) = unfold(cx, g, n, to.x.at(first * g.c * g.plane()))?;
        let parts = cx.scratch::<f32>(n * size)?;
        let a = Mat::new(to.dy.at(first * g.o * pixels), pixels);
        let b = Mat::transposed(columns_at, pixels);
        let batch = MatBatch::two([n, g.groups], [g.o * pixels, g.og() * pixels], [columns(g), k * pixels]);
        gemm(cx, &Product { batch, ..Product::new([g.og(), pixels, k], a, b, parts.ptr()) })?;
        let add = i32::from(first > 0);
        sum_parts(cx, g, parts.ptr(), n, to.dw, add)
    })
}

/// Adds `n` parts, each with the shape of the weights, and writes the sum to `dw`, or adds it to `dw` if `add` is 1.
pub(super) fn sum_parts(
    cx: &CudaCtx,
    g: &ConvShape,
    parts: Ptr<f32>,
    n: usize,
    dw: Ptr<f32>,
    add: i32,
) -> Result<()> {
    let (m, columns) = (int32("channels", g.o)?, int32("weights", g.k())?);
    let whole = Gemm {
        m,
        n: columns,
        ldc: i64::from(columns),
        batch: [1; 4],
        splits: int32("parts", n)?,
        beta: add,
        ..Gemm::default()
    };
    sum_splits(cx, parts, dw, g.o * g.k(), whole)
}
