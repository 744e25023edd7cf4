//! Copies B into panels as wide as a tile, so that a tile reads a panel from start to end.
//!
//! Bytes moved: each number is read once and written once. If the columns of B are contiguous along `k`, B is
//! transposed on the way, a square of registers at a time: number by number, each read would touch a different cache
//! line.

use super::Mat;
use crate::cpu::vector::{Kernel, Vector};

/// Copies `width` columns of B from `first` on: `panel[k * width + j] = B[k, first + j]`, or 0 beyond the last column.
pub(super) struct Pack<'a> {
    pub b: Mat<'a, f32>,
    /// Columns of B (`n`) and of a panel (`width`).
    pub n: usize,
    pub width: usize,
    pub first: usize,
    pub panel: &'a mut [f32],
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Pack { b, n, width, first, panel } = self;
        let columns = width.min(n - first);
        if columns < width {
            panel.fill(0.0);
        }
        if b.col == 1 {
            for (k, to) in panel.chunks_exact_mut(width).enumerate() {
                let from = &b.data[k * b.row + first..][..columns];
                to[..columns].copy_from_slice(from);
            }
            return;
        }
        if b.row == 1 {
            // SAFETY: `check_bounds` bounds the columns of B, and a panel has `k` rows of `width`.
            return unsafe { pack_turned::<V>(b.from(0, first), columns, panel, width) };
        }
        for (k, to) in panel.chunks_exact_mut(width).enumerate() {
            let from = b.data[k * b.row + first * b.col..].iter().step_by(b.col);
            to[..columns].iter_mut().zip(from).for_each(|(to, &x)| *to = x);
        }
    }
}

/// Packs a B whose columns are contiguous along `k`, a square of registers at a time.
///
/// # Safety
/// `columns` columns of B have a number for each row of the panel. The panel's `width` is a multiple of `LANES`.
#[inline(always)]
unsafe fn pack_turned<V: Vector>(b: Mat<f32>, columns: usize, panel: &mut [f32], width: usize) {
    let depth = panel.len() / width;
    for k in (0..depth).step_by(V::LANES) {
        let rows = V::LANES.min(depth - k);
        for j in (0..columns).step_by(V::LANES) {
            let mut square = V::block();
            for (i, column) in square.as_mut().iter_mut().enumerate().take(columns - j) {
                // SAFETY: column j + i of B has a number for each row of the panel: promised by the caller. The mask
                // ends at the last row.
                unsafe {
                    let from = b.data.as_ptr().add((j + i) * b.col + k);
                    *column =
                        if rows == V::LANES { V::load(from) } else { V::load_part(from, V::first(rows)) };
                }
            }
            for (i, row) in V::transpose(square).as_ref().iter().enumerate().take(rows) {
                // SAFETY: row k + i of the panel has a whole register from column j on.
                unsafe { row.store(panel.as_mut_ptr().add((k + i) * width + j)) };
            }
        }
    }
}
