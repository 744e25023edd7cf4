// Kernels with one planted bug each; most of them stand next to the correct version. planted.cpp says which
// report each must give.
#include "ptx.cuh"

// ---- barriers -------------------------------------------------------------------------------------------

// Adds up rows of 64 numbers. Each thread reads what another thread has put into shared memory.
extern "C" __global__ void rows_right(const float* x, float* y) {
    __shared__ float row[64];
    float sum = 0;
    for (int k = 0; k < 4; k++) {
        row[threadIdx.x] = x[64 * k + threadIdx.x];
        __syncthreads();
        sum += row[63 - threadIdx.x];
        __syncthreads();
    }
    y[threadIdx.x] = sum;
}

// Without the second barrier a fast thread overwrites a value that a slow thread has not read yet.
extern "C" __global__ void rows_no_second_barrier(const float* x, float* y) {
    __shared__ float row[64];
    float sum = 0;
    for (int k = 0; k < 4; k++) {
        row[threadIdx.x] = x[64 * k + threadIdx.x];
        __syncthreads();
        sum += row[63 - threadIdx.x];
    }
    y[threadIdx.x] = sum;
}

// Without the first barrier a fast thread reads a value that a slow thread has not written yet.
extern "C" __global__ void rows_no_first_barrier(const float* x, float* y) {
    __shared__ float row[64];
    float sum = 0;
    for (int k = 0; k < 4; k++) {
        row[threadIdx.x] = x[64 * k + threadIdx.x];
        sum += row[63 - threadIdx.x];
        __syncthreads();
    }
    y[threadIdx.x] = sum;
}

extern "C" __global__ void barrier_in_both_branches(float* y) {
    if (threadIdx.x < 40) {
        __syncthreads();
        y[threadIdx.x] = 1;
    } else {
        __syncthreads();
        y[threadIdx.x] = 2;
    }
}

extern "C" __global__ void exit_before_barrier(float* y) {
    if (threadIdx.x >= 40) return;
    __syncthreads();
    y[threadIdx.x] = 1;
}

extern "C" __global__ void votes_right(const float* x, float* y) {
    const int positive = __syncthreads_count(x[threadIdx.x] > 0);
    const int all = __syncthreads_and(x[threadIdx.x] < 1000), any = __syncthreads_or(x[threadIdx.x] > 1000);
    y[threadIdx.x] = positive + 100 * all + 1000 * any;
}

// ---- warps ----------------------------------------------------------------------------------------------

// In two rounds, each lane adds the value that its neighbour has put into shared memory.
extern "C" __global__ void neighbour_right(const float* x, float* y) {
    __shared__ float s[32];
    float sum = 0;
    for (int round = 0; round < 2; round++) {
        s[threadIdx.x] = x[32 * round + threadIdx.x];
        __syncwarp();
        sum += s[(threadIdx.x + 1) % 32];
        __syncwarp();
    }
    y[threadIdx.x] = sum;
}

// Wrongly assumes that the lanes of a warp run in lockstep.
extern "C" __global__ void neighbour_no_syncwarp(const float* x, float* y) {
    __shared__ float s[32];
    s[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = s[(threadIdx.x + 1) % 32];
}

extern "C" __global__ void neighbour_one_syncwarp(const float* x, float* y) {
    __shared__ float s[32];
    float sum = 0;
    for (int round = 0; round < 2; round++) {
        s[threadIdx.x] = x[32 * round + threadIdx.x];
        __syncwarp();
        sum += s[(threadIdx.x + 1) % 32];
    }
    y[threadIdx.x] = sum;
}

extern "C" __global__ void shuffles_right(const float* x, float* y) {
    float v = x[threadIdx.x];
    for (int bits = 16; bits; bits /= 2) v += __shfl_xor_sync(0xffffffffu, v, bits);
    const float first = __shfl_sync(0xffffffffu, x[threadIdx.x], 0, 8);
    const float above = __shfl_up_sync(0xffffffffu, x[threadIdx.x], 1),
                below = __shfl_down_sync(0xffffffffu, x[threadIdx.x], 1);
    const unsigned odd = __ballot_sync(0xffffffffu, threadIdx.x % 2);
    y[threadIdx.x] = v + 2 * first + 3 * above + 4 * below + (odd == 0xaaaaaaaau ? 1 : 0);
}

// The upper half of the warp has exited, but the mask still names all 32 lanes.
extern "C" __global__ void shuffle_from_exited(const float* x, float* y) {
    if (threadIdx.x >= 16) return;
    y[threadIdx.x] = __shfl_down_sync(0xffffffffu, x[threadIdx.x], 8);
}

extern "C" __global__ void shuffle_half_right(const float* x, float* y) {
    if (threadIdx.x >= 16) return;
    y[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, x[threadIdx.x], 8);
}

extern "C" __global__ void shuffle_outside_mask(const float* x, float* y) {
    y[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, x[threadIdx.x], 1);
}

extern "C" __global__ void shuffle_in_branches(const float* x, float* y) {
    float v = x[threadIdx.x];
    if (threadIdx.x % 2) v = __shfl_xor_sync(0xffffffffu, v, 2);
    else v = __shfl_down_sync(0xffffffffu, v, 2);
    y[threadIdx.x] = v;
}

extern "C" __global__ void warp_against_block(const float* x, float* y) {
    float v = x[threadIdx.x];
    if (threadIdx.x < 16) __syncthreads();
    v += __shfl_xor_sync(0xffffffffu, v, 1);
    y[threadIdx.x] = v;
}

// ---- memory out of bounds -------------------------------------------------------------------------------

extern "C" __global__ void copy_right(const float* x, float* y, int n) {
    if (threadIdx.x < n) y[threadIdx.x] = x[threadIdx.x];
}

extern "C" __global__ void write_past_end(const float* x, float* y) { y[threadIdx.x + 1] = x[threadIdx.x]; }

extern "C" __global__ void write_before_begin(const float* x, float* y) {
    y[int(threadIdx.x) - 1] = x[threadIdx.x];
}

extern "C" __global__ void add_at(const float* x, float* y) { y[threadIdx.x] += x[0]; }

// Uses 64 floats; the host requests 63 in the failing case.
extern "C" __global__ void dynamic_shared(const float* x, float* y) {
    DYN_SHARED(float, s);
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[63 - threadIdx.x];
}

extern "C" __global__ void dynamic_shared_before(const float* x, float* y) {
    DYN_SHARED(float, s);
    s[int(threadIdx.x) - 1] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x];
}

extern "C" __global__ void static_shared_past_end(const float* x, float* y) {
    __shared__ float s[64];
    __shared__ float t[64];
    s[threadIdx.x + 1] = x[threadIdx.x];
    t[threadIdx.x] = 1;
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x + 1] + t[threadIdx.x];
}

extern "C" __global__ void misaligned_vector(const float* x, float* y) {
    const float4 v = *reinterpret_cast<const float4*>(x + 1);
    y[threadIdx.x] = v.x + v.y + v.z + v.w;
}

extern "C" __global__ void aligned_vector_right(const float* x, float* y) {
    const float4 v = *reinterpret_cast<const float4*>(x + 4);
    y[threadIdx.x] = v.x + v.y + v.z + v.w;
}

__device__ __attribute__((noinline)) float fill_stack(const float* x, int depth) {
    volatile float local[1024];
    for (int i = 0; i < 1024; i++) local[i] = x[0];
    return depth ? fill_stack(x, depth - 1) + local[depth] : local[0];
}
extern "C" __global__ void too_many_locals(const float* x, float* y) { y[threadIdx.x] = fill_stack(x, 100); }

// ---- memory not written ---------------------------------------------------------------------------------

extern "C" __global__ void shared_not_written(const float* x, float* y) {
    __shared__ float s[64];
    if (threadIdx.x < 63) s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x];
}

// ---- asynchronous copies --------------------------------------------------------------------------------

template <int left> __device__ void through_async_copies(const float* x, float* y, float* s) {
    for (int stage = 0; stage < 2; stage++) {
        cp_async_4(s + 64 * stage + threadIdx.x, x + 64 * stage + threadIdx.x, true);
        cp_async_commit();
    }
    cp_async_wait<left>();
    __syncthreads();
    y[threadIdx.x] = s[63 - threadIdx.x];
    cp_async_wait<0>();
    __syncthreads();
    y[threadIdx.x] += s[64 + 63 - threadIdx.x];
}
extern "C" __global__ void async_right(const float* x, float* y) {
    __shared__ float s[128];
    through_async_copies<1>(x, y, s);
}
// Waits until at most two groups are unfinished, but reads the first of those two.
extern "C" __global__ void async_wait_too_few(const float* x, float* y) {
    __shared__ float s[128];
    through_async_copies<2>(x, y, s);
}
// A thread waits only for its own copies. Without the barrier, the other threads' copies may be missing.
extern "C" __global__ void async_no_barrier(const float* x, float* y) {
    __shared__ float s[64];
    cp_async_4(s + threadIdx.x, x + threadIdx.x, true);
    cp_async_commit();
    cp_async_wait<0>();
    y[threadIdx.x] = s[63 - threadIdx.x];
}
extern "C" __global__ void async_misaligned(const float* x, float* y) {
    __shared__ __align__(16) float s[64];
    if (threadIdx.x < 4) cp_async_16(s + 4 * threadIdx.x, x + 4 * threadIdx.x + 1, 16);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    y[threadIdx.x] = threadIdx.x < 16 ? s[threadIdx.x] : 0;
}
extern "C" __global__ void async_past_end(const float* x, float* y) {
    __shared__ float s[64];
    cp_async_4(s + threadIdx.x, x + 1024 + threadIdx.x, true);
    cp_async_commit();
    cp_async_wait<0>();
    y[threadIdx.x] = s[threadIdx.x];
}
// Each thread copies 4 floats, but only 3 are valid. The fourth is filled with zero.
extern "C" __global__ void async_zeros_right(const float* x, float* y) {
    __shared__ __align__(16) float s[64];
    if (threadIdx.x < 16) cp_async_16(s + 4 * threadIdx.x, x + 4 * threadIdx.x, 12);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x];
}

// ---- matrix instructions --------------------------------------------------------------------------------

// C[16, 8] = A[16, 8] B[8, 8] in tf32, and C[16, 8] = A[16, 16] B[16, 8] in bf16, through ldmatrix.
template <class Mma>
__device__ void warp_matrix(const unsigned* a, const unsigned* b, float* c, unsigned* sa, unsigned* sb,
                            Mma mma) {
    const int lane = threadIdx.x, group = lane / 4, t = lane % 4;
    for (int i = lane; i < 16 * 8; i += 32) sa[i] = a[i];
    for (int i = lane; i < 8 * 8; i += 32) sb[i] = b[i]; // [column, word along k]
    __syncwarp();
    unsigned fa[4], fb[4];
    ldmatrix_x4(fa, sa + (lane % 16) * 8 + lane / 16 * 4);
    ldmatrix_x4(fb, sb + (lane % 8) * 8 + lane / 8 % 2 * 4);
    float d[4] = {};
    mma(d, fa, fb);
    for (int i = 0; i < 4; i++) c[(group + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}
extern "C" __global__ void matrix_tf32_right(const unsigned* a, const unsigned* b, float* c) {
    __shared__ __align__(16) unsigned sa[16 * 8], sb[8 * 8];
    warp_matrix(a, b, c, sa, sb,
                [](float(&d)[4], unsigned(&a)[4], unsigned(&b)[4]) { mma_m16n8k8_tf32(d, a, b[0], b[1]); });
}
extern "C" __global__ void matrix_bf16_right(const unsigned* a, const unsigned* b, float* c) {
    __shared__ __align__(16) unsigned sa[16 * 8], sb[8 * 8];
    warp_matrix(a, b, c, sa, sb,
                [](float(&d)[4], unsigned(&a)[4], unsigned(&b)[4]) { mma_m16n8k16_bf16(d, a, b[0], b[1]); });
}
extern "C" __global__ void matrix_lane_exited(const unsigned* a, const unsigned* b, float* c) {
    if (threadIdx.x == 31) return;
    const unsigned fa[4] = {a[0], a[1], a[2], a[3]};
    float d[4] = {};
    mma_m16n8k8_tf32(d, fa, b[0], b[1]);
    c[threadIdx.x] = d[0];
}

// ---- races in device memory -----------------------------------------------------------------------------

extern "C" __global__ void count_right(float* y) { atomicAdd(y, 1.0f); }

extern "C" __global__ void count_not_atomic(float* y) { y[0] += 1; }

// One thread per block writes, so the race is between blocks.
extern "C" __global__ void count_blocks_not_atomic(float* y) {
    if (threadIdx.x == 0) y[0] += 1;
}

// Writes to neighbouring bytes are no race; writes to the same byte are one.
extern "C" __global__ void bytes_right(unsigned char* y) { y[threadIdx.x] = 1; }
extern "C" __global__ void bytes_shared(unsigned char* y) { y[threadIdx.x / 2] = (unsigned char)threadIdx.x; }
