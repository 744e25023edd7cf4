// gemm / 08 tensor cores: a warp multiplies 16 x 8 fragments with one instruction.
//
// What changed since 07: the multiply-adds. mma.sync does 16 x 8 x 8 (tf32) or 16 x 8 x 16 (bf16) of them for a whole warp;
// the sums stay f32. The factors are rounded on their way into shared memory, once each, and cp.async cannot round, so
// the double buffer through registers of rung 06 is back.
//
//      number      exponent  fraction   relative error    products are exact in f32, sums are f32
//      f32          8 bits    23 bits     6e-8
//      tf32         8 bits    10 bits     5e-4             ties away from zero (cvt.rna)
//      bf16         8 bits     7 bits     4e-3             ties to even
//
//      memory  --quads of 4 k-->  registers  --round-->  shared [line][k]  --ldmatrix-->  fragments  --mma-->  64 sums per lane
//
// A and B both lie along k in shared memory, whatever their transposes: ldmatrix then delivers every fragment as mma.sync
// wants it, in tf32 and bf16 alike (mma_tile.cuh draws the tile, ptx.cuh the fragments).
//
// Bytes moved: tiles of 128 x 128, as 05; of 64 x 64 for products too small to give every multiprocessor a large one.
// Arithmetic intensity: 32 flop/byte from memory; from shared memory a warp reads (64 + 32) * 8 words for 64*32*8
// multiply-adds: 5.3 of them per word (10.7 in bf16) instead of 07's 4.
// Limited by: the wait for memory, with one tile under way; from there on by mma.sync, which on sm_90 reaches about 60 % of
// what the asynchronous wgmma does.
// Resources (ptxas, sm_80): 122 registers in tf32, 128 in bf16, 40 KiB shared, nothing spilled: two blocks per multiprocessor.
// Ragged edges: zeros in the tiles, no store.
#include "gemm/mma_tile.cuh"

template <class Sums, int BM, int BN>
__device__ void multiply(unsigned* memory, const float* a, const float* b, float* c, const Gemm& g) {
    const BlockOperands s = block_operands(a, b, g);
    const Tile tile = tile_of<BM, BN>(g.m, g.n);
    StridedQuads<BM, Sums::K, Sums::THREADS> quads_a(s.a, tile.row);
    StridedQuads<BN, Sums::K, Sums::THREADS> quads_b(s.b, tile.col);
    Sums sums;
    sums.add_all(memory, quads_a, quads_b, (s.a.k_end - s.a.k_first + Sums::K - 1) / Sums::K);
    sums.finish(Epilogue(g, c), tile);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    gemm_v08_tf32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    using Sums = MmaTile<Tf32, 128, 128, 64, 32>;
    __shared__ __align__(16) unsigned memory[Sums::MEMORY];
    multiply<Sums, 128, 128>(memory, a, b, c, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    gemm_v08_bf16(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    using Sums = MmaTile<Bf16, 128, 128, 64, 32>;
    __shared__ __align__(16) unsigned memory[Sums::MEMORY];
    multiply<Sums, 128, 128>(memory, a, b, c, g);
}

extern "C" __global__ void __launch_bounds__(128)
    gemm_v08_m64_tf32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    using Sums = MmaTile<Tf32, 64, 64, 32, 32>;
    __shared__ __align__(16) unsigned memory[Sums::MEMORY];
    multiply<Sums, 64, 64>(memory, a, b, c, g);
}

extern "C" __global__ void __launch_bounds__(128)
    gemm_v08_m64_bf16(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    using Sums = MmaTile<Bf16, 64, 64, 32, 32>;
    __shared__ __align__(16) unsigned memory[Sums::MEMORY];
    multiply<Sums, 64, 64>(memory, a, b, c, g);
}
