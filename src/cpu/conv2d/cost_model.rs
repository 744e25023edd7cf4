//! Which rung computes a loop if none is chosen: the one with the shortest time by this table.
//!
//! The candidates are 03, implicit GEMM, and 04, Winograd, if they support the convolution ([`implicit_supports`],
//! [`winograd_supports`]). 02 runs if neither does, or if 03 would do little but copy ([`implicit_copies_too_much`]).
//! The estimated time of a rung is a sum of three terms. Each is a count times a constant, and the table says what is
//! counted:
//!
//! | term | implicit GEMM | Winograd |
//! |---|---|---|
//! | product | registers of multiply-adds: `N H' W' 9 C O / lanes` | the same for the 16 products, in whole registers |
//! | pixel | numbers of x or y gathered or written | tiles of one register of channels, transformed in or out |
//! | weight | weights laid out or summed | registers of U or dU |
//!
//! The constants are nanoseconds on one core of the machine whose results `docs/speed.md` shows, but only their ratios
//! matter. They come from non-negative least squares of relative errors over 105 layers with 1 to 256 channels on
//! images of 3x3 to 112x112, at each SIMD level. For 8 of 10 loops, the estimate is 0.78 to 1.19 of the true time. Over
//! the 945 loops of the fit, choosing by the estimate takes 1 % longer than always choosing the faster rung.
//! `cargo bench --bench ladder` marks the rung that runs and lists the layers where another was faster; run it with
//! `RECEPTIVE_SIMD` at each level. If it lists many layers, fit the constants again.

use super::implicit::copies_too_much as implicit_copies_too_much;
use super::implicit::supports as implicit_supports;
use super::winograd::supports as winograd_supports;
use super::{ConvShape, Loop};
use crate::cpu::Simd;

/// `[product, pixel, weight]`.
type Costs = [f64; 3];

/// A SIMD level, true for the weights' gradient (the other two loops cost the same), and the costs of both rungs.
static TABLE: [(Simd, bool, Costs, Costs); 6] = [
    (Simd::Avx512, false, [0.29, 0.21, 6.8], [0.29, 33.6, 7.3]),
    (Simd::Avx512, true, [0.34, 0.13, 14.9], [0.30, 36.0, 5.4]),
    (Simd::Avx2, false, [0.14, 0.43, 20.2], [0.29, 17.9, 11.0]),
    (Simd::Avx2, true, [0.18, 0.19, 16.4], [0.18, 19.9, 1.7]),
    (Simd::Portable, false, [0.23, 0.50, 14.8], [0.23, 24.5, 3.3]),
    (Simd::Portable, true, [0.62, 0.31, 70.9], [0.50, 11.2, 0.0]),
];

/// The number of the cheapest rung.
pub fn cheapest(simd: Simd, g: &ConvShape, which: Loop) -> u32 {
    if implicit_copies_too_much(g, which) {
        return 2;
    }
    let row = TABLE.iter().find(|row| (row.0, row.1) == (simd, which == Loop::GradWeight));
    let (Some(&(_, _, implicit, winograd)), true) = (row, winograd_supports(g)) else {
        return if implicit_supports(g) { 3 } else { 2 };
    };
    let estimate = |costs: Costs, counts: Costs| costs.iter().zip(counts).map(|(a, b)| a * b).sum::<f64>();
    let [by_implicit, by_winograd] = counts(simd.lanes(), g, which);
    let slower = estimate(implicit, by_implicit) < estimate(winograd, by_winograd);
    if slower && implicit_supports(g) { 3 } else { 4 }
}

/// For each rung, how often each of the table's costs occurs.
fn counts(lanes: usize, g: &ConvShape, which: Loop) -> [Costs; 2] {
    // The gradient of the input is a forward pass from O channels to C.
    let (c, o, h, w) = match which {
        Loop::GradInput => (g.o, g.c, g.h, g.w),
        Loop::Forward | Loop::GradWeight => (g.c, g.o, g.oh, g.ow),
    };
    let registers = |channels: usize| channels.div_ceil(lanes);
    let tiles = g.n * h.div_ceil(2) * w.div_ceil(2);
    let products = if which == Loop::GradWeight { o * registers(c) } else { c * registers(o) };
    let per_lane = 1.0 / lanes as f64;
    let weights = (c * o) as f64;
    [
        [g.work() as f64 * per_lane, (g.n * (g.c * g.plane() + g.o * g.out_plane())) as f64, 9.0 * weights],
        [
            (16 * tiles * products) as f64,
            (tiles * (registers(c) + registers(o))) as f64,
            16.0 * weights * per_lane,
        ],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Window;

    fn layer([n, c, o, size]: [usize; 4], stride: usize) -> ConvShape {
        let window = Window { kernel: [3; 2], stride: [stride; 2], padding: [[1; 2]; 2], dilation: [1; 2] };
        let out = (size - 1) / stride + 1;
        ConvShape { n, c, h: size, w: size, o, oh: out, ow: out, groups: 1, window }
    }

    /// With few input channels, Winograd's registers are almost empty. With many, its transforms pay.
    #[test]
    fn channels_decide() {
        for simd in [Simd::Avx2, Simd::Avx512] {
            for which in [Loop::Forward, Loop::GradWeight] {
                assert_eq!(cheapest(simd, &layer([8, 1, 16, 32], 1), which), 3, "{simd} {which:?}");
                assert_eq!(cheapest(simd, &layer([8, 64, 64, 32], 1), which), 4, "{simd} {which:?}");
            }
        }
    }

    fn window(size: usize, kernel: usize, [stride, padding, dilation]: [usize; 3]) -> ConvShape {
        let out = (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
        let window = Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [[padding; 2]; 2],
            dilation: [dilation; 2],
        };
        ConvShape { n: 1, c: 3, h: size, w: size, o: 4, oh: out, ow: out, groups: 1, window }
    }

    /// An 8x8 image with a padding of 1000 took 2.3 s with rung 03, which copies 1000 rows of zeros per row of outputs.
    /// It took 0.05 s with rung 02.
    #[test]
    fn zeros_and_phases_count_as_work() {
        use Loop::{Forward, GradInput, GradWeight};
        let loops = [Forward, GradInput, GradWeight];
        let three = |g: &ConvShape, which| cheapest(Simd::Avx512, g, which) == 3;
        for (size, kernel, settings, never) in [
            (8, 3, [1, 1000, 1], &[Forward, GradWeight][..]),
            (8, 5, [1, 2000, 1], &[Forward, GradWeight]),
            (8, 3, [2, 1000, 1], &[Forward, GradWeight]),
            (2008, 3, [1, 0, 1000], &[GradInput]),
            (1100, 3, [1, 0, 500], &[GradInput]),
            (3000, 3, [1000, 0, 1], &[GradInput]),
        ] {
            for which in loops.into_iter().filter(|which| never.contains(which)) {
                assert!(!three(&window(size, kernel, settings), which), "{size} {settings:?} {which:?}");
            }
        }
        // Usual layers still run on rung 03.
        for (size, kernel, settings) in [
            (28, 5, [1, 2, 1]),
            (224, 7, [2, 3, 1]),
            (224, 11, [4, 2, 1]),
            (224, 16, [16, 0, 1]),
            (65, 5, [1, 48, 24]),
            (3, 5, [1, 2, 1]),
        ] {
            for which in loops {
                assert!(three(&window(size, kernel, settings), which), "{size} {settings:?} {which:?}");
            }
        }
    }

    #[test]
    fn what_winograd_cannot_compute_is_never_given_to_it() {
        for (simd, ..) in TABLE {
            for which in [Loop::Forward, Loop::GradInput, Loop::GradWeight] {
                assert_eq!(cheapest(simd, &layer([8, 64, 64, 32], 2), which), 3);
            }
        }
    }
}
