//! A faster rung may spread one inf or NaN further than the definition does. This file computes such sums again, by the
//! definition.
//!
//! By the definition, as in PyTorch, the outputs and the gradient of the weights multiply the padding's zeros:
//! `0 * inf` is NaN. But rung 03 also multiplies other zeros, between the rows of the image and beyond the ends of dy.
//! The definition has no such terms. Without this file, a gradient of the input could become NaN because of a weight
//! that it does not use, and a gradient of a weight because of a pixel that no output reads. A finite sum had no inf or
//! NaN among its terms, because no addition makes those finite again. So only sums that are not finite are computed
//! again. Which sums these are depends only on the numbers, so the bits do not depend on the number of threads.
//!
//! The transforms of rung 04 add and subtract neighbours, so an inf spreads further there: see `winograd/forward.rs`.

use super::{ConvShape, GradInput, direct};
use crate::core::Float;
use crate::cpu::CpuCtx;

/// Numbers that are checked together.
const LANES: usize = 16;

/// True if no number is inf or NaN.
pub fn all_finite<T: Float>(cx: &CpuCtx, numbers: &[T]) -> bool {
    cx.vectors::<T, _>(
        #[inline(always)]
        || {
            // 0 times a finite number is 0; 0 times inf or NaN is NaN.
            let mut zeros = [T::ZERO; LANES];
            let (whole, rest) = numbers.as_chunks::<LANES>();
            for chunk in whole {
                for lane in 0..LANES {
                    zeros[lane] += chunk[lane] * T::ZERO;
                }
            }
            let mut finite = true;
            for lane in 0..LANES {
                finite &= zeros[lane].is_finite();
            }
            finite && rest.iter().all(|number| number.is_finite())
        },
    )
}

/// Corrects the gradient of the input from rung 03. Only the weights are checked: a dy that is not finite is multiplied
/// by the right weights only.
pub fn mend_input_gradient<T: Float>(cx: &CpuCtx, g: &ConvShape, of: GradInput<T>, dx: &mut [T]) {
    if all_finite(cx, of.weight) {
        return;
    }
    cx.pieces(dx, g.plane(), g.work(), |plane, dx| {
        again(dx, |pixel| direct::input_gradient(g, of, [plane, pixel]));
    });
}

/// Corrects the gradient of the weights from rung 03.
pub fn mend_weight_gradient<T: Float>(cx: &CpuCtx, g: &ConvShape, dy: &[T], x: &[T], dw: &mut [T]) {
    if all_finite(cx, dw) {
        return;
    }
    cx.pieces(dw, g.taps(), g.work(), |kernel, dw| {
        again(dw, |tap| direct::weight_gradient(g, dy, x, [kernel, tap]));
    });
}

/// Computes each sum that is not finite again.
fn again<T: Float>(sums: &mut [T], sum: impl Fn(usize) -> T) {
    for (i, number) in sums.iter_mut().enumerate().filter(|(_, number)| !number.is_finite()) {
        *number = sum(i);
    }
}

#[cfg(test)]
mod tests {
    use super::super::ladder::RUNGS;
    use super::super::{ConvFns, Finish};
    use super::*;
    use crate::core::{Key, Window};
    use crate::cpu::{CpuOptions, Simd};

    /// x, weight and dy with one special number in one of them.
    struct Case {
        g: ConvShape,
        tensors: [Vec<f32>; 3],
    }

    fn case(g: ConvShape, [which, at]: [usize; 2], special: f32) -> Case {
        let sizes = [g.n * g.c * g.plane(), g.o * g.k(), g.n * g.o * g.out_plane()];
        let number = |i: usize| Key::new(7).uniform(i as u64) as f32 - 0.5;
        let mut tensors = sizes.map(|n| (n..2 * n).map(number).collect::<Vec<f32>>());
        let place = at % tensors[which].len();
        tensors[which][place] = special;
        Case { g, tensors }
    }

    /// y, rectified y, dx and dw.
    fn run(cx: &CpuCtx, fns: &ConvFns<f32>, Case { g, tensors: [x, weight, dy] }: &Case) -> [Vec<f32>; 4] {
        let [mut y, mut relu, mut dx, mut dw] = [dy, dy, x, weight].map(|like| vec![0f32; like.len()]);
        let bias: Vec<f32> = (0..g.o).map(|o| o as f32).collect();
        (fns.forward)(cx, g, x, weight, Finish { bias: Some(&bias), relu: false }, &mut y);
        (fns.forward)(cx, g, x, weight, Finish { bias: Some(&bias), relu: true }, &mut relu);
        (fns.grad_input)(cx, g, GradInput { dy, weight, bias: None }, &mut dx);
        (fns.grad_weight)(cx, g, dy, x, &mut dw);
        [y, relu, dx, dw]
    }

    fn kind(x: f32) -> f32 {
        if x.is_finite() { 0.0 } else { x }
    }

    fn conv_shape(
        [c, o, groups]: [usize; 3],
        kernel: usize,
        [stride, padding, dilation]: [usize; 3],
    ) -> ConvShape {
        let (n, h, w) = (2, 11, 9);
        let out = |size: usize| (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
        let window = Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [[padding; 2]; 2],
            dilation: [dilation; 2],
        };
        ConvShape { n, c, h, w, o, oh: out(h), ow: out(w), groups, window }
    }

    /// One inf, NaN or number near the end of the range affects the same results as by the definition, for every rung
    /// at every level, and the bits are the same for any number of threads.
    #[test]
    fn one_number_spreads_as_far_as_by_the_definition() {
        let options = |threads, simd| CpuOptions { threads, simd: Some(simd), ..CpuOptions::default() };
        for simd in [Simd::Portable, Simd::Avx2, Simd::Avx512].into_iter().filter_map(|s| s.supported().ok())
        {
            let [cx, three] = [1, 3].map(|threads| CpuCtx::new(&options(threads, simd)).unwrap());
            for (channels, kernel, settings) in [
                ([3, 5, 1], 3, [1, 1, 1]),
                ([20, 18, 1], 3, [1, 2, 1]),
                ([2, 3, 1], 3, [1, 0, 1]),
                ([4, 6, 2], 3, [2, 1, 1]),
                ([3, 2, 1], 2, [3, 0, 1]),
                ([2, 2, 1], 3, [1, 3, 2]),
            ] {
                let g = conv_shape(channels, kernel, settings);
                for (which, at) in [(0, 0), (0, 57), (0, 301), (1, 4), (1, 17), (2, 0), (2, 41)] {
                    for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38, -3e38] {
                        let case = case(g, [which, at], special);
                        let want = run(&cx, &RUNGS[0].version.f32, &case);
                        for rung in RUNGS[1..].iter().filter(|rung| (rung.version.supports)(&g)) {
                            let (number, fns) = (rung.number, &rung.version.f32);
                            let got = run(&cx, fns, &case);
                            let name = || format!("{simd} rung {number} {g:?} {which} {at} {special}");
                            for (k, (got, want)) in got.iter().zip(&want).enumerate() {
                                for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
                                    let same = kind(got).total_cmp(&kind(want)).is_eq()
                                        || got.is_nan() && want.is_nan();
                                    assert!(same, "{} result {k} [{i}]: {got}, not {want}", name());
                                }
                            }
                            let bits = |all: &[Vec<f32>; 4]| {
                                all.iter().flatten().map(|x| x.to_bits()).collect::<Vec<u32>>()
                            };
                            assert_eq!(bits(&got), bits(&run(&three, fns, &case)), "{}", name());
                        }
                    }
                }
            }
        }
    }
}
