// roof: how fast this GPU can be, for the percentages that benches print.
//
// Two kernels that do nothing but one thing each. The first multiplies and adds in registers: eight chains per thread, so that
// no multiply-add waits for the one before. The second copies.
//
//      flop/s          .----------------  roof_fma: what no f32 kernel passes
//        ^           .'
//        |         .'   slope: roof_copy, bytes/s
//        |       .'
//        +------------------------------> flop per byte
//
// A kernel with F flop and B bytes takes at least max(F / flop rate, B / byte rate).
//
// Bytes: none; and 8 per element. Limited by: the multiply-add units; and memory. That is what the two are for.
#include "common.cuh"

// 2 * 8 * `rounds` flop per thread. The result is stored only so that the compiler must compute it.
extern "C" __global__ void __launch_bounds__(256) roof_fma_f32(float* __restrict__ y, int rounds) {
    const int thread = blockIdx.x * 256 + threadIdx.x;
    float sum[8];
#pragma unroll
    for (int i = 0; i < 8; i++) sum[i] = thread + i;
    for (int round = 0; round < rounds; round++)
#pragma unroll
        for (int i = 0; i < 8; i++) sum[i] = sum[i] * 0.999f + 1.0f;
    float total = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; i++) total += sum[i];
    y[thread] = total;
}

// Four floats at a time; n counts these.
extern "C" __global__ void __launch_bounds__(256)
    roof_copy_f32(const float* __restrict__ x, float* __restrict__ y, long long n) {
    GRID_STRIDE(i, n) reinterpret_cast<float4*>(y)[i] = reinterpret_cast<const float4*>(x)[i];
}
