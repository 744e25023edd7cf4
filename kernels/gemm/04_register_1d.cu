// gemm / 04 register tile, 1-D: each thread computes a column of eight outputs.
//
// What changed since 03: a thread computes 8 outputs that stand above each other. They share their column of B, so one
// number of B, loaded into a register, feeds 8 multiply-adds.
//
//                     |  one b              for every k:  load b, load a[0..8], eight multiply-adds
//                     v                     loads per multiply-add: 9/8 instead of 2
//     a[0] ->       [ c0 ]
//     a[1] ->       [ c1 ]                  64 x 64 tile, 512 threads: a warp takes 32 neighbouring columns, so its
//      ...            ..                    a[i] are one broadcast each, its b's 32 neighbours: no bank conflicts.
//     a[7] ->       [ c7 ]
//
// Bytes moved: tiles of 64 read A n/64 times and B m/64 times.
// Arithmetic intensity: 64*64*8*2 flop per 2*64*8*4 bytes = 16 flop/byte from memory.
// Limited by: shared-memory loads still, 9 for 8 multiply-adds. 05 makes the tile of a thread square.
// Ragged edges: zeros in the tiles, no store.
#include "gemm/gemm.cuh"

extern "C" __global__ void __launch_bounds__(512)
    gemm_v04_f32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    // A pitch of 68 spreads a transposing copy's stores over the banks and keeps rows 16-byte aligned.
    constexpr int T = 64, K = 8, PITCH = T + 4, THREADS = 512, TM = 8;
    __shared__ float tile_a[K * PITCH];
    __shared__ float tile_b[K * PITCH];
    const BlockOperands s = block_operands(a, b, g);
    const Tile tile = tile_of<T, T>(g.m, g.n);
    const int row = threadIdx.x / T * TM, col = threadIdx.x % T;
    float sum[TM] = {};
    for (int k0 = s.a.k_first; k0 < s.a.k_end; k0 += K) {
        fill_tile<T, K, PITCH, THREADS>(tile_a, s.a, tile.row, k0);
        fill_tile<T, K, PITCH, THREADS>(tile_b, s.b, tile.col, k0);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < K; k++) {
            const float b_k = tile_b[k * PITCH + col];
#pragma unroll
            for (int i = 0; i < TM; i++) sum[i] += tile_a[k * PITCH + row + i] * b_k;
        }
        __syncthreads();
    }
    const Epilogue out(g, c);
#pragma unroll
    for (int i = 0; i < TM; i++) out.put(tile.row + row + i, tile.col + col, sum[i]);
}
