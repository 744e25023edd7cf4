// The product of implicit.cuh whose sum runs over pixels: the gradient of the weights.
#pragma once

#include "conv2d/implicit.cuh"

// What both operands count along k: output pixels, on neighbouring threads.
template <int K> struct PixelWalk {
    Odometer at;
    Odometer step;
    int left;

    // From pixel k_first + k on; `left` pixels remain before k_end.
    __device__ PixelWalk(const Conv& g, int k_first, int k, int k_end)
        : at(odometer(k_first + k, g.oh, g.ow)), step(odometer(K, g.oh, g.ow)), left(k_end - k_first - k) {}
};

// dy: lines are output channels.
template <int LINES, int K, int THREADS> struct GradQuads : Placement<LINES, K, THREADS> {
    using Place = Placement<LINES, K, THREADS>;
    const Conv& g;
    const float* dy;
    long long jump;
    int lines;
    PixelWalk<K> walk;

    __device__ GradQuads(const float* dy, const Conv& g, int channels, int first, int k_first, int k_end)
        : Place(true), g(g), walk(g, k_first, this->k, k_end) {
        const long long plane = (long long)g.oh * g.ow;
        this->dy = dy + (first + this->line) * plane;
        jump = this->line_jump * plane;
        lines = channels - first - this->line;
    }

    __device__ void fetch(float (&quad)[Place::PASSES][4]) {
        const long long plane = (long long)g.oh * g.ow;
        Odometer at = walk.at;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const long long place = at.a * g.o * plane + at.b * g.ow + at.c;
#pragma unroll
            for (int pass = 0; pass < Place::PASSES; pass++) {
                const bool real = this->active() && i < walk.left && pass * this->line_jump < lines;
                quad[pass][i] = real ? dy[place + pass * jump] : 0.0f;
            }
            count_up(at, {0, 0, 1}, g.oh, g.ow);
        }
        count_up(walk.at, walk.step, g.oh, g.ow);
        walk.left -= K;
    }
};

// x: lines are (c, kh, kw), each the image as that tap sees it.
template <int LINES, int K, int THREADS> struct ShiftedQuads : Placement<LINES, K, THREADS> {
    using Place = Placement<LINES, K, THREADS>;
    const Conv& g;
    const float* x;
    // For each pass: the tap's rows and columns from the window's corner, and its place in the image.
    int tap_row[Place::PASSES];
    int tap_col[Place::PASSES];
    long long tap[Place::PASSES];
    PixelWalk<K> walk;

    __device__ ShiftedQuads(const float* x, const Conv& g, int channels, int first, int k_first, int k_end)
        : Place(true), g(g), x(x), walk(g, k_first, this->k, k_end) {
#pragma unroll
        for (int pass = 0; pass < Place::PASSES; pass++) {
            const Odometer at = odometer(first + this->line + pass * this->line_jump, g.kh, g.kw);
            // A line beyond the last one looks where nothing is.
            tap_row[pass] = at.a < channels ? at.b * g.dh : 1 << 30;
            tap_col[pass] = at.c * g.dw;
            tap[pass] = (long long)at.a * g.h * g.w + (long long)at.b * g.dh * g.w + at.c * g.dw;
        }
    }

    __device__ void fetch(float (&quad)[Place::PASSES][4]) {
        Odometer at = walk.at;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int row = at.b * g.sh - g.ph, col = at.c * g.sw - g.pw;
            const float* const corner = x + (long long)at.a * g.c * g.h * g.w + (long long)row * g.w + col;
#pragma unroll
            for (int pass = 0; pass < Place::PASSES; pass++) {
                const bool real = i < walk.left && (unsigned)(row + tap_row[pass]) < (unsigned)g.h &&
                                  (unsigned)(col + tap_col[pass]) < (unsigned)g.w;
                quad[pass][i] = real ? corner[tap[pass]] : 0.0f;
            }
            count_up(at, {0, 0, 1}, g.oh, g.ow);
        }
        count_up(walk.at, walk.step, g.oh, g.ow);
        walk.left -= K;
    }
};

// One part of dw: the pixels of one split. blockIdx.z counts groups and splits; the parts, [splits, O, C / groups, KH, KW],
// are added by gemm_sum_splits_f32.
template <class Sums, int BM, int BN, class Word>
__device__ void conv_grad_weight(Word* memory, const float* dy, const float* x, float* parts, int splits, int k_split,
                                 const Conv& g) {
    const int cg = g.c / g.groups, og = g.o / g.groups, columns = cg * g.kh * g.kw;
    const int group = blockIdx.z / splits, split = blockIdx.z % splits;
    const int k_first = split * k_split, k_end = min(g.n * g.oh * g.ow, k_first + k_split);
    const Tile tile = tile_of<BM, BN>(og, columns);
    GradQuads<BM, Sums::K, Sums::THREADS> a(dy + (long long)group * og * g.oh * g.ow, g, og, tile.row, k_first, k_end);
    ShiftedQuads<BN, Sums::K, Sums::THREADS> b(x + (long long)group * cg * g.h * g.w, g, cg, tile.col, k_first, k_end);
    Sums sums;
    sums.add_all(memory, a, b, (k_end - k_first + Sums::K - 1) / Sums::K);
    sums.finish(Epilogue(parts + ((long long)split * g.o + group * og) * columns, columns, og, columns), tile);
}
