//! conv2d / 01 direct: the definition.
//!
//! Seven nested loops; three of them form the sum of one output. Nothing is copied and nothing is reused: every
//! multiply-add loads both of its factors, so loads and address arithmetic limit this rung. All other rungs are tested
//! against it.
//!
//! ```text
//!      x[n, c, :, :]               w[o, c, :, :]          y[n, o, :, :]
//!   +-----------------+             +-------+           +-------------+
//!   |    +-------+    |   taps      | kh,kw |           |             |
//!   |    |  p,q  |    |    x        +-------+    sum    |     i,j     |
//!   |    +-------+    |             over c, kh, kw ->   |             |
//!   +-----------------+                                 +-------------+
//! ```
//!
//! Arithmetic intensity: 2 flop per 8 bytes loaded. Next: 02 gathers the taps into a matrix and lets a GEMM reuse them.

use super::{ConvShape, Finish, GradInput};
use crate::core::Float;
use crate::cpu::CpuCtx;

pub fn forward<T: Float>(cx: &CpuCtx, g: &ConvShape, x: &[T], weight: &[T], finish: Finish<T>, y: &mut [T]) {
    cx.pieces(y, g.out_plane(), g.work(), |plane, y| {
        for (pixel, y) in y.iter_mut().enumerate() {
            *y = output(g, x, weight, finish.bias, [plane, pixel]);
        }
        finish.rectify(y);
    });
}

/// The sum of one output, pixel number `pixel` of the plane `n * O + o`. The padding's zeros are multiplied, too,
/// because `0 * inf` is NaN. A sum that is NaN stays NaN, so the loop ends there.
#[inline]
pub fn output<T: Float>(
    g: &ConvShape,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    [plane, pixel]: [usize; 2],
) -> T {
    let (window, [kh, kw]) = (g.window, g.window.kernel);
    let (n, o) = (plane / g.o, plane % g.o);
    let (i, j) = (pixel / g.ow, pixel % g.ow);
    let (rows, columns) = (window.taps(0, i, g.h), window.taps(1, j, g.w));
    let first_channel = o / g.og() * g.cg();
    let mut sum = bias.map_or(T::ZERO, |b| b[o]);
    for c in 0..g.cg() {
        if sum.is_nan() {
            break;
        }
        let image = &x[(n * g.c + first_channel + c) * g.plane()..];
        for a in 0..kh {
            for b in 0..kw {
                let pixel = || image[window.position(0, i, a) * g.w + window.position(1, j, b)];
                let x = if rows.contains(&a) && columns.contains(&b) { pixel() } else { T::ZERO };
                sum += x * weight[((o * g.cg() + c) * kh + a) * kw + b];
            }
        }
    }
    sum
}

/// For each pixel, sums over the outputs that read it.
pub fn grad_input<T: Float>(cx: &CpuCtx, g: &ConvShape, of: GradInput<T>, dx: &mut [T]) {
    cx.pieces(dx, g.plane(), g.work(), |plane, dx| {
        for (pixel, dx) in dx.iter_mut().enumerate() {
            *dx = input_gradient(g, of, [plane, pixel]);
        }
    });
}

/// The gradient of one input, pixel number `pixel` of the plane `n * C + c`. The loop ends once the sum is NaN.
#[inline]
pub fn input_gradient<T: Float>(
    g: &ConvShape,
    GradInput { dy, weight, bias }: GradInput<T>,
    [plane, pixel]: [usize; 2],
) -> T {
    let [kh, kw] = g.window.kernel;
    let (n, c) = (plane / g.c, plane % g.c);
    let group = c / g.cg();
    let mut sum = bias.map_or(T::ZERO, |b| b[c]);
    for o in group * g.og()..(group + 1) * g.og() {
        if sum.is_nan() {
            break;
        }
        for a in 0..kh {
            let Some(i) = g.window.reader(0, pixel / g.w, a, g.oh) else { continue };
            for b in 0..kw {
                let Some(j) = g.window.reader(1, pixel % g.w, b, g.ow) else { continue };
                let dy = dy[((n * g.o + o) * g.oh + i) * g.ow + j];
                sum += dy * weight[((o * g.cg() + c % g.cg()) * kh + a) * kw + b];
            }
        }
    }
    sum
}

pub fn grad_weight<T: Float>(cx: &CpuCtx, g: &ConvShape, dy: &[T], x: &[T], dw: &mut [T]) {
    cx.pieces(dw, g.taps(), g.work(), |kernel, dw| {
        for (tap, dw) in dw.iter_mut().enumerate() {
            *dw = weight_gradient(g, dy, x, [kernel, tap]);
        }
    });
}

/// The gradient of one weight, tap number `tap` of the kernel `o * C / groups + c`. The loop ends once the sum is NaN.
#[inline]
pub fn weight_gradient<T: Float>(g: &ConvShape, dy: &[T], x: &[T], [kernel, tap]: [usize; 2]) -> T {
    let window = g.window;
    let (o, c) = (kernel / g.cg(), kernel % g.cg());
    let channel = o / g.og() * g.cg() + c;
    let (a, b) = (tap / window.kernel[1], tap % window.kernel[1]);
    let (rows, columns) = (window.inside(0, a, g.h, g.oh), window.inside(1, b, g.w, g.ow));
    let mut sum = T::ZERO;
    for n in 0..g.n {
        if sum.is_nan() {
            break;
        }
        let image = &x[(n * g.c + channel) * g.plane()..];
        let dy = &dy[(n * g.o + o) * g.out_plane()..];
        for i in 0..g.oh {
            for j in 0..g.ow {
                let pixel = || image[window.position(0, i, a) * g.w + window.position(1, j, b)];
                let x = if rows.contains(&i) && columns.contains(&j) { pixel() } else { T::ZERO };
                sum += dy[i * g.ow + j] * x;
            }
        }
    }
    sum
}
