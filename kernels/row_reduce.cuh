// Lines: n elements, `stride` apart, on which a team of threads works together.
//
// A tensor around one of its dimensions is [outer, n, inner]. Its lines along that dimension are numbered l = 0 ..
// outer * inner:
//
//      inner == 1:  rows, contiguous          inner > 1:  columns of planes [n, inner]
//      line 0  * * * * * *                    line 0 | line 1 | line 2
//      line 1  * * * * * *                           *        *        *     stride = inner
//      line 2  * * * * * *                           *        *        *
//
// A team has 1, 32 (a warp) or all threads of a block. A warp takes a short row, a block a long one: neighbouring
// threads read neighbouring elements. Each column takes one thread: neighbouring threads read neighbouring columns, again
// adjacent. The host chooses; the kernel is the same, and every sum has one order that depends on n and the team alone.
#pragma once

#include "common.cuh"

// A team's line, or part of one: thread `lane` of `lanes` visits elements lane, lane + lanes, ...
struct Team {
    long long number;
    int lane;
    int lanes;

    __device__ explicit Team(int lanes) : lanes(lanes) {
        const long long thread = blockIdx.x * (long long)blockDim.x + threadIdx.x;
        number = thread / lanes;
        lane = (int)(thread % lanes);
    }

    // The team's sum or maximum, in all its threads. `scratch` holds a value for each warp of a block.
    template <class T> __device__ T sum(T v, T* scratch) const {
        return lanes == 1 ? v : lanes == WARP ? warp_sum(v) : block_sum(v, scratch);
    }

    __device__ float max(float v, float* scratch) const {
        return lanes == 1 ? v : lanes == WARP ? warp_max(v) : block_max(v, scratch);
    }
};

// Where line `l` begins.
__device__ inline long long line_start(long long l, long long n, long long inner) {
    return l / inner * n * inner + l % inner;
}

// exp(x - m), where m is at least x. Minus infinity gives 0 also where m is minus infinity so far.
__device__ inline float shifted_exp(float x, float m) { return x == -INFINITY ? 0.0f : expf(x - m); }

// The largest element m of a line, passing over NaN, and the sum of exp(x - m): in one sweep. A sum that was built with
// a smaller m is corrected by the factor exp(old m - new m).
__device__ inline void line_max_sum(Team team, const float* x, long long n, long long stride, float& m, float& sum,
                                    float* scratch) {
    float own = -INFINITY, s = 0.0f;
    for (long long i = team.lane; i < n; i += team.lanes) {
        const float v = x[i * stride];
        if (v > own) {
            s *= shifted_exp(own, v);
            own = v;
        }
        s += shifted_exp(v, own);
    }
    m = team.max(own, scratch);
    sum = team.sum(s * shifted_exp(own, m), scratch);
}
