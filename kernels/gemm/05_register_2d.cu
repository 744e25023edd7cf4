// gemm / 05 register tile, 2-D: each thread computes an 8 x 8 square of outputs.
//
// What changed since 04: a square reuses both factors. 8 numbers of A and 8 of B, loaded into registers, feed 64
// multiply-adds: an outer product for every k.
//
//                 b[0] b[1] .. b[7]           loads per multiply-add: 16/64 instead of 9/8
//        a[0]     c00  c01      c07
//        a[1]     c10  c11      c17           128 x 128 tile, 256 threads as 16 x 16, 64 sums each, all in registers
//         ..
//        a[7]     c70           c77
//
// Bytes moved: tiles of 128 read A n/128 times and B m/128 times.
// Arithmetic intensity: 128*128*8*2 flop per 2*128*8*4 bytes = 32 flop/byte from memory. From shared memory, for one k:
// 2*64 flop per (8 + 8)*4 bytes = 2 flop/byte.
// Limited by: latency. Three things cost time, and 06 removes all three:
//   - Each load instruction from memory brings 4 bytes.
//   - The block never loads and computes at the same time: it loads a tile, waits, uses it, waits.
//   - Loads of b have two-way bank conflicts. nvcc merges four loads of a thread into one of 16 bytes, which eight threads
//     make at a time. Their b's are 8 floats apart, so threads tx and tx + 4 use the same banks. Single loads, which all
//     threads of a warp make at once, would have four-way conflicts.
// Resources (ptxas, sm_80): 128 registers, 8 KiB shared, nothing spilled: two blocks per multiprocessor.
// Ragged edges: zeros in the tiles, no store.
#include "gemm/gemm.cuh"

extern "C" __global__ void __launch_bounds__(256)
    gemm_v05_f32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    constexpr int T = 128, K = 8, PITCH = T + 4, THREADS = 256, TM = 8, TN = 8;
    __shared__ __align__(16) float tile_a[K * PITCH];
    __shared__ __align__(16) float tile_b[K * PITCH];
    const BlockOperands s = block_operands(a, b, g);
    const Tile tile = tile_of<T, T>(g.m, g.n);
    const int row = threadIdx.x / (T / TN) * TM, col = threadIdx.x % (T / TN) * TN;
    float sum[TM][TN] = {};
    for (int k0 = s.a.k_first; k0 < s.a.k_end; k0 += K) {
        fill_tile<T, K, PITCH, THREADS>(tile_a, s.a, tile.row, k0);
        fill_tile<T, K, PITCH, THREADS>(tile_b, s.b, tile.col, k0);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < K; k++) {
            float a_k[TM], b_k[TN];
#pragma unroll
            for (int i = 0; i < TM; i++) a_k[i] = tile_a[k * PITCH + row + i];
#pragma unroll
            for (int j = 0; j < TN; j++) b_k[j] = tile_b[k * PITCH + col + j];
#pragma unroll
            for (int i = 0; i < TM; i++)
#pragma unroll
                for (int j = 0; j < TN; j++) sum[i][j] += a_k[i] * b_k[j];
        }
        __syncthreads();
    }
    const Epilogue out(g, c);
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j += 4) out.put<4>(tile.col + col + j, tile.row + row + i, sum[i] + j);
}
