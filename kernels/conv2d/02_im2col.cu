// conv2d / 02 im2col: gather the taps into a matrix, and let a GEMM do the work.
//
// What changed since 01: the image is rewritten so that each output pixel's window is a column. Then convolution IS a
// matrix product, and everything the GEMM ladder knows about reuse applies. For every image n and group:
//
//      k = (c, kh, kw) --->                pixel = (i, j) --->
//    O +-----------------+             k  +---------------------+       y[n]  = W columns (+ bias, ReLU in the epilogue)
//    | | weight [O, K]   |  x          |  | columns [K, pixels] |       dx[n] = fold(W' dy[n])
//    v +-----------------+             v  +---------------------+       dw    = sum over n of dy[n] columns'
//
//      columns[(c, kh, kw), (i, j)] = x[n, c, i sH - pH + kh dH, j sW - pW + kw dW], or 0 in the padding
//
// fold is the adjoint of that copy: a pixel of dx sums the columns' entries that were copied from it. It gathers instead of
// scattering, so that nothing needs an atomic and the order of a sum is fixed.
//
// Bytes moved: the columns are KH KW times the image (over the strides), written once and read once: a batch of 64
// images of 64 x 56 x 56 numbers has 51 MB. For 3 x 3 its columns have 462 MB: 0.92 GB of traffic.
// Arithmetic intensity: the copy does no arithmetic; the GEMM's is its own. Limited by: memory. 03 never writes the columns.
// A 1 x 1 kernel with stride 1 needs no copy: the image is its own columns. (The host skips these kernels then.)
// Ragged edges: none, one thread per entry.
#include "common.cuh"

// columns [n, c, kh, kw, oh, ow] from x [n, c, h, w].
extern "C" __global__ void __launch_bounds__(256)
    conv2d_unfold_f32(const float* __restrict__ x, float* __restrict__ columns, Conv g) {
    const long long out = (long long)g.oh * g.ow;
    GRID_STRIDE(e, (long long)g.n * g.c * g.kh * g.kw * out) {
        const int j = e % g.ow, i = e / g.ow % g.oh;
        const long long row = e / out;
        const int kw = row % g.kw, kh = row / g.kw % g.kh;
        const long long plane = row / ((long long)g.kw * g.kh);
        const int p = i * g.sh - g.ph + kh * g.dh, q = j * g.sw - g.pw + kw * g.dw;
        const bool real = p >= 0 && p < g.h && q >= 0 && q < g.w;
        columns[e] = real ? x[(plane * g.h + p) * g.w + q] : 0.0f;
    }
}

// dx [n, c, h, w], plus a bias for each channel if there is one, from columns [n, c, kh, kw, oh, ow].
extern "C" __global__ void __launch_bounds__(256)
    conv2d_fold_f32(const float* __restrict__ columns, const float* __restrict__ bias, float* __restrict__ dx, Conv g) {
    GRID_STRIDE(e, (long long)g.n * g.c * g.h * g.w) {
        const int q = e % g.w, p = e / g.w % g.h;
        const long long plane = e / ((long long)g.w * g.h);
        float sum = bias ? bias[plane % g.c] : 0.0f;
        for (int kh = 0; kh < g.kh; kh++) {
            const int from_h = p + g.ph - kh * g.dh, i = from_h / g.sh;
            if (from_h < 0 || from_h % g.sh || i >= g.oh) continue;
            for (int kw = 0; kw < g.kw; kw++) {
                const int from_w = q + g.pw - kw * g.dw, j = from_w / g.sw;
                if (from_w < 0 || from_w % g.sw || j >= g.ow) continue;
                sum += columns[(((plane * g.kh + kh) * g.kw + kw) * g.oh + i) * g.ow + j];
            }
        }
        dx[e] = sum;
    }
}
