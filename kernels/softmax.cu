// Softmax and its logarithm along a dimension, forward and backward.
//
//      softmax      y = exp(x - m) / sum exp(x - m)         dx = y (dy - sum y dy)         m = max x
//      log_softmax  y = x - m - ln sum exp(x - m)           dx = dy - exp(y) sum dy
//
// What it teaches: the online sum. The textbook needs three sweeps over a line: its maximum, the sum of exponentials,
// the result. Here the first two are one: when a larger element comes, the sum so far is scaled by exp(old m - new m),
// as if it had been built with the new maximum from the start (Milakov and Gimelshein 2018). row_reduce.cuh has that sweep,
// and the picture of how threads share out lines of any length and stride.
//
// Bytes: forward reads x twice, the second time mostly from the cache, and writes y: 8 to 12 bytes per element.
// Limited by: memory for rows that a warp takes; the two barriers of each reduction for a block's.
// Ragged edges: teams beyond the last line leave; a short line leaves some lanes with the neutral element.
#include "row_reduce.cuh"

extern "C" __global__ void softmax_fwd_f32(const float* __restrict__ x, float* __restrict__ y, long long n,
                                           long long inner, long long lines, int lanes, int logarithm) {
    __shared__ float scratch[WARP];
    const Team team(lanes);
    if (team.number >= lines) return;
    const long long start = line_start(team.number, n, inner);
    float m, sum;
    line_max_sum(team, x + start, n, inner, m, sum, scratch);
    const float log_sum = logf(sum);
    for (long long i = team.lane; i < n; i += lanes) {
        const long long at = start + i * inner;
        y[at] = logarithm ? x[at] - m - log_sum : expf(x[at] - m) / sum;
    }
}

extern "C" __global__ void softmax_bwd_f32(const float* __restrict__ y, const float* __restrict__ dy,
                                           float* __restrict__ dx, long long n, long long inner, long long lines,
                                           int lanes, int logarithm) {
    __shared__ float scratch[WARP];
    const Team team(lanes);
    if (team.number >= lines) return;
    const long long start = line_start(team.number, n, inner);
    float sum = 0.0f;
    for (long long i = team.lane; i < n; i += lanes) {
        const long long at = start + i * inner;
        sum += logarithm ? dy[at] : y[at] * dy[at];
    }
    sum = team.sum(sum, scratch);
    for (long long i = team.lane; i < n; i += lanes) {
        const long long at = start + i * inner;
        dx[at] = logarithm ? dy[at] - expf(y[at]) * sum : y[at] * (dy[at] - sum);
    }
}
