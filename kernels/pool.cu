// Pooling of planes: the maximum or the mean of each window, and the gradients, for sliding and for adaptive windows.
//
//      y[i, j]  = max or mean of x[p, q] over (p, q) in window (i, j)
//      dx[p, q] = sum over the windows (i, j) that hold (p, q) of dy[i, j] where (p, q) won, or of dy[i, j] / divisor
//
// What it teaches: gather, never scatter. The obvious backward has a thread for each dy, which adds to its window;
// where windows overlap two threads add to the same dx, that needs atomics, and the order of float additions is left to
// chance. So the question is turned round: a thread for each dx asks which windows hold it. They are neighbours in each
// direction:
//
//      windows of 3, 2 apart:   [0 . 2]                rows p = 2 i + k,  k = 0 .. 3
//                                   [2 . 4]            row 2 is held by windows 0 and 1: 2 i <= 2 < 2 i + 3
//                                       [4 . 6]
//
// and are visited in row-major order, in which the CPU's scatter adds, too: the same bits.
//
// Bytes: forward a plane in and its outputs out, and a byte for each window's winner. Backward the same turned round.
// Limited by: memory, through the caches (windows overlap, so do their reads).
// Ragged edges: taps outside the plane are skipped; a window that holds nothing has no winner (-1).
#include "row_reduce.cuh"

// Positions first, first + step, ... below end.
struct Span {
    long long first, end, step;
};

__device__ inline long long ceil_div(long long a, long long b) { return (a + b - 1) / b; }

// A sliding window along an axis. Output i reads the inputs i * stride - padding + k * dilation.
struct Sliding {
    long long size, outputs, kernel, stride, padding, dilation;

    __device__ Span inputs_of(long long i) const {
        const long long start = i * stride - padding, end = start + (kernel - 1) * dilation + 1;
        const long long skipped = start < 0 ? ceil_div(-start, dilation) : 0;
        return {start + skipped * dilation, end < size ? end : size, dilation};
    }

    // The outputs that may read input p: of a dilated window some pass over it.
    __device__ Span outputs_of(long long p) const {
        const long long before = p + padding - (kernel - 1) * dilation, end = (p + padding) / stride + 1;
        return {before > 0 ? ceil_div(before, stride) : 0, end < outputs ? end : outputs, 1};
    }

    // Whether one of the outputs_of does.
    __device__ bool reads(long long i, long long p) const { return (p + padding - i * stride) % dilation == 0; }

    // The tap with which output i reads input p.
    __device__ long long tap(long long i, long long p) const { return (p + padding - i * stride) / dilation; }
};

// An adaptive window: output i covers what the i-th of `outputs` equal parts touches. Both directions have one formula.
struct Adaptive {
    long long size, outputs;

    __device__ Span inputs_of(long long i) const { return {i * size / outputs, ceil_div((i + 1) * size, outputs), 1}; }
    __device__ Span outputs_of(long long p) const { return {p * outputs / size, ceil_div((p + 1) * outputs, size), 1}; }
};

__device__ inline Sliding rows_of(const Pool& p) { return {p.h, p.oh, p.kh, p.sh, p.ph, p.dh}; }
__device__ inline Sliding columns_of(const Pool& p) { return {p.w, p.ow, p.kw, p.sw, p.pw, p.dw}; }

// The largest element of window (i, j) of output o, and its place in the plane, -1 for none. The first of equals wins;
// NaN wins over every number, and a later NaN over an earlier one, as in PyTorch.
template <class Axis>
__device__ float max_of(const float* x, const Axis& rows, const Axis& columns, long long o, long long& winner) {
    const float* plane = x + o / columns.outputs / rows.outputs * rows.size * columns.size;
    const Span r = rows.inputs_of(o / columns.outputs % rows.outputs), c = columns.inputs_of(o % columns.outputs);
    float best = -INFINITY;
    winner = -1;
    for (long long p = r.first; p < r.end; p += r.step) {
        for (long long q = c.first; q < c.end; q += c.step) {
            const float v = plane[p * columns.size + q];
            if (v > best || isnan(v) || winner < 0) {
                best = v;
                winner = p * columns.size + q;
            }
        }
    }
    return best;
}

// Backward asks every output once who won. A tap's number in its window is a byte, its place in the plane would be eight.
template <class Tap>
__device__ void max_fwd(const float* x, float* y, Tap* taps, long long* indices, Sliding rows, Sliding columns,
                        long long n) {
    GRID_STRIDE(o, n) {
        long long winner;
        y[o] = max_of(x, rows, columns, o, winner);
        const long long i = o / columns.outputs % rows.outputs, j = o % columns.outputs;
        const long long p = winner / columns.size, q = winner % columns.size;
        taps[o] = winner < 0 ? (Tap)-1 : (Tap)(rows.tap(i, p) * columns.kernel + columns.tap(j, q));
        if (indices) indices[o] = winner;
    }
}

template <class Tap>
__device__ void max_bwd(const float* dy, const Tap* taps, float* dx, Sliding rows, Sliding columns, long long n) {
    GRID_STRIDE(i, n) {
        const long long area = rows.size * columns.size, row = i % area / columns.size, column = i % columns.size;
        const long long outputs = i / area * rows.outputs * columns.outputs;
        const Span r = rows.outputs_of(row), c = columns.outputs_of(column);
        float sum = 0.0f;
        for (long long p = r.first; p < r.end; p++) {
            for (long long q = c.first; q < c.end; q++) {
                if (!rows.reads(p, row) || !columns.reads(q, column)) continue;
                const long long o = outputs + p * columns.outputs + q;
                if (taps[o] == (Tap)(rows.tap(p, row) * columns.kernel + columns.tap(q, column))) sum += dy[o];
            }
        }
        dx[i] = sum;
    }
}

__device__ inline void adaptive_max_bwd(const float* dy, const long long* indices, float* dx, Adaptive rows,
                                        Adaptive columns, long long n) {
    GRID_STRIDE(i, n) {
        const long long area = rows.size * columns.size, at = i % area;
        const long long outputs = i / area * rows.outputs * columns.outputs;
        const Span r = rows.outputs_of(at / columns.size), c = columns.outputs_of(at % columns.size);
        float sum = 0.0f;
        for (long long p = r.first; p < r.end; p++) {
            for (long long q = c.first; q < c.end; q++) {
                const long long o = outputs + p * columns.outputs + q;
                if (indices[o] == at) sum += dy[o];
            }
        }
        dx[i] = sum;
    }
}

// What a sliding mean divides by: `divisor` unless it is 0; else the taps in the plane, with its padding or without.
__device__ inline float divisor_of(const Sliding& rows, const Sliding& columns, long long i, long long j, int padded,
                                   float divisor) {
    if (divisor != 0.0f) return divisor;
    long long taps = 1;
    for (int axis = 0; axis < 2; axis++) {
        const Sliding& a = axis == 0 ? rows : columns;
        const long long place = axis == 0 ? i : j, rest = a.size + 2 * a.padding - place * a.stride;
        const Span real = a.inputs_of(place);
        taps *= padded ? (rest < a.kernel ? rest : a.kernel) : (real.end > real.first ? real.end - real.first : 0);
    }
    return (float)taps;
}

__device__ inline float divisor_of(const Adaptive& rows, const Adaptive& columns, long long i, long long j, int,
                                   float) {
    const Span r = rows.inputs_of(i), c = columns.inputs_of(j);
    return (float)((r.end - r.first) * (c.end - c.first));
}

// The mean of each window, by a thread, or a large window's by a warp.
template <class Axis>
__device__ void avg_fwd(const float* x, float* y, Axis rows, Axis columns, int padded, float divisor, int lanes,
                        long long n) {
    const Team team(lanes);
    if (team.number >= n) return;
    const long long o = team.number, i = o / columns.outputs % rows.outputs, j = o % columns.outputs;
    const float* plane = x + o / columns.outputs / rows.outputs * rows.size * columns.size;
    const Span r = rows.inputs_of(i), c = columns.inputs_of(j);
    const long long width = c.end - c.first, taps = r.end > r.first && width > 0 ? (r.end - r.first) * width : 0;
    float sum = 0.0f;
    for (long long t = team.lane; t < taps; t += lanes) {
        sum += plane[(r.first + t / width) * columns.size + c.first + t % width];
    }
    sum = team.sum(sum, (float*)nullptr);
    if (team.lane == 0) y[o] = sum / divisor_of(rows, columns, i, j, padded, divisor);
}

template <class Axis>
__device__ void avg_bwd(const float* dy, float* dx, Axis rows, Axis columns, int padded, float divisor, long long n) {
    GRID_STRIDE(i, n) {
        const long long area = rows.size * columns.size, at = i % area;
        const long long outputs = i / area * rows.outputs * columns.outputs;
        const Span r = rows.outputs_of(at / columns.size), c = columns.outputs_of(at % columns.size);
        float sum = 0.0f;
        for (long long p = r.first; p < r.end; p++) {
            for (long long q = c.first; q < c.end; q++) {
                sum += dy[outputs + p * columns.outputs + q] / divisor_of(rows, columns, p, q, padded, divisor);
            }
        }
        dx[i] = sum;
    }
}

// Taps as bytes, and for windows of 255 taps and more as wide as can be. `indices` may be null.
extern "C" __global__ void max_pool2d_fwd_f32(const float* __restrict__ x, float* __restrict__ y,
                                              unsigned char* __restrict__ taps, long long* __restrict__ indices, Pool p,
                                              long long n) {
    max_fwd(x, y, taps, indices, rows_of(p), columns_of(p), n);
}

extern "C" __global__ void max_pool2d_fwd_wide_f32(const float* __restrict__ x, float* __restrict__ y,
                                                   long long* __restrict__ taps, long long* __restrict__ indices, Pool p,
                                                   long long n) {
    max_fwd(x, y, taps, indices, rows_of(p), columns_of(p), n);
}

extern "C" __global__ void max_pool2d_bwd_f32(const float* __restrict__ dy, const unsigned char* __restrict__ taps,
                                              float* __restrict__ dx, Pool p, long long n) {
    max_bwd(dy, taps, dx, rows_of(p), columns_of(p), n);
}

extern "C" __global__ void max_pool2d_bwd_wide_f32(const float* __restrict__ dy, const long long* __restrict__ taps,
                                                   float* __restrict__ dx, Pool p, long long n) {
    max_bwd(dy, taps, dx, rows_of(p), columns_of(p), n);
}

extern "C" __global__ void avg_pool2d_fwd_f32(const float* __restrict__ x, float* __restrict__ y, Pool p, int padded,
                                              float divisor, int lanes, long long n) {
    avg_fwd(x, y, rows_of(p), columns_of(p), padded, divisor, lanes, n);
}

extern "C" __global__ void avg_pool2d_bwd_f32(const float* __restrict__ dy, float* __restrict__ dx, Pool p, int padded,
                                              float divisor, long long n) {
    avg_bwd(dy, dx, rows_of(p), columns_of(p), padded, divisor, n);
}

extern "C" __global__ void adaptive_max_pool2d_fwd_f32(const float* __restrict__ x, float* __restrict__ y,
                                                       long long* __restrict__ indices, Pool p, long long n) {
    GRID_STRIDE(o, n) y[o] = max_of(x, Adaptive{p.h, p.oh}, Adaptive{p.w, p.ow}, o, indices[o]);
}

extern "C" __global__ void adaptive_max_pool2d_bwd_f32(const float* __restrict__ dy,
                                                       const long long* __restrict__ indices,
                                                       float* __restrict__ dx, Pool p, long long n) {
    adaptive_max_bwd(dy, indices, dx, Adaptive{p.h, p.oh}, Adaptive{p.w, p.ow}, n);
}

extern "C" __global__ void adaptive_avg_pool2d_fwd_f32(const float* __restrict__ x, float* __restrict__ y, Pool p,
                                                       int lanes, long long n) {
    avg_fwd(x, y, Adaptive{p.h, p.oh}, Adaptive{p.w, p.ow}, 0, 0.0f, lanes, n);
}

extern "C" __global__ void adaptive_avg_pool2d_bwd_f32(const float* __restrict__ dy, float* __restrict__ dx, Pool p,
                                                       long long n) {
    avg_bwd(dy, dx, Adaptive{p.h, p.oh}, Adaptive{p.w, p.ow}, 0, 0.0f, n);
}
