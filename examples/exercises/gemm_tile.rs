//! Exercise: the inner loop of a fast matrix product.
//!
//! `C = A B` is computed tile by tile. A tile of C has 4 rows and 16 columns. Both factors were packed: the numbers of
//! one step of k lie side by side, so that the loop reads memory from start to end.
//!
//! ```text
//!                       b[k]: 16 numbers ->
//!                     +-----------------------+
//!     a[k]: 4    |    | c[r][j] +=            |
//!     numbers    v    |     a[k][r] * b[k][j] |      for k = 0 .. K
//!                     +-----------------------+
//! ```
//!
//! Write the loop so that the 64 sums stay in registers for the whole of k, and the compiler vectorises it.
//!
//! Hints: keep the sums in a local array of arrays with sizes known at compile time, and write them out once, after the
//! last k. The innermost loop must run over neighbours: which one of r and j? An index that may be out of bounds keeps
//! the compiler from making vectors: `chunks_exact` says how long a piece is. `src/cpu/outer_product.rs` is this loop in the
//! engine.

use super::Wrong;
use receptive::Key;
use receptive::cpu::gemm::{Mat, naive};
use receptive::cpu::{CpuCtx, CpuOptions, Simd};
use std::time::Instant;

/// Rows and columns of a tile.
pub const ROWS: usize = 4;
pub const COLUMNS: usize = 16;

/// The sums of a tile: per k, `a` holds [`ROWS`] numbers and `b` [`COLUMNS`] numbers. For you to write.
#[inline(always)]
pub fn tile(_a: &[f32], _b: &[f32]) -> [[f32; COLUMNS]; ROWS] {
    [[0.0; COLUMNS]; ROWS]
}

// The code below packs the factors, and compares the whole product with rung 01 of the ladder: result and time.

/// Rows, depth and columns of the product.
const SIZE: usize = 256;

/// Checks a tile, and races it.
pub fn check(tile: fn(&[f32], &[f32]) -> [[f32; COLUMNS]; ROWS]) -> Result<String, Wrong> {
    let cx = CpuCtx::new(&CpuOptions::with_threads(1))?;
    let numbers = |name: &str| -> Vec<f32> {
        (0..(SIZE * SIZE) as u64).map(|i| Key::new(0).child(name).uniform(i) as f32 - 0.5).collect()
    };
    let (a, b) = (numbers("a"), numbers("b"));
    let (mut yours, mut definition) = (vec![f32::NAN; SIZE * SIZE], vec![f32::NAN; SIZE * SIZE]);
    let fast = fastest(|| product(tile, &a, &b, &mut yours));
    let naive = fastest(|| {
        let [a, b] = [&a, &b].map(|data| Mat::new(data, SIZE));
        naive::gemm(&cx, [SIZE; 3], a, b, 0.0, &mut definition, SIZE);
    });
    for (i, (got, want)) in yours.iter().zip(&definition).enumerate() {
        let near = (got - want).abs() <= 1e-4;
        if !near {
            let (row, column) = (i / SIZE, i % SIZE);
            return Err(format!("  C[{row}][{column}]: yours {got:.6}, it is {want:.6}").into());
        }
    }
    let [fast, naive] = [fast, naive].map(|seconds| 2.0 * (SIZE as f64).powi(3) / seconds / 1e9);
    Ok(format!(
        "{fast:.1} GFLOP/s on one core; rung 01, the definition, {naive:.1}. This loop was compiled for {} floats a \
         register; the ladder's rungs ask this processor for {}: cargo bench --bench ladder",
        Simd::Portable.lanes(),
        cx.simd().lanes()
    ))
}

/// Seconds of the fastest of some runs.
fn fastest(mut run: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..5).map(time).fold(f64::INFINITY, f64::min)
}

/// `C = A B` by tiles.
fn product(tile: fn(&[f32], &[f32]) -> [[f32; COLUMNS]; ROWS], a: &[f32], b: &[f32], c: &mut [f32]) {
    let panels: Vec<Vec<f32>> = (0..SIZE / COLUMNS)
        .map(|panel| {
            let part = |row: &[f32]| row[panel * COLUMNS..][..COLUMNS].to_vec();
            b.chunks_exact(SIZE).flat_map(part).collect()
        })
        .collect();
    for (rows, c) in a.chunks_exact(ROWS * SIZE).zip(c.chunks_exact_mut(ROWS * SIZE)) {
        let packed: Vec<f32> = (0..SIZE).flat_map(|k| (0..ROWS).map(move |r| rows[r * SIZE + k])).collect();
        for (panel, b) in panels.iter().enumerate() {
            for (row, sums) in c.chunks_exact_mut(SIZE).zip(tile(&packed, b)) {
                row[panel * COLUMNS..][..COLUMNS].copy_from_slice(&sums);
            }
        }
    }
}
