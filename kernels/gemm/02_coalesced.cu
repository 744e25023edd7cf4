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
// Bytes moved: two loads per multiply-add, as in 01. But for each k a warp now fetches 4 bytes of A and 128 of B. In 01 it
// fetched 32 sectors of 32 bytes for A alone.
// This order is good for a row-major B. For a transposed B it is the bad one. 03 is good for both.
// Arithmetic intensity: 0.25 flop/byte between caches and registers. DRAM moves fewer bytes: L1 and L2 serve rows that are
// read again.
// Limited by: loads. Each multiply-add still waits for two of them. 03 keeps the numbers that a block uses in shared memory.
// Ragged edges: threads beyond m n do nothing.
#include "gemm/gemm.cuh"

extern "C" __global__ void __launch_bounds__(256)
    gemm_v02_f32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    const BlockOperands s = block_operands(a, b, g);
    const long long t = blockIdx.x * 256ll + threadIdx.x;
    if (t >= (long long)g.m * g.n) return;
    const int i = t / g.n, j = t % g.n;
    float sum = 0.0f;
    for (int k = s.a.k_first; k < s.a.k_end; k++) sum += *s.a.at(i, k) * *s.b.at(j, k);
    Epilogue(g, c).put(i, j, sum);
}
