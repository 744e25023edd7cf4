//! gemm / 04, 05, 06: packed panels under a register tile.
//!
//! What changed since 03: the inner loop is written by hand. A tile of C stays in registers for a whole block of K
//! ([`outer_product`]). B is first copied ("packed") into panels as wide as that tile, so that the tile reads one panel
//! from start to end.
//!
//! ```text
//!        B [K, N]                 panels of 48 columns            C [M, N]
//!   +----------------+          +------+------+--            +---------------+
//!   |  :    :    :   |  pack    | K x  | K x  |      A ->    |   8 x 48 tile |
//!   |  :    :    :   |  ---->   |  48  |  48  |   8 rows     |   of C in 24  |
//!   |  :    :    :   |          |      |      |              |   registers   |
//!   +----------------+          +------+------+--            +---------------+
//! ```
//!
//! Bytes moved: packing reads and writes B once. Then each tile loads, per step of k, 3 registers of B from the first-
//! or second-level cache and 8 numbers of A. Arithmetic intensity: 24 multiply-adds of registers per 11 loads. Limited
//! by: the multiply-add units.
//!
//! **Which factor is B.** `C = A B` is also `C^T = B^T A^T`. The factor that becomes B is read by whole registers along
//! columns of C and must be packed. The other factor is read number by number, and needs no packing if its rows are
//! contiguous. A linear layer on a batch of 64, `Y = X W^T`, is computed as `Y^T = W X^T`: the large W is read once,
//! where it lies, and only X^T is packed. `GemmPlan` compares the costs of both.
//!
//! **Few rows.** If rows of both factors are contiguous along `k`, `small_batch.rs` computes the product. Otherwise, if
//! A has no more rows than a tile, each number of B is used by only one tile, and packing it would be most of the work.
//! B is then read where it lies: a few rows at a time, over many columns, because long contiguous reads are fast.
//!
//! **A small B.** Rung 06 packs with all threads, and all wait for the packing to end. Each core must then fetch the
//! panels that other cores packed. For a small B, the waiting and the fetching cost more than packing all of B in each
//! thread: the products of a LeNet's linear layers would take 1.2 to 1.5 times as long.

use super::Mat;
use super::pack::Pack;
use super::threads::{TASK, Threads};
use crate::cpu::CpuCtx;
use crate::cpu::disjoint::Disjoint;
use crate::cpu::outer_product::{Left, RowsOf, StridedRows, by_tile, next_rows, outer_product};
use crate::cpu::simd::Simd;
use crate::cpu::vector::{Kernel, Vector};
use std::ops::Range;

/// B is read where it lies if A has at most this many tiles of rows.
const FEW: usize = 1;
/// Steps of k that a tile of C stays in registers: 8 rows of A (8 KiB) and a panel of B (48 KiB) stay in the cache.
const DEPTH: usize = 256;
/// The same, if B is read where it lies: as many rows at once as the prefetcher can follow.
const STREAMS: usize = 8;
/// Elements of the block of B that stays in the second-level cache (1 MiB) while every row of the task uses it: 384
/// KiB.
const NEAR: usize = 96 << 10;
/// Rows of the largest tile.
const MOST_ROWS: usize = 8;
/// Elements of B that are packed at a time: 16 MiB.
const PACKED: usize = 1 << 22;
/// Every thread packs all of B for itself if B has at most this many elements (256 KiB). To fetch panels that another
/// core packed would take longer.
const OWN: usize = 64 << 10;
/// The most tasks of a product.
const MOST_TASKS: usize = 16;
/// Estimated cycles per register to transpose a block of B.
const TURNED: usize = 6;

/// The matrix C: `C[i, j]` is element `i * row + j * col` of `data`.
#[derive(Clone, Copy)]
struct Out<'a> {
    data: Disjoint<'a, f32>,
    row: usize,
    col: usize,
}

/// A product, transposed if that is cheaper.
#[derive(Clone, Copy)]
pub(super) struct GemmPlan<'a> {
    pub(super) m: usize,
    k: usize,
    n: usize,
    a: Mat<'a, f32>,
    b: Mat<'a, f32>,
    beta: f32,
    c: Out<'a>,
    /// Columns of a panel.
    pub(super) width: usize,
    /// True if B is read where it lies.
    pub(super) in_place: bool,
    /// True if the product was transposed: this computes `C^T = B^T A^T`.
    pub(super) turned: bool,
}

/// Rung 04, `C = beta C + A B` with AVX2: see [`GemmFn`](super::GemmFn).
pub fn avx2(cx: &CpuCtx, sizes: [usize; 3], a: Mat<f32>, b: Mat<f32>, beta: f32, c: &mut [f32], ldc: usize) {
    gemm(Threads { cx, simd: Simd::Avx2, share: false }, sizes, a, b, beta, c, ldc);
}

/// Rung 05, the same with AVX-512.
pub fn avx512(
    cx: &CpuCtx,
    sizes: [usize; 3],
    a: Mat<f32>,
    b: Mat<f32>,
    beta: f32,
    c: &mut [f32],
    ldc: usize,
) {
    gemm(Threads { cx, simd: Simd::Avx512, share: false }, sizes, a, b, beta, c, ldc);
}

/// The same with the context's SIMD level.
pub fn alone(cx: &CpuCtx, sizes: [usize; 3], a: Mat<f32>, b: Mat<f32>, beta: f32, c: &mut [f32], ldc: usize) {
    gemm(Threads { cx, simd: cx.simd(), share: false }, sizes, a, b, beta, c, ldc);
}

/// Rung 06: panels are packed, and tiles of C computed, by all threads.
pub fn together(
    cx: &CpuCtx,
    sizes: [usize; 3],
    a: Mat<f32>,
    b: Mat<f32>,
    beta: f32,
    c: &mut [f32],
    ldc: usize,
) {
    gemm(Threads { cx, simd: cx.simd(), share: true }, sizes, a, b, beta, c, ldc);
}

fn gemm(
    threads: Threads,
    [m, k, n]: [usize; 3],
    a: Mat<f32>,
    b: Mat<f32>,
    beta: f32,
    c: &mut [f32],
    ldc: usize,
) {
    if m == 0 || n == 0 {
        return;
    }
    super::check_bounds([m, k, n], &a, &b, c, ldc);
    let Threads { cx, simd, share } = threads;
    if super::small_batch::suits([m, k, n], &a, &b) {
        return super::small_batch::gemm(threads, [m, k, n], a, b, beta, c, ldc);
    }
    let plan = GemmPlan::cheapest(simd, [m, k, n], a, b, beta, c, ldc);
    // B is packed in equal parts.
    let parts = if plan.in_place { 1 } else { (k * plan.n).div_ceil(PACKED) };
    let together = plan.n.div_ceil(parts.max(1)).next_multiple_of(plan.width);
    if share && !plan.in_place && k * plan.n <= OWN {
        // Each task computes a band of rows. Every output adds its products in the order of k, whichever task computes
        // it.
        let work = m * k * n;
        let bands = cx.threads().min(work / TASK).max(1);
        let height = plan.m.div_ceil(bands).next_multiple_of(tile(simd)[0]);
        let alone = Threads { share: false, ..threads };
        threads.all(plan.m.div_ceil(height), work, &|band| {
            let first = band * height;
            plan.rows(first, height.min(plan.m - first)).run(alone);
        });
        return;
    }
    for first in (0..plan.n).step_by(together) {
        plan.columns(first, together.min(plan.n - first)).run(threads);
    }
}

impl<'a> GemmPlan<'a> {
    fn new(
        simd: Simd,
        [m, k, n]: [usize; 3],
        a: Mat<'a, f32>,
        b: Mat<'a, f32>,
        beta: f32,
        c: Out<'a>,
    ) -> Self {
        let [rows, vectors] = tile(simd);
        let in_place = b.col == 1 && m <= FEW * rows;
        GemmPlan { m, k, n, a, b, beta, c, width: vectors * simd.lanes(), in_place, turned: false }
    }

    /// The cheaper of the product as given and the transposed product.
    pub(super) fn cheapest(
        simd: Simd,
        [m, k, n]: [usize; 3],
        a: Mat<'a, f32>,
        b: Mat<'a, f32>,
        beta: f32,
        c: &'a mut [f32],
        ldc: usize,
    ) -> Self {
        let data = Disjoint::new(c);
        let straight = GemmPlan::new(simd, [m, k, n], a, b, beta, Out { data, row: ldc, col: 1 });
        let turned = GemmPlan::new(simd, [n, k, m], b.t(), a.t(), beta, Out { data, row: 1, col: ldc });
        if turned.cost(simd) < straight.cost(simd) { GemmPlan { turned: true, ..turned } } else { straight }
    }

    /// Steps of k that a tile stays in registers for.
    pub(super) fn depth(&self) -> usize {
        if self.in_place { STREAMS } else { DEPTH }
    }

    /// An estimate of the cycles: multiply-adds of registers, plus registers of B packed (transposed if need be), plus
    /// registers of C stored (number by number if C is transposed).
    fn cost(&self, simd: Simd) -> usize {
        let lanes = simd.lanes();
        let each = |col: usize, turned: usize| if col == 1 { 1 } else { turned };
        let packing =
            if self.in_place { 0 } else { self.k * self.n.div_ceil(lanes) * each(self.b.col, TURNED) };
        let storing = self.m * self.n.div_ceil(lanes) * each(self.c.col, lanes);
        self.m * self.k * self.n.div_ceil(lanes) + packing + storing
    }

    /// The part of the product that computes rows `first .. first + m` of C.
    fn rows(self, first: usize, m: usize) -> Self {
        // SAFETY: C has a row `first`.
        let c = unsafe { self.c.from(first, 0) };
        GemmPlan { m, a: self.a.from(first, 0), c, ..self }
    }

    /// The part of the product that computes columns `first .. first + n` of C.
    fn columns(self, first: usize, n: usize) -> Self {
        // SAFETY: C has a column `first`.
        let c = unsafe { self.c.from(0, first) };
        GemmPlan { n, b: self.b.from(0, first), c, ..self }
    }

    fn run(self, threads: Threads) {
        let Threads { cx, simd, .. } = threads;
        let panels = self.n.div_ceil(self.width);
        let (work, size) = (self.m * self.k * self.n, self.k * self.width);
        let mut packed = cx.scratch(if self.in_place { 0 } else { panels * size * size_of::<f32>() });
        let packed = packed.slice_mut::<f32>();
        if !self.in_place {
            let to = Disjoint::new(packed);
            threads.all(panels, work, &|p| {
                // SAFETY: `packed` has a panel p of `size` elements, and only this task writes it.
                let panel = unsafe { to.range(p * size..(p + 1) * size) };
                simd.dispatch(Pack { b: self.b, n: self.n, width: self.width, first: p * self.width, panel });
            });
        }
        let rows = tile(simd)[0];
        let wanted = (work / TASK).clamp(1, MOST_TASKS);
        let height = self.m.div_ceil(wanted).next_multiple_of(rows);
        let bands = self.m.div_ceil(height);
        let stretch = panels.div_ceil(wanted.div_ceil(bands));
        let stretches = panels.div_ceil(stretch);
        let packed = &*packed;
        threads.all(bands * stretches, work, &|task| {
            let (band, stretch_number) = (task / stretches, task % stretches);
            let (i, first) = (band * height, stretch_number * stretch);
            simd.dispatch(GemmTask {
                plan: &self,
                packed,
                rows: i..self.m.min(i + height),
                panels: first..panels.min(first + stretch),
            });
        });
    }
}

impl Out<'_> {
    /// A pointer to `C[i, j]`.
    ///
    /// # Safety
    /// `(i, j)` lies in C, and no other task accesses the elements that are accessed through the pointer.
    #[inline(always)]
    unsafe fn at(&self, i: usize, j: usize) -> *mut f32 {
        // SAFETY: C has a row i and a column j: promised by the caller.
        unsafe { self.data.at(i * self.row + j * self.col) }
    }

    /// The part of C that starts at `(i, j)`.
    ///
    /// # Safety
    /// C has this element.
    #[inline(always)]
    unsafe fn from(self, i: usize, j: usize) -> Self {
        // SAFETY: C has a row i and a column j: promised by the caller.
        Out { data: unsafe { self.data.from(i * self.row + j * self.col) }, ..self }
    }
}

/// Rows and vectors of a level's tile.
pub(super) fn tile(simd: Simd) -> [usize; 2] {
    struct TileSize;
    impl Kernel for TileSize {
        type Output = [usize; 2];
        #[inline(always)]
        fn run<V: Vector>(self) -> [usize; 2] {
            V::TILE
        }
    }
    simd.dispatch(TileSize)
}

/// Some rows and panels of C.
struct GemmTask<'a> {
    plan: &'a GemmPlan<'a>,
    packed: &'a [f32],
    rows: Range<usize>,
    panels: Range<usize>,
}

impl Kernel for GemmTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let GemmTask { plan, packed, rows, panels } = self;
        let GemmPlan { k, n, a, b, width, in_place, .. } = *plan;
        let depth = plan.depth();
        let mut copied = [0f32; DEPTH * MOST_ROWS];
        for from in (0..k.max(1)).step_by(depth) {
            let depth = depth.min(k - from);
            // The first block of K starts the sums; later blocks add to them.
            let beta = if from == 0 { plan.beta } else { 1.0 };
            let near = (NEAR / (depth * width).max(1)).max(1);
            for first in panels.clone().step_by(near) {
                let panels = first..panels.end.min(first + near);
                let mut i = rows.start;
                while i < rows.end {
                    let r = next_rows::<V>(rows.end - i);
                    let tile = a.from(i, from);
                    let mut left = Left { data: tile.data.as_ptr(), row: tile.row, col: tile.col };
                    if tile.col != 1 && panels.len() > 1 {
                        gather::<V>(tile, depth, r, &mut copied);
                        left = Left { data: copied.as_ptr(), row: 1, col: r };
                    }
                    for p in panels.clone() {
                        let columns = width.min(n - p * width);
                        let (b, stride) = if in_place {
                            (&b.data[(from * b.row + p * width).min(b.data.len())..], b.row)
                        } else {
                            (&packed[p * k * width + from * width..], width)
                        };
                        // SAFETY: `check_bounds` bounds the rows of A and C. A panel is whole; if B is read in place,
                        // the mask ends at the last column.
                        unsafe {
                            let c = plan.c.from(i, p * width);
                            let b = RowsOf { start: b.as_ptr(), rows: StridedRows(stride) };
                            let vectors = columns.div_ceil(V::LANES);
                            by_tile!(r, vectors, V, block(depth, left, b, columns, beta, c));
                        }
                    }
                    i += r;
                }
            }
        }
    }
}

/// Copies `r` rows and `depth` columns of A: `to[k * r + i] = A[i, k]`.
#[inline(always)]
fn gather<V: Vector>(a: Mat<f32>, depth: usize, r: usize, to: &mut [f32]) {
    let mask = V::first(r.min(V::LANES));
    for (k, to) in to[..depth * r].chunks_exact_mut(r).enumerate() {
        let from = &a.data[k * a.col..];
        if a.row == 1 && r <= V::LANES {
            assert!(r <= from.len(), "A is too short");
            // SAFETY: both slices have r elements.
            unsafe { V::load_part(from.as_ptr(), mask).store_part(to.as_mut_ptr(), mask) }
        } else {
            to.iter_mut().zip(from.iter().step_by(a.row)).for_each(|(to, &a)| *to = a);
        }
    }
}

/// One tile: `C = beta C + A B`.
///
/// # Safety
/// A, B and C can be accessed within the tile's bounds. `columns` is more than N - 1 vectors and at most N vectors.
#[inline(always)]
unsafe fn block<V: Vector, const R: usize, const N: usize>(
    k: usize,
    a: Left,
    b: RowsOf<StridedRows>,
    columns: usize,
    beta: f32,
    c: Out,
) {
    let mask = V::first(columns - (N - 1) * V::LANES);
    // SAFETY: A, B and C can be accessed in the tile's R rows and `columns` columns: promised by the caller; the mask
    // ends at the last column.
    unsafe {
        let sums = outer_product::<V, R, N>(k, a, b, mask);
        if c.col == 1 {
            for r in 0..R {
                for v in 0..N {
                    let to = c.at(r, v * V::LANES);
                    let part = if v + 1 < N { V::first(V::LANES) } else { mask };
                    let sum = sums[r][v];
                    let sum = if beta == 0.0 { sum } else { sum.add(V::load_part(to, part)) };
                    sum.store_part(to, part);
                }
            }
            return;
        }
        let mut tile = [[0f32; 48]; R];
        for r in 0..R {
            for v in 0..N {
                sums[r][v].store(tile[r][v * V::LANES..].as_mut_ptr());
            }
        }
        for j in 0..columns {
            for r in 0..R {
                let to = c.at(r, j);
                *to = if beta == 0.0 { tile[r][j] } else { *to + tile[r][j] };
            }
        }
    }
}
