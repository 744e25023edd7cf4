// conv2d / 01 direct: the definition, one thread per output.
//
//   y[n, o, i, j]    = bias[o] + sum over c, kh, kw of x[n, c, p, q] w[o, c, kh, kw]      p = i sH - pH + kh dH
//   dx[n, c, p, q]   =           sum over o, kh, kw of dy[n, o, i, j] w[o, c, kh, kw]     q = j sW - pW + kw dW
//   dw[o, c, kh, kw] =           sum over n, i, j   of dy[n, o, i, j] x[n, c, p, q]
//
//      x[n, c, :, :]               w[o, c, :, :]          y[n, o, :, :]
//   +-----------------+             +-------+           +-------------+
//   |    +-------+    |   taps      | kh,kw |           |             |      a warp computes 32 neighbours of a row of y:
//   |    |  p,q  |    |    x        +-------+    sum    |     i,j     |      for one tap it reads 32 neighbours of x and
//   |    +-------+    |             over c, kh, kw ->   |             |      ONE number of w, the same for all
//   +-----------------+                                 +-------------+
//
// A weight takes part in every pixel of every image, so its gradient is one long sum: one block per weight. Its 256 threads
// walk over the pixels side by side and add up their parts in a fixed order.
//
// Bytes moved: 8 per multiply-add, most of them from L1. Arithmetic intensity: 0.25 flop/byte.
// Limited by: loads and address arithmetic. But where a group has a single channel (depthwise), a sum has only as many
// terms as the kernel has taps, no larger tile would find anything to share, and this is the rung to take.
// Ragged edges: taps in the padding are skipped.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(256)
    conv2d_fwd_v01_f32(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ bias,
                       float* __restrict__ y, int relu, Conv g) {
    const int cg = g.c / g.groups, og = g.o / g.groups;
    GRID_STRIDE(e, (long long)g.n * g.o * g.oh * g.ow) {
        const int j = e % g.ow, i = e / g.ow % g.oh, o = e / ((long long)g.ow * g.oh) % g.o;
        const long long n = e / ((long long)g.ow * g.oh * g.o);
        float sum = bias ? bias[o] : 0.0f;
        for (int c = 0; c < cg; c++) {
            const float* const plane = x + (n * g.c + o / og * cg + c) * g.h * g.w;
            const float* const taps = w + ((long long)o * cg + c) * g.kh * g.kw;
            for (int kh = 0; kh < g.kh; kh++) {
                const int p = i * g.sh - g.ph + kh * g.dh;
                if (p < 0 || p >= g.h) continue;
                for (int kw = 0; kw < g.kw; kw++) {
                    const int q = j * g.sw - g.pw + kw * g.dw;
                    if (q >= 0 && q < g.w) sum += plane[(long long)p * g.w + q] * taps[kh * g.kw + kw];
                }
            }
        }
        y[e] = relu && sum < 0.0f ? 0.0f : sum;
    }
}

// Each pixel asks which outputs it took part in: tap kh of output i reads row p where i sH = p + pH - kh dH.
extern "C" __global__ void __launch_bounds__(256, 4)
    conv2d_grad_input_v01_f32(const float* __restrict__ dy, const float* __restrict__ w, const float* __restrict__ bias,
                              float* __restrict__ dx, Conv g) {
    const int cg = g.c / g.groups, og = g.o / g.groups;
    GRID_STRIDE(e, (long long)g.n * g.c * g.h * g.w) {
        const int q = e % g.w, p = e / g.w % g.h, c = e / ((long long)g.w * g.h) % g.c;
        const long long n = e / ((long long)g.w * g.h * g.c);
        const int group = c / cg;
        float sum = bias ? bias[c] : 0.0f;
        for (int o = group * og; o < (group + 1) * og; o++) {
            const float* const plane = dy + (n * g.o + o) * g.oh * g.ow;
            const float* const taps = w + ((long long)o * cg + c % cg) * g.kh * g.kw;
            for (int kh = 0; kh < g.kh; kh++) {
                const int from_h = p + g.ph - kh * g.dh, i = from_h / g.sh;
                if (from_h < 0 || from_h % g.sh || i >= g.oh) continue;
                for (int kw = 0; kw < g.kw; kw++) {
                    const int from_w = q + g.pw - kw * g.dw, j = from_w / g.sw;
                    if (from_w < 0 || from_w % g.sw || j >= g.ow) continue;
                    sum += plane[(long long)i * g.ow + j] * taps[kh * g.kw + kw];
                }
            }
        }
        dx[e] = sum;
    }
}

extern "C" __global__ void __launch_bounds__(256)
    conv2d_grad_weight_v01_f32(const float* __restrict__ dy, const float* __restrict__ x, float* __restrict__ dw, Conv g) {
    __shared__ float scratch[WARP];
    const int cg = g.c / g.groups, og = g.o / g.groups;
    const int kw = blockIdx.x % g.kw, kh = blockIdx.x / g.kw % g.kh, c = blockIdx.x / (g.kw * g.kh) % cg;
    const int o = blockIdx.x / (g.kw * g.kh * cg);
    float sum = 0.0f;
    for (long long pixel = threadIdx.x; pixel < (long long)g.n * g.oh * g.ow; pixel += 256) {
        const int j = pixel % g.ow, i = pixel / g.ow % g.oh;
        const long long n = pixel / ((long long)g.ow * g.oh);
        const int p = i * g.sh - g.ph + kh * g.dh, q = j * g.sw - g.pw + kw * g.dw;
        if (p < 0 || p >= g.h || q < 0 || q >= g.w) continue;
        const float* const plane = x + (n * g.c + o / og * cg + c) * g.h * g.w;
        sum += dy[((n * g.o + o) * g.oh + i) * g.ow + j] * plane[(long long)p * g.w + q];
    }
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) dw[blockIdx.x] = sum;
}
