// gemm / 03 shared: a block loads each number once and shares it.
//
// What changed since 02: the 1024 threads of a block compute a 32 x 32 tile of C. They need the same 32 rows of A and 32
// columns of B, so they copy those to shared memory together, 32 terms of the sum at a time, and read them there.
//
//                         k0  +-------+
//                             |   B   |  32 x 32          for every step of 32 along k:
//                             +-------+                     copy two tiles      each thread 1 + 1 numbers
//              k0                                           barrier             nobody reads before all have written
//            +-------+        +-------+                     32 multiply-adds    each thread its own output
//            |   A   |        |   C   |                     barrier             nobody overwrites what others still read
//            +-------+        +-------+
//             32 x 32          32 x 32
//
// The copy walks along memory whichever way an operand lies, so transposes cost the same. Rows of the tile are 33 floats
// long: a column, 33 apart, then falls into 32 different banks.
//
// Bytes moved: every number of A is read n/32 times instead of n, of B m/32 times: 32 times less than 02.
// Arithmetic intensity: 32*32*32*2 flop per 2*32*32*4 bytes = 8 flop/byte from memory; but 0.25 from shared memory.
// Limited by: shared-memory loads, two per multiply-add. 04 keeps one of them in a register.
// Ragged edges: beyond them the tiles hold zeros, which add nothing, and the outputs are not stored.
#include "gemm/gemm.cuh"

extern "C" __global__ void __launch_bounds__(1024)
    gemm_v03_f32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    constexpr int T = 32, PITCH = T + 1;
    __shared__ float tile_a[T * PITCH];
    __shared__ float tile_b[T * PITCH];
    const BlockOperands s = block_operands(a, b, g);
    const Tile tile = tile_of<T, T>(g.m, g.n);
    const int row = threadIdx.x / T, col = threadIdx.x % T;
    float sum = 0.0f;
    for (int k0 = s.a.k_first; k0 < s.a.k_end; k0 += T) {
        fill_tile<T, T, PITCH, T * T>(tile_a, s.a, tile.row, k0);
        fill_tile<T, T, PITCH, T * T>(tile_b, s.b, tile.col, k0);
        __syncthreads();
        for (int k = 0; k < T; k++) sum += tile_a[k * PITCH + row] * tile_b[k * PITCH + col];
        __syncthreads();
    }
    Epilogue(g, c).put(tile.row + row, tile.col + col, sum);
}
