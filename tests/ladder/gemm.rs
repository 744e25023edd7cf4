//! Compares every GEMM rung at every SIMD level with sums in f64.

use super::levels;
use proptest::prelude::*;
use receptive::cpu::gemm::ladder::{GemmVersion, RUNGS};
use receptive::cpu::gemm::{GemmFn, GemmFns, Mat};
use receptive::cpu::{CpuCtx, CpuOptions, Simd};
use receptive::ladder::Rung;

fn context(simd: Simd, gemm_rung: u32, threads: usize) -> CpuCtx {
    CpuCtx::new(&CpuOptions { simd: Some(simd), gemm_rung, threads, ..Default::default() }).unwrap()
}

/// A product to compute.
#[derive(Debug, Clone)]
struct Product {
    sizes: [usize; 3],
    /// True if A or B is stored transposed.
    transposed: [bool; 2],
    beta: f32,
    /// Extra columns in C's memory after those of C.
    gap: usize,
}

impl Product {
    fn noise(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.0 - 1.0).collect()
    }

    fn mat(data: &[f32], rows: usize, columns: usize, transposed: bool) -> Mat<'_, f32> {
        if transposed { Mat::transposed(data, rows) } else { Mat::new(data, columns) }
    }

    /// C's memory after this function has run.
    fn run(&self, cx: &CpuCtx, gemm: GemmFn<f32>) -> Vec<f32> {
        let [m, k, n] = self.sizes;
        let (a, b) = (Self::noise(m * k, 1), Self::noise(k * n, 2));
        let (a, b) = (Self::mat(&a, m, k, self.transposed[0]), Self::mat(&b, k, n, self.transposed[1]));
        let mut c = Self::noise(m * (n + self.gap), 3);
        gemm(cx, self.sizes, a, b, self.beta, &mut c, n + self.gap);
        c
    }

    fn check(&self, got: &[f32], what: &str) {
        let [m, k, n] = self.sizes;
        let (a, b) = (Self::noise(m * k, 1), Self::noise(k * n, 2));
        let (a, b) = (Self::mat(&a, m, k, self.transposed[0]), Self::mat(&b, k, n, self.transposed[1]));
        let before = Self::noise(m * (n + self.gap), 3);
        for (at, (&got, &before)) in got.iter().zip(&before).enumerate() {
            let (i, j) = (at / (n + self.gap), at % (n + self.gap));
            let beta = if j < n { self.beta } else { 1.0 };
            let mut exact = f64::from(beta * before);
            let mut sizes = exact.abs();
            for p in 0..if j < n { k } else { 0 } {
                let term =
                    f64::from(a.data[i * a.row + p * a.col]) * f64::from(b.data[p * b.row + j * b.col]);
                exact += term;
                sizes += term.abs();
            }
            let error = (f64::from(got) - exact).abs();
            assert!(
                error <= 1e-7 * (10.0 + (k as f64).sqrt()) * sizes,
                "{what}: {self:?}: C[{i}, {j}] is {got}, not {exact}"
            );
        }
    }
}

fn check_all(product: &Product) {
    for (level, rung) in levels().flat_map(|level| RUNGS.iter().map(move |rung| (level, rung))) {
        if rung.version.needs > level {
            continue;
        }
        let cx = context(level, rung.number, 2);
        for (gemm, how) in [(rung.version.f32.alone, "alone"), (rung.version.f32.together, "together")] {
            product.check(&product.run(&cx, gemm), &format!("rung {} {how}, {level}", rung.number));
        }
    }
}

#[test]
fn rungs_agree_on_sizes_around_their_tiles() {
    for sizes in [[0, 3, 4], [3, 0, 4], [1, 1, 1], [8, 16, 48], [9, 257, 49], [64, 84, 10], [7, 300, 5]] {
        for transposed in [[false, false], [true, false], [false, true], [true, true]] {
            for beta in [0.0, 1.0] {
                check_all(&Product { sizes, transposed, beta, gap: 0 });
            }
        }
    }
    // Large enough for several tasks, blocks of k and a batch on long weights.
    for (sizes, transposed) in [([130, 300, 70], [true, false]), ([6, 5000, 40], [false, true])] {
        check_all(&Product { sizes, transposed, beta: 1.0, gap: 3 });
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    for (sizes, transposed) in [
        ([200, 300, 100], [false, false]),
        ([64, 784, 256], [false, true]),
        ([4, 3000, 900], [false, true]),
        ([5, 700, 900], [false, false]),
    ] {
        let product = Product { sizes, transposed, beta: 0.0, gap: 0 };
        for (level, number) in levels().flat_map(|level| [6, 9].map(|number| (level, number))) {
            let rung = receptive::cpu::gemm::ladder::rung(number).unwrap();
            let by = |threads| product.run(&context(level, number, threads), rung.version.f32.together);
            let one = by(1);
            assert!(
                [2, 3].into_iter().all(|threads| by(threads) == one),
                "rung {number}, {level}, {sizes:?}"
            );
        }
    }
}

#[test]
fn a_rung_beyond_the_level_is_refused() {
    let options = CpuOptions { simd: Some(Simd::Portable), gemm_rung: 5, ..Default::default() };
    let error = CpuCtx::new(&options).unwrap_err().to_string();
    assert!(error.contains("rung 5 (packed AVX-512) needs avx512"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn rungs_agree_on_random_sizes(
        m in 0usize..70, k in 0usize..150, n in 0usize..120,
        transposed in any::<[bool; 2]>(), beta in 0u8..2, gap in 0usize..3,
    ) {
        check_all(&Product { sizes: [m, k, n], transposed, beta: f32::from(beta), gap });
    }
}

/// A rung is a file and a table row. This rung is in no table, but all checks of the table's rungs also work for it.
#[test]
fn a_new_rung_is_its_loop_and_its_row() {
    fn by_columns(
        _: &CpuCtx,
        [m, k, n]: [usize; 3],
        a: Mat<f32>,
        b: Mat<f32>,
        beta: f32,
        c: &mut [f32],
        ldc: usize,
    ) {
        for (j, i) in (0..n).flat_map(|j| (0..m).map(move |i| (j, i))) {
            let products = (0..k).map(|p| a.data[i * a.row + p * a.col] * b.data[p * b.row + j * b.col]);
            let sum: f32 = products.sum();
            let c = &mut c[i * ldc + j];
            *c = if beta == 0.0 { sum } else { *c + sum };
        }
    }
    let row = Rung {
        number: 10,
        name: "by columns",
        teaches: "what happens when neighbours in memory are used one row apart",
        version: GemmVersion {
            needs: Simd::Portable,
            f32: GemmFns::serial(by_columns),
            f64: RUNGS[0].version.f64,
        },
    };
    let cx = context(Simd::Portable, 1, 1);
    for (transposed, beta) in [([false; 2], 0.0), ([true, false], 1.0), ([false, true], 0.0)] {
        let product = Product { sizes: [7, 13, 9], transposed, beta, gap: 3 };
        product.check(&product.run(&cx, row.version.f32.together), row.name);
    }
}
