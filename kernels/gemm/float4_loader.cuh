// Quads: how the rungs that compute a place for every number (conv2d 03 and 04) or round it (gemm 08) bring a tile into
// shared memory. A thread carries quads of four neighbours along k of one line:
//
//      registers  [ k  k+1  k+2  k+3 ]  of line l   ->   tile[l][k ..] in one store, or tile[k ..][l] in four
//
// Neighbouring threads carry neighbouring lines, or neighbouring quads of a line, whichever lie together in memory.
#pragma once

#include "gemm/gemm.cuh"

// Which quads of a tile of LINES lines and K numbers each thread carries.
template <int LINES, int K, int THREADS> struct Placement {
    static constexpr int QUADS = K / 4;
    static constexpr int PASSES = (LINES * QUADS + THREADS - 1) / THREADS;
    static_assert(THREADS % LINES == 0 && THREADS % QUADS == 0, "a thread's quads lie on one line, or at one k");

    // The first quad's place in the tile, and the way to the next.
    int line;
    int k;
    int line_jump;
    int k_jump;

    __device__ Placement(bool along_k) {
        const int t = threadIdx.x;
        line = along_k ? t / QUADS : t % LINES;
        k = 4 * (along_k ? t % QUADS : t / LINES);
        line_jump = along_k ? THREADS / QUADS : 0;
        k_jump = along_k ? 0 : 4 * (THREADS / LINES);
    }

    // A tile that is smaller than the block leaves some threads without a quad.
    __device__ bool active() const { return LINES * QUADS >= THREADS || (line < LINES && k < K); }
};

// An operand with strides, as matrices have. `fetch` reads this thread's quads of a tile, and of the next one when it is
// called again.
template <int LINES, int K, int THREADS> struct StridedQuads : Placement<LINES, K, THREADS> {
    using Place = Placement<LINES, K, THREADS>;
    bool wide;
    const float* from;
    long long step;
    long long jump;
    // Lines, and numbers k, from the first quad's place to the edge.
    int lines;
    int ks;

    __device__ StridedQuads(const Operand& o, int first) : Place(o.step == 1) {
        wide = o.quads_along_k();
        from = o.at(first + this->line, o.k_first + this->k);
        step = o.step;
        jump = this->line_jump * o.line + this->k_jump * o.step;
        lines = o.lines - first - this->line;
        ks = o.k_end - o.k_first - this->k;
    }

    __device__ void fetch(float (&quad)[Place::PASSES][4]) {
#pragma unroll
        for (int pass = 0; pass < Place::PASSES; pass++) {
            const float* const at = from + pass * jump;
            const int real = this->active() && lines > pass * this->line_jump ? ks - pass * this->k_jump : 0;
            if (wide && real >= 4) {
                const float4 v = *reinterpret_cast<const float4*>(at);
                quad[pass][0] = v.x, quad[pass][1] = v.y, quad[pass][2] = v.z, quad[pass][3] = v.w;
            } else {
#pragma unroll
                for (int i = 0; i < 4; i++) quad[pass][i] = i < real ? at[i * step] : 0.0f;
            }
        }
        from += K * step;
        ks -= K;
    }
};
