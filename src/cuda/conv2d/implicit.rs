//! conv2d / 03 and 04, implicit GEMM: im2col's columns are never written; a block computes their entries while it fills
//! a tile; `kernels/conv2d/implicit.cuh`.

use super::im2col::sum_parts;
use super::{Forward, GradInput, GradWeight, by_images, sizes};
use crate::core::{ConvShape, Result};
use crate::cuda::gemm::{int32, split, splits};
use crate::cuda::kernels::{self, Conv};
use crate::cuda::{CudaCtx, Launch, Ptr};

type F = Ptr<f32>;
type ForwardKernel = fn(&CudaCtx, Launch, F, F, F, F, i32, Conv) -> Result<()>;
type GradInputKernel = fn(&CudaCtx, Launch, F, F, F, F, Conv) -> Result<()>;
type GradWeightKernel = fn(&CudaCtx, Launch, F, F, F, i32, i32, Conv) -> Result<()>;

/// The three kernels whose tiles have `rows` rows.
struct TileKernels {
    rows: usize,
    forward: ForwardKernel,
    grad_input: GradInputKernel,
    grad_weight: GradWeightKernel,
}

/// A rung's kernels: some with tall tiles, and some with low tiles.
pub struct Implicit {
    tall: TileKernels,
    low: TileKernels,
}

pub static F32: Implicit = Implicit {
    tall: TileKernels {
        rows: 64,
        forward: kernels::conv2d_fwd_v03_f32,
        grad_input: kernels::conv2d_grad_input_v03_f32,
        grad_weight: kernels::conv2d_grad_weight_v03_f32,
    },
    low: TileKernels {
        rows: 32,
        forward: kernels::conv2d_fwd_v03_m32_f32,
        grad_input: kernels::conv2d_grad_input_v03_m32_f32,
        grad_weight: kernels::conv2d_grad_weight_v03_m32_f32,
    },
};

pub static TF32: Implicit = Implicit {
    tall: TileKernels {
        rows: 128,
        forward: kernels::conv2d_fwd_v04_tf32,
        grad_input: kernels::conv2d_grad_input_v04_tf32,
        grad_weight: kernels::conv2d_grad_weight_v04_tf32,
    },
    low: TileKernels {
        rows: 64,
        forward: kernels::conv2d_fwd_v04_m64_tf32,
        grad_input: kernels::conv2d_grad_input_v04_m64_tf32,
        grad_weight: kernels::conv2d_grad_weight_v04_m64_tf32,
    },
};

pub static BF16: Implicit = Implicit {
    tall: TileKernels {
        rows: 128,
        forward: kernels::conv2d_fwd_v04_bf16,
        grad_input: kernels::conv2d_grad_input_v04_bf16,
        grad_weight: kernels::conv2d_grad_weight_v04_bf16,
    },
    low: TileKernels {
        rows: 64,
        forward: kernels::conv2d_fwd_v04_m64_bf16,
        grad_input: kernels::conv2d_grad_input_v04_m64_bf16,
        grad_weight: kernels::conv2d_grad_weight_v04_m64_bf16,
    },
};

/// The columns of every tile, and the threads of every block.
const COLUMNS: usize = 128;
const THREADS: u32 = 256;
/// The most pixels of one launch: kernels count pixels with 32 bits.
const PIXELS: usize = 1 << 30;

impl Implicit {
    /// The tiles for a product with this many rows: the low ones if they leave fewer rows empty, else the tall ones.
    fn tiles(&self, rows: usize) -> &TileKernels {
        let padded = |tiles: &TileKernels| rows.next_multiple_of(tiles.rows);
        if padded(&self.low) < padded(&self.tall) { &self.low } else { &self.tall }
    }

    pub fn forward(&self, cx: &CudaCtx, g: &ConvShape, to: Forward) -> Result<()> {
        let tiles = self.tiles(g.og());
        by_images(g, PIXELS / g.out_plane().max(1), |first, n| {
            let across = (n * g.out_plane()).div_ceil(COLUMNS);
            let launch = Launch::blocks([g.og().div_ceil(tiles.rows) * across, 1, g.groups], THREADS);
            let (x, y) = (to.x.at(first * g.c * g.plane()), to.y.at(first * g.o * g.out_plane()));
            (tiles.forward)(cx, launch, x, to.weight, to.bias, y, i32::from(to.relu), sizes(g, n)?)
        })
    }

    pub fn grad_input(&self, cx: &CudaCtx, g: &ConvShape, to: GradInput) -> Result<()> {
        let tiles = self.tiles(g.cg());
        let [sh, sw] = g.window.stride;
        by_images(g, PIXELS / g.plane().max(1), |first, n| {
            // Input pixels with the same (row mod sh, column mod sw) are a phase, and each phase is a product of its
            // own (`Phase` in the kernels). The first phase has the most pixels, so the grid has its size.
            let across = (n * g.h.div_ceil(sh) * g.w.div_ceil(sw)).div_ceil(COLUMNS);
            let depth = g.groups * sh * sw;
            let launch = Launch::blocks([g.cg().div_ceil(tiles.rows) * across, 1, depth], THREADS);
            let (dy, dx) = (to.dy.at(first * g.o * g.out_plane()), to.dx.at(first * g.c * g.plane()));
            (tiles.grad_input)(cx, launch, dy, to.weight, to.bias, dx, sizes(g, n)?)
        })
    }

    pub fn grad_weight(&self, cx: &CudaCtx, g: &ConvShape, to: GradWeight) -> Result<()> {
        let tiles = self.tiles(g.og());
        let size = g.o * g.k();
        if g.n == 0 {
            return cx.fill_bytes(to.dw.cast(), 0, size * size_of::<f32>());
        }
        by_images(g, PIXELS / g.out_plane().max(1), |first, n| {
            let (count, pixels) = (g.og().div_ceil(tiles.rows) * g.k().div_ceil(COLUMNS), n * g.out_plane());
            let [terms, splits] = split(pixels, splits(count * g.groups, pixels));
            let whole = splits == 1 && first == 0;
            let buffer = if whole { None } else { Some(cx.scratch::<f32>(splits * size)?) };
            let parts = buffer.as_ref().map_or(to.dw, |buffer| buffer.ptr());
            let (dy, x) = (to.dy.at(first * g.o * g.out_plane()), to.x.at(first * g.c * g.plane()));
            let launch = Launch::blocks([count, 1, g.groups * splits], THREADS);
            let [splits_int, terms] = [int32("parts", splits)?, int32("terms", terms)?];
            (tiles.grad_weight)(cx, launch, dy, x, parts, splits_int, terms, sizes(g, n)?)?;
            if whole { Ok(()) } else { sum_parts(cx, g, parts, splits, to.dw, i32::from(first > 0)) }
        })
    }
}
