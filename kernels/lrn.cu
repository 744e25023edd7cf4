// Local response normalisation: every value is divided by a power of its neighbourhood's energy, across channels.
//
//      s[c] = k + a sum over j of x[j]^2,   j = c - size/2 .. c + (size-1)/2        y[c] = x[c] s[c]^-beta
//      dx[i] = dy[i] s[i]^-beta - 2 a beta x[i] sum over c of t[c],   t = dy x s^(-beta - 1),   i in the window of c
//
// (derived in src/ops/norm/local_response_norm.rs). Images are [N, channels, len]: a window's elements are `len` apart,
// and the threads of a warp take neighbouring pixels, so each of its loads is one stretch of memory:
//
//      channel c - 1   ********************************
//      channel c       ********************************   <- one warp, 32 pixels of one channel
//      channel c + 1   ********************************
//
// What it teaches: a power costs more than a reading. Backward could compute t anew for every window it is in, `size`
// powers per element; a first kernel writes it down instead.
//
// Bytes: x once (a window's other channels come from the cache), y and s once; backward 7 of 4 bytes per element.
// Limited by: powf (about 30 instructions), then memory.
// Ragged edges: windows are cut at the first and last channel; the divisor in a stays.
#include "common.cuh"

// The sum of f over the channels c - before .. c + after of i's pixel that exist.
template <class F>
__device__ float window_sum(long long i, long long channels, long long len, long long before, long long after, F f) {
    const long long c = i / len % channels;
    const long long first = c > before ? c - before : 0, last = after < channels - 1 - c ? c + after : channels - 1;
    float sum = 0.0f;
    for (long long j = first; j <= last; j++) sum += f(i + (j - c) * len);
    return sum;
}

extern "C" __global__ void lrn_fwd_f32(const float* __restrict__ x, float* __restrict__ y, float* __restrict__ energy,
                                       long long channels, long long len, long long size, float k, float a, float beta,
                                       long long n) {
    GRID_STRIDE(i, n) {
        const float squares =
            window_sum(i, channels, len, size / 2, (size - 1) / 2, [x](long long j) { return x[j] * x[j]; });
        const float s = k + a * squares;
        energy[i] = s;
        y[i] = x[i] * powf(s, -beta);
    }
}

// t, and the first term of dx.
extern "C" __global__ void lrn_slope_f32(const float* __restrict__ dy, const float* __restrict__ x,
                                         const float* __restrict__ energy, float* __restrict__ dx,
                                         float* __restrict__ t, float beta, long long n) {
    GRID_STRIDE(i, n) {
        const float slope = dy[i] * powf(energy[i], -beta - 1.0f);
        dx[i] = slope * energy[i];
        t[i] = slope * x[i];
    }
}

// Adds the second term. The windows that hold channel i are those of i - (size-1)/2 .. i + size/2.
extern "C" __global__ void lrn_bwd_f32(const float* __restrict__ x, const float* __restrict__ t, float* __restrict__ dx,
                                       long long channels, long long len, long long size, float factor, long long n) {
    GRID_STRIDE(i, n) {
        const float sum = window_sum(i, channels, len, (size - 1) / 2, size / 2, [t](long long j) { return t[j]; });
        dx[i] += factor * x[i] * sum;
    }
}
