// The largest element along a dimension and its first place: x is [before, n, after].
//
// NaN counts as largest, and of equal elements the first wins. That makes "better than" a strict order on (value,
// index), so the winner does not depend on who is compared with whom, and threads may meet in any tree:
//
//      rows (after = 1):    lane t looks at k = t, t + 32, ..; then lanes meet in a butterfly
//      columns (after > 1): one thread per column, neighbouring columns side by side
//
// Long reductions run in passes over chunks, as in reduce.cu: the first writes a (value, index) for each chunk, the
// next ones carry the indices on (`from`).
//
// Bytes from memory: 4 per element. Limited by: memory.
// Ragged edges: the last chunk is shorter; a lane that saw nothing has index 2^63 - 1, which loses every tie.
#include "common.cuh"

constexpr long long NOWHERE = 0x7fffffffffffffffLL;

struct Best {
    float value;
    long long index;
};

__device__ inline bool beats(const Best& b, const Best& a) {
    const bool equal = b.value == a.value || (isnan(b.value) && isnan(a.value));
    if (equal) return b.index < a.index;
    return b.value > a.value || isnan(b.value);
}

__device__ inline Best warp_best(Best best) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        const float value = __shfl_xor_sync(0xffffffffu, best.value, offset);
        const long long index = __shfl_xor_sync(0xffffffffu, best.index, offset);
        const Best other = {value, index};
        if (beats(other, best)) best = other;
    }
    return best;
}

// Chunks of rows of n, `width` threads each, 32 or the whole block of 256.
extern "C" __global__ void __launch_bounds__(256) arg_max_rows_f32(
    const float* __restrict__ x, const long long* __restrict__ from, float* __restrict__ values,
    long long* __restrict__ indices, long long rows, long long n, long long chunk, int width) {
    __shared__ float best_value[WARP];
    __shared__ long long best_index[WARP];
    const long long chunks = n > chunk ? (n + chunk - 1) / chunk : 1;
    const int lane = threadIdx.x % width, group = threadIdx.x / width, groups = blockDim.x / width;
    const long long first = blockIdx.x * (long long)groups + group, step = (long long)gridDim.x * groups;
    for (long long unit = first; unit < rows * chunks; unit += step) {
        const long long row = unit / chunks * n, end = min(n, (unit % chunks + 1) * chunk);
        Best best = {-INFINITY, NOWHERE};
        for (long long k = unit % chunks * chunk + lane; k < end; k += width) {
            const Best next = {x[row + k], from == nullptr ? k : from[row + k]};
            if (beats(next, best)) best = next;
        }
        best = warp_best(best);
        if (width > WARP) {
            if (lane % WARP == 0) {
                best_value[lane / WARP] = best.value;
                best_index[lane / WARP] = best.index;
            }
            __syncthreads();
            for (int w = 0; w < width / WARP; w++) {
                const Best other = {best_value[w], best_index[w]};
                if (beats(other, best)) best = other;
            }
            __syncthreads();
        }
        if (lane == 0) {
            values[unit] = best.value;
            indices[unit] = best.index;
        }
    }
}

// One thread for each (before, chunk, after).
extern "C" __global__ void arg_max_columns_f32(const float* __restrict__ x, const long long* __restrict__ from,
                                               float* __restrict__ values, long long* __restrict__ indices,
                                               long long before, long long n, long long after, long long chunk) {
    const long long chunks = n > chunk ? (n + chunk - 1) / chunk : 1;
    GRID_STRIDE(i, before * chunks * after) {
        const long long a = i % after, c = i / after % chunks, b = i / after / chunks;
        const long long end = min(n, (c + 1) * chunk);
        Best best = {-INFINITY, NOWHERE};
        for (long long k = c * chunk; k < end; k++) {
            const long long at = (b * n + k) * after + a;
            const Best next = {x[at], from == nullptr ? k : from[at]};
            if (beats(next, best)) best = next;
        }
        values[i] = best.value;
        indices[i] = best.index;
    }
}

// The gradient of the largest of all elements: the `winners` that are equal to it share dy.
extern "C" __global__ void max_bwd_f32(const float* __restrict__ x, const float* __restrict__ largest,
                                       const float* __restrict__ dy, const float* __restrict__ winners,
                                       float* __restrict__ dx, long long n) {
    const float share = *dy / *winners;
    GRID_STRIDE(i, n) dx[i] = x[i] == *largest || (isnan(x[i]) && isnan(*largest)) ? share : 0;
}

// The gradient of the largest along a dimension: dx[b, k, a] = dy[b, a] where k is the winner, else 0.
extern "C" __global__ void max_dim_bwd_f32(const long long* __restrict__ indices, const float* __restrict__ dy,
                                           float* __restrict__ dx, long long n, long long after, long long all) {
    GRID_STRIDE(i, all) {
        const long long a = i % after, k = i / after % n, output = i / after / n * after + a;
        dx[i] = indices[output] == k ? dy[output] : 0;
    }
}
