// conv2d / 03 implicit GEMM: the columns are never written.
//
// What changed since 02: im2col wrote KH KW copies of the image to memory and read them back. Here each block computes, while
// it fills its shared tile, which pixel an entry of the columns would have been, and reads that pixel itself. It is the
// image that is read KH KW times, from L1 and L2.
//
//      k = (c, kh, kw) --->                 pixel = (n, i, j) --->
//   O +-----------------+              k  +-------------------+       one block: 64 x 128 outputs, 256 threads,
//   | | weight [O, K]   |  x           |  | columns, made on  |       8 x 4 each, 16 terms a step
//   v +-----------------+              v  | the fly           |
//                                         +-------------------+       all images are one row of pixels: a small image
//                                                                     does not leave the block half empty
//
// The place of an entry: c, kh, kw are the digits of an odometer that counts with k (implicit.cuh). The gradient of the input
// is the same product with rows and taps turned round, one for every phase of the stride; that of the weights sums over
// pixels and is cut into parts (implicit_weight.cuh).
//
// Bytes moved: weight and image once for each block column and row, instead of KH KW images written and read.
// Arithmetic intensity: 64*128*16*2 flop per (64 + 128)*16*4 bytes = 21 flop/byte. 32 x 128 tiles, 13 flop/byte, are for
// layers with few channels.
// Limited by: the FMA units, and address arithmetic: about ten integer instructions for an entry, which then serves 64
// multiply-adds. 04 gives the multiply-adds to the tensor cores.
// Resources (ptxas, sm_80): 107 to 128 registers, 25 KiB shared (95 to 113 and 21 for the low tile), nothing spilled: two
// blocks a multiprocessor.
// Ragged edges: rows beyond O and pixels beyond the last read zero and are not stored.
#include "conv2d/implicit_weight.cuh"
#include "gemm/thread_tile.cuh"

using Tall = ThreadTile<64, 128, 8, 4>;
using Low = ThreadTile<32, 128, 4, 4>;

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_fwd_v03_f32(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ bias,
                       float* __restrict__ y, int relu, Conv g) {
    __shared__ __align__(16) float memory[Tall::MEMORY];
    conv_forward<Tall, 64, 128>(memory, x, w, bias, y, relu, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_fwd_v03_m32_f32(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ bias,
                           float* __restrict__ y, int relu, Conv g) {
    __shared__ __align__(16) float memory[Low::MEMORY];
    conv_forward<Low, 32, 128>(memory, x, w, bias, y, relu, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_grad_input_v03_f32(const float* __restrict__ dy, const float* __restrict__ w, const float* __restrict__ bias,
                              float* __restrict__ dx, Conv g) {
    __shared__ __align__(16) float memory[Tall::MEMORY];
    conv_grad_input<Tall, 64, 128>(memory, dy, w, bias, dx, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_grad_input_v03_m32_f32(const float* __restrict__ dy, const float* __restrict__ w,
                                  const float* __restrict__ bias, float* __restrict__ dx, Conv g) {
    __shared__ __align__(16) float memory[Low::MEMORY];
    conv_grad_input<Low, 32, 128>(memory, dy, w, bias, dx, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_grad_weight_v03_f32(const float* __restrict__ dy, const float* __restrict__ x, float* __restrict__ parts,
                               int splits, int k_split, Conv g) {
    __shared__ __align__(16) float memory[Tall::MEMORY];
    conv_grad_weight<Tall, 64, 128>(memory, dy, x, parts, splits, k_split, g);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_grad_weight_v03_m32_f32(const float* __restrict__ dy, const float* __restrict__ x, float* __restrict__ parts,
                                   int splits, int k_split, Conv g) {
    __shared__ __align__(16) float memory[Low::MEMORY];
    conv_grad_weight<Low, 32, 128>(memory, dy, x, parts, splits, k_split, g);
}
