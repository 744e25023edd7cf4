// Dropout, with the same masks as the CPU: Philox 4x32-10 (Salmon et al., SC 2011), bit for bit as src/core/rng.rs.
//
// There is no generator to carry along: the 32 random bits of element i are a pure function of (key, step, i), so every
// thread computes those of its own elements, in any order, and a resumed run draws the same mask again.
//
//      block i / 4 of the stream   =   philox([i / 4 low, high, step low, high], key)   =   4 words, one an element
//      kept where  word >= p * 2^32
//
// A replayed CUDA graph repeats its arguments, the step number too. So the step can be read from device memory
// (`live_step`), where the host changes it between replays.
//
// Bytes from memory: 4 read, 4 + 1 written an element. Arithmetic intensity: Philox is about 100 integer operations for
// 4 elements, 3 operations a byte.
// Limited by: memory. Ragged edges: the last thread has 1 to 3 elements; the others of its four words are not used.
#include "common.cuh"

struct Words {
    unsigned word[4];
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

// Each thread draws four neighbours' masks and applies them.
extern "C" __global__ void dropout_fwd_f32(const float* __restrict__ x, float* __restrict__ y,
                                           unsigned char* __restrict__ mask, long long n, unsigned long long threshold,
                                           float scale, unsigned long long key, unsigned long long step,
                                           const unsigned long long* __restrict__ live_step) {
    const unsigned long long now = live_step == nullptr ? step : *live_step;
    GRID_STRIDE(block, (n + 3) / 4) {
        const Words random = philox(block, now, key);
        for (int w = 0; w < 4 && 4 * block + w < n; w++) {
            const long long i = 4 * block + w;
            mask[i] = random.word[w] >= threshold ? 1 : 0;
            y[i] = kept(x[i], mask[i], scale);
        }
    }
}

// One mask for each of n channels.
extern "C" __global__ void dropout_mask(unsigned char* __restrict__ mask, long long n, unsigned long long threshold,
                                        unsigned long long key, unsigned long long step,
                                        const unsigned long long* __restrict__ live_step) {
    const unsigned long long now = live_step == nullptr ? step : *live_step;
    GRID_STRIDE(block, (n + 3) / 4) {
        const Words random = philox(block, now, key);
        for (int w = 0; w < 4 && 4 * block + w < n; w++) mask[4 * block + w] = random.word[w] >= threshold ? 1 : 0;
    }
}

// y = x * scale where kept, else 0, with one mask for each `length` elements: 1 for the gradient of dropout, a
// channel's pixels for both directions of dropout2d.
extern "C" __global__ void drop_f32(const float* __restrict__ x, const unsigned char* __restrict__ mask,
                                    float* __restrict__ y, float scale, long long length, long long n) {
    GRID_STRIDE(i, n) y[i] = kept(x[i], mask[length == 1 ? i : i / length], scale);
}
