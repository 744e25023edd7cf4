// Conversion between element types: y[i] = (Y) x[i], rounded to the nearest value; to an integer towards zero,
// saturating.
//
// The value travels in f32 where that loses nothing (between f32, bf16, f16, u8), else in f64, as on the CPU.
// It reaches 16 bits by way of f32, as in PyTorch.
//
//      type     0 f32   1 f64   2 bf16   3 f16   4 i64   5 u8
//
// Bytes from memory: the sizes of the two types per element. Limited by: memory; on cards with few f64 units,
// conversions from and to f64 and i64 by those.
#ifndef CUSIM // the simulator brings its own
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include "common.cuh"

// A whole number, towards zero, or the nearest that there is; NaN counts as 0.
__device__ inline long long whole(double v) {
    if (isnan(v)) return 0;
    if (v >= 9223372036854775808.0) return 0x7fffffffffffffffLL;
    return v <= -9223372036854775808.0 ? -0x7fffffffffffffffLL - 1 : (long long)v;
}

__device__ inline unsigned char byte(double v) {
    return v >= 255 ? 255 : v > 0 ? (unsigned char)v : 0;
}

__device__ inline void store(float v, float* y) { *y = v; }
__device__ inline void store(float v, double* y) { *y = v; }
__device__ inline void store(float v, __nv_bfloat16* y) { *y = __float2bfloat16(v); }
__device__ inline void store(float v, __half* y) { *y = __float2half(v); }
__device__ inline void store(float v, long long* y) { *y = whole(v); }
__device__ inline void store(float v, unsigned char* y) { *y = byte(v); }

__device__ inline void store(double v, float* y) { *y = (float)v; }
__device__ inline void store(double v, double* y) { *y = v; }
__device__ inline void store(double v, __nv_bfloat16* y) { *y = __float2bfloat16((float)v); }
__device__ inline void store(double v, __half* y) { *y = __float2half((float)v); }
__device__ inline void store(double v, long long* y) { *y = whole(v); }
__device__ inline void store(double v, unsigned char* y) { *y = byte(v); }

__device__ inline float value(float v) { return v; }
__device__ inline double value(double v) { return v; }
__device__ inline float value(__nv_bfloat16 v) { return __bfloat162float(v); }
__device__ inline float value(__half v) { return __half2float(v); }
__device__ inline double value(long long v) { return (double)v; }
__device__ inline float value(unsigned char v) { return v; }

template <class X, class Y> __device__ void cast_all(const void* x, void* y, long long n) {
    GRID_STRIDE(i, n) store(value(static_cast<const X*>(x)[i]), static_cast<Y*>(y) + i);
}

template <class X> __device__ void cast_from(const void* x, void* y, int to, long long n) {
    if (to == 0) cast_all<X, float>(x, y, n);
    else if (to == 1) cast_all<X, double>(x, y, n);
    else if (to == 2) cast_all<X, __nv_bfloat16>(x, y, n);
    else if (to == 3) cast_all<X, __half>(x, y, n);
    else if (to == 4) cast_all<X, long long>(x, y, n);
    else cast_all<X, unsigned char>(x, y, n);
}

extern "C" __global__ void cast(const void* __restrict__ x, void* __restrict__ y, int from, int to, long long n) {
    if (from == 0) cast_from<float>(x, y, to, n);
    else if (from == 1) cast_from<double>(x, y, to, n);
    else if (from == 2) cast_from<__nv_bfloat16>(x, y, to, n);
    else if (from == 3) cast_from<__half>(x, y, to, n);
    else if (from == 4) cast_from<long long>(x, y, to, n);
    else cast_from<unsigned char>(x, y, to, n);
}
