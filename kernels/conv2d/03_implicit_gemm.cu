// conv2d / 03 implicit GEMM: the columns are never written.
//
// What changed since 02: im2col wrote KH KW copies of the image to memory and read them back. Here a block fills its shared
// tile from the image: for each entry of the columns it computes which pixel that is, and reads the pixel. The image is
// read KH KW times, but from L1 and L2.
//
//      k = (c, kh, kw) --->                 pixel = (n, i, j) --->
//   O +-----------------+              k  +-------------------+       one block: 64 x 128 outputs, 256 threads,
//   | | weight [O, K]   |  x           |  | columns, made on  |       8 x 4 each, 16 terms per step
//   v +-----------------+              v  | the fly           |
//                                         +-------------------+       the pixels of all images are one row: small
//                                                                     images fill a block, too
//
// The place of an entry: c, kh, kw are the digits of an odometer that counts up with k (implicit.cuh). The gradient of the
// input is a product of the same kind, one per phase of the stride: its rows are input channels, and its sum runs over
// output channels and taps. The gradient of the weights sums over pixels, and its sums are cut into parts
// (implicit_weight.cuh).
//
// Bytes moved: the weight once per column of tiles and the image once per row of tiles, instead of KH KW images written and
// read.
// Arithmetic intensity: 64*128*16*2 flop per (64 + 128)*16*4 bytes = 21 flop/byte. A low tile of 32 x 128 has 13. The host
// takes it if it leaves fewer rows empty: with 20 or 96 output channels per group, but not with 64 or 100 (for the
// gradient of the input, input channels).
// Limited by: the FMA units, and address arithmetic: about ten integer instructions per entry, which then serves 64
// multiply-adds. 04 leaves the multiply-adds to the tensor cores.
// Resources (ptxas, sm_80): 107 to 128 registers, 25 KiB shared (95 to 113 and 21 for the low tile), nothing spilled: two
// blocks per multiprocessor.
// Ragged edges: rows beyond O and pixels beyond the last one count as zero and are not stored.
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
