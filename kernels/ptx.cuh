// All inline PTX of the project: the instructions that CUDA C++ has no words for. On a GPU each function is one
// instruction; the simulator brings its own versions of the same functions (tests/sim/include/ptx_sim.cuh).
#pragma once

#ifdef CUSIM
#include "ptx_sim.cuh"
#else

// The block's dynamic shared memory, seen as an array of T. Its size is chosen by the launch.
#define DYN_SHARED(T, name)                                                                                            \
    extern __shared__ __align__(16) unsigned char name##_bytes[];                                                      \
    T* const name = reinterpret_cast<T*>(name##_bytes)

__device__ __forceinline__ unsigned shared_address(const void* p) { return (unsigned)__cvta_generic_to_shared(p); }

// ---- Asynchronous copies from global to shared memory --------------------------------------------------------------
//
// The copy passes no register and the thread does not wait for it. Copies are gathered into groups:
//
//   cp_async_4(..); cp_async_16(..); cp_async_commit();      a group is under way
//   cp_async_wait<N>();                                      all but this thread's N youngest groups have arrived
//   __syncthreads();                                         ... and those of the block's other threads, too
//
// What lies beyond the edge of a matrix, or in the padding of an image, is not read: zeros arrive in its place, whatever
// `from` is.

// 4 bytes, any float to any place; zero unless `real`.
__device__ __forceinline__ void cp_async_4(void* to, const void* from, bool real) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from), "r"(real ? 4 : 0)
                 : "memory");
}

// 16 bytes, of which the first `real` (0 to 16) are read and the others zero; both addresses are multiples of 16.
__device__ __forceinline__ void cp_async_16(void* to, const void* from, int real) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(real)
                 : "memory");
}

__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int N> __device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// ---- Matrix fragments ------------------------------------------------------------------------------------------------
//
// ldmatrix reads four 8-row matrices whose rows are 16 bytes. Lane 8 q + r brings the address of row r of matrix q, a
// multiple of 16. Of every matrix each lane receives one 32-bit word:
//
//               16 bytes = 4 words
//   row 0   | L0   L1   L2   L3  |      word w of row r goes to lane 4 r + w; of matrix q, into out[q]
//   row 1   | L4   L5   L6   L7  |
//   ...       ...                       A word is one tf32 number or two bf16 ones.
//   row 7   | L28  L29  L30  L31 |
__device__ __forceinline__ void ldmatrix_x4(unsigned (&out)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// ---- Matrix multiplication by a warp ------------------------------------------------------------------------------------
//
// D[16, 8] += A[16, k] B[k, 8] with f32 sums. In words (one tf32 or two bf16 numbers along k) lane 4 g + t holds
//
//        A  16 rows x 8 words            B  8 words x 8 columns          D  16 rows x 8 columns
//        t       t + 4                         column g                     2t, 2t+1
//   g    a[0]    a[2]                    t     b0                      g    d[0] d[1]
//   g+8  a[1]    a[3]                    t+4   b1                      g+8  d[2] d[3]
//
// so that ldmatrix of A's four 8 x 4-word quarters, and of B stored with k along the rows, yields the fragments as they are.

// k = 8 words of one tf32 each.
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// k = 8 words of two bf16 each, the lower k in the lower half.
__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ---- Rounding ----------------------------------------------------------------------------------------------------------

// The nearest tf32 number (8 bits of exponent, 10 of fraction), ties away from zero, in the bits of a float.
__device__ __forceinline__ unsigned round_tf32(float v) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(v));
    return bits;
}

// Two floats rounded to the nearest bf16 (8 bits of exponent, 7 of fraction), ties to even, `low` in the lower half.
__device__ __forceinline__ unsigned pack_bf16(float low, float high) {
    unsigned bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}

#endif
