//! conv2d / 05 Winograd F(2x2, 3x3): transforms, 16 matrix products, and a transform back.
//! `kernels/conv2d/05_winograd.cu` explains the algorithm and names its matrices: A, and the transformed pixels V and
//! taps U.

use super::{Forward, GradInput, GradWeight, SCRATCH, by_images};
use crate::core::{ConvShape, Result};
use crate::cuda::gemm::{Mat, MatBatch, Product, gemm, int32};
use crate::cuda::{CudaCtx, DeviceBuffer, Launch, Ptr, kernels};

/// The number of elements of a transformed tile.
const TILE: usize = 16;

/// True if the transforms apply: 3x3 taps, stride 1, dilation 1.
pub fn supports(g: &ConvShape) -> bool {
    let w = &g.window;
    w.kernel == [3, 3] && w.stride == [1, 1] && w.dilation == [1, 1]
}

/// A batch of images, cut into tiles of 2x2 outputs.
#[derive(Clone, Copy)]
struct TiledImages {
    n: usize,
    channels: usize,
    h: usize,
    w: usize,
    /// Tiles of one image: rows (`down`) and columns (`across`).
    down: usize,
    across: usize,
}

impl TiledImages {
    /// Images of `channels` channels and [h, w] pixels, with tiles that cover `outputs` rows and columns.
    fn new(n: usize, channels: usize, [h, w]: [usize; 2], outputs: [usize; 2]) -> TiledImages {
        let [down, across] = outputs.map(|size| size.div_ceil(2));
        TiledImages { n, channels, h, w, down, across }
    }

    fn tiles(&self) -> usize {
        self.n * self.down * self.across
    }

    /// The launch of a transform: one thread per tile and channel.
    fn launch(&self) -> Launch {
        Launch::over(self.tiles() * self.channels)
    }

    fn sizes(&self) -> Result<[i32; 6]> {
        let TiledImages { n, channels, h, w, down, across } = *self;
        let named = [
            ("images", n),
            ("channels", channels),
            ("rows", h),
            ("columns", w),
            ("tiles", down),
            ("tiles", across),
        ];
        let mut sizes = [0; 6];
        for (size, (what, value)) in sizes.iter_mut().zip(named) {
            *size = int32(what, value)?;
        }
        Ok(sizes)
    }

    fn scratch(&self, cx: &CudaCtx) -> Result<DeviceBuffer> {
        cx.scratch::<f32>(TILE * self.channels * self.tiles())
    }

    /// V, the transformed pixels, of these images. The pixels that a tile reads begin `pad` rows and columns before its
    /// outputs.
    fn pixels(&self, cx: &CudaCtx, x: Ptr<f32>, pad: [i32; 2]) -> Result<DeviceBuffer> {
        let (v, [n, c, h, w, down, across]) = (self.scratch(cx)?, self.sizes()?);
        let [ph, pw] = pad;
        kernels::conv2d_winograd_pixels_f32(cx, self.launch(), x, v.ptr(), n, c, h, w, ph, pw, down, across)?;
        Ok(v)
    }

    /// The transformed gradients, A dy A^T.
    fn grads(&self, cx: &CudaCtx, dy: Ptr<f32>) -> Result<DeviceBuffer> {
        let (v, [n, c, h, w, down, across]) = (self.scratch(cx)?, self.sizes()?);
        kernels::conv2d_winograd_grads_f32(cx, self.launch(), dy, v.ptr(), n, c, h, w, down, across)?;
        Ok(v)
    }

    /// Transforms the products back into these images.
    fn outputs(
        &self,
        cx: &CudaCtx,
        products: Ptr<f32>,
        bias: Ptr<f32>,
        y: Ptr<f32>,
        relu: bool,
    ) -> Result<()> {
        let [n, c, h, w, down, across] = self.sizes()?;
        let relu = i32::from(relu);
        kernels::conv2d_winograd_outputs_f32(
            cx,
            self.launch(),
            products,
            bias,
            y,
            relu,
            n,
            c,
            h,
            w,
            down,
            across,
        )
    }
}

/// Computes U, the transformed taps. `turned` is true for the gradient of the input: it rotates the taps by 180 degrees
/// and exchanges input and output channels.
fn taps(cx: &CudaCtx, g: &ConvShape, weight: Ptr<f32>, turned: bool) -> Result<DeviceBuffer> {
    let size = g.o * g.cg();
    let u = cx.scratch::<f32>(TILE * size)?;
    let [groups, og, cg] =
        [int32("groups", g.groups)?, int32("channels", g.og())?, int32("channels", g.cg())?];
    let turned = i32::from(turned);
    kernels::conv2d_winograd_taps_f32(cx, Launch::over(size), weight, u.ptr(), groups, og, cg, turned)?;
    Ok(u)
}

/// The number of images that are transformed at once: as many as fit in the scratch memory.
fn chunk(g: &ConvShape) -> usize {
    let tiles = |h: usize, w: usize| h.div_ceil(2) * w.div_ceil(2);
    SCRATCH / (TILE * (g.c + g.o) * tiles(g.h.max(g.oh), g.w.max(g.ow))).max(1)
}

/// A convolution of `from` with the transformed taps `u` that gives `to`. The channels of both are in `groups` groups.
struct TransformedConv<'a> {
    from: TiledImages,
    to: TiledImages,
    groups: usize,
    u: &'a DeviceBuffer,
    pad: [i32; 2],
}

impl TransformedConv<'_> {
    fn run(&self, cx: &CudaCtx, x: Ptr<f32>, bias: Ptr<f32>, relu: bool, y: Ptr<f32>) -> Result<()> {
        let (tiles, groups) = (self.from.tiles(), self.groups);
        let [m, k] = [self.to.channels / groups, self.from.channels / groups];
        let v = self.from.pixels(cx, x, self.pad)?;
        let products = self.to.scratch(cx)?;
        let (a, b) = (Mat::new(self.u.ptr(), k), Mat::new(v.ptr(), tiles));
        let (a_step, b_step) = (m * k, k * tiles);
        let batch = MatBatch::two([TILE, groups], [groups * a_step, a_step], [groups * b_step, b_step]);
        gemm(cx, &Product { batch, ..Product::new([m, k, tiles], a, b, products.ptr()) })?;
        self.to.outputs(cx, products.ptr(), bias, y, relu)
    }
}

/// The rows and columns of padding before the image.
fn padding(g: &ConvShape) -> Result<[i32; 2]> {
    let before = |axis: usize| int32("rows of padding", g.window.padding[axis][0]);
    Ok([before(0)?, before(1)?])
}

pub fn forward(cx: &CudaCtx, g: &ConvShape, to: Forward) -> Result<()> {
    let (u, pad, outputs) = (taps(cx, g, to.weight, false)?, padding(g)?, [g.oh, g.ow]);
    by_images(g, chunk(g), |first, n| {
        let from = TiledImages::new(n, g.c, [g.h, g.w], outputs);
        let run = TransformedConv {
            from,
            to: TiledImages::new(n, g.o, outputs, outputs),
            groups: g.groups,
            u: &u,
            pad,
        };
        let (x, y) = (to.x.at(first * g.c * g.plane()), to.y.at(first * g.o * g.out_plane()));
        run.run(cx, x, to.bias, to.relu, y)
    })
}

pub fn grad_input(cx: &CudaCtx, g: &ConvShape, to: GradInput) -> Result<()> {
    let (u, outputs) = (taps(cx, g, to.weight, true)?, [g.h, g.w]);
    let pad = padding(g)?.map(|before| 2 - before);
    by_images(g, chunk(g), |first, n| {
        let from = TiledImages::new(n, g.o, [g.oh, g.ow], outputs);
        let run = TransformedConv {
            from,
            to: TiledImages::new(n, g.c, outputs, outputs),
            groups: g.groups,
            u: &u,
            pad,
        };
        let (dy, dx) = (to.dy.at(first * g.o * g.out_plane()), to.dx.at(first * g.c * g.plane()));
        run.run(cx, dy, to.bias, false, dx)
    })
}

pub fn grad_weight(cx: &CudaCtx, g: &ConvShape, to: GradWeight) -> Result<()> {
    let size = g.o * g.cg();
    if g.n == 0 {
        return cx.fill_bytes(to.dw.cast(), 0, g.o * g.k() * size_of::<f32>());
    }
    let (pad, outputs, (og, cg)) = (padding(g)?, [g.oh, g.ow], (g.og(), g.cg()));
    by_images(g, chunk(g), |first, n| {
        let pixels = TiledImages::new(n, g.c, [g.h, g.w], outputs);
        let grads = TiledImages::new(n, g.o, outputs, outputs);
        let tiles = pixels.tiles();
        let v = pixels.pixels(cx, to.x.at(first * g.c * g.plane()), pad)?;
        let dv = grads.grads(cx, to.dy.at(first * g.o * g.out_plane()))?;
        let du = cx.scratch::<f32>(TILE * size)?;
        let (a, b) = (Mat::new(dv.ptr(), tiles), Mat::transposed(v.ptr(), tiles));
        let batch = MatBatch::two([TILE, g.groups], [g.o * tiles, og * tiles], [g.c * tiles, cg * tiles]);
        gemm(cx, &Product { batch, ..Product::new([og, tiles, cg], a, b, du.ptr()) })?;
        let add = i32::from(first > 0);
        kernels::conv2d_winograd_weights_f32(cx, Launch::over(size), du.ptr(), to.dw, size as i64, add)
    })
}
