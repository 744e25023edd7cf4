//! Where the tiles of the packed rungs begin and end, for display. Nothing is computed.

use super::packed::{GemmPlan, tile};
use super::{Mat, small_batch};
use crate::cpu::outer_product::next_of;
use crate::cpu::simd::Simd;
use serde::Serialize;
use std::ops::Range;

/// How a product is cut into tiles, without computing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GemmTiling {
    /// True if `C^T = B^T A^T` is computed: the rows of tiles are then columns of C.
    pub turned: bool,
    /// True if B is copied into panels as wide as a tile; else it is read where it lies.
    pub packed: bool,
    /// Rows and columns of a whole tile, MR and NR.
    pub tile: [usize; 2],
    /// The number of rows of each tile after the last whole one.
    pub rest: Vec<usize>,
    /// Steps of k that a tile stays in registers for.
    pub depth: usize,
}

impl GemmTiling {
    /// The rows of the tile that contains row `i`, of `m` rows in all.
    pub fn rows(&self, m: usize, i: usize) -> Range<usize> {
        let mut start = i - i % self.tile[0];
        let whole = m - m % self.tile[0];
        if start < whole {
            return start..start + self.tile[0];
        }
        for &rows in &self.rest {
            if i < start + rows {
                return start..start + rows;
            }
            start += rows;
        }
        start..m
    }

    /// The columns of the tile that contains column `j`, of `n` columns in all.
    pub fn columns(&self, n: usize, j: usize) -> Range<usize> {
        let start = j - j % self.tile[1];
        start..n.min(start + self.tile[1])
    }
}

/// How `C[m, n] = A[m, k] B[k, n]` is cut at a SIMD level, with all three row-major; `None` if it is computed by dot
/// products.
pub fn gemm_tiling(simd: Simd, [m, k, n]: [usize; 3]) -> Option<GemmTiling> {
    let (a, b) = (Mat::new(&[], k), Mat::new(&[], n));
    if small_batch::suits([m, k, n], &a, &b) {
        return None;
    }
    let plan = GemmPlan::cheapest(simd, [m, k, n], a, b, 0.0, &mut [], n);
    let rows = tile(simd)[0];
    let mut rest = Vec::new();
    let mut left = plan.m % rows;
    while left > 0 {
        rest.push(next_of(left, rows));
        left -= next_of(left, rows);
    }
    let depth = plan.depth();
    Some(GemmTiling { turned: plan.turned, packed: !plan.in_place, tile: [rows, plan.width], rest, depth })
}
