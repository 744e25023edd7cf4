//! A tile of outputs: some channels of a few vectors of flat pixels, and the positions at which its lanes are stored.

use crate::cpu::outer_product::{Left, RowsOf, TableRows, by_tile, outer_product};
use crate::cpu::vector::Vector;

/// Some lanes of one vector of flat pixels, and the position of the first lane's output.
#[derive(Clone, Copy)]
pub struct Spot {
    pub lanes: u32,
    pub at: usize,
}

/// Stretches of flat pixels, and which of their pixels are outputs.
pub struct PixelRuns {
    /// The number of stretches: one per image, or one for all images.
    pub count: usize,
    /// Flat pixels of each stretch.
    pub pixels: usize,
    /// Where the spots of each vector of a stretch begin in `spots`.
    pub vectors: Vec<u32>,
    pub spots: Vec<Spot>,
    /// The position of the first output.
    pub start: usize,
}

impl PixelRuns {
    /// All tiles of one stretch.
    ///
    /// # Safety
    /// `image` holds every float at the tile's offsets from each flat pixel, and the spots' positions lie in y.
    #[inline(always)]
    pub unsafe fn go<V: Vector>(&self, tile: &TileOperands, rows: usize, image: &[f32], y: *mut f32) {
        let vectors = self.pixels.div_ceil(V::LANES);
        let tiles = vectors.div_ceil(V::TILE[1]);
        let mut first = 0;
        for t in 0..tiles {
            // Tiles are as equal as possible: 4 vectors become 2 and 2.
            let n = (vectors - first).div_ceil(tiles - t);
            let pixels = (self.pixels - first * V::LANES).min(n * V::LANES);
            let (spans, spots) = (&self.vectors[first..=first + n], &self.spots[..]);
            // SAFETY: the image holds the floats at these pixels' offsets, and the spots lie in y: promised by the
            // caller.
            unsafe {
                let from = image.as_ptr().add(first * V::LANES);
                by_tile!(rows, n, V, compute(tile, from, pixels, spans, spots, y));
            }
            first += n;
        }
    }
}

/// The data that all tiles of some output channels share.
pub struct TileOperands<'a> {
    pub weights: Left,
    pub offsets: &'a [u32],
    pub bias: Option<*const f32>,
    pub relu: bool,
    /// Floats from one output channel to the next (`plane`), and from one output of a row to the next (`step`).
    pub plane: usize,
    pub step: usize,
}

/// Computes R channels of N vectors of flat pixels, `pixels` in all. The spots of vector v are
/// `spots[spans[v] .. spans[v + 1]]`.
///
/// # Safety
/// As [`PixelRuns::go`].
#[inline(always)]
unsafe fn compute<V: Vector, const R: usize, const N: usize>(
    t: &TileOperands,
    from: *const f32,
    pixels: usize,
    spans: &[u32],
    spots: &[Spot],
    y: *mut f32,
) {
    let mask = V::first(pixels - (N - 1) * V::LANES);
    let image = RowsOf { start: from, rows: TableRows(t.offsets) };
    // SAFETY: the tile has R channels of weights, and the image holds the floats at the offsets of `pixels` pixels:
    // promised by the caller.
    let mut sums = unsafe { outer_product::<V, R, N>(t.offsets.len(), t.weights, image, mask) };
    for r in 0..R {
        // SAFETY: the tile has R channels.
        let bias = t.bias.map(|bias| V::splat(unsafe { *bias.add(r) }));
        for v in 0..N {
            let sum = bias.map_or(sums[r][v], |bias| sums[r][v].add(bias));
            sums[r][v] = if t.relu { V::splat(0.0).max(sum) } else { sum };
        }
    }
    let spots = |v: usize| &spots[spans[v] as usize..spans[v + 1] as usize];
    // Unrolled by hand: if a loop indexed `sums`, the compiler would keep them in memory instead of registers.
    // SAFETY: y can be written at the spots: promised by the caller.
    unsafe {
        t.store(column(&sums, 0), spots(0), y);
        if N > 1 {
            t.store(column(&sums, 1), spots(1), y);
        }
        if N > 2 {
            t.store(column(&sums, 2), spots(2), y);
        }
    }
}

/// Vector v of each channel.
#[inline(always)]
fn column<V: Vector, const R: usize, const N: usize>(sums: &[[V; N]; R], v: usize) -> [V; R] {
    let mut column = [V::splat(0.0); R];
    for r in 0..R {
        column[r] = sums[r][v];
    }
    column
}

impl TileOperands<'_> {
    /// Stores one vector of pixels of R channels.
    ///
    /// # Safety
    /// y can be written at the spots.
    #[inline(always)]
    unsafe fn store<V: Vector, const R: usize>(&self, sums: [V; R], spots: &[Spot], y: *mut f32) {
        let whole = (1u32 << V::LANES) - 1;
        // SAFETY: each of R channels of y can be written at the spots' lanes: promised by the caller.
        unsafe {
            for spot in spots {
                let to = y.add(spot.at);
                if self.step > 1 {
                    for r in 0..R {
                        sums[r].store_lanes(to.add(r * self.plane), spot.lanes, self.step);
                    }
                } else if spot.lanes == whole {
                    for r in 0..R {
                        sums[r].store(to.add(r * self.plane));
                    }
                } else {
                    for r in 0..R {
                        sums[r].store_lanes(to.add(r * self.plane), spot.lanes, 1);
                    }
                }
            }
        }
    }
}
