//! conv2d / 01 direct: the definition.
//!
//! Seven nested loops, three of them in one sum. Nothing is copied and nothing is reused: every multiply-add loads both
//! of its factors, so loads and address arithmetic limit this rung. It is what every other rung is tested against.
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

use super::{Finish, Geometry};
use crate::core::Float;
use crate::cpu::CpuCtx;

pub fn forward<T: Float>(cx: &CpuCtx, g: &Geometry, x: &[T], weight: &[T], finish: Finish<T>, y: &mut [T]) {
    let (window, [kh, kw]) = (g.window, g.window.kernel);
    cx.pieces(y, g.out_plane(), g.work(), |plane, y| {
        let (n, o) = (plane / g.o, plane % g.o);
        let first_channel = o / g.og() * g.cg();
        for (pixel, y) in y.iter_mut().enumerate() {
            let (i, j) = (pixel / g.ow, pixel % g.ow);
            let mut sum = finish.bias.map_or(T::ZERO, |b| b[o]);
            for c in 0..g.cg() {
                let image = &x[(n * g.c + first_channel + c) * g.plane()..];
                for a in window.taps(0, i, g.h) {
                    for b in window.taps(1, j, g.w) {
                        let x = image[window.position(0, i, a) * g.w + window.position(1, j, b)];
                        sum += x * weight[((o * g.cg() + c) * kh + a) * kw + b];
                    }
                }
            }
            *y = sum;
        }
        finish.rectify(y);
    });
}

/// Each pixel asks which outputs it took part in.
pub fn grad_input<T: Float>(
    cx: &CpuCtx,
    g: &Geometry,
    dy: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    dx: &mut [T],
) {
    let [kh, kw] = g.window.kernel;
    cx.pieces(dx, g.plane(), g.work(), |plane, dx| {
        let (n, c) = (plane / g.c, plane % g.c);
        let group = c / g.cg();
        for (pixel, dx) in dx.iter_mut().enumerate() {
            let mut sum = bias.map_or(T::ZERO, |b| b[c]);
            for o in group * g.og()..(group + 1) * g.og() {
                for a in 0..kh {
                    let Some(i) = g.window.reader(0, pixel / g.w, a, g.oh) else { continue };
                    for b in 0..kw {
                        let Some(j) = g.window.reader(1, pixel % g.w, b, g.ow) else { continue };
                        let dy = dy[((n * g.o + o) * g.oh + i) * g.ow + j];
                        sum += dy * weight[((o * g.cg() + c % g.cg()) * kh + a) * kw + b];
                    }
                }
            }
            *dx = sum;
        }
    });
}

pub fn grad_weight<T: Float>(cx: &CpuCtx, g: &Geometry, dy: &[T], x: &[T], dw: &mut [T]) {
    let window = g.window;
    cx.pieces(dw, g.taps(), g.work(), |kernel, dw| {
        let (o, c) = (kernel / g.cg(), kernel % g.cg());
        let channel = o / g.og() * g.cg() + c;
        for (tap, dw) in dw.iter_mut().enumerate() {
            let (a, b) = (tap / window.kernel[1], tap % window.kernel[1]);
            let mut sum = T::ZERO;
            for n in 0..g.n {
                let image = &x[(n * g.c + channel) * g.plane()..];
                let dy = &dy[(n * g.o + o) * g.out_plane()..];
                for i in window.inside(0, a, g.h, g.oh) {
                    for j in window.inside(1, b, g.w, g.ow) {
                        let x = image[window.position(0, i, a) * g.w + window.position(1, j, b)];
                        sum += dy[i * g.ow + j] * x;
                    }
                }
            }
            *dw = sum;
        }
    });
}
