// The register tile of the fast f32 rungs (gemm 06 and 07, conv2d 03): TM x TN sums per thread, fed by float4 loads.
//
// A thread's rows come in groups of four, BM / (TM / 4) apart, its columns likewise. With BM = BN = 128 and TM = TN = 8:
//
//             columns  4 tx .. +3            64 + 4 tx .. +3
//   rows 4 ty .. +3      [ 4 x 4 ]             [ 4 x 4 ]          a warp is 4 (ty) x 8 (tx) threads: its eight tx read
//                                                                 8 * 16 = 128 neighbouring bytes of B, one pass through
//   64 + 4 ty .. +3      [ 4 x 4 ]             [ 4 x 4 ]          the 32 banks, and its four ty a broadcast of A
//
// With eight neighbouring columns per thread (rung 05), the 16-byte loads of tx and tx + 4 would use the same banks, a
// two-way conflict: their columns are 32 floats apart.
#pragma once

#include "gemm/gemm.cuh"

template <int BM, int BN, int TM, int TN> struct ThreadTile {
    static constexpr int ACROSS = BN / TN;
    static constexpr int THREADS = BM / TM * ACROSS;
    // Rows of a tile of A in shared memory, tile[k][m], are PITCH_A floats long: 4 more than BM, so that a thread that
    // stores along k meets other banks than its neighbours, while float4 loads stay aligned.
    static constexpr int PITCH_A = BM + 4;
    static constexpr int PITCH_B = BN + 4;
    // Terms of a tile of quads, and the floats that two buffers of such tiles take.
    static constexpr int K = 16;
    static constexpr int MEMORY = 2 * K * (PITCH_A + PITCH_B);
    static_assert(TM % 4 == 0 && TN % 4 == 0 && ACROSS % 8 == 0 && (BM / TM) % 4 == 0, "a warp is 4 x 8 threads");

    int ty;
    int tx;
    float sum[TM][TN];

    __device__ ThreadTile() {
        const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
        ty = warp / (ACROSS / 8) * 4 + lane / 8;
        tx = warp % (ACROSS / 8) * 8 + lane % 8;
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int j = 0; j < TN; j++) sum[i][j] = 0.0f;
    }

    // The row, column in the block's tile of this thread's sum i, j.
    __device__ int row(int i) const { return i / 4 * (BM / (TM / 4)) + 4 * ty + i % 4; }
    __device__ int col(int j) const { return j / 4 * (BN / (TN / 4)) + 4 * tx + j % 4; }

    // One term of every sum: an outer product of BM numbers of A and BN of B.
    __device__ void add(const float* a, const float* b) {
        float a_k[TM], b_k[TN];
#pragma unroll
        for (int i = 0; i < TM; i += 4) load4(a + row(i), a_k + i);
#pragma unroll
        for (int j = 0; j < TN; j += 4) load4(b + col(j), b_k + j);
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int j = 0; j < TN; j++) sum[i][j] += a_k[i] * b_k[j];
    }

    // TERMS terms, from tiles stored as [TERMS][PITCH].
    template <int TERMS> __device__ void add_tiles(const float* a, const float* b) {
#pragma unroll
        for (int k = 0; k < TERMS; k++) add(a + k * PITCH_A, b + k * PITCH_B);
    }

    // Stores a thread's quads as columns of tile[k][line].
    template <class Quads>
    __device__ static void store(float* tile, int pitch, const Quads& q, const float (&quad)[Quads::PASSES][4]) {
        if (!q.active()) return;
#pragma unroll
        for (int pass = 0; pass < Quads::PASSES; pass++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                tile[(q.k + pass * q.k_jump + i) * pitch + q.line + pass * q.line_jump] = quad[pass][i];
    }

    // All sums of a block whose operands come as quads (gemm/float4_loader.cuh): `steps` tiles of K terms, double-buffered
    // through registers as in rung 06.
    template <class A, class B> __device__ void add_all(float* memory, A& a, B& b, int steps) {
        constexpr int TILE_A = K * PITCH_A, TILE = TILE_A + K * PITCH_B;
        float next_a[A::PASSES][4], next_b[B::PASSES][4];
        a.fetch(next_a);
        b.fetch(next_b);
        store(memory, PITCH_A, a, next_a);
        store(memory + TILE_A, PITCH_B, b, next_b);
        __syncthreads();
#pragma unroll 1
        for (int step = 0; step < steps; step++) {
            const bool more = step + 1 < steps;
            if (more) {
                a.fetch(next_a);
                b.fetch(next_b);
            }
            const float* const now = memory + step % 2 * TILE;
            float* const then = memory + (step + 1) % 2 * TILE;
            add_tiles<K>(now, now + TILE_A);
            if (more) {
                store(then, PITCH_A, a, next_a);
                store(then + TILE_A, PITCH_B, b, next_b);
            }
            __syncthreads();
        }
    }

    // Hands every sum to `out`, four neighbours of a row at a time.
    template <class Out> __device__ void finish(const Out& out, Tile tile) const {
#pragma unroll
        for (int j = 0; j < TN; j += 4) {
            const auto columns = out.template columns<4>(tile.col + col(j));
#pragma unroll
            for (int i = 0; i < TM; i++) out.template put<4>(columns, tile.row + row(i), sum[i] + j);
        }
    }

    __device__ static void load4(const float* from, float* to) {
        const float4 v = *reinterpret_cast<const float4*>(from);
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
    }
};
