// conv2d / 04 tensor cores: implicit GEMM on mma.sync.
//
// What changed since 03: the tile. It is gemm 08's (gemm/mma_tile.cuh): entries are rounded to tf32 or bf16 between the image
// and shared memory, multiplied by the tensor cores, and summed in f32. The code that finds the pixels (implicit.cuh) is
// that of 03.
//
//      image --tap by tap--> 4 terms k of one pixel --round--> tile[pixel][k] --ldmatrix--> fragments --mma--> sums
//
//      128 x 128 outputs per block: 8 warps of 64 x 32
//       64 x 128 outputs per block: 8 warps of 32 x 32       if this leaves fewer rows empty: with 64 or 150 channels, not
//                                                            with 128 or 100 (the host's rule, as in 03)
//
// Terms per step: 16. Relative error of a factor: 5e-4 (tf32), 4e-3 (bf16); sums round like f32.
//
// Bytes moved: as 03, with tiles of 128: 32 flop/byte.
// Limited by: address arithmetic and the wait for memory, with one tile under way. Finding an entry costs about ten integer
// instructions, as in 03. Rung 07 of the GEMM ladder hides the wait better, but cannot round.
// Resources (ptxas, sm_80): 98 to 128 registers, 18 to 40 KiB shared, nothing spilled: two blocks per multiprocessor.
// Ragged edges: rows beyond O and pixels beyond the last one count as zero and are not stored.
#include "conv2d/implicit_weight.cuh"
#include "gemm/mma_tile.cuh"

using TallTf32 = MmaTile<Tf32, 128, 128, 64, 32>;
using LowTf32 = MmaTile<Tf32, 64, 128, 32, 32>;
// Tiles of 8 words: with 16, the quads under way would not fit the registers that two blocks per multiprocessor leave.
using TallBf16 = MmaTile<Bf16, 128, 128, 64, 32, 8>;
using LowBf16 = MmaTile<Bf16, 64, 128, 32, 32, 8>;

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_fwd_v04_tf32(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ bias,
                        float* __restrict__ y, int relu, Conv g) {
    __shared__ __align__(16) unsigned memory[TallTf32::MEMORY];
    conv_forward<TallTf32, 128, 128>(memory, x, w, bias, y, relu, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_grad_input_v04_tf32(const float* __restrict__ dy, const float* __restrict__ w,
                               const float* __restrict__ bias, float* __restrict__ dx, Conv g) {
    __shared__ __align__(16) unsigned memory[TallTf32::MEMORY];
    conv_grad_input<TallTf32, 128, 128>(memory, dy, w, bias, dx, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_grad_weight_v04_tf32(const float* __restrict__ dy, const float* __restrict__ x, float* __restrict__ parts,
                                int splits, int k_split, Conv g) {
    __shared__ __align__(16) unsigned memory[TallTf32::MEMORY];
    conv_grad_weight<TallTf32, 128, 128>(memory, dy, x, parts, splits, k_split, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_fwd_v04_m64_tf32(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ bias,
                        float* __restrict__ y, int relu, Conv g) {
    __shared__ __align__(16) unsigned memory[LowTf32::MEMORY];
    conv_forward<LowTf32, 64, 128>(memory, x, w, bias, y, relu, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_grad_input_v04_m64_tf32(const float* __restrict__ dy, const float* __restrict__ w,
                               const float* __restrict__ bias, float* __restrict__ dx, Conv g) {
    __shared__ __align__(16) unsigned memory[LowTf32::MEMORY];
    conv_grad_input<LowTf32, 64, 128>(memory, dy, w, bias, dx, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_grad_weight_v04_m64_tf32(const float* __restrict__ dy, const float* __restrict__ x, float* __restrict__ parts,
                                int splits, int k_split, Conv g) {
    __shared__ __align__(16) unsigned memory[LowTf32::MEMORY];
    conv_grad_weight<LowTf32, 64, 128>(memory, dy, x, parts, splits, k_split, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_fwd_v04_bf16(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ bias,
                        float* __restrict__ y, int relu, Conv g) {
    __shared__ __align__(16) unsigned memory[TallBf16::MEMORY];
    conv_forward<TallBf16, 128, 128>(memory, x, w, bias, y, relu, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_grad_input_v04_bf16(const float* __restrict__ dy, const float* __restrict__ w,
                               const float* __restrict__ bias, float* __restrict__ dx, Conv g) {
    __shared__ __align__(16) unsigned memory[TallBf16::MEMORY];
    conv_grad_input<TallBf16, 128, 128>(memory, dy, w, bias, dx, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_grad_weight_v04_bf16(const float* __restrict__ dy, const float* __restrict__ x, float* __restrict__ parts,
                                int splits, int k_split, Conv g) {
    __shared__ __align__(16) unsigned memory[TallBf16::MEMORY];
    conv_grad_weight<TallBf16, 128, 128>(memory, dy, x, parts, splits, k_split, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_fwd_v04_m64_bf16(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ bias,
                        float* __restrict__ y, int relu, Conv g) {
    __shared__ __align__(16) unsigned memory[LowBf16::MEMORY];
    conv_forward<LowBf16, 64, 128>(memory, x, w, bias, y, relu, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_grad_input_v04_m64_bf16(const float* __restrict__ dy, const float* __restrict__ w,
                               const float* __restrict__ bias, float* __restrict__ dx, Conv g) {
    __shared__ __align__(16) unsigned memory[LowBf16::MEMORY];
    conv_grad_input<LowBf16, 64, 128>(memory, dy, w, bias, dx, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_grad_weight_v04_m64_bf16(const float* __restrict__ dy, const float* __restrict__ x, float* __restrict__ parts,
                                int splits, int k_split, Conv g) {
    __shared__ __align__(16) unsigned memory[LowBf16::MEMORY];
    conv_grad_weight<LowBf16, 64, 128>(memory, dy, x, parts, splits, k_split, g);
}
