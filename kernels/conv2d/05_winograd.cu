// conv2d / 05 Winograd F(2x2, 3x3): fewer multiplications instead of faster ones.
//
// What changed since 04: the algorithm. A 2 x 2 block of outputs of a 3 x 3 convolution with stride 1 takes 2*2*9 = 36
// multiplications if it is computed tap by tap. Winograd's transforms bring this down to 16: one per element of the 4 x 4
// pixels that the block reads.
//
//      d  4 x 4 pixels             V = B' d B                                  B' = | 1  0 -1  0 |
//      g  3 x 3 taps               U = G g G'                                       | 0  1  1  0 |
//      y  2 x 2 outputs          = A' (U . V) A      (. element by element)         | 0 -1  1  0 |
//                                                                                   | 0  1  0 -1 |
//      | 1   0   0 |
//  G = |1/2 1/2 1/2|        A' = | 1  1  1  0 |
//      |1/2-1/2 1/2|             | 0  1 -1 -1 |
//      | 0   0   1 |
//
// U . V is summed over the input channels. So each of the 16 elements is a matrix product of its own, and the GEMM ladder
// computes the 16 products as one batch. The kernels here transform the operands and the result:
//
//      x  --winograd_pixels-->  V [16, C, tiles]  \
//      w  --winograd_taps---->  U [16, O, C]      --> 16 products [O, tiles] --winograd_outputs--> y (+ bias, ReLU)
//
// Backward: the gradient of the input is a convolution of dy with the taps turned by 180 degrees and with input and output
// channels exchanged (winograd_taps does both). The gradient of the weights uses the adjoints of the transforms, because y
// is bilinear in U and V: dU = sum over tiles of (A dy A') . V, and dg = G' dU G.
//
// Bytes moved: V has 4 times the bytes of the image, because tiles of 4 x 4 overlap by half. The 16 products have 4 times
// those of the output. Both are written once and read once.
// Arithmetic: 2.25 times fewer multiplications. Limited by: memory, in the transforms. So this rung pays for layers with
// many channels.
// Error: the transforms add and subtract neighbours. Numbers grow up to 4 times in V, and up to 9 times in the transform by
// A, and rounding errors grow with them. But each sum has 9 times fewer terms. On normal data with 64 channels the largest
// error is 2e-7 to 4e-7 of the largest value in all three loops. Plain sums in order (rung 03) give 3e-7 to 1e-6
// (tests/ladder, n = 1). If the terms of an output cancel, the error is still that of the large terms.
// Ragged edges: beyond the image a tile reads zeros and stores nothing.
// Only for 3 x 3 taps with stride 1 and dilation 1 (`supports` in src/cuda/conv2d/winograd.rs). Other layers take another
// rung.
#include "common.cuh"

// The place of a tile: image, and its first output.
struct TilePlace {
    long long image;
    int row;
    int col;
};

__device__ inline TilePlace place(long long tile, int down, int across) {
    return {tile / ((long long)across * down), (int)(tile / across % down) * 2, (int)(tile % across) * 2};
}

// Applies a transform of 4 numbers, `step` apart, to places `step` apart.
__device__ inline void pixels_1d(const float* d, float* v, int step) {
    v[0] = d[0] - d[2 * step];
    v[step] = d[step] + d[2 * step];
    v[2 * step] = d[2 * step] - d[step];
    v[3 * step] = d[step] - d[3 * step];
}

// V [16, channels, tiles] from images [n, channels, h, w] whose tiles begin `pad` before each block of 2 x 2 outputs. A
// pad may be negative.
extern "C" __global__ void __launch_bounds__(256)
    conv2d_winograd_pixels_f32(const float* __restrict__ x, float* __restrict__ v, int n, int channels, int h, int w,
                               int pad_h, int pad_w, int down, int across) {
    const long long tiles = (long long)n * down * across, all = tiles * channels;
    GRID_STRIDE(e, all) {
        const TilePlace at = place(e % tiles, down, across);
        const float* const plane = x + (at.image * channels + e / tiles) * h * w;
        float d[16], t[16];
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const int p = at.row - pad_h + i, q = at.col - pad_w + j;
                d[4 * i + j] = p >= 0 && p < h && q >= 0 && q < w ? plane[(long long)p * w + q] : 0.0f;
            }
#pragma unroll
        for (int j = 0; j < 4; j++) pixels_1d(d + j, t + j, 4);
#pragma unroll
        for (int i = 0; i < 4; i++) pixels_1d(t + 4 * i, d + 4 * i, 1);
#pragma unroll
        for (int i = 0; i < 16; i++) v[i * all + e] = d[i];
    }
}

__device__ inline void taps_1d(const float* g, float* u, int from, int to) {
    const float outer = 0.5f * (g[0] + g[2 * from]), inner = 0.5f * g[from];
    u[0] = g[0];
    u[to] = outer + inner;
    u[2 * to] = outer - inner;
    u[3 * to] = g[2 * from];
}

// U [16, o, cg] from weights [o, cg, 3, 3]; turned (for the gradient of the input), U [16, c, og]: channel c = (group, cg)
// takes the weights of its group's outputs, rotated by 180 degrees.
extern "C" __global__ void __launch_bounds__(256)
    conv2d_winograd_taps_f32(const float* __restrict__ weight, float* __restrict__ u, int groups, int og, int cg,
                             int turned) {
    const long long all = (long long)groups * og * cg;
    GRID_STRIDE(e, all) {
        long long from = e;
        if (turned) {
            const int o = e % og, c = e / og % cg;
            from = (e / ((long long)og * cg) * og + o) * cg + c;
        }
        float g[9], t[12], out[16];
#pragma unroll
        for (int i = 0; i < 9; i++) g[i] = weight[from * 9 + (turned ? 8 - i : i)];
#pragma unroll
        for (int j = 0; j < 3; j++) taps_1d(g + j, t + j, 3, 3);
#pragma unroll
        for (int i = 0; i < 4; i++) taps_1d(t + 3 * i, out + 4 * i, 1, 1);
#pragma unroll
        for (int i = 0; i < 16; i++) u[i * all + e] = out[i];
    }
}

// y [n, channels, h, w] from the products [16, channels, tiles], plus a bias for each channel, if there is one.
extern "C" __global__ void __launch_bounds__(256)
    conv2d_winograd_outputs_f32(const float* __restrict__ products, const float* __restrict__ bias,
                                float* __restrict__ y, int relu, int n, int channels, int h, int w, int down,
                                int across) {
    const long long tiles = (long long)n * down * across, all = tiles * channels;
    GRID_STRIDE(e, all) {
        const TilePlace at = place(e % tiles, down, across);
        const int channel = e / tiles;
        float m[16], t[8];
#pragma unroll
        for (int i = 0; i < 16; i++) m[i] = products[i * all + e];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            t[j] = m[j] + m[4 + j] + m[8 + j];
            t[4 + j] = m[4 + j] - m[8 + j] - m[12 + j];
        }
        const float b = bias ? bias[channel] : 0.0f;
        float* const plane = y + (at.image * channels + channel) * h * w;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const float* const r = t + 4 * i;
            const float pair[2] = {r[0] + r[1] + r[2] + b, r[1] - r[2] - r[3] + b};
#pragma unroll
            for (int j = 0; j < 2; j++)
                if (at.row + i < h && at.col + j < w)
                    plane[(long long)(at.row + i) * w + at.col + j] = relu && pair[j] < 0.0f ? 0.0f : pair[j];
        }
    }
}

// The adjoint of the outputs' transform, A dy A' [16, channels, tiles], from dy [n, channels, h, w].
extern "C" __global__ void __launch_bounds__(256)
    conv2d_winograd_grads_f32(const float* __restrict__ dy, float* __restrict__ v, int n, int channels, int h, int w,
                              int down, int across) {
    const long long tiles = (long long)n * down * across, all = tiles * channels;
    GRID_STRIDE(e, all) {
        const TilePlace at = place(e % tiles, down, across);
        const float* const plane = dy + (at.image * channels + e / tiles) * h * w;
        float d[4], t[8];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int p = at.row + i / 2, q = at.col + i % 2;
            d[i] = p < h && q < w ? plane[(long long)p * w + q] : 0.0f;
        }
#pragma unroll
        for (int j = 0; j < 2; j++) {
            t[j] = d[j];
            t[2 + j] = d[j] + d[2 + j];
            t[4 + j] = d[j] - d[2 + j];
            t[6 + j] = -d[2 + j];
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float a = t[2 * i], b = t[2 * i + 1];
            v[(4 * i) * all + e] = a;
            v[(4 * i + 1) * all + e] = a + b;
            v[(4 * i + 2) * all + e] = a - b;
            v[(4 * i + 3) * all + e] = -b;
        }
    }
}

// dw [o, cg, 3, 3] = G' dU G, from dU [16, o, cg]; added to what dw holds if `add`.
extern "C" __global__ void __launch_bounds__(256)
    conv2d_winograd_weights_f32(const float* __restrict__ du, float* __restrict__ dw, long long all, int add) {
    GRID_STRIDE(e, all) {
        float m[16], t[12];
#pragma unroll
        for (int i = 0; i < 16; i++) m[i] = du[i * all + e];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            t[j] = m[j] + 0.5f * (m[4 + j] + m[8 + j]);
            t[4 + j] = 0.5f * (m[4 + j] - m[8 + j]);
            t[8 + j] = 0.5f * (m[4 + j] + m[8 + j]) + m[12 + j];
        }
#pragma unroll
        for (int i = 0; i < 3; i++) {
            const float* const r = t + 4 * i;
            const float taps[3] = {r[0] + 0.5f * (r[1] + r[2]), 0.5f * (r[1] - r[2]), 0.5f * (r[1] + r[2]) + r[3]};
#pragma unroll
            for (int j = 0; j < 3; j++) {
                float* const to = dw + e * 9 + 3 * i + j;
                *to = add ? *to + taps[j] : taps[j];
            }
        }
    }
}
