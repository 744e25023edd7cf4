// The code of conv2d 03 and 04: convolution as a matrix product whose columns are never written.
//
// The three loops are three products (each group on its own):
//
//              lines of A [rows]   k, the sum           lines of B [columns]
//   forward    o                   (c, kh, kw)          output pixel (n, i, j)
//   grad input c                   (o, kh, kw)          input pixel (n, p, q)
//   grad weight o                  output pixel (n,i,j) (c, kh, kw)
//
// A thread brings quads of four k of one line (gemm/float4_loader.cuh) and needs to know for each number which element of which
// image it is. Dividing k by KH KW and by KW for each would cost more than the multiply-adds, so k is an odometer: three
// digits that count up by a fixed step, with at most one carry each. Division happens once, at the start.
#pragma once

#include "gemm/float4_loader.cuh"

// A number of three digits, the last counting fastest: (channel, kh, kw) or (image, row, column).
struct Odometer {
    int a;
    int b;
    int c;
};

__device__ inline Odometer odometer(int value, int b_size, int c_size) {
    return {value / (b_size * c_size), value / c_size % b_size, value % c_size};
}

// Counts up by a step of digits below these sizes.
__device__ inline void count_up(Odometer& at, const Odometer& step, int b_size, int c_size) {
    at.c += step.c;
    if (at.c >= c_size) at.c -= c_size, at.b++;
    at.b += step.b;
    if (at.b >= b_size) at.b -= b_size, at.a++;
    at.a += step.a;
}

// A grid of pixels in every image: the output's, or every sH-th row and sW-th column of the input's.
struct Pixels {
    int images;
    int rows;
    int cols;
    int row0;
    int row_step;
    int col0;
    int col_step;

    __device__ int count() const { return images * rows * cols; }
};

// The images and taps that a sum runs over. Tap (kh, kw) of the pixel whose window starts at (row, col) reads
// (row + kh tap_rows, col + kw tap_cols), or zero outside.
struct Window {
    const float* images;
    long long image_size;
    int channels;
    int h;
    int w;
    int kh;
    int kw;
    int tap_rows;
    int tap_cols;
};

// Columns made on the fly: lines are pixels on neighbouring threads, k = (channel, kh, kw).
template <int LINES, int K, int THREADS> struct TapQuads : Placement<LINES, K, THREADS> {
    using Place = Placement<LINES, K, THREADS>;
    const Window& window;
    const float* image;
    int row;
    int col;
    Odometer k_at;
    Odometer step;

    // Pixel `line` of `pixels`; its window starts at row * row_scale + row_offset.
    __device__ TapQuads(const Window& window, const Pixels& pixels, int first, int row_scale, int row_offset,
                        int col_scale, int col_offset)
        : Place(false), window(window) {
        const int pixel = first + this->line;
        const Odometer at = odometer(pixel, pixels.rows, pixels.cols);
        image = window.images + at.a * window.image_size;
        // A pixel beyond the last one looks where nothing is.
        row = pixel < pixels.count() ? at.b * row_scale + row_offset : -(1 << 30);
        col = at.c * col_scale + col_offset;
        k_at = odometer(this->k, window.kh, window.kw);
        step = odometer(K / Place::PASSES, window.kh, window.kw);
    }

    __device__ void fetch(float (&quad)[Place::PASSES][4]) {
        const long long plane = (long long)window.h * window.w;
#pragma unroll
        for (int pass = 0; pass < Place::PASSES; pass++) {
            Odometer at = k_at;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int r = row + at.b * window.tap_rows, c = col + at.c * window.tap_cols;
                const bool real = at.a < window.channels && (unsigned)r < (unsigned)window.h &&
                                  (unsigned)c < (unsigned)window.w;
                quad[pass][i] = real ? image[at.a * plane + r * window.w + c] : 0.0f;
                count_up(at, {0, 0, 1}, window.kh, window.kw);
            }
            count_up(k_at, step, window.kh, window.kw);
        }
    }
};

// The weights of a backward product: lines are input channels, k = (o, kh, kw). Only every kh_step-th row of taps and every
// kw_step-th column may take part (see conv_grad_input).
template <int LINES, int K, int THREADS> struct WeightQuads : Placement<LINES, K, THREADS> {
    using Place = Placement<LINES, K, THREADS>;
    const float* taps;
    int out_channel;
    int channels;
    int kh;
    int kw;
    int kh_stride;
    int kw_stride;
    Odometer k_at;
    Odometer step;

    __device__ WeightQuads(const float* weight, const Conv& g, int first, int channels, int kh, int kw, int kh_stride,
                           int kw_stride)
        : Place(false), channels(channels), kh(kh), kw(kw), kh_stride(kh_stride), kw_stride(kw_stride) {
        const int cg = g.c / g.groups, line = first + this->line;
        taps = weight + (long long)line * g.kh * g.kw;
        out_channel = cg * g.kh * g.kw;
        if (line >= cg) this->channels = 0;
        k_at = odometer(this->k, kh, kw);
        step = odometer(K / Place::PASSES, kh, kw);
    }

    __device__ void fetch(float (&quad)[Place::PASSES][4]) {
#pragma unroll
        for (int pass = 0; pass < Place::PASSES; pass++) {
            Odometer at = k_at;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const bool real = at.a < channels;
                quad[pass][i] = real ? taps[(long long)at.a * out_channel + at.b * kh_stride + at.c * kw_stride] : 0.0f;
                count_up(at, {0, 0, 1}, kh, kw);
            }
            count_up(k_at, step, kh, kw);
        }
    }
};

// The places of V neighbouring columns, null beyond the last one.
template <int V> struct Places {
    float* to[V];
    bool together;
};

// Where a product's columns are pixels: its row r is channel r of every image.
struct ImageOut {
    float* out;
    // Null, or one value per row.
    const float* bias;
    long long image_size;
    long long plane;
    int width;
    int channels;
    bool relu;
    Pixels grid;

    template <int V> __device__ Places<V> columns(int col) const {
        Places<V> places;
        const int count = grid.count();
        Odometer at = odometer(col, grid.rows, grid.cols);
#pragma unroll
        for (int q = 0; q < V; q++) {
            const int r = grid.row0 + at.b * grid.row_step, c = grid.col0 + at.c * grid.col_step;
            places.to[q] = col + q < count ? out + at.a * image_size + (long long)r * width + c : nullptr;
            count_up(at, {0, 0, 1}, grid.rows, grid.cols);
        }
        // Where every pixel of the image is one of the grid, neighbours are neighbours in memory.
        const bool dense = grid.row_step == 1 && grid.col_step == 1 && plane % V == 0;
        places.together = dense && places.to[V - 1] && (size_t)out % (V * sizeof(float)) == 0;
        return places;
    }

    template <int V> __device__ void put(const Places<V>& places, int row, const float* sum) const {
        if (row >= channels) return;
        const float b = bias ? bias[row] : 0.0f;
        float v[V];
#pragma unroll
        for (int q = 0; q < V; q++) {
            v[q] = sum[q] + b;
            if (relu && v[q] < 0.0f) v[q] = 0.0f;
        }
        if (places.together) {
            store_together<V>(places.to[0] + row * plane, v);
        } else {
#pragma unroll
            for (int q = 0; q < V; q++)
                if (places.to[q]) places.to[q][row * plane] = v[q];
        }
    }
};

// y = conv(x, w) + bias: blockIdx.z counts the groups.
template <class Sums, int BM, int BN, class Word>
__device__ void conv_forward(Word* memory, const float* x, const float* w, const float* bias, float* y, int relu,
                             const Conv& g) {
    const int cg = g.c / g.groups, og = g.o / g.groups, group = blockIdx.z, k = cg * g.kh * g.kw;
    const long long in_plane = (long long)g.h * g.w, out_plane = (long long)g.oh * g.ow;
    const Pixels pixels = {g.n, g.oh, g.ow, 0, 1, 0, 1};
    const Tile tile = tile_of<BM, BN>(og, pixels.count());
    const Operand weight = {w + (long long)group * og * k, k, 1, og, 0, k};
    const Window window = {x + group * cg * in_plane, g.c * in_plane, cg, g.h, g.w, g.kh, g.kw, g.dh, g.dw};
    StridedQuads<BM, Sums::K, Sums::THREADS> a(weight, tile.row);
    TapQuads<BN, Sums::K, Sums::THREADS> b(window, pixels, tile.col, g.sh, -g.ph, g.sw, -g.pw);
    Sums sums;
    sums.add_all(memory, a, b, (k + Sums::K - 1) / Sums::K);
    const float* const own_bias = bias ? bias + group * og : nullptr;
    float* const out = y + group * og * out_plane;
    sums.finish(ImageOut{out, own_bias, g.o * out_plane, out_plane, g.ow, og, relu != 0, pixels}, tile);
}

// The input pixels of one phase along one axis, and the taps that can reach them.
//
// With stride s, tap k reaches input p only where p + pad - k dilation is a multiple of s. Inputs with the same p mod s (a
// phase) are reached by the same taps, every `tap_step`-th from `tap0` on; for them the gradient is a convolution of
// stride 1. So the s x s phases are s x s small products, and no multiply-add meets a zero of the stride.
//
//      s = 2, kernel 3, pad 1:   p = 0  2  4 ..  tap 1             p = 1  3  5 ..  taps 0, 2
struct Phase {
    int first;
    int count;
    int tap0;
    int tap_step;
    int taps;
    // The output that tap0 of the phase's first input belongs to; each further tap lies `back` outputs before.
    int output;
    int back;

    __device__ Phase(int phase, int size, int kernel, int stride, int pad, int dilation) {
        first = phase;
        count = phase < size ? (size - phase + stride - 1) / stride : 0;
        int gcd = stride, rest = dilation % stride;
        while (rest) {
            const int r = gcd % rest;
            gcd = rest, rest = r;
        }
        tap_step = stride / gcd;
        tap0 = 0;
        while (tap0 < tap_step && (phase + pad - tap0 * dilation) % stride != 0) tap0++;
        taps = tap0 < tap_step && tap0 < kernel ? (kernel - tap0 + tap_step - 1) / tap_step : 0;
        output = (phase + pad - tap0 * dilation) / stride;
        back = dilation / gcd;
    }
};

// dx, the adjoint of conv_forward, + bias: blockIdx.z counts groups and phases.
template <class Sums, int BM, int BN, class Word>
__device__ void conv_grad_input(Word* memory, const float* dy, const float* w, const float* bias, float* dx,
                                const Conv& g) {
    const int cg = g.c / g.groups, og = g.o / g.groups, phases = g.sh * g.sw;
    const int group = blockIdx.z / phases, phase = blockIdx.z % phases;
    const Phase rows(phase / g.sw, g.h, g.kh, g.sh, g.ph, g.dh), cols(phase % g.sw, g.w, g.kw, g.sw, g.pw, g.dw);
    const long long in_plane = (long long)g.h * g.w, out_plane = (long long)g.oh * g.ow;
    const Pixels pixels = {g.n, rows.count, cols.count, rows.first, g.sh, cols.first, g.sw};
    // The grid fits the largest phase.
    const int tiles = (cg + BM - 1) / BM * ((pixels.count() + BN - 1) / BN);
    if (blockIdx.x >= tiles) return;
    const Tile tile = tile_of<BM, BN>(cg, pixels.count());
    // No taps: one that no channel has, so that the odometers may divide.
    const int kh = max(1, rows.taps), kw = max(1, cols.taps), channels = rows.taps && cols.taps ? og : 0;
    const float* const taps = w + (long long)group * og * cg * g.kh * g.kw + rows.tap0 * g.kw + cols.tap0;
    const float* const images = dy + group * og * out_plane;
    const Window window = {images, g.o * out_plane, channels, g.oh, g.ow, kh, kw, -rows.back, -cols.back};
    WeightQuads<BM, Sums::K, Sums::THREADS> a(taps, g, tile.row, channels, kh, kw, rows.tap_step * g.kw, cols.tap_step);
    TapQuads<BN, Sums::K, Sums::THREADS> b(window, pixels, tile.col, 1, rows.output, 1, cols.output);
    Sums sums;
    sums.add_all(memory, a, b, (channels * kh * kw + Sums::K - 1) / Sums::K);
    const float* const own_bias = bias ? bias + group * cg : nullptr;
    float* const out = dx + group * cg * in_plane;
    sums.finish(ImageOut{out, own_bias, g.c * in_plane, in_plane, g.w, cg, false, pixels}, tile);
}
