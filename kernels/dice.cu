// Soft Dice loss of masks: rows of d elements, an image's channel each.
//
//      p = sigmoid(x),   A = 2 sum p t + smooth,   B = sum p + sum t + smooth,   l = 1 - A / B
//      dx = (A / B - 2 t) / B p (1 - p) g          dt = (A / B - 2 p) / B g
//
//      dice_sums    part of a row -> p, sums of 2 p t and of p + t       8192 elements per block
//      dice_ratio   parts -> A / B, B, l                                 one thread per row
//
// What it teaches: one reading serves two sums. Apart they would be four kernels (sigmoid, product, two sums).
// Bytes: forward x, t in, p out: 12 per element; backward p, t in, dx out: 12.  Limited by: memory.
// Ragged edges: the last part of a row is short; a row of nothing has the sums 0.
#include "row_reduce.cuh"

extern "C" __global__ void dice_sums_f32(const float* __restrict__ x, const float* __restrict__ t, long long d,
                                         long long part, float* __restrict__ p, double* __restrict__ sums) {
    __shared__ double scratch[WARP];
    const long long parts = (d + part - 1) / part, row = blockIdx.x / parts, begin = blockIdx.x % parts * part;
    const long long end = begin + part < d ? begin + part : d;
    double both = 0, either = 0;
    for (long long i = row * d + begin + threadIdx.x; i < row * d + end; i += blockDim.x) {
        const float probability = 1.0f / (1.0f + expf(-x[i]));
        p[i] = probability;
        both += (probability + probability) * t[i];
        either += probability + t[i];
    }
    both = block_sum(both, scratch);
    either = block_sum(either, scratch);
    if (threadIdx.x > 0) return;
    sums[2 * blockIdx.x] = both;
    sums[2 * blockIdx.x + 1] = either;
}

extern "C" __global__ void dice_ratio_f32(const double* __restrict__ sums, long long rows, long long parts,
                                          double smooth, float* __restrict__ ratio, float* __restrict__ total,
                                          float* __restrict__ losses) {
    GRID_STRIDE(row, rows) {
        double a = smooth, b = smooth;
        for (long long k = row * parts; k < (row + 1) * parts; k++) {
            a += sums[2 * k];
            b += sums[2 * k + 1];
        }
        ratio[row] = (float)(a / b);
        total[row] = (float)b;
        losses[row] = (float)(1.0 - a / b);
    }
}

// dx, or dt where `of_target`. `dy` has one gradient per row (`each`), or one for all, which `divisor` divides.
extern "C" __global__ void dice_bwd_f32(const float* __restrict__ p, const float* __restrict__ t,
                                        const float* __restrict__ ratio, const float* __restrict__ total,
                                        const float* __restrict__ dy, long long d, float divisor, int each,
                                        int of_target, float* __restrict__ dx, long long n) {
    GRID_STRIDE(i, n) {
        const long long row = i / d;
        const float scale = dy[each ? row : 0] / divisor / total[row];
        const float other = of_target ? p[i] : t[i];
        const float slope = of_target ? 1.0f : p[i] * (1.0f - p[i]);
        dx[i] = (ratio[row] - other - other) * scale * slope;
    }
}
