// What every kernel file shares: the grid-stride loop, ordered reductions, the fault word.
#pragma once

#include "args.cuh"
#include "ptx.cuh"

// Visits i = 0 .. n - 1 by all threads of the grid. The stride between a thread's elements is the size of the grid, so
// that the 32 threads of a warp always touch 32 neighbours: one or two memory transactions instead of 32.
//
//      i:  0 1 2 ... 255 | 256 ... 511 | ... |  then the same threads again, one grid further on
//          block 0         block 1
#define GRID_STRIDE(i, n)                                                                                              \
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < (n); i += (long long)gridDim.x * blockDim.x)

constexpr int WARP = 32;

// Whether four floats from here on can be read or written as one float4, with a quarter of the instructions.
__device__ inline bool aligned16(const void* p) {
    return reinterpret_cast<unsigned long long>(p) % 16 == 0;
}

// The sum of a warp's values, in every lane. A butterfly: after step k each lane holds the sum of 2^(k+1) lanes, always
// added in the same pairs, so the bits never change from run to run.
__device__ inline float warp_sum(float v) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
    return v;
}

__device__ inline double warp_sum(double v) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
    return v;
}

// The largest of a warp's values, in every lane. fmaxf passes over NaN, as the CPU's loop does.
__device__ inline float warp_max(float v) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, offset));
    return v;
}

// The sum of a block's values, in every thread. `scratch` holds a value for each warp (32 at most). The block has a
// multiple of 32 threads, and all of them come here. The barrier at the end lets the caller use `scratch` again.
template <class T> __device__ T block_sum(T v, T* scratch) {
    const int warps = blockDim.x / WARP;
    v = warp_sum(v);
    if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = v;
    __syncthreads();
    T total = 0;
    for (int w = 0; w < warps; w++) total += scratch[w];
    __syncthreads();
    return total;
}

// As block_sum, the largest.
__device__ inline float block_max(float v, float* scratch) {
    const int warps = blockDim.x / WARP;
    v = warp_max(v);
    if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = v;
    __syncthreads();
    float largest = -INFINITY;
    for (int w = 0; w < warps; w++) largest = fmaxf(largest, scratch[w]);
    __syncthreads();
    return largest;
}

// A kernel cannot return an error. It writes what it found here and goes on; the host reads the word the next time it
// waits for the device, and turns it into an error.
//
// The word is the position of the element, counted down from the largest number; 0 is no fault. So the lowest position
// wins, whichever thread came first.
__device__ inline void report_fault(unsigned long long* fault, long long position) {
    atomicMax(fault, ~0ull - (unsigned long long)position);
}
