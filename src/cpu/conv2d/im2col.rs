//! conv2d / 02 im2col: convolution as a matrix product.
//!
//! What changed since 01: the taps of each output pixel are gathered into a column. The sum over `k = (c, kh, kw)` is
//! then a GEMM, which loads each number once per block instead of once per multiply-add.
//!
//! ```text
//!      k = (c, kh, kw) --->            pixels of a tile --->
//!   O +-----------------+           k +---------------------+           forward      Y  = W  X~
//!   | | weight [O, K]   |     x     | | columns X~ [K, P]   |           grad_input   dX~ = W^T dY, added back to dx
//!   v +-----------------+           v +---------------------+           grad_weight  dW  = dY X~^T
//! ```
//!
//! A tile has as many pixels as fit with their columns in the second-level cache: rows of one image, or several small
//! images. The columns of a whole batch would be KH*KW copies of it, written to memory and read back.
//!
//! Bytes moved: KH*KW copies of the image pass through the cache, written once and read twice (the GEMM packs them
//! again). Arithmetic intensity: 2*O flop per 12 bytes of columns. Limited by: for few output channels the gathering,
//! else the arithmetic. A 1x1 kernel with stride 1 needs no gathering: the image is its own columns.
//!
//! Blocks of images go to different threads. The weights' gradient is summed within fixed chunks of the batch, and the
//! chunks' sums are added in a fixed order. The cut depends only on sizes, so the bits do not depend on the number of
//! threads.

use super::unfold::{fold, unfold};
use super::{ConvShape, Finish, GradInput, add_in_order};
use crate::core::Float;
use crate::cpu::gemm::{GemmFloat, Mat};
use crate::cpu::{Buffer, CpuCtx};
use std::ops::Range;

/// Elements of a tile's columns: 512 KiB of f32.
const COLUMNS: usize = 1 << 17;
/// The fewest and the most pixels of a tile. With fewer, packing the weights does not pay; with more, nothing is
/// gained.
const PIXELS: Range<usize> = 128..1024;
/// Images with fewer pixels than this share a tile: a narrower GEMM would leave registers half empty.
const SMALL: usize = 64;
/// Multiply-adds that take about as long as touching one element. Contexts count work in elements.
const MACS: usize = 16;
/// With fewer blocks than this, the loops inside a block run in parallel, too.
const ENOUGH_BLOCKS: usize = 4;
/// Output channels of one task inside a block.
const TASK_ROWS: usize = 16;
/// The most chunks of the batch. Each has partial sums of its own.
const CHUNKS: usize = 16;
/// Elements that all partial sums together may take.
const PARTIALS: usize = 1 << 24;

/// How a convolution is cut. It depends only on the sizes.
struct Im2colTiling<'a> {
    cx: &'a CpuCtx,
    g: &'a ConvShape,
    /// Images and output rows of one tile.
    images: usize,
    rows: usize,
}

/// Output pixels that one GEMM works on: some rows of one image, or all rows of several small images.
struct Im2colTile {
    images: Range<usize>,
    rows: Range<usize>,
    /// Pixels of one image, and the position of the first one in its output plane.
    pixels: usize,
    start: usize,
    /// Pixels of all images: the columns of the matrix.
    width: usize,
}

impl<'a> Im2colTiling<'a> {
    fn new(cx: &'a CpuCtx, g: &'a ConvShape) -> Self {
        let pixels = (COLUMNS / g.k().max(1)).clamp(PIXELS.start, PIXELS.end);
        let images =
            if g.out_plane() < SMALL { (PIXELS.start * 2 / g.out_plane()).min(g.n.max(1)) } else { 1 };
        // An image that needs no gathering needs no tiles.
        let rows = if images > 1 || g.pointwise() { g.oh } else { (pixels / g.ow).clamp(1, g.oh) };
        Im2colTiling { cx, g, images, rows }
    }

    fn tiles(&self, images: Range<usize>) -> impl Iterator<Item = Im2colTile> {
        let starts = images.clone().step_by(self.images);
        starts.flat_map(move |image| {
            let images = image..(image + self.images).min(images.end);
            (0..self.g.oh).step_by(self.rows).map(move |row| {
                let rows = row..(row + self.rows).min(self.g.oh);
                let pixels = rows.len() * self.g.ow;
                let (start, width) = (row * self.g.ow, pixels * images.len());
                Im2colTile { images: images.clone(), rows, pixels, start, width }
            })
        })
    }

    /// The images of a block that starts with image `first`.
    fn block(&self, first: usize) -> Range<usize> {
        first..(first + self.images).min(self.g.n)
    }

    /// The work of one loop inside a block, by which the context decides whether it runs in parallel. It is 0 if there
    /// are enough blocks to keep all threads busy.
    fn inner_work(&self, blocks: usize, tile: &Im2colTile) -> usize {
        if blocks >= ENOUGH_BLOCKS { 0 } else { tile.width * self.g.k() * self.g.og() / MACS }
    }

    /// The same for a whole loop.
    fn work(&self) -> usize {
        self.g.work() / MACS
    }

    /// Memory for the columns of one tile and group, and for its outputs if the tile has several images.
    fn scratch<T>(&self) -> (Buffer, Buffer) {
        let width = self.images * self.rows * self.g.ow;
        let columns = if self.is_own_columns() { 0 } else { self.g.k() * width };
        let outputs = if self.images > 1 { self.g.og() * width } else { 0 };
        (self.cx.scratch(columns * size_of::<T>()), self.cx.scratch(outputs * size_of::<T>()))
    }

    fn is_own_columns(&self) -> bool {
        self.g.pointwise() && self.images == 1
    }

    /// The column matrix `[K, width]` of a tile.
    fn columns<'b, T: GemmFloat>(
        &self,
        tile: &Im2colTile,
        group: usize,
        x: &'b [T],
        scratch: &'b mut [T],
        inner: usize,
    ) -> Mat<'b, T> {
        let g = self.g;
        let plane = |image: usize, c: usize| &x[(image * g.c + group * g.cg() + c) * g.plane()..];
        if self.is_own_columns() {
            return Mat::new(plane(tile.images.start, 0), g.plane());
        }
        let columns = &mut scratch[..g.k() * tile.width];
        self.cx.pieces(columns, g.taps() * tile.width, inner, |c, columns| {
            for (image, at) in tile.images.clone().zip((0..).step_by(tile.pixels)) {
                unfold(g, &tile.rows, plane(image, c), &mut columns[at..], tile.width);
            }
        });
        Mat::new(scratch, tile.width)
    }

    /// The matrix `[O / groups, width]` of a tile's outputs.
    fn outputs<'b, T: GemmFloat>(
        &self,
        tile: &Im2colTile,
        group: usize,
        dy: &'b [T],
        scratch: &'b mut [T],
    ) -> Mat<'b, T> {
        let g = self.g;
        let place = |image: usize, o: usize| (image * g.o + group * g.og() + o) * g.out_plane() + tile.start;
        if self.images == 1 {
            let start = place(tile.images.start, 0).min(dy.len());
            return Mat::new(&dy[start..], g.out_plane());
        }
        for (o, row) in scratch.chunks_exact_mut(tile.width).take(g.og()).enumerate() {
            for (image, row) in tile.images.clone().zip(row.chunks_exact_mut(tile.pixels)) {
                row.copy_from_slice(&dy[place(image, o)..][..tile.pixels]);
            }
        }
        Mat::new(scratch, tile.width)
    }

    /// The weights `[O / groups, K]` of a group.
    fn weights<T>(&self, group: usize, weight: &'a [T]) -> &'a [T] {
        let size = self.g.og() * self.g.k();
        &weight[group * size..][..size]
    }

    /// `c = beta c + a b`. The rows of `c` are `ldc` apart, and the product is written from column `start` on. Each
    /// task computes some rows.
    #[allow(clippy::too_many_arguments)] // the signature of BLAS
    fn gemm<T: GemmFloat>(
        &self,
        [k, n]: [usize; 2],
        a: Mat<T>,
        b: Mat<T>,
        beta: T,
        c: &mut [T],
        [ldc, start]: [usize; 2],
        inner: usize,
    ) {
        let run = T::gemm(self.cx).alone;
        let rows = if inner == 0 { c.len() / ldc.max(1) } else { TASK_ROWS };
        self.cx.pieces(c, rows * ldc, inner, |task, c| {
            run(self.cx, [c.len() / ldc, k, n], a.from(task * rows, 0), b, beta, &mut c[start..], ldc);
        });
    }
}

pub fn forward<T: GemmFloat>(
    cx: &CpuCtx,
    g: &ConvShape,
    x: &[T],
    weight: &[T],
    finish: Finish<T>,
    y: &mut [T],
) {
    let tiling = Im2colTiling::new(cx, g);
    let image = g.o * g.out_plane();
    let blocks = g.n.div_ceil(tiling.images);
    let beta = if finish.bias.is_some() { T::ONE } else { T::ZERO };
    cx.pieces(y, tiling.images * image, tiling.work(), |block, y| {
        start_with(finish.bias, g.out_plane(), y);
        let (mut columns, mut products) = tiling.scratch::<T>();
        for tile in tiling.tiles(tiling.block(block * tiling.images)) {
            let inner = tiling.inner_work(blocks, &tile);
            for group in 0..g.groups {
                let b = tiling.columns(&tile, group, x, columns.slice_mut(), inner);
                let a = Mat::new(tiling.weights(group, weight), g.k());
                let size = [g.k(), tile.width];
                let channels = group * g.og() * g.out_plane()..(group + 1) * g.og() * g.out_plane();
                if tiling.images == 1 {
                    let place = [g.out_plane(), tile.start];
                    tiling.gemm(size, a, b, beta, &mut y[channels], place, inner);
                    continue;
                }
                let products = &mut products.slice_mut()[..g.og() * tile.width];
                tiling.gemm(size, a, b, T::ZERO, products, [tile.width, 0], inner);
                for (i, y) in y.chunks_exact_mut(image).enumerate() {
                    let rows = products.chunks_exact(tile.width).map(|row| &row[i * tile.pixels..]);
                    for (y, row) in y[channels.clone()].chunks_exact_mut(g.out_plane()).zip(rows) {
                        y.iter_mut()
                            .zip(row)
                            .for_each(|(y, &p)| *y = if beta == T::ZERO { p } else { *y + p });
                    }
                }
            }
        }
        finish.rectify(y);
    });
}

/// Fills each plane with its channel's bias, at which the sums start.
fn start_with<T: Float>(bias: Option<&[T]>, plane: usize, y: &mut [T]) {
    if let Some(bias) = bias {
        y.chunks_exact_mut(plane).zip(bias.iter().cycle()).for_each(|(y, &b)| y.fill(b));
    }
}

pub fn grad_input<T: GemmFloat>(cx: &CpuCtx, g: &ConvShape, of: GradInput<T>, dx: &mut [T]) {
    let GradInput { dy, weight, bias } = of;
    let tiling = Im2colTiling::new(cx, g);
    let image = g.c * g.plane();
    let blocks = g.n.div_ceil(tiling.images);
    let beta = if bias.is_some() { T::ONE } else { T::ZERO };
    cx.pieces(dx, tiling.images * image, tiling.work(), |block, dx| {
        let (mut columns, mut outputs) = tiling.scratch::<T>();
        if bias.is_none() && !tiling.is_own_columns() {
            dx.fill(T::ZERO);
        }
        start_with(bias, g.plane(), dx);
        for tile in tiling.tiles(tiling.block(block * tiling.images)) {
            let inner = tiling.inner_work(blocks, &tile);
            for group in 0..g.groups {
                let b = tiling.outputs(&tile, group, dy, outputs.slice_mut());
                let a = Mat::transposed(tiling.weights(group, weight), g.k());
                let size = [g.og(), tile.width];
                let channels = group * g.cg() * g.plane()..(group + 1) * g.cg() * g.plane();
                if tiling.is_own_columns() {
                    tiling.gemm(size, a, b, beta, &mut dx[channels], [g.plane(), 0], inner);
                    continue;
                }
                let columns = &mut columns.slice_mut()[..g.k() * tile.width];
                tiling.gemm(size, a, b, T::ZERO, columns, [tile.width, 0], inner);
                for (i, dx) in dx.chunks_exact_mut(image).enumerate() {
                    cx.pieces(&mut dx[channels.clone()], g.plane(), inner, |c, plane| {
                        let columns = &columns[c * g.taps() * tile.width + i * tile.pixels..];
                        fold(g, &tile.rows, columns, tile.width, plane);
                    });
                }
            }
        }
    });
}

pub fn grad_weight<T: GemmFloat>(cx: &CpuCtx, g: &ConvShape, dy: &[T], x: &[T], dw: &mut [T]) {
    let tiling = Im2colTiling::new(cx, g);
    if g.n == 0 || dw.is_empty() {
        return dw.fill(T::ZERO);
    }
    let most = (PARTIALS / dw.len()).clamp(1, CHUNKS);
    let chunk = g.n.div_ceil(most).next_multiple_of(tiling.images);
    let chunks = g.n.div_ceil(chunk);
    let sum = |images: Range<usize>, dw: &mut [T]| {
        let (mut columns, mut outputs) = tiling.scratch::<T>();
        for (i, tile) in tiling.tiles(images).enumerate() {
            let inner = tiling.inner_work(chunks, &tile);
            let beta = if i == 0 { T::ZERO } else { T::ONE };
            for (group, dw) in dw.chunks_exact_mut(g.og() * g.k()).enumerate() {
                let b = tiling.columns(&tile, group, x, columns.slice_mut(), inner).t();
                let a = tiling.outputs(&tile, group, dy, outputs.slice_mut());
                tiling.gemm([tile.width, g.k()], a, b, beta, dw, [g.k(), 0], inner);
            }
        }
    };
    if chunks == 1 {
        return sum(0..g.n, dw);
    }
    let mut buffer = cx.scratch(chunks * dw.len() * size_of::<T>());
    let partials = buffer.slice_mut::<T>();
    cx.pieces(partials, dw.len(), tiling.work(), |i, partial| {
        sum(i * chunk..((i + 1) * chunk).min(g.n), partial);
    });
    add_in_order(cx, partials, dw);
}
