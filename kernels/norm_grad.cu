// Normalisation backward. With xhat = (x - m) r and g = dy w,
//
//      dx = r (g - mean(g) - xhat mean(g xhat))   own statistics       dw = sum dy xhat
//      dx = r g                                   given ones           db = sum dy
//
// the means over a group, the sums over all elements that share a weight (derived in src/ops/norm/normalise.rs). Fused
// with the ReLU and the addition after it: dy counts where the output y was above 0, and is the residual's gradient there, too.
//
//      norm_sums      part of a run -> sum g, sum g xhat       reads dy, x (and y)
//      norm_centre    parts -> both sums of a run; the means of a group, as factors for norm_bwd
//      norm_weights   runs that share a weight -> dw, db       where several groups share it
//      norm_columns   the same where each element of a row has its own weight (layer norm)
//      norm_bwd       dy, x -> dx                              reads dy, x (and y), writes dx (and the residual's)
//
// A run is the part of a group under one weight: a channel of the batch, a channel of a sample.
//
// Bytes: dy and x twice, dx once: 20 per element.  Limited by: memory.
// Deterministic: parts are cut by shape, and every sum has one order; no atomics.
#include "norm.cuh"

// dy behind the ReLU: nothing where the output was cut off. `y` is null where there was no ReLU.
__device__ inline float through(const float* dy, const float* y, long long i) {
    return y && y[i] <= 0.0f ? 0.0f : dy[i];
}

// Sums over part p of run u = g * runs + j into sums[u][p]. `weight` is null unless it differs from element to element;
// then a run is a whole group.
extern "C" __global__ void norm_sums_f32(const float* __restrict__ dy, const float* __restrict__ x,
                                         const float* __restrict__ y, const double* __restrict__ stats,
                                         const float* __restrict__ weight, Norm l, long long part, int lanes,
                                         double* __restrict__ sums) {
    __shared__ double scratch[WARP];
    const long long count = l.slices * l.run, parts = (count + part - 1) / part, runs = l.len / l.run;
    const Team team(lanes);
    if (team.number >= l.groups * runs * parts) return;
    const long long u = team.number / parts, g = u / runs, begin = team.number % parts * part;
    const long long end = begin + part < count ? begin + part : count;
    const long long start = g * l.len + u % runs * l.run;
    const Centre centre(stats[3 * g]);
    const float* w = weight ? weight + g % l.cycle * l.len : nullptr;
    Steps walk(l, start, begin + team.lane, lanes);
    double total = 0, product = 0;
    for (long long e = begin + team.lane; e < end; e += (long long)CHUNK * lanes) {
        float a = 0.0f, b = 0.0f;
#pragma unroll
        for (int k = 0; k < CHUNK; k++) {
            if (e + (long long)k * lanes < end) {
                const float d = through(dy, y, walk.at) * (w ? w[walk.inside] : 1.0f);
                a += d;
                b += d * (x[walk.at] - centre.mean);
            }
            walk.next();
        }
        total += a;
        product += b;
    }
    total = team.sum(total, scratch);
    product = team.sum(product, scratch);
    if (team.lane > 0) return;
    sums[2 * team.number] = total;
    sums[2 * team.number + 1] = stats[3 * g + 2] * (product + centre.lost * total);
}

// A team for each group: adds up the parts of its runs into totals[u], and writes what norm_bwd needs of the group,
// [mean, inverse, b, c] with mean(g) + xhat mean(g xhat) = (x - mean) b + c; both 0 where the statistics were given.
// Where no two groups share a weight the totals are already dw and db (null where not asked for).
extern "C" __global__ void norm_centre_f32(const double* __restrict__ sums, const double* __restrict__ stats,
                                           const float* __restrict__ weight, Norm l, long long parts, int lanes,
                                           int own, double* __restrict__ totals, float* __restrict__ factors,
                                           float* __restrict__ dweight, float* __restrict__ dbias) {
    __shared__ double scratch[WARP];
    const Team team(lanes);
    if (team.number >= l.groups) return;
    const long long g = team.number, runs = l.len / l.run, count = l.slices * l.len;
    double mean = 0, product = 0;
    for (long long j = 0; j < runs; j++) {
        const long long u = g * runs + j;
        double a = 0, b = 0;
        for (long long p = team.lane; p < parts; p += lanes) {
            a += sums[2 * (u * parts + p)];
            b += sums[2 * (u * parts + p) + 1];
        }
        a = team.sum(a, scratch);
        b = team.sum(b, scratch);
        const double w = weight ? weight[first_weight(l, g) + j] : 1.0;
        mean += w * a / count;
        product += w * b / count;
        if (team.lane > 0) continue;
        totals[2 * u] = a;
        totals[2 * u + 1] = b;
        if (dbias) dbias[u] = (float)a;
        if (dweight) dweight[u] = (float)b;
    }
    if (team.lane > 0) return;
    const Centre centre(stats[3 * g]);
    const double inverse = stats[3 * g + 2], slope = own ? inverse * product : 0.0;
    float* f = factors + 4 * g;
    f[0] = centre.mean, f[1] = (float)inverse, f[2] = (float)slope;
    f[3] = own ? (float)(mean + centre.lost * slope) : 0.0f;
}

// dw[i] and db[i] from totals[k][i], k = 0 .. rows, added in this order.
extern "C" __global__ void norm_weights_f32(const double* __restrict__ totals, long long rows, long long weights,
                                            float* __restrict__ dweight, float* __restrict__ dbias) {
    GRID_STRIDE(i, weights) {
        double a = 0, b = 0;
        for (long long k = 0; k < rows; k++) {
            a += totals[2 * (k * weights + i)];
            b += totals[2 * (k * weights + i) + 1];
        }
        if (dbias) dbias[i] = (float)a;
        if (dweight) dweight[i] = (float)b;
    }
}

// Sums down the columns, where group g's element o has weight (g % cycle) len + o. A block takes 32 columns and `part`
// groups of one residue g % cycle, which its 8 warps share:
//
//              32 columns
//      warp 0  ****************     group first
//      warp 1  ****************     group first + cycle          totals[p][weight], p-th part of the groups
//        :                             :
extern "C" __global__ void norm_columns_f32(const float* __restrict__ dy, const float* __restrict__ x,
                                            const double* __restrict__ stats, Norm l, long long part,
                                            double* __restrict__ totals) {
    __shared__ double a_of[8][WARP], b_of[8][WARP];
    const long long tiles = (l.len + WARP - 1) / WARP;
    const int column = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const long long o = blockIdx.x % tiles * WARP + column, residue = blockIdx.x / tiles % l.cycle;
    const long long p = blockIdx.x / tiles / l.cycle, rows = l.groups / l.cycle;
    const long long end = (p + 1) * part < rows ? (p + 1) * part : rows;
    double a = 0, b = 0;
    for (long long k = p * part + warp; k < end && o < l.len; k += 8) {
        const long long g = k * l.cycle + residue, i = g * l.len + o;
        const Centre centre(stats[3 * g]);
        const float d = dy[i];
        a += d;
        b += d * ((x[i] - centre.mean) + (float)centre.lost) * (float)stats[3 * g + 2];
    }
    a_of[warp][column] = a;
    b_of[warp][column] = b;
    __syncthreads();
    if (warp > 0 || o >= l.len) return;
    for (int w = 1; w < 8; w++) {
        a += a_of[w][column];
        b += b_of[w][column];
    }
    double* out = totals + 2 * ((p * l.cycle + residue) * l.len + o);
    out[0] = a, out[1] = b;
}

// One thread per element. `y` and `dresidual` are null unless ReLU and addition followed, `weight` where there is none,
// `x` where the statistics were given: then it does not matter.
extern "C" __global__ void norm_bwd_f32(const float* __restrict__ dy, const float* __restrict__ x,
                                        const float* __restrict__ y, const float* __restrict__ factors,
                                        const float* __restrict__ weight, float* __restrict__ dx,
                                        float* __restrict__ dresidual, Norm l, long long n) {
    GRID_STRIDE(i, n) {
        const long long g = i / l.len % l.groups;
        const float* f = factors + 4 * g;
        const float d = through(dy, y, i);
        if (dresidual) dresidual[i] = d;
        const float w = weight ? weight[first_weight(l, g) + i % l.len / l.run] : 1.0f;
        const float common = x ? f[3] + (x[i] - f[0]) * f[2] : 0.0f;
        if (dx) dx[i] = (d * w - common) * f[1];
    }
}
