// Elements moved, not changed: slices, joined tensors, permutations, stretched copies, borders. Any element type: a
// copy only needs to know how many bytes an element has.
//
//      copy_strided   y[sum i_d b_d] = x[sum i_d a_d]      slice, cat (one launch per tensor), expand, permute
//      transpose      the two dimensions that are contiguous in x and in y change places
//      pad            y[i] = x[source(i)], or the constant outside
//
// Bytes from memory: each element read and written once (a stretched one is read once and written often).
// Limited by: memory, as long as neighbouring threads touch neighbouring bytes on both sides. That is what `transpose`
// is for: written naively, one side of it jumps by a whole row from thread to thread, and every 4 bytes cost a
// transaction of 32. Where rows stay whole, the host calls 16 (8, 4, 2) bytes of them one element: slices and joins
// then move 16 bytes per thread.
// Ragged edges: tiles beyond the end are not read and not written; any element offset is right for its own size.
#include "strided_index.cuh"

template <class T> __device__ void copy_walk(const void* x, void* y, const Walk& walk) {
    GRID_STRIDE(i, walk.n) {
        const Place at = place(walk, i);
        static_cast<T*>(y)[at.b] = static_cast<const T*>(x)[at.a];
    }
}

// Elements of 1, 2, 4, 8 or 16 bytes from the places a to the places b of the walk.
extern "C" __global__ void copy_strided(const void* __restrict__ x, void* __restrict__ y, int bytes, Walk walk) {
    if (bytes == 1) copy_walk<unsigned char>(x, y, walk);
    else if (bytes == 2) copy_walk<unsigned short>(x, y, walk);
    else if (bytes == 4) copy_walk<unsigned>(x, y, walk);
    else if (bytes == 8) copy_walk<unsigned long long>(x, y, walk);
    else copy_walk<uint4>(x, y, walk);
}

constexpr int TILE = 32;

// One tile of 32 x 32, through shared memory, so that both sides see whole rows:
//
//      x, together along rows r           tile[c][r]             y, together along columns c
//      warp w reads   c = w, w+8, ..  ->  32 x 33 elements  ->   warp w writes  r = w, w+8, ..
//
// Reading a column of the tile would hit one of the 32 banks 32 times if its rows were 32 wide. At 33 they shift by
// one.
template <class T>
__device__ void transpose_tiles(const void* from, void* to, const Transpose& t, T (*tile)[TILE + 1]) {
    const T* x = static_cast<const T*>(from);
    T* y = static_cast<T*>(to);
    const int lane = threadIdx.x % TILE, warp = threadIdx.x / TILE, warps = blockDim.x / TILE;
    const long long across = (t.columns + TILE - 1) / TILE, down = (t.rows + TILE - 1) / TILE;
    for (long long unit = blockIdx.x; unit < across * down * t.planes; unit += gridDim.x) {
        const long long c0 = unit % across * TILE, r0 = unit / across % down * TILE;
        long long plane = unit / across / down, read = 0, write = 0;
#pragma unroll
        for (int d = 0; d < 4; d++) {
            read += plane % t.size[d] * t.from[d];
            write += plane % t.size[d] * t.to[d];
            plane /= t.size[d];
        }
        for (int k = warp; k < TILE; k += warps) {
            const long long c = c0 + k, r = r0 + lane;
            if (c < t.columns && r < t.rows) tile[k][lane] = x[read + c * t.column_step + r];
        }
        __syncthreads();
        for (int k = warp; k < TILE; k += warps) {
            const long long c = c0 + lane, r = r0 + k;
            if (c < t.columns && r < t.rows) y[write + r * t.row_step + c] = tile[lane][k];
        }
        __syncthreads();
    }
}

// Blocks of 256 threads, one tile after the other.
extern "C" __global__ void __launch_bounds__(256) transpose(const void* __restrict__ x, void* __restrict__ y, int bytes,
                                                            Transpose t) {
    __shared__ unsigned long long tile[TILE * (TILE + 1)];
    if (bytes == 1) transpose_tiles(x, y, t, reinterpret_cast<unsigned char (*)[TILE + 1]>(tile));
    else if (bytes == 2) transpose_tiles(x, y, t, reinterpret_cast<unsigned short (*)[TILE + 1]>(tile));
    else if (bytes == 4) transpose_tiles(x, y, t, reinterpret_cast<unsigned (*)[TILE + 1]>(tile));
    else transpose_tiles(x, y, t, reinterpret_cast<unsigned long long (*)[TILE + 1]>(tile));
}

constexpr int CONSTANT = 0, REFLECT = 1, REPLICATE = 2, CIRCULAR = 3;

// The part of dimension d that a circular border repeats: what a negative pad crops does not come round again.
__device__ inline long long first_left(const Pad& pad, int d) {
    return max(-pad.before[d], 0LL);
}

__device__ inline long long left(const Pad& pad, int d) {
    const long long after = pad.out[d] - pad.size[d] - pad.before[d];
    return pad.size[d] - first_left(pad, d) - max(-after, 0LL);
}

// Which index of dimension d output index i shows; -1 for none. `step` apart (the gradient of a slice) only every
// step-th index shows one.
__device__ inline long long source(const Pad& pad, int d, long long i) {
    const long long j = i - pad.before[d], size = pad.size[d];
    if (pad.mode == CIRCULAR) {
        const long long first = first_left(pad, d), around = (j - first) % left(pad, d);
        return first + (around < 0 ? around + left(pad, d) : around);
    }
    if (pad.mode == CONSTANT) return j >= 0 && j % pad.step[d] == 0 && j / pad.step[d] < size ? j / pad.step[d] : -1;
    if (j >= 0 && j < size) return j;
    if (pad.mode == REPLICATE) return j < 0 ? 0 : size - 1;
    return j < 0 ? -j : 2 * (size - 1) - j;
}

template <class T> __device__ void pad_all(const void* x, void* y, unsigned long long value, const Pad& pad) {
    GRID_STRIDE(i, pad.n) {
        long long rest = i, from = 0;
        bool outside = false;
#pragma unroll
        for (int d = 0; d < 6; d++) {
            if (d == pad.rank) break;
            const long long k = source(pad, d, rest % pad.out[d]);
            outside = outside || k < 0;
            from += k * pad.stride[d];
            rest /= pad.out[d];
        }
        static_cast<T*>(y)[i] = outside ? (T)value : static_cast<const T*>(x)[from];
    }
}

// Elements of 1, 2, 4 or 8 bytes; `value` holds the bits of the constant.
extern "C" __global__ void pad(const void* __restrict__ x, void* __restrict__ y, int bytes, unsigned long long value,
                               Pad p) {
    if (bytes == 1) pad_all<unsigned char>(x, y, value, p);
    else if (bytes == 2) pad_all<unsigned short>(x, y, value, p);
    else if (bytes == 4) pad_all<unsigned>(x, y, value, p);
    else pad_all<unsigned long long>(x, y, value, p);
}

// How many candidates there are among the output indices that may show index k of dimension d, and the c-th of them, in
// rising order; -1 where that candidate lies beyond the border or is cropped.
//
//      reflect      -k, k, 2 (size - 1) - k           circular    k - left, k, k + left
//      replicate    k, and the whole border beyond an edge element
__device__ inline long long candidates(const Pad& pad, int d, long long k) {
    if (pad.mode != REPLICATE) return 3;
    const long long border = (k == 0 ? max(pad.before[d], 0LL) : 0) +
                             (k == pad.size[d] - 1 ? max(pad.out[d] - pad.size[d] - pad.before[d], 0LL) : 0);
    return 1 + border;
}

__device__ inline long long candidate(const Pad& pad, int d, long long k, long long c) {
    const long long size = pad.size[d];
    long long j = k;
    if (pad.mode == REPLICATE) {
        j = k - (k == 0 ? max(pad.before[d], 0LL) : 0) + c;
    } else if (pad.mode == REFLECT) {
        if ((c == 0 && k == 0) || (c == 2 && k == size - 1)) return -1; // the mirror's own place shows once
        j = c == 0 ? -k : c == 1 ? k : 2 * (size - 1) - k;
    } else {
        const long long first = first_left(pad, d);
        if (k < first || k >= first + left(pad, d)) return -1;
        j = k + (c - 1) * left(pad, d);
    }
    const long long i = j + pad.before[d];
    return i >= 0 && i < pad.out[d] ? i : -1;
}

// dx[k] = the sum of dy over the output places that show k. A gather: each thread asks where its element went, instead
// of throwing at places that others throw at too. Rising places, as a loop over dy adds them.
extern "C" __global__ void pad_bwd_f32(const float* __restrict__ dy, float* __restrict__ dx, long long n, Pad p) {
    GRID_STRIDE(i, n) {
        long long combinations = 1, rest = i;
#pragma unroll
        for (int d = 0; d < 6; d++) {
            if (d == p.rank) break;
            combinations *= candidates(p, d, rest % p.size[d]);
            rest /= p.size[d];
        }
        float sum = 0;
        for (long long which = 0; which < combinations; which++) {
            long long c = which, index = i, at = 0, stride = 1;
            bool shown = true;
#pragma unroll
            for (int d = 0; d < 6; d++) {
                if (d == p.rank) break;
                const long long k = index % p.size[d], all = candidates(p, d, k), j = candidate(p, d, k, c % all);
                shown = shown && j >= 0;
                at += j * stride;
                stride *= p.out[d];
                index /= p.size[d];
                c /= all;
            }
            if (shown) sum += dy[at];
        }
        dx[i] = sum;
    }
}
