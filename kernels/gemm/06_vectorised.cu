// gemm / 06 vectorised: four floats per load, and the next tile is loaded while this one is used.
//
// What changed since 05, three things:
//   - A copy moves 16 bytes if four neighbours of the operand are contiguous and aligned: a quarter of the load instructions.
//   - There are two buffers. Tile t+1 is read into registers BEFORE tile t is used, and stored to the other buffer AFTER:
//
//        time ->   fetch 1 | use 0 | store 1 | barrier | fetch 2 | use 1 | store 2 | barrier ..
//                    '--- the wait for memory passes here ---'            one barrier per tile instead of two
//
//   - The square of 8 x 8 sums becomes four squares of 4 x 4 (thread_tile.cuh): no bank conflicts.
//
// How an operand enters shared memory, tile[k][line]:
//
//        lines are contiguous (a row-major B, a transposed A):   k is contiguous (a row-major A, a transposed B):
//        one float4 = 4 lines of one k, stored as it is          one float4 = 4 k of one line, stored as a column
//                 l l+1 l+2 l+3                                             k
//             k  [ x   x   x   x ]                                          k+1   four stores, one per row
//                                                                           ..
// Bytes moved: as 05, in a quarter of the requests.
// Arithmetic intensity: 32 flop/byte from memory, 2 from shared memory.
// Limited by: latency, if the arithmetic of one tile takes less time than a load from memory. Only one tile is under way,
// and it takes up registers. 07 has three under way, and they take up none.
// Resources (ptxas, sm_80): 128 registers, 17 KiB shared, nothing spilled: two blocks per multiprocessor.
// Ragged edges: a quad that crosses an edge is read float by float, and beyond the edge it is filled with zeros.
#include "gemm/thread_tile.cuh"

// Each thread copies one quad of an operand's tile from memory to shared memory, through registers.
template <int LINES, int K, int PITCH, int THREADS> struct Staged {
    static_assert(LINES * K / 4 == THREADS, "one quad per thread");
    // Whether the quad is four lines of one k, or four k of one line; and whether one load may read all four.
    bool along_lines;
    bool wide;
    const float* from;
    // From one k to the next in memory.
    long long step;
    int to;
    // How many lines, and how many k, there are from this quad's place to the edge.
    int lines;
    int ks;
    float quad[4];

    __device__ Staged(const Operand& o, int first) {
        const int t = threadIdx.x;
        along_lines = o.quads_along_lines();
        wide = along_lines || o.quads_along_k();
        // Neighbouring threads read neighbouring places.
        const int l = along_lines ? t % (LINES / 4) * 4 : o.step == 1 ? t / (K / 4) : t % LINES;
        const int k = along_lines ? t / (LINES / 4) : o.step == 1 ? t % (K / 4) * 4 : t / LINES * 4;
        from = o.at(first + l, o.k_first + k);
        step = o.step;
        to = k * PITCH + l;
        lines = o.lines - first - l;
        ks = o.k_end - o.k_first - k;
    }

    __device__ void fetch() {
        const int real = lines <= 0 || ks <= 0 ? 0 : along_lines ? lines : ks;
        if (wide && real >= 4) {
            const float4 v = *reinterpret_cast<const float4*>(from);
            quad[0] = v.x, quad[1] = v.y, quad[2] = v.z, quad[3] = v.w;
        } else {
#pragma unroll
            for (int i = 0; i < 4; i++) quad[i] = i < real ? from[along_lines ? i : i * step] : 0.0f;
        }
        from += K * step;
        ks -= K;
    }

    __device__ void store(float* tile) const {
        if (along_lines) {
            *reinterpret_cast<float4*>(tile + to) = make_float4(quad[0], quad[1], quad[2], quad[3]);
        } else {
#pragma unroll
            for (int i = 0; i < 4; i++) tile[to + i * PITCH] = quad[i];
        }
    }
};

extern "C" __global__ void __launch_bounds__(256, 2)
    gemm_v06_f32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, Gemm g) {
    constexpr int T = 128, K = 8;
    using Sums = ThreadTile<T, T, 8, 8>;
    __shared__ __align__(16) float tile_a[2][K * Sums::PITCH_A];
    __shared__ __align__(16) float tile_b[2][K * Sums::PITCH_B];
    const BlockOperands s = block_operands(a, b, g);
    const Tile tile = tile_of<T, T>(g.m, g.n);
    Staged<T, K, Sums::PITCH_A, Sums::THREADS> next_a(s.a, tile.row);
    Staged<T, K, Sums::PITCH_B, Sums::THREADS> next_b(s.b, tile.col);
    Sums sums;

    next_a.fetch();
    next_b.fetch();
    next_a.store(tile_a[0]);
    next_b.store(tile_b[0]);
    __syncthreads();
    int now = 0;
#pragma unroll 1
    for (int left = s.a.k_end - s.a.k_first; left > 0; left -= K) {
        // After the last tile the fetch is outside the operand and reads nothing.
        next_a.fetch();
        next_b.fetch();
        sums.add_tiles<K>(tile_a[now], tile_b[now]);
        now ^= 1;
        next_a.store(tile_a[now]);
        next_b.store(tile_b[now]);
        __syncthreads();
    }
    sums.finish(Epilogue(g, c), tile);
}
