// gemm / 02 coalesced: the same sum, threads counted along the rows of C.
//
// What changed since 01: which thread computes which output, and nothing else. A warp's 32 threads now stand side by side
// in one row of C.
//
//              B   |||||||||                 For one k a warp reads ONE number of A (all threads the same: a broadcast)
//                  vvvvvvvvv                 and 32 neighbours of a row of B: one transaction of 128 bytes, all used.
//   A  ------>   t=0 1 2 3 ...   C           C is written the same way.
//                t=n ...
//
// Bytes moved: still two loads for each multiply-add, but 4 + 128 bytes a warp and k instead of 32 sectors of 32 bytes.
// (A transposed B has its rows and columns swapped, and then this order is the bad one: 03 makes both good.)
// Arithmetic intensity: 0.25 flop/byte at the caches; DRAM sees less as rows are read again from L1 and L2.
// Limited by: loads. Each multiply-add still waits for two. 03 keeps what a block shares on the chip.
// Ragged edges: threads beyond m n do nothing.
#include "gemm/gemm.cuh"

extern "C" __global__ void __launch_bounds__(256)
    gemm_v02_f32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    const Share s = share(a, b, g);
    const long long t = blockIdx.x * 256ll + threadIdx.x;
    if (t >= (long long)g.m * g.n) return;
    const int i = t / g.n, j = t % g.n;
    float sum = 0.0f;
    for (int k = s.a.k_first; k < s.a.k_end; k++) sum += *s.a.at(i, k) * *s.b.at(j, k);
    Epilogue(g, c).put(i, j, sum);
}
