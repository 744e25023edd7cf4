// Kernels whose counts are known on paper; counted.cpp has the paper. Each runs with blocks of 32 threads or
// more.
#include "ptx.cuh"

// ---- global memory ----------------------------------------------------------------------------------------

extern "C" __global__ void coalesced(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }
extern "C" __global__ void stride_2(const float* x, float* y) { y[threadIdx.x] = x[2 * threadIdx.x]; }
extern "C" __global__ void stride_32(const float* x, float* y) { y[threadIdx.x] = x[32 * threadIdx.x]; }
extern "C" __global__ void broadcast(const float* x, float* y) { y[threadIdx.x] = x[7]; }
extern "C" __global__ void misaligned(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x + 1]; }
extern "C" __global__ void reversed(const float* x, float* y) { y[threadIdx.x] = x[31 - threadIdx.x]; }
extern "C" __global__ void float4_copy(const float* x, float* y) {
    reinterpret_cast<float4*>(y)[threadIdx.x] = reinterpret_cast<const float4*>(x)[threadIdx.x];
}
extern "C" __global__ void bytes(const float* x, float* y) {
    y[threadIdx.x] = reinterpret_cast<const unsigned char*>(x)[threadIdx.x];
}

// Only the first `n` lanes load: a partial warp, or a condition.
extern "C" __global__ void some_lanes(const float* x, float* y, int n) {
    if (threadIdx.x < n) y[threadIdx.x] = x[threadIdx.x];
}

// Every block loads the same 128 bytes twice.
extern "C" __global__ void reread(const float* x, float* y) {
    const volatile float* v = x;
    const float first = v[threadIdx.x];
    y[blockIdx.x * 32 + threadIdx.x] = first + v[threadIdx.x];
}

// A loop that starts at another turn in each lane: all lanes still do turn i together.
extern "C" __global__ void loop(const float* x, float* y, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += x[32 * i + threadIdx.x];
    y[threadIdx.x] = sum;
}

// ---- shared memory ----------------------------------------------------------------------------------------

// Lanes read with a stride of so many floats. 1 and 33: no conflict. 2: two lanes at each bank. 32: all at
// one.
extern "C" __global__ void shared_stride(const float* x, float* y, int stride) {
    __shared__ float s[33 * 32];
    for (int i = threadIdx.x; i < 33 * 32; i += 32) s[i] = x[i % 32];
    __syncthreads();
    y[threadIdx.x] = s[stride * threadIdx.x];
}

// A tile is written by rows and read by columns, without and with a column of padding.
extern "C" __global__ void transposed(const float* x, float* y) {
    __shared__ float tile[32][32];
    tile[0][threadIdx.x] = x[threadIdx.x];
    for (int row = 1; row < 32; row++) tile[row][threadIdx.x] = 0;
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x][0];
}
extern "C" __global__ void transposed_padded(const float* x, float* y) {
    __shared__ float tile[32][33];
    tile[0][threadIdx.x] = x[threadIdx.x];
    for (int row = 1; row < 32; row++) tile[row][threadIdx.x] = 0;
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x][0];
}

// 8 and 16 bytes per lane, `step` elements apart.
extern "C" __global__ void shared_float2(const float* x, float* y, int step) {
    __shared__ float2 s[32 * 4];
    for (int i = threadIdx.x; i < 32 * 4; i += 32) s[i] = make_float2(x[0], x[1]);
    __syncthreads();
    const float2 v = s[step * threadIdx.x];
    y[threadIdx.x] = v.x + v.y;
}
extern "C" __global__ void shared_float4(const float* x, float* y, int step) {
    __shared__ float4 s[32 * 4];
    for (int i = threadIdx.x; i < 32 * 4; i += 32) s[i] = make_float4(x[0], x[1], x[2], x[3]);
    __syncthreads();
    const float4 v = s[step * threadIdx.x];
    y[threadIdx.x] = v.x + v.w;
}

// ldmatrix with rows of 8 words side by side (the rows of every second one meet), and with 4 words of
// padding.
extern "C" __global__ void matrix_rows(const float* x, float* y, int row_words) {
    DYN_SHARED(float, s);
    for (int i = threadIdx.x; i < 32 * row_words; i += 32) s[i] = x[0];
    __syncthreads();
    unsigned out[4];
    ldmatrix_x4(out, s + row_words * threadIdx.x);
    y[threadIdx.x] = float(out[0] + out[3]);
}

extern "C" __global__ void multiply(const float* x, float* y, int times) {
    float d[4] = {x[0], 0, 0, 0};
    const unsigned a[4] = {0, 0, 0, 0};
    for (int i = 0; i < times; i++) mma_m16n8k8_tf32(d, a, 0, 0);
    y[threadIdx.x] = d[0];
}

extern "C" __global__ void async_tile(const float* x, float* y, int valid) {
    DYN_SHARED(float, s);
    cp_async_16(s + 4 * threadIdx.x, x + 4 * threadIdx.x, valid);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x];
}

// ---- atomics, barriers, branches --------------------------------------------------------------------------

extern "C" __global__ void atomics(const float* x, float* y, int places) {
    atomicAdd(&y[threadIdx.x % places], x[threadIdx.x]);
}

extern "C" __global__ void barriers(const float* x, float* y, int times) {
    for (int i = 0; i < times; i++) __syncthreads();
    float v = x[threadIdx.x];
    v += __shfl_xor_sync(0xffffffffu, v, 1);
    y[threadIdx.x] = v;
}

// The warp's lanes part in every second block of the grid: lanes below and above `limit` go different ways.
extern "C" __global__ void parting(const float* x, float* y, int limit) {
    if (threadIdx.x < (blockIdx.x % 2 ? limit : 32)) y[blockIdx.x * 32 + threadIdx.x] = x[threadIdx.x];
    else y[blockIdx.x * 32 + threadIdx.x] = x[0] * 3;
}

// No branch at all, with a barrier that both warps of a block wait at.
extern "C" __global__ void straight(const float* x, float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[63 - threadIdx.x];
}

// No count of memory.
extern "C" __global__ void idle(const float*, float*) {}

// The threads of a tree sum: the warp parts at each step but the first, where all 32 lanes of a block of 64
// go on.
extern "C" __global__ void tree(const float* x, float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    for (int half = 32; half; half /= 2) {
        if (threadIdx.x < half) s[threadIdx.x] += s[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) y[0] = s[0];
}
