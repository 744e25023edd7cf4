// The types that nvcc defines: vectors, dim3, bfloat16 and half.
#pragma once

#include <stdint.h>
#include <string.h>

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// The alignment is the GPU's: on a GPU a float4 at an address that is not a multiple of 16 is an error, and
// the simulator reports it.
#define CUSIM_VECTORS(T, NAME)                                                                               \
    struct alignas(2 * sizeof(T)) NAME##2 { T x, y; };                                                       \
    struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) NAME##4 { T x, y, z, w; };                       \
    inline NAME##2 make_##NAME##2(T x, T y) { return {x, y}; }                                               \
    inline NAME##4 make_##NAME##4(T x, T y, T z, T w) { return {x, y, z, w}; }
CUSIM_VECTORS(float, float)
CUSIM_VECTORS(double, double)
CUSIM_VECTORS(int, int)
CUSIM_VECTORS(unsigned, uint)
CUSIM_VECTORS(long long, longlong)
CUSIM_VECTORS(unsigned long long, ulonglong)
CUSIM_VECTORS(short, short)
CUSIM_VECTORS(unsigned short, ushort)
CUSIM_VECTORS(signed char, char)
CUSIM_VECTORS(unsigned char, uchar)
#undef CUSIM_VECTORS

// The upper half of a float: 8 bits of exponent, 7 of mantissa. Rounds to nearest, ties to even; NaN becomes
// 0x7fff.
struct __nv_bfloat16 {
    uint16_t bits;

    __nv_bfloat16() = default;
    __nv_bfloat16(float value) {
        uint32_t u;
        memcpy(&u, &value, 4);
        const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
        bits = nan ? 0x7fff : uint16_t((u + 0x7fffu + (u >> 16 & 1)) >> 16);
    }
    operator float() const {
        const uint32_t u = uint32_t(bits) << 16;
        float value;
        memcpy(&value, &u, 4);
        return value;
    }
};
struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
inline float __bfloat162float(__nv_bfloat16 v) { return v; }
inline __nv_bfloat16 __float2bfloat16(float v) { return v; }
inline __nv_bfloat16 __float2bfloat16_rn(float v) { return v; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {x, y}; }
inline float2 __bfloat1622float2(__nv_bfloat162 v) { return {v.x, v.y}; }
inline float __low2float(__nv_bfloat162 v) { return v.x; }
inline float __high2float(__nv_bfloat162 v) { return v.y; }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 v) { return v.bits; }
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) {
    __nv_bfloat16 v;
    v.bits = bits;
    return v;
}

struct __half {
    _Float16 value;

    __half() = default;
    __half(float v) : value(static_cast<_Float16>(v)) {}
    operator float() const { return static_cast<float>(value); }
};
typedef __half half;
inline float __half2float(__half v) { return v; }
inline __half __float2half(float v) { return v; }
inline __half __float2half_rn(float v) { return v; }
