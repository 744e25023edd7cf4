// From an element's number to its places in tensors that are walked together: broadcast operands, permuted copies.
#pragma once

#include "common.cuh"

// Offsets of one element in the tensors a, b and c of a walk.
struct Place {
    long long a;
    long long b;
    long long c;
};

//      i = 17 of [2, 3, 5]  ->  17 % 5 = 2,  17 / 5 % 3 = 0,  17 / 15 = 1      a = 2 a[0] + 0 a[1] + 1 a[2]
//
// Dimensions that all tensors walk alike were merged by the host, so there are seldom more than three, and the
// outermost needs no division.
template <class Index> __device__ inline Place place_by(const Walk& walk, Index i) {
    Place at = {0, 0, 0};
#pragma unroll
    for (int d = 0; d < 6; d++) {
        const bool last = d + 1 == walk.rank;
        const Index size = (Index)walk.size[d];
        const Index index = last ? i : i % size;
        at.a += (long long)index * walk.a[d];
        at.b += (long long)index * walk.b[d];
        at.c += (long long)index * walk.c[d];
        if (last) break;
        i /= size;
    }
    return at;
}

// A division by a 64-bit number takes about four times as long as by a 32-bit one, and few tensors need it.
__device__ inline Place place(const Walk& walk, long long i) {
    if (walk.n <= 0xffffffffLL) return place_by<unsigned>(walk, (unsigned)i);
    return place_by<unsigned long long>(walk, (unsigned long long)i);
}
