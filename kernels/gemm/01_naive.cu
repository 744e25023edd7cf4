// gemm / 01 naive: the definition, one thread per output.
//
//   C[i, j] = sum over k of A[i, k] B[k, j]
//
//              B   | | | | | |               Neighbouring threads (t = 0, 1, 2 ..) take neighbouring ROWS, as a
//                  v v v v v v               mathematician would count them: down first, then right.
//   A  ------>   t=0  t=m
//      ------>   t=1  t=m+1      C           For one k the 32 threads of a warp read 32 rows of A, each from a
//      ------>   t=2  ...                    different line of memory, and write C the same way.
//
// Bytes moved: 8 per multiply-add, if no cache helps: 8 m n k. Of every 32-byte sector fetched from A, 4 are used.
// Arithmetic intensity: 2 flop per 8 bytes = 0.25 flop/byte.
// Limited by: memory transactions. 02 changes nothing but the order in which threads are counted.
// Ragged edges: threads beyond m n do nothing.
#include "gemm/gemm.cuh"

extern "C" __global__ void __launch_bounds__(256)
    gemm_v01_f32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    const BlockOperands s = block_operands(a, b, g);
    const long long t = blockIdx.x * 256ll + threadIdx.x;
    if (t >= (long long)g.m * g.n) return;
    const int i = t % g.m, j = t / g.m;
    float sum = 0.0f;
    for (int k = s.a.k_first; k < s.a.k_end; k++) sum += *s.a.at(i, k) * *s.b.at(j, k);
    Epilogue(g, c).put(i, j, sum);
}
