// Dropout, with the same masks as the CPU: Philox 4x32-10 (Salmon et al., SC 2011), bit for bit as src/core/rng.rs.
//
// There is no generator to carry along: the 32 random bits of element i are a pure function of (key, step, i), so every
// thread computes those of its own elements, in any order, and a resumed run draws the same mask again.
//
//      block i / 4 of the stream   =   philox([i / 4 low, high, step low, high], key)   =   4 words, one per element
//      kept where  word >= p * 2^32
//
// A replayed CUDA graph repeats its arguments, the step number too. So the step can be read from device memory
// (`live_step`), where the host changes it between replays.
//
// Bytes from memory: 4 read, 4 + 1 written per element. Arithmetic intensity: Philox is about 100 integer operations for
// 4 elements, 3 operations a byte.
// Limited by: memory. Ragged edges: the last 1 to 3 elements go one by one, each with its own word of one more block.
#include "common.cuh"

struct Words {
    unsigned word[4];
    // Element i's. Chosen and not indexed: registers have no addresses, so indexing would move the words to memory.
    __device__ unsigned at(long long i) const {
        const int k = (int)(i % 4);
        return k == 0 ? word[0] : k == 1 ? word[1] : k == 2 ? word[2] : word[3];
    }
};

__device__ inline Words philox(unsigned long long block, unsigned long long step, unsigned long long key) {
    unsigned c0 = (unsigned)block, c1 = (unsigned)(block >> 32), c2 = (unsigned)step, c3 = (unsigned)(step >> 32);
    unsigned k0 = (unsigned)key, k1 = (unsigned)(key >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const unsigned long long p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
        c0 = (unsigned)(p1 >> 32) ^ c1 ^ k0;
        c1 = (unsigned)p1;
        c2 = (unsigned)(p0 >> 32) ^ c3 ^ k1;
        c3 = (unsigned)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return Words{{c0, c1, c2, c3}};
}

// A choice and not a product: with p = 1 the scale is infinite.
__device__ inline float kept(float x, unsigned char mask, float scale) {
    return mask == 0 ? 0 : x * scale;
}

// Four neighbours at once: their masks are the four words of one block.
__device__ inline float4 kept(float4 x, uchar4 mask, float scale) {
    return make_float4(kept(x.x, mask.x, scale), kept(x.y, mask.y, scale), kept(x.z, mask.z, scale),
                       kept(x.w, mask.w, scale));
}

__device__ inline uchar4 masks(const Words& random, unsigned long long threshold) {
    const unsigned* w = random.word;
    return make_uchar4(w[0] >= threshold, w[1] >= threshold, w[2] >= threshold, w[3] >= threshold);
}

// Four masks lie on a border of 4 bytes wherever their tensor starts at one.
__device__ inline bool aligned4(const void* p) {
    return reinterpret_cast<unsigned long long>(p) % 4 == 0;
}

extern "C" __global__ void dropout_fwd_f32(const float* __restrict__ x, float* __restrict__ y,
                                           unsigned char* __restrict__ mask, long long n, unsigned long long threshold,
                                           float scale, unsigned long long key, unsigned long long step,
                                           const unsigned long long* __restrict__ live_step) {
    const unsigned long long now = live_step == nullptr ? step : *live_step;
    const long long quads = aligned16(x) && aligned16(y) && aligned4(mask) ? n / 4 : 0;
    GRID_STRIDE(i, quads) {
        const uchar4 m = masks(philox(i, now, key), threshold);
        reinterpret_cast<uchar4*>(mask)[i] = m;
        reinterpret_cast<float4*>(y)[i] = kept(reinterpret_cast<const float4*>(x)[i], m, scale);
    }
    GRID_STRIDE(rest, n - 4 * quads) {
        const long long i = 4 * quads + rest;
        mask[i] = philox(i / 4, now, key).at(i) >= threshold;
        y[i] = kept(x[i], mask[i], scale);
    }
}

// One mask for each of n channels.
extern "C" __global__ void dropout_mask(unsigned char* __restrict__ mask, long long n, unsigned long long threshold,
                                        unsigned long long key, unsigned long long step,
                                        const unsigned long long* __restrict__ live_step) {
    const unsigned long long now = live_step == nullptr ? step : *live_step;
    GRID_STRIDE(i, n) mask[i] = philox(i / 4, now, key).at(i) >= threshold;
}

// The gradient of dropout: dx = dy * scale where kept, else 0.
extern "C" __global__ void dropout_bwd_f32(const float* __restrict__ dy, const unsigned char* __restrict__ mask,
                                           float* __restrict__ dx, float scale, long long n) {
    const long long quads = aligned16(dy) && aligned16(dx) && aligned4(mask) ? n / 4 : 0;
    GRID_STRIDE(i, quads) {
        const uchar4 m = reinterpret_cast<const uchar4*>(mask)[i];
        reinterpret_cast<float4*>(dx)[i] = kept(reinterpret_cast<const float4*>(dy)[i], m, scale);
    }
    GRID_STRIDE(rest, n - 4 * quads) {
        const long long i = 4 * quads + rest;
        dx[i] = kept(dy[i], mask[i], scale);
    }
}

// Both directions of dropout2d: one mask for each channel of `length` pixels.
extern "C" __global__ void dropout2d_f32(const float* __restrict__ x, const unsigned char* __restrict__ mask,
                                         float* __restrict__ y, float scale, long long length, long long n) {
    GRID_STRIDE(i, n) y[i] = kept(x[i], mask[i / length], scale);
}
