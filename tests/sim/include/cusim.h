// Compiles a CUDA kernel file as ordinary C++, so that it runs on a CPU under the simulator.
//
// build.sh passes this file to g++ with -include, so the kernels need not include it. The words that nvcc
// adds to C++ are macros here. The functions that a kernel calls (barriers, shuffles, atomics, inline PTX)
// come from the headers below.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cusim_engine.h"

#define CUSIM 1
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__
#define __restrict__ __restrict

// A block's static shared memory is a static array: blocks run one after another, so one copy is enough. All
// shared arrays of a file lie in one ELF section. The engine fills that section with NaN before every block,
// so reading an element that was not written gives NaN in the result.
#define __shared__ static __attribute__((section(CUSIM_SHARED_SECTION)))

// The engine gives the address of dynamic shared memory. (kernels/ptx.cuh has the definition for nvcc.)
#define DYN_SHARED(T, name)                                                                                  \
    T* const name = static_cast<T*>(cusim::dynamic_shared({__builtin_FILE(), __builtin_LINE()}))

#define threadIdx (cusim::builtins.thread_index)
#define blockIdx (cusim::builtins.block_index)
#define blockDim (cusim::builtins.block_size)
#define gridDim (cusim::builtins.grid_size)
constexpr int warpSize = 32;

// build.sh writes one of these lines for each kernel that it finds in a file.
#define CUSIM_REGISTER(kernel)                                                                               \
    static cusim::Kernel cusim_registered_##kernel(                                                          \
        #kernel, cusim::Invoke<&kernel>::call, cusim::Invoke<&kernel>::sizes, cusim::Invoke<&kernel>::count, \
        cusim_shared_begin, cusim_shared_end);

#include "cusim_math.h"
#include "cusim_sync.h"
