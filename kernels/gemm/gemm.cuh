// The code that all rungs of the GEMM ladder use: a block's operands and its tile of C, and how it stores a finished sum.
#pragma once

#include "common.cuh"

// One operand of a block, A or B. Its lines are the m rows of A or the n columns of B. Each line has one number per k: that
// of line l is data[l * line + k * step]. So the same code reads A, B and their transposes.
struct Operand {
    const float* data;
    long long line;
    long long step;
    int lines;
    // The range of k that this block sums over.
    int k_first;
    int k_end;

    __device__ bool inside(int l, int k) const { return l < lines && k < k_end; }
    __device__ const float* at(int l, int k) const { return data + l * line + k * step; }
    __device__ float get(int l, int k) const { return inside(l, k) ? *at(l, k) : 0.0f; }
    // Whether one load may read four neighbours: along k, or along the lines, from a place that is a multiple of four.
    __device__ bool quads_along_k() const { return step == 1 && line % 4 == 0 && aligned() && k_first % 4 == 0; }
    __device__ bool quads_along_lines() const { return line == 1 && step % 4 == 0 && aligned(); }
    __device__ bool aligned() const { return (size_t)data % 16 == 0; }
};

// The operands of a block: both matrices z of the batch, for one range of k.
struct BlockOperands {
    Operand a;
    Operand b;
};

// Where matrix z begins, for an operand with these strides between the batch's matrices.
__device__ inline long long batch_offset(const int (&batch)[4], const long long (&stride)[4], int z) {
    long long offset = 0;
#pragma unroll
    for (int d = 3; d >= 0; d--) {
        offset += z % batch[d] * stride[d];
        z /= batch[d];
    }
    return offset;
}

__device__ inline BlockOperands block_operands(const float* a, const float* b, const Gemm& g) {
    const int split = blockIdx.z % g.splits;
    const int z = g.first + blockIdx.z / g.splits;
    const int k_first = split * g.k_split;
    const int k_end = min(g.k, k_first + g.k_split);
    return {
        {a + batch_offset(g.batch, g.a_batch, z), g.a_row, g.a_col, g.m, k_first, k_end},
        {b + batch_offset(g.batch, g.b_batch, z), g.b_col, g.b_row, g.n, k_first, k_end},
    };
}

// Writes 2 or 4 neighbours at once, to an address that is a multiple of their size.
template <int V> __device__ void store_together(float* to, const float* v) {
    static_assert(V == 2 || V == 4, "as many as one store can write");
    if constexpr (V == 4) *reinterpret_cast<float4*>(to) = make_float4(v[0], v[1], v[2], v[3]);
    if constexpr (V == 2) *reinterpret_cast<float2*>(to) = make_float2(v[0], v[1]);
}

// The epilogue adds C and the bias to a finished sum and applies ReLU, while the sum is still in a register. This saves
// three passes over C.
struct Epilogue {
    float* c;
    long long ldc;
    int m;
    int n;
    bool beta;
    bool relu;
    // Null, or one value per row or per column.
    const float* row_bias;
    const float* col_bias;
    // Whether one store may write four neighbours of a row, from a column that is a multiple of four.
    bool quads;

    // Stores the sums unchanged.
    __device__ Epilogue(float* c, long long ldc, int m, int n)
        : c(c), ldc(ldc), m(m), n(n), beta(false), relu(false), row_bias(nullptr), col_bias(nullptr),
          quads((size_t)c % 16 == 0 && ldc % 4 == 0) {}

    __device__ Epilogue(const Gemm& g, float* c, int z, int split)
        : Epilogue(c + z * g.c_batch + split * g.c_split, g.ldc, g.m, g.n) {
        beta = g.beta, relu = g.relu;
        row_bias = g.bias && g.bias_period ? g.bias + (long long)(z % g.bias_period) * g.m : nullptr;
        col_bias = g.bias && !g.bias_period ? g.bias : nullptr;
    }

    // The epilogue of the matrix that this block computes. It is made after the sums, so that it takes no registers from
    // them.
    __device__ Epilogue(const Gemm& g, float* c)
        : Epilogue(g, c, g.first + blockIdx.z / g.splits, blockIdx.z % g.splits) {}

    __device__ float finished(int i, int j, float sum) const {
        if (beta) sum += c[i * ldc + j];
        if (row_bias) sum += row_bias[i];
        if (col_bias) sum += col_bias[j];
        return relu && sum < 0.0f ? 0.0f : sum;
    }

    __device__ void put(int i, int j, float sum) const {
        if (i < m && j < n) c[i * ldc + j] = finished(i, j, sum);
    }

    // `columns()` is called once per group of V columns, and then `put()` once per row with V sums. The first column is a
    // multiple of V.
    template <int V> __device__ int columns(int j) const { return j; }
    template <int V> __device__ void put(int j, int i, const float* sum) const {
        if (i >= m) return;
        if (quads && j + V <= n) {
            float v[V];
#pragma unroll
            for (int q = 0; q < V; q++) v[q] = finished(i, j + q, sum[q]);
            store_together<V>(c + i * ldc + j, v);
        } else {
#pragma unroll
            for (int q = 0; q < V; q++) put(i, j + q, sum[q]);
        }
    }
};

// The tile of C that a block computes. Tiles are counted along x alone, which may be 2^31 - 1 wide. Their order is by strips
// that are 16 tiles wide. Then the blocks that run at the same time need few rows of A and few columns of B, which stay
// in L2:
//
//      0  1 ..  15 | 16 x down ..            132 multiprocessors, two blocks each, work on about 16 x 16 tiles
//     16 17 ..  31 |                         at a time instead of on 4 x 64
//     ..           |
struct Tile {
    int row;
    int col;
};

template <int ROWS, int COLS> __device__ Tile tile_of(int m, int n) {
    constexpr int STRIP = 16;
    const int down = (m + ROWS - 1) / ROWS, across = (n + COLS - 1) / COLS;
    const int strip = blockIdx.x / (down * STRIP), within = blockIdx.x % (down * STRIP);
    const int width = min(STRIP, across - strip * STRIP);
    return {within / width * ROWS, (strip * STRIP + within % width) * COLS};
}

// Fills tile[k][l] (rows of PITCH floats) with the numbers k_first .. + K of lines first .. + LINES, and zeros beyond the
// edges. Neighbouring threads read neighbours in memory, for a row-major operand and for a transposed one.
template <int LINES, int K, int PITCH, int THREADS>
__device__ void fill_tile(float* tile, const Operand& o, int first, int k_first) {
    static_assert(LINES * K % THREADS == 0, "every thread copies the same number of elements");
#pragma unroll
    for (int pass = 0; pass < LINES * K / THREADS; pass++) {
        const int e = pass * THREADS + threadIdx.x;
        const int l = o.step == 1 ? e / K : e % LINES;
        const int k = o.step == 1 ? e % K : e / LINES;
        tile[k * PITCH + l] = o.get(first + l, k_first + k);
    }
}
