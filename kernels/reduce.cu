// Sums along a dimension: x is [before, n, after], y is [before, after].
//
//      after = 1, rows:      each row is contiguous; 32 or 256 threads read it side by side and add up their lanes
//      after > 1, columns:   32 columns side by side, 8 rows at a time; each thread adds down its column
//
// A long reduction alone would keep one block busy and the rest of the GPU idle. So the host cuts it into chunks of a
// fixed length, this writes one partial result per chunk, [before, chunks, after], and runs again on those:
//
//      4,000,000 numbers  ->  977 chunks of 4096  ->  1           [64, 32, 56 x 56]  ->  64 x 32 rows  ->  32 columns
//
// The cut depends on the shape alone and every sum has one fixed order: the bits are the same on every GPU.
// Sums are carried in f64 from the first element to the last: there is time for it, and no digit of a million summands
// is lost.
//
// Bytes from memory: 4 per element, and 8 per chunk for partial results. Arithmetic intensity: 1 addition on 4 bytes.
// Limited by: memory. Rows shorter than 32 leave lanes idle and are limited by instructions instead.
// Ragged edges: the last chunk is shorter; lanes beyond it add nothing. The sum of nothing is 0.
#include "common.cuh"

// How the reduced dimension is cut: [before, n, after], in chunks of `chunk` along n.
struct Cut {
    long long before;
    long long n;
    long long after;
    long long chunk;
    __device__ long long chunks() const { return n > chunk ? (n + chunk - 1) / chunk : 1; }
    __device__ long long begin(long long c) const { return c * chunk; }
    __device__ long long end(long long c) const { return min(n, (c + 1) * chunk); }
};

template <class T> struct Same {
    __device__ double operator()(T v) const { return v; }
};

// 1 for each element equal to the largest; NaN is equal to NaN.
struct IsMax {
    float largest;
    __device__ double operator()(float v) const { return v == largest || (isnan(v) && isnan(largest)) ? 1 : 0; }
};

// The sum of the values of `width` threads, 32 or the whole block, in the first of them at least.
__device__ inline double sum_of_threads(double v, int width, double* scratch) {
    return width == WARP ? warp_sum(v) : block_sum(v, scratch);
}

template <class F, class X, class Y>
__device__ void sum_rows(F f, const X* x, Y* y, const Cut& cut, double divisor, int width, double* scratch) {
    const int lane = threadIdx.x % width, group = threadIdx.x / width, groups = blockDim.x / width;
    const long long first = blockIdx.x * (long long)groups + group, step = (long long)gridDim.x * groups;
    for (long long unit = first; unit < cut.before * cut.chunks(); unit += step) {
        const long long c = unit % cut.chunks();
        const X* row = x + unit / cut.chunks() * cut.n;
        double sum = 0;
#pragma unroll 4
        for (long long k = cut.begin(c) + lane; k < cut.end(c); k += width) sum += f(row[k]);
        sum = sum_of_threads(sum, width, scratch);
        if (lane == 0) y[unit] = (Y)(sum / divisor);
    }
}

// 256 threads: thread (row r of 8, column a of 32).
template <class X, class Y>
__device__ void sum_columns(const X* x, Y* y, const Cut& cut, double divisor, double (*partial)[WARP]) {
    const int lane = threadIdx.x % WARP, r = threadIdx.x / WARP, rows = blockDim.x / WARP;
    const long long across = (cut.after + WARP - 1) / WARP;
    for (long long unit = blockIdx.x; unit < cut.before * cut.chunks() * across; unit += gridDim.x) {
        const long long a = unit % across * WARP + lane, bc = unit / across;
        const long long c = bc % cut.chunks(), b = bc / cut.chunks();
        double sum = 0;
        if (a < cut.after) {
#pragma unroll 4
            for (long long k = cut.begin(c) + r; k < cut.end(c); k += rows) sum += x[(b * cut.n + k) * cut.after + a];
        }
        partial[r][lane] = sum;
        __syncthreads();
        if (r == 0 && a < cut.after) {
            for (int other = 1; other < rows; other++) sum += partial[other][lane];
            y[bc * cut.after + a] = (Y)(sum / divisor);
        }
        __syncthreads();
    }
}

// Rows: `width` threads of a block of 256 for each chunk, 32 or 256. The last pass divides: by 1, or by n for a mean.
extern "C" __global__ void __launch_bounds__(256) sum_rows_f32_f32(
    const float* __restrict__ x, float* __restrict__ y, long long rows, long long n, long long chunk, double divisor,
    int width) {
    __shared__ double scratch[WARP];
    sum_rows(Same<float>{}, x, y, Cut{rows, n, 1, chunk}, divisor, width, scratch);
}

extern "C" __global__ void __launch_bounds__(256) sum_rows_f32_f64(
    const float* __restrict__ x, double* __restrict__ y, long long rows, long long n, long long chunk, int width) {
    __shared__ double scratch[WARP];
    sum_rows(Same<float>{}, x, y, Cut{rows, n, 1, chunk}, 1, width, scratch);
}

extern "C" __global__ void __launch_bounds__(256) sum_rows_f64_f64(
    const double* __restrict__ x, double* __restrict__ y, long long rows, long long n, long long chunk, int width) {
    __shared__ double scratch[WARP];
    sum_rows(Same<double>{}, x, y, Cut{rows, n, 1, chunk}, 1, width, scratch);
}

extern "C" __global__ void __launch_bounds__(256) sum_rows_f64_f32(
    const double* __restrict__ x, float* __restrict__ y, long long rows, long long n, long long chunk, double divisor,
    int width) {
    __shared__ double scratch[WARP];
    sum_rows(Same<double>{}, x, y, Cut{rows, n, 1, chunk}, divisor, width, scratch);
}

extern "C" __global__ void __launch_bounds__(256) sum_columns_f32_f32(
    const float* __restrict__ x, float* __restrict__ y, long long before, long long n, long long after, long long chunk,
    double divisor) {
    __shared__ double partial[8][WARP];
    sum_columns(x, y, Cut{before, n, after, chunk}, divisor, partial);
}

extern "C" __global__ void __launch_bounds__(256) sum_columns_f32_f64(
    const float* __restrict__ x, double* __restrict__ y, long long before, long long n, long long after,
    long long chunk) {
    __shared__ double partial[8][WARP];
    sum_columns(x, y, Cut{before, n, after, chunk}, 1, partial);
}

extern "C" __global__ void __launch_bounds__(256) sum_columns_f64_f64(
    const double* __restrict__ x, double* __restrict__ y, long long before, long long n, long long after,
    long long chunk) {
    __shared__ double partial[8][WARP];
    sum_columns(x, y, Cut{before, n, after, chunk}, 1, partial);
}

extern "C" __global__ void __launch_bounds__(256) sum_columns_f64_f32(
    const double* __restrict__ x, float* __restrict__ y, long long before, long long n, long long after,
    long long chunk, double divisor) {
    __shared__ double partial[8][WARP];
    sum_columns(x, y, Cut{before, n, after, chunk}, divisor, partial);
}

// How many elements of each chunk of x equal the largest of all: the first pass; sum_rows finishes.
extern "C" __global__ void __launch_bounds__(256) count_max_f32_f64(
    const float* __restrict__ x, const float* __restrict__ largest, double* __restrict__ y, long long n,
    long long chunk) {
    __shared__ double scratch[WARP];
    sum_rows(IsMax{*largest}, x, y, Cut{1, n, 1, chunk}, 1, blockDim.x, scratch);
}
