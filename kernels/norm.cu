// Normalisation forward: batch, instance, group and layer norm are one computation with four layouts (norm.cuh).
//
//      y = (x - m) r w + b,   r = 1 / sqrt(v + eps)        m, v over each group, or given
//
// fused with what follows it in a residual net: y = max(0, y + residual).
//
//      norm_moments      a part of a group -> its number, mean, squared deviations     reads x
//      norm_statistics   parts -> mean, variance, r; the running statistics            a few numbers per group
//      norm_fwd          x -> y                                                        reads x (and residual), writes y
//
// What it teaches: two kernels around a tiny one. A group's mean needs all its elements, and blocks cannot wait for one
// another, so the grid ends and another begins: that is the only barrier between blocks.
//
// Bytes: x twice (a small tensor's second reading comes from the L2 cache), y once: 12 per element; residual 4 more. As
// separate kernels addition and ReLU would read and write 20 more.
// Limited by: memory. Arithmetic: about 4 operations per element in float; doubles only once in CHUNK elements.
// Ragged edges: the last part of a group is short; a chunk beyond its end counts fewer elements.
#include "norm.cuh"

// Moments of part p of group g into moments[g][p].
extern "C" __global__ void norm_moments_f32(const float* __restrict__ x, Norm l, long long part, int lanes,
                                            double* __restrict__ moments) {
    __shared__ Moments scratch[WARP];
    const long long count = l.slices * l.len, parts = (count + part - 1) / part;
    const Team team(lanes);
    if (team.number >= l.groups * parts) return;
    const long long g = team.number / parts, begin = team.number % parts * part;
    const long long end = begin + part < count ? begin + part : count;
    l.run = l.len;
    Steps walk(l, g * l.len, begin + team.lane, lanes);
    Moments all = {0, 0, 0};
    for (long long e = begin + team.lane; e < end; e += (long long)CHUNK * lanes) {
        float v[CHUNK];
        int some = 0;
#pragma unroll
        for (int k = 0; k < CHUNK; k++) {
            const bool real = e + (long long)k * lanes < end;
            v[k] = real ? x[walk.at] : 0.0f;
            some += real;
            walk.next();
        }
        all = merge(all, moments_of(v, some));
    }
    all = team_moments(team, all, scratch);
    if (team.lane > 0) return;
    double* out = moments + 3 * team.number;
    out[0] = all.n, out[1] = all.mean, out[2] = all.squares;
}

// Writes a group's statistics [mean, variance, inverse deviation], and as floats for norm_fwd [mean, lost, inverse].
__device__ void write_statistics(long long g, double mean, double variance, double eps, double* stats, float* scale) {
    const double inverse = 1.0 / sqrt(variance + eps);
    const Centre centre(mean);
    stats[3 * g] = mean, stats[3 * g + 1] = variance, stats[3 * g + 2] = inverse;
    scale[3 * g] = centre.mean, scale[3 * g + 1] = (float)centre.lost, scale[3 * g + 2] = (float)inverse;
}

// A team for each channel c: merges the parts of the groups c, c + channels, ..., and moves the running statistics
// (null where there are none) by their average: new = (1 - momentum) old + momentum now, the variance unbiased.
extern "C" __global__ void norm_statistics_f32(const double* __restrict__ moments, Norm l, long long parts, double eps,
                                               int lanes, long long channels, double momentum,
                                               const float* __restrict__ old_mean,
                                               const float* __restrict__ old_variance, float* __restrict__ new_mean,
                                               float* __restrict__ new_variance, double* __restrict__ stats,
                                               float* __restrict__ scale) {
    __shared__ Moments scratch[WARP];
    const Team team(lanes);
    if (team.number >= channels) return;
    const long long c = team.number;
    double mean = 0, variance = 0;
    for (long long g = c; g < l.groups; g += channels) {
        Moments all = {0, 0, 0};
        for (long long p = team.lane; p < parts; p += lanes) {
            const double* m = moments + 3 * (g * parts + p);
            all = merge(all, {m[0], m[1], m[2]});
        }
        all = team_moments(team, all, scratch);
        // Equal elements may leave a rounding error below 0; NaN stays.
        const double biased = all.squares < 0 ? 0 : all.squares / all.n;
        if (team.lane == 0) write_statistics(g, all.mean, biased, eps, stats, scale);
        mean += all.mean;
        variance += biased;
    }
    if (!new_mean || team.lane > 0) return;
    const double n = (double)(l.slices * l.len), each = (double)(l.groups / channels);
    new_mean[c] = (float)((1 - momentum) * old_mean[c] + momentum * mean / each);
    new_variance[c] = (float)((1 - momentum) * old_variance[c] + momentum * variance * (n / (n - 1)) / each);
}

// The same where mean and variance are given, and stay.
extern "C" __global__ void norm_given_f32(const float* __restrict__ old_mean, const float* __restrict__ old_variance,
                                          long long channels, double eps, float* __restrict__ new_mean,
                                          float* __restrict__ new_variance, double* __restrict__ stats,
                                          float* __restrict__ scale) {
    GRID_STRIDE(c, channels) {
        const float mean = old_mean[c], variance = old_variance[c];
        write_statistics(c, mean, variance, eps, stats, scale);
        new_mean[c] = mean;
        new_variance[c] = variance;
    }
}

// One thread per element. `weight`, `bias` and `residual` may be null.
extern "C" __global__ void norm_fwd_f32(const float* __restrict__ x, const float* __restrict__ scale,
                                        const float* __restrict__ weight, const float* __restrict__ bias,
                                        const float* __restrict__ residual, float* __restrict__ y, Norm l, int relu,
                                        long long n) {
    GRID_STRIDE(i, n) {
        const long long g = i / l.len % l.groups, w = first_weight(l, g) + i % l.len / l.run;
        const float mean = scale[3 * g], lost = scale[3 * g + 1], inverse = scale[3 * g + 2];
        const float factor = weight ? inverse * weight[w] : inverse;
        float v = (x[i] - mean) * factor + ((bias ? bias[w] : 0.0f) + lost * factor);
        if (residual) v += residual[i];
        y[i] = relu && v <= 0.0f ? 0.0f : v;
    }
}
