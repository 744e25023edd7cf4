//! The left factor: the weights as they lie, or rearranged for the gradient of the input.

use super::super::ConvShape;
use super::ROWS;
use super::layout::{Tap, Taps};
use crate::cpu::CpuCtx;
use crate::cpu::disjoint::Disjoint;
use crate::cpu::outer_product::{Left, next_rows};
use crate::cpu::vector::{Kernel, Vector};
use std::ops::Range;

/// The left factor of a pass, for all groups.
#[derive(Clone, Copy)]
pub enum WeightPanels<'a> {
    /// Row by row, each of K numbers.
    Rows(&'a [f32]),
    /// In the order in which a tile reads them: for each tile of R rows, K times R numbers.
    Panels(&'a [f32]),
}

impl WeightPanels<'_> {
    /// The `rows` rows of the tile that starts at row `first`.
    pub fn tile(&self, first: usize, rows: usize, k: usize) -> Left {
        match self {
            WeightPanels::Rows(all) => Left { data: all[first * k..].as_ptr(), row: k, col: 1 },
            WeightPanels::Panels(all) => Left { data: all[first * k..].as_ptr(), row: 1, col: rows },
        }
    }
}

/// The taps of a pass by their numbers in a kernel.
pub fn kernel_numbers(g: &ConvShape, [rows, columns]: &[Taps; 2]) -> Vec<usize> {
    let columns = &columns.taps;
    let row = |row: &Tap| row.k * g.window.kernel[1];
    rows.taps.iter().flat_map(|r| columns.iter().map(move |column| row(r) + column.k)).collect()
}

/// Rearranges the weights for some passes, each with its taps: from `w[o, c, kh, kw]` to panels whose row c holds the
/// numbers `k = (o, kh, kw)`. The panels of the passes follow each other.
pub fn turn<'a>(
    cx: &CpuCtx,
    g: &ConvShape,
    passes: &[Vec<usize>],
    weight: &[f32],
    to: &'a mut [f32],
) -> Vec<&'a [f32]> {
    let data = Disjoint::new(to);
    let parts = g.cg().div_ceil(TURNED);
    cx.tasks(g.groups * parts, data.len(), &|task| {
        let (group, first) = (task / parts, task % parts * TURNED);
        let channels = first..g.cg().min(first + TURNED);
        cx.simd().dispatch(Turn { g, passes, weight, group, channels, to: data });
    });
    let mut rest = &*to;
    let own = passes.iter().map(|taps| {
        let (own, others) = rest.split_at(g.c * g.og() * taps.len());
        rest = others;
        own
    });
    own.collect()
}

/// The channels that a task rearranges (`TURNED`), and the output channels whose weights stay in the cache at a time
/// (`NEAR`).
const TURNED: usize = 5 * ROWS;
const NEAR: usize = 32;

/// A task: some channels of a group, for all passes.
struct Turn<'a> {
    g: &'a ConvShape,
    passes: &'a [Vec<usize>],
    weight: &'a [f32],
    group: usize,
    channels: Range<usize>,
    to: Disjoint<'a, f32>,
}

impl Kernel for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Turn { g, passes, weight, group, channels, to } = self;
        for near in (0..g.og()).step_by(NEAR) {
            let mut pass = 0;
            for taps in passes {
                let k = g.og() * taps.len();
                for o in near..g.og().min(near + NEAR) {
                    let kernels = &weight[(group * g.og() + o) * g.k()..][..g.k()];
                    let mut c = channels.start;
                    while c < channels.end {
                        let rows = next_rows::<V>(channels.end - c);
                        let at = (group * g.cg() + c) * k + o * taps.len() * rows;
                        for (i, &tap) in taps.iter().enumerate() {
                            for r in 0..rows {
                                // SAFETY: within the panel of channels c .. c + rows, which has K * rows floats from
                                // channel c's position on. Only this task writes it.
                                unsafe {
                                    *to.at(pass + at + i * rows + r) = kernels[(c + r) * g.taps() + tap]
                                };
                            }
                        }
                        c += rows;
                    }
                }
                pass += g.c * k;
            }
        }
    }
}
