// gemm / 07 cp.async: a pipeline of tiles that passes the registers by.
//
// What changed since 06: the copies are asynchronous (cp.async, sm_80). The thread names a place in memory and one in shared
// memory and goes on; nothing waits in registers, so several tiles can be under way at once. A ring of four stages:
//
//      stage        0        1        2        3
//      step t     use t   arriving arriving  <- copy t+3 starts as soon as all have left tile t-1
//      step t+1            use t+1  arriving arriving      wait<2>: of the groups begun, all but the youngest two are in
//
// A 4-byte copy may go anywhere, so an operand whose k lies together in memory is transposed on its way; where lines are
// neighbours one copy carries 16 bytes. The zeros beyond the edges come from the copy itself.
//
//      transposing copy of a warp: 8 k x 4 lines        bank of tile[k][l] = (k * (BM + 4) + l) % 32 = 4 k + l + const:
//      reads 32 neighbouring bytes of each line         the 32 lanes write to 32 different banks
//
// Bytes moved: as 06. In flight per block: 3 tiles of (128 + 128) * 8 * 4 = 24 KiB; H100 needs about 16 KiB per
// multiprocessor to hide 0.7 us at 3 TB/s.
// Arithmetic intensity: 32 flop/byte from memory with the 128 x 128 tile, 13 with the 32 x 128 one, which is for products
// too small to give every multiprocessor a large tile.
// Limited by: the FMA units. 08 leaves them for the tensor cores.
// Resources (ptxas, sm_80): 127 registers, 33 KiB shared (79 and 21 for the low tile), nothing spilled: two blocks per
// multiprocessor (three).
// Ragged edges: zeros from the copy, no store.
#include "gemm/thread_tile.cuh"

constexpr int STAGES = 4;

// Copies K numbers of each of LINES lines to tile[k][l], again and again, K further each time. A thread's copies stand
// `jump` apart, so that one address serves them all.
template <int LINES, int K, int PITCH, int THREADS> struct Copier {
    static_assert(K == 8 && LINES * K % THREADS == 0, "a warp copies 8 k of 4 lines");
    bool wide;
    const float* from;
    // To the second copy of this thread, and to the next tile.
    long long jump;
    long long advance;
    int to;
    int to_jump;
    // Lines, and numbers k, from the first copy's place to the edge.
    int lines;
    int lines_jump;
    int ks;
    int k_jump;

    __device__ Copier(const Operand& o, int first) {
        const int t = threadIdx.x;
        wide = o.quads_along_lines();
        const bool down = !wide && o.step != 1;
        const int l = wide ? t % (LINES / 4) * 4 : down ? t % LINES : t / K;
        const int k = wide ? t / (LINES / 4) : down ? t / LINES : t % K;
        lines_jump = down ? 0 : THREADS / K;
        k_jump = down ? THREADS / LINES : 0;
        from = o.at(first + l, o.k_first + k);
        jump = lines_jump * o.line + k_jump * o.step;
        advance = K * o.step;
        to = k * PITCH + l;
        to_jump = lines_jump + k_jump * PITCH;
        lines = o.lines - first - l;
        ks = o.k_end - o.k_first - k;
    }

    __device__ void copy(float* tile) {
        if (wide) {
            const int real = ks > 0 ? 4 * max(0, min(4, lines)) : 0;
            if (threadIdx.x < LINES * K / 4) cp_async_16(tile + to, from, real);
        } else {
#pragma unroll
            for (int pass = 0; pass < LINES * K / THREADS; pass++) {
                const bool real = lines > pass * lines_jump && ks > pass * k_jump;
                cp_async_4(tile + to + pass * to_jump, from + pass * jump, real);
            }
        }
        from += advance;
        ks -= K;
    }
};

// One block. `memory` holds the ring: STAGES tiles of A, then as many of B.
template <int BM, int BN, int TM, int TN>
__device__ void pipelined(float* memory, const BlockOperands& s, const Gemm& g, float* c) {
    constexpr int K = 8;
    using Sums = ThreadTile<BM, BN, TM, TN>;
    constexpr int TILE_A = K * Sums::PITCH_A, TILE_B = K * Sums::PITCH_B;
    float* const ring_a = memory;
    float* const ring_b = memory + STAGES * TILE_A;
    const Tile tile = tile_of<BM, BN>(g.m, g.n);
    const int steps = (s.a.k_end - s.a.k_first + K - 1) / K;
    Copier<BM, K, Sums::PITCH_A, Sums::THREADS> copy_a(s.a, tile.row);
    Copier<BN, K, Sums::PITCH_B, Sums::THREADS> copy_b(s.b, tile.col);
    // Beyond the last step the group is empty: wait<N> counts groups.
    auto start = [&](int step) {
        if (step < steps) {
            copy_a.copy(ring_a + step % STAGES * TILE_A);
            copy_b.copy(ring_b + step % STAGES * TILE_B);
        }
        cp_async_commit();
    };

    Sums sums;
#pragma unroll 1
    for (int step = 0; step < STAGES - 1; step++) start(step);
#pragma unroll 1
    for (int step = 0; step < steps; step++) {
        cp_async_wait<STAGES - 2>();
        // After this barrier tile `step` is there for all, and all have left tile step - 1, whose place is refilled.
        __syncthreads();
        start(step + STAGES - 1);
        sums.template add_tiles<K>(ring_a + step % STAGES * TILE_A, ring_b + step % STAGES * TILE_B);
    }
    sums.finish(Epilogue(g, c), tile);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    gemm_v07_f32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    __shared__ __align__(16) float memory[STAGES * 8 * (128 + 4 + 128 + 4)];
    pipelined<128, 128, 8, 8>(memory, block_operands(a, b, g), g, c);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    gemm_v07_m32_f32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    __shared__ __align__(16) float memory[STAGES * 8 * (32 + 4 + 128 + 4)];
    pipelined<32, 128, 4, 4>(memory, block_operands(a, b, g), g, c);
}
