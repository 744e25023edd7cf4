// The tensor-core tile of gemm 08 and conv2d 04: a block of warps, each with WM x WN sums in mma.sync fragments.
//
// Shared memory holds 16 (or 8) words of k for every line of A and of B (a word is one tf32 number or two bf16 ones) and 4
// words of padding: lines are then 80 (or 48) bytes apart, and the eight 16-byte rows that ldmatrix reads at once fall into
// different banks (5 l mod 8 takes every value, and so does 3 l mod 8).
//
//        line 0 | w0 .. w7 | w8 .. w15 | pad |        one mma step takes 8 words of k: 2 steps per tile
//        line 1 | ..                         |
//
// The sums of a warp, 16 x 8 per fragment (ptx.cuh draws one), for WM = 64 and WN = 32:
//
//              8   8   8   8
//        16  [   |   |   |   ]      4 fragments of A (ldmatrix x4 each) and 4 of B (two ldmatrix x4) feed 16 mma
//        16  [   |   |   |   ]
//        16  [   |   |   |   ]
//        16  [   |   |   |   ]
#pragma once

#include "gemm/float4_loader.cuh"

// Numbers as the tensor cores take them.
struct Tf32 {
    // Numbers per word.
    static constexpr int PACK = 1;

    __device__ static void store(unsigned* to, const float (&v)[4]) {
        *reinterpret_cast<uint4*>(to) = make_uint4(round_tf32(v[0]), round_tf32(v[1]), round_tf32(v[2]), round_tf32(v[3]));
    }
    __device__ static void mma(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
        mma_m16n8k8_tf32(d, a, b0, b1);
    }
};

struct Bf16 {
    static constexpr int PACK = 2;

    __device__ static void store(unsigned* to, const float (&v)[4]) {
        *reinterpret_cast<uint2*>(to) = make_uint2(pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]));
    }
    __device__ static void mma(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
        mma_m16n8k16_bf16(d, a, b0, b1);
    }
};

template <class T, int BM, int BN, int WM, int WN, int WORDS = 16> struct MmaTile {
    static constexpr int THREADS = BM / WM * (BN / WN) * WARP;
    static constexpr int PITCH = WORDS + 4;
    static constexpr int K = WORDS * T::PACK;
    // Words of shared memory: two buffers of a tile of each operand.
    static constexpr int MEMORY = 2 * (BM + BN) * PITCH;
    static_assert(WM % 16 == 0 && WN % 16 == 0, "fragments of A are 16 rows, those of B are loaded two at a time");

    int row0;
    int col0;
    float sum[WM / 16][WN / 8][4];

    __device__ MmaTile() {
        const int warp = threadIdx.x / WARP;
        row0 = warp / (BN / WN) * WM;
        col0 = warp % (BN / WN) * WN;
#pragma unroll
        for (int i = 0; i < WM / 16; i++)
#pragma unroll
            for (int j = 0; j < WN / 8; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) sum[i][j][e] = 0.0f;
    }

    // Rounds this thread's quads and stores them.
    template <class Quads> __device__ static void store(unsigned* tile, const Quads& q, float (&quad)[Quads::PASSES][4]) {
        if (!q.active()) return;
#pragma unroll
        for (int pass = 0; pass < Quads::PASSES; pass++) {
            const int line = q.line + pass * q.line_jump, k = q.k + pass * q.k_jump;
            T::store(tile + line * PITCH + k / T::PACK, quad[pass]);
        }
    }

    // K terms of every sum.
    __device__ void add_tiles(const unsigned* a, const unsigned* b) {
        const int lane = threadIdx.x % WARP;
        // Lane 8 q + r brings row r of quarter q: rows 0-7 and 8-15 of A, then the same four words on; for B the two
        // groups of words first.
        const unsigned* const a_row = a + (row0 + lane % 16) * PITCH + lane / 16 * 4;
        const unsigned* const b_row = b + (col0 + lane / 16 * 8 + lane % 8) * PITCH + lane / 8 % 2 * 4;
#pragma unroll
        for (int w = 0; w < WORDS; w += 8) {
            unsigned fa[WM / 16][4], fb[WN / 16][4];
#pragma unroll
            for (int i = 0; i < WM / 16; i++) ldmatrix_x4(fa[i], a_row + i * 16 * PITCH + w);
#pragma unroll
            for (int j = 0; j < WN / 16; j++) ldmatrix_x4(fb[j], b_row + j * 16 * PITCH + w);
#pragma unroll
            for (int i = 0; i < WM / 16; i++)
#pragma unroll
                for (int j = 0; j < WN / 8; j++) T::mma(sum[i][j], fa[i], fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1]);
        }
    }

    // All sums of the block: `steps` tiles of K terms, double-buffered through registers as in rung 06.
    template <class A, class B> __device__ void add_all(unsigned* memory, A& a, B& b, int steps) {
        constexpr int TILE = (BM + BN) * PITCH;
        float next_a[A::PASSES][4], next_b[B::PASSES][4];
        a.fetch(next_a);
        b.fetch(next_b);
        store(memory, a, next_a);
        store(memory + BM * PITCH, b, next_b);
        __syncthreads();
#pragma unroll 1
        for (int step = 0; step < steps; step++) {
            const bool more = step + 1 < steps;
            if (more) {
                a.fetch(next_a);
                b.fetch(next_b);
            }
            const unsigned* const now = memory + step % 2 * TILE;
            unsigned* const then = memory + (step + 1) % 2 * TILE;
            add_tiles(now, now + BM * PITCH);
            if (more) {
                store(then, a, next_a);
                store(then + BM * PITCH, b, next_b);
            }
            __syncthreads();
        }
    }

    // Hands every sum to `out`, two neighbours of a row at a time.
    template <class Out> __device__ void finish(const Out& out, Tile tile) const {
        const int lane = threadIdx.x % WARP;
        const int row = tile.row + row0 + lane / 4, col = tile.col + col0 + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < WN / 8; j++) {
            const auto columns = out.template columns<2>(col + j * 8);
#pragma unroll
            for (int i = 0; i < WM / 16; i++) {
                out.template put<2>(columns, row + i * 16, sum[i][j]);
                out.template put<2>(columns, row + i * 16 + 8, sum[i][j] + 2);
            }
        }
    }
};
