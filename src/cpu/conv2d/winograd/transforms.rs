//! The transforms of Winograd's F(2x2, 3x3). In all that they read and write, the channels of a pixel lie side by side:
//! `patch.rs` says why.

use crate::cpu::vector::Vector;

/// One dimension of `B^T d B`: 4 pixels.
#[inline(always)]
pub fn pixels_1d<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 4] {
    [a.sub(c), b.add(c), c.sub(b), b.sub(d)]
}

/// One dimension of `G g G^T`: 3 taps.
#[inline(always)]
fn taps_1d<V: Vector>([a, b, c]: [V; 3]) -> [V; 4] {
    let half = V::splat(0.5);
    let (outer, inner) = (a.add(c).mul(half), b.mul(half));
    [a, outer.add(inner), outer.sub(inner), c]
}

/// One dimension of `A^T m A`: 4 sums, 2 outputs.
#[inline(always)]
fn outputs_1d<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 2] {
    [a.add(b).add(c), b.sub(c).sub(d)]
}

/// One dimension of `A dy A^T`, the adjoint of [`outputs_1d`].
#[inline(always)]
fn grads_1d<V: Vector>([a, b]: [V; 2]) -> [V; 4] {
    [a, a.add(b), a.sub(b), V::splat(0.0).sub(b)]
}

/// One dimension of `G^T du G`, the adjoint of [`taps_1d`].
#[inline(always)]
fn weights_1d<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 3] {
    let half = V::splat(0.5);
    let (sum, difference) = (b.add(c).mul(half), b.sub(c).mul(half));
    [a.add(sum), difference, sum.add(d)]
}

/// Applies a transform of one dimension to the columns of a square, then to the rows of the result.
#[inline(always)]
fn both<V: Vector, const I: usize, const J: usize>(
    m: [[V; I]; I],
    f: impl Fn([V; I]) -> [V; J],
) -> [[V; J]; J] {
    let zero = V::splat(0.0);
    let mut half = [[zero; I]; J];
    for i in 0..I {
        let mut column = [zero; I];
        for k in 0..I {
            column[k] = m[k][i];
        }
        let column = f(column);
        for k in 0..J {
            half[k][i] = column[k];
        }
    }
    let mut all = [[zero; J]; J];
    for k in 0..J {
        all[k] = f(half[k]);
    }
    all
}

/// Where the 16 numbers of a tile lie: `position` floats apart. Those of the next tile begin `tile` floats later.
#[derive(Clone, Copy)]
pub struct TileStrides {
    pub position: usize,
    pub tile: usize,
}

impl TileStrides {
    /// The layout of `tiles` tiles. Positions are one register further apart than necessary: a tile's 16 numbers are
    /// written together, and a cache holds only few lines that lie a multiple of 4 KiB apart.
    pub fn new(tiles: usize, tile: usize, lanes: usize) -> Self {
        TileStrides { position: tiles * tile + lanes, tile }
    }

    /// Floats of all 16 positions.
    pub fn len(self) -> usize {
        16 * self.position
    }
}

/// `V = B^T d B` of `rows x cols` tiles from a patch of `2 rows + 2` by `2 cols + 2` pixels. Neighbouring tiles share
/// two columns of pixels, which are transformed once.
///
/// # Safety
/// Patch and tiles can be accessed.
#[inline(always)]
pub unsafe fn pixels<V: Vector>(
    [rows, cols]: [usize; 2],
    patch: *const f32,
    to: *mut f32,
    place: TileStrides,
) {
    let width = 2 * cols + 2;
    for i in 0..rows {
        // SAFETY: the patch has these columns of pixels: promised by the caller.
        let mut left = unsafe {
            let patch = patch.add(2 * i * width * V::LANES);
            [column::<V>(patch, width), column::<V>(patch.add(V::LANES), width)]
        };
        for j in 0..cols {
            // SAFETY: the patch has two more columns, and V this tile: promised by the caller.
            let (right, to) = unsafe {
                let patch = patch.add((2 * i * width + 2 * j + 2) * V::LANES);
                let right = [column::<V>(patch, width), column::<V>(patch.add(V::LANES), width)];
                (right, to.add((i * cols + j) * place.tile))
            };
            for r in 0..4 {
                let row = pixels_1d([left[0][r], left[1][r], right[0][r], right[1][r]]);
                for s in 0..4 {
                    // SAFETY: V has all 16 numbers of this tile: promised by the caller.
                    unsafe { row[s].store(to.add((4 * r + s) * place.position)) };
                }
            }
            left = right;
        }
    }
}

/// Four pixels of a column, transformed.
///
/// # Safety
/// They can be read.
#[inline(always)]
unsafe fn column<V: Vector>(patch: *const f32, width: usize) -> [V; 4] {
    let mut pixels = [V::splat(0.0); 4];
    for row in 0..4 {
        // SAFETY: four pixels, `width` apart, can be read: promised by the caller.
        pixels[row] = unsafe { V::load(patch.add(row * width * V::LANES)) };
    }
    pixels_1d(pixels)
}

/// `A dy A^T` of `rows x cols` tiles from a patch of `2 rows` by `2 cols` pixels.
///
/// # Safety
/// Patch and tiles can be accessed.
#[inline(always)]
pub unsafe fn grads<V: Vector>(
    [rows, cols]: [usize; 2],
    patch: *const f32,
    to: *mut f32,
    place: TileStrides,
) {
    for tile in 0..rows * cols {
        let (i, j) = (tile / cols, tile % cols);
        let mut dy = [[V::splat(0.0); 2]; 2];
        for r in 0..2 {
            for s in 0..2 {
                // SAFETY: the patch has `2 rows` by `2 cols` pixels: promised by the caller.
                dy[r][s] = unsafe { V::load(patch.add(((2 * i + r) * 2 * cols + 2 * j + s) * V::LANES)) };
            }
        }
        // SAFETY: there is room for `rows x cols` tiles: promised by the caller.
        unsafe {
            store_tile(both(dy, grads_1d), to.add(tile * place.tile), place.position);
        }
    }
}

/// `y = A^T m A + bias`, rectified if `relu`: a patch of `2 rows` by `2 cols` pixels.
///
/// Returns a sum of products of y before it is rectified. The sum is inf or NaN if any y is.
///
/// # Safety
/// Patch and tiles can be accessed.
#[inline(always)]
pub unsafe fn outputs<V: Vector>(
    [rows, cols]: [usize; 2],
    from: *const f32,
    place: TileStrides,
    bias: V,
    relu: bool,
    patch: *mut f32,
) -> V {
    let zero = V::splat(0.0);
    let mut products = zero;
    for i in 0..rows {
        for j in 0..cols {
            // SAFETY: there are `rows x cols` tiles, and `2 rows` by `2 cols` pixels of the patch: promised by the
            // caller.
            unsafe {
                let mut m = load_tile::<V>(from.add((i * cols + j) * place.tile), place.position);
                // `m[1][1]` is a term of all four outputs, with sign +, so the bias is added to it.
                m[1][1] = m[1][1].add(bias);
                let y: [[V; 2]; 2] = both(m, outputs_1d);
                for r in 0..2 {
                    products = y[r][0].mul_add(y[r][1], products);
                    for s in 0..2 {
                        let y = if relu { zero.max(y[r][s]) } else { y[r][s] };
                        y.store(patch.add(((2 * i + r) * 2 * cols + 2 * j + s) * V::LANES));
                    }
                }
            }
        }
    }
    products
}

/// The 16 numbers of a tile.
///
/// # Safety
/// They can be read.
#[inline(always)]
unsafe fn load_tile<V: Vector>(from: *const f32, position: usize) -> [[V; 4]; 4] {
    let mut m = [[V::splat(0.0); 4]; 4];
    for r in 0..4 {
        for s in 0..4 {
            // SAFETY: all 16 numbers can be read: promised by the caller.
            m[r][s] = unsafe { V::load(from.add((4 * r + s) * position)) };
        }
    }
    m
}

/// Writes the 16 numbers of a tile.
///
/// # Safety
/// They can be written.
#[inline(always)]
unsafe fn store_tile<V: Vector>(v: [[V; 4]; 4], to: *mut f32, position: usize) {
    for r in 0..4 {
        for s in 0..4 {
            // SAFETY: all 16 numbers can be written: promised by the caller.
            unsafe { v[r][s].store(to.add((4 * r + s) * position)) };
        }
    }
}

/// How a loop reads the weights: the taps of (output o, input k) begin at `o * output + k * input`.
#[derive(Clone, Copy)]
pub struct WeightStrides {
    pub output: usize,
    pub input: usize,
    /// True if the taps are read backwards: turned by 180 degrees.
    pub turned: bool,
}

/// Input channels whose taps are transposed together, if they are contiguous.
const TOGETHER: usize = 16;

/// `U = G g G^T` of `outputs <= LANES` output channels and all `k` input channels. U of the next input channel begins
/// `place.tile` floats later.
///
/// # Safety
/// Weights and U can be accessed.
#[inline(always)]
pub unsafe fn taps<V: Vector>(
    weight: *const f32,
    lie: WeightStrides,
    [outputs, k]: [usize; 2],
    to: *mut f32,
    place: TileStrides,
) {
    let together = if lie.input == 9 { TOGETHER } else { 1 };
    let mut columns = [0f32; (TOGETHER * 9 + 16) * 16];
    for first in (0..k).step_by(together) {
        let len = 9 * together.min(k - first);
        for t in (0..len).step_by(V::LANES) {
            let mask = V::first(V::LANES.min(len - t));
            let mut block = V::block();
            for (o, row) in block.as_mut().iter_mut().enumerate().take(outputs) {
                // SAFETY: output channel o has taps for all k inputs: promised by the caller; the mask ends with them.
                *row = unsafe { V::load_part(weight.add(first * lie.input + o * lie.output + t), mask) };
            }
            for (j, column) in V::transpose(block).as_ref().iter().enumerate() {
                // SAFETY: `columns` has room for a whole block behind the last taps.
                unsafe { column.store(columns[(t + j) * V::LANES..].as_mut_ptr()) };
            }
        }
        for i in 0..len / 9 {
            let mut g = [[V::splat(0.0); 3]; 3];
            for tap in 0..9 {
                let from = 9 * i + if lie.turned { 8 - tap } else { tap };
                // SAFETY: written above.
                g[tap / 3][tap % 3] = unsafe { V::load(columns[from * V::LANES..].as_ptr()) };
            }
            // SAFETY: U has room for k input channels: promised by the caller.
            unsafe { store_tile(both(g, taps_1d), to.add((first + i) * place.tile), place.position) };
        }
    }
}

/// `dw = G^T dU G` of `channels <= LANES` channels, 9 numbers each. dU is the sum of `count` dUs that lie `size` floats
/// apart.
///
/// # Safety
/// dU and weights can be accessed.
#[inline(always)]
pub unsafe fn weights<V: Vector>(
    from: *const f32,
    count: usize,
    size: usize,
    position: usize,
    channels: usize,
    dw: *mut f32,
) {
    // SAFETY: there is a first dU: promised by the caller.
    let mut du = unsafe { load_tile::<V>(from, position) };
    for i in 1..count {
        // SAFETY: there are `count`, `size` floats apart: promised by the caller.
        let more = unsafe { load_tile::<V>(from.add(i * size), position) };
        for r in 0..4 {
            for s in 0..4 {
                du[r][s] = du[r][s].add(more[r][s]);
            }
        }
    }
    let dw_tile: [[V; 3]; 3] = both(du, weights_1d);
    for t in (0..9).step_by(V::LANES) {
        let mut block = V::block();
        for (row, tap) in block.as_mut().iter_mut().zip(t..9) {
            *row = dw_tile[tap / 3][tap % 3];
        }
        let mask = V::first(V::LANES.min(9 - t));
        for (c, taps) in V::transpose(block).as_ref().iter().enumerate().take(channels) {
            // SAFETY: `channels` times 9 weights can be written: promised by the caller.
            unsafe { taps.store_part(dw.add(9 * c + t), mask) };
        }
    }
}
