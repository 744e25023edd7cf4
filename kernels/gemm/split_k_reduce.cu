// gemm / split-K: the second half of a product whose sum was cut into parts.
//
// A weight's gradient is a small matrix whose sums run over the whole batch: [10, 84] with K = 60,000 is one tile, for one
// multiprocessor of 132. So the sum is cut into parts, each computed by its own block (Gemm::splits), and the parts are
// added here, always in the same order: adding them as they come, with atomics, would round differently every time.
//
//      part 0   [m, n]  \
//      part 1   [m, n]   +-->  C = finish(part 0 + part 1 + ..)      one thread per output
//      ..               /
//
// Bytes moved: 4 m n (splits + 1). Limited by: memory, which is little where C is small.
#include "gemm/gemm.cuh"

extern "C" __global__ void __launch_bounds__(256)
    gemm_sum_splits_f32(const float* __restrict__ parts, float* __restrict__ c, Gemm g) {
    const long long size = (long long)g.m * g.n;
    const long long all = size * g.batch[0] * g.batch[1] * g.batch[2] * g.batch[3];
    GRID_STRIDE(e, all) {
        float sum = 0.0f;
        for (int split = 0; split < g.splits; split++) sum += parts[split * all + e];
        const int z = e / size;
        Epilogue(g, c, z, 0).put(e % size / g.n, e % g.n, sum);
    }
}
