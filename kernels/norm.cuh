// What the kernels of normalisation share: where the elements of a group lie, and moments that keep their digits.
//
// A group (a channel of a batch, a row, ...) is `slices` pieces of `len` elements, `groups * len` apart: struct Norm in
// args.cuh, explained in src/cpu/norm/mod.rs. Groups can be millions of 16 elements or three of millions, and both
// should fill the GPU. So one warp takes a group of up to 512 elements. A larger group is cut into parts of 8192, one
// block per part:
//
//      group 0                     group 1
//      | part 0 | part 1 | pt 2 |  | part 3 | part 4 | pt 5 |        one block per part, then one warp adds up a
//      |        |        |      |  |        |        |      |        group's parts, in order
//
// The cut depends on the shape alone, so the same input gives the same bits on any GPU.
#pragma once

#include "row_reduce.cuh"

// Elements that a thread loads before it uses them: as many loads are under way at once.
constexpr int CHUNK = 8;

// Steps through positions offset, offset + step, ... of a group and tells where they lie in the tensor. Dividing 64-bit
// numbers takes about 100 instructions: it is done once, and every step after that is an addition and a comparison.
struct Steps {
    long long at;     // in the tensor
    long long inside; // of the run
    long long run, stride, step_slices, step_inside;

    // The run of `l.run` elements that begins `first` elements into the tensor, in all slices of a group.
    __device__ Steps(const Norm& l, long long first, long long offset, long long step) {
        run = l.run;
        stride = l.groups * l.len;
        inside = offset % run;
        at = first + offset / run * stride + inside;
        step_slices = step / run;
        step_inside = step % run;
    }

    __device__ void next() {
        at += step_slices * stride + step_inside;
        inside += step_inside;
        if (inside >= run) {
            inside -= run;
            at += stride - run;
        }
    }
};

// Number, mean and sum of squared deviations of some elements.
struct Moments {
    double n, mean, squares;
};

// Both together (Chan, Golub, LeVeque 1979). Nothing is subtracted that could leave too few digits.
__device__ inline Moments merge(Moments a, Moments b) {
    if (a.n == 0) return b;
    if (b.n == 0) return a;
    const double n = a.n + b.n, share = b.n / n, apart = b.mean - a.mean;
    return {n, a.mean + apart * share, a.squares + b.squares + apart * apart * a.n * share};
}

// The first `count` of a thread's registers, in two passes: their mean, roughly, then deviations from it, which also
// correct it. E[x^2] - E[x]^2 would lose all digits where the mean is large.
__device__ inline Moments moments_of(const float (&v)[CHUNK], int count) {
    float sum = 0.0f, deviations = 0.0f, squares = 0.0f;
#pragma unroll
    for (int k = 0; k < CHUNK; k++) sum += v[k];
    const float centre = sum / count;
#pragma unroll
    for (int k = 0; k < CHUNK; k++) {
        const float d = k < count ? v[k] - centre : 0.0f;
        deviations += d;
        squares += d * d;
    }
    const double n = count, d = deviations;
    return {n, centre + d / n, squares - d * d / n};
}

// A team's moments, in its first thread: neighbours merge in a tree, then warp after warp. `scratch` as for Team::sum.
__device__ inline Moments team_moments(Team team, Moments m, Moments* scratch) {
    if (team.lanes == 1) return m;
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        const Moments other = {__shfl_down_sync(0xffffffffu, m.n, offset),
                               __shfl_down_sync(0xffffffffu, m.mean, offset),
                               __shfl_down_sync(0xffffffffu, m.squares, offset)};
        m = merge(m, other);
    }
    if (team.lanes == WARP) return m;
    if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = m;
    __syncthreads();
    for (int w = 1; w < team.lanes / WARP && threadIdx.x == 0; w++) m = merge(m, scratch[w]);
    return m;
}

// A group's mean as a float, and what rounding it lost: xhat = (x - mean + lost) inverse.
struct Centre {
    float mean;
    double lost;

    __device__ explicit Centre(double exact) : mean((float)exact), lost((double)(float)exact - exact) {}
};

// The place of a group's first weight.
__device__ inline long long first_weight(const Norm& l, long long g) { return g % l.cycle * (l.len / l.run); }
