// Losses of class scores: negative log-likelihood, and cross-entropy with log_softmax in it; and the totals of all
// losses.
//
//      nll            l[i] = -w[t] x[i, t]                                       t = labels[i]
//      cross-entropy  l[i] = -sum_c w[c] q[i, c] ln p[i, c],   p = softmax(x),   q = (1 - s) target + s / C
//      y = sum l / D  (mean: D = sum w[t], or the number of samples),   sum l,   or l itself
//
//      scores [n, C, d]:   the classes of a sample are a line (row_reduce.cuh) of C elements, d apart
//
// What it teaches: fusing. As two ops log_softmax writes the log-probabilities, the loss reads them, its gradient
// writes a tensor of zeros with one entry per sample, and log_softmax's gradient reads that. Here the team that has a
// sample's maximum and sum at hand also writes its loss, and backward computes (p - q) in one pass.
//
// Bytes: cross-entropy forward 12 per score, backward 8.  Limited by: memory; for few samples by starting kernels.
// Deterministic: single losses are written down, summed in parts of 4096 and the parts in order; in double.
// Ragged edges: a label out of range is reported in the fault word and counts as ignored.
#include "row_reduce.cuh"

// What one sample asks of the classes.
struct Wanted {
    const LossTargets& targets;
    long long label; // none: -1

    __device__ Wanted(const LossTargets& targets, long long sample, unsigned long long* fault)
        : targets(targets), label(-1) {
        if (!targets.labels || targets.labels[sample] == targets.ignore_index) return;
        label = targets.labels[sample];
        if (label >= 0 && label < targets.c) return;
        label = -1;
        if (fault) report_fault(fault, sample);
    }

    __device__ float weight(long long c) const { return targets.weight ? targets.weight[c] : 1.0f; }

    // Whether class c matters: a class that does not may have the log-probability minus infinity.
    __device__ bool asks(long long c) const {
        return targets.probabilities || (label >= 0 && (c == label || targets.smoothing != 0.0));
    }

    // w[c] q[c], for the score at this place.
    __device__ float weighted(long long c, long long at) const {
        const float smoothing = (float)targets.smoothing, rest = 1.0f - smoothing, even = smoothing / (float)targets.c;
        const float target = targets.probabilities ? targets.probabilities[at] : c == label ? 1.0f : 0.0f;
        return weight(c) * (rest * target + even);
    }
};

// The gradient of a single loss: `dy` has one per sample, or one for all.
__device__ inline float spread(const float* dy, const float* divisor, long long sample, int each) {
    return dy[each ? sample : 0] / divisor[0];
}

// A team for each sample: its log-probabilities, its loss, and what it adds to the divisor.
extern "C" __global__ void cross_entropy_fwd_f32(const float* __restrict__ x, LossTargets targets, int lanes,
                                                 float* __restrict__ log_p, float* __restrict__ losses,
                                                 float* __restrict__ shares, unsigned long long* __restrict__ fault) {
    __shared__ float scratch[WARP];
    const Team team(lanes);
    if (team.number >= targets.n * targets.d) return;
    const long long start = line_start(team.number, targets.c, targets.d);
    const Wanted wanted(targets, team.number, team.lane == 0 ? fault : nullptr);
    float m, sum;
    line_max_sum(team, x + start, targets.c, targets.d, m, sum, scratch);
    const float log_sum = logf(sum);
    float loss = 0.0f;
    for (long long c = team.lane; c < targets.c; c += lanes) {
        const long long at = start + c * targets.d;
        const float v = x[at] - m - log_sum;
        log_p[at] = v;
        if (wanted.asks(c)) loss -= wanted.weighted(c, at) * v;
    }
    loss = team.sum(loss, scratch);
    if (team.lane > 0) return;
    losses[team.number] = loss;
    shares[team.number] = wanted.label < 0 ? 0.0f : wanted.weight(wanted.label);
}

// dx = g (p sum_k w[k] q[k] - w[c] q[c])
extern "C" __global__ void cross_entropy_bwd_f32(const float* __restrict__ log_p, const float* __restrict__ divisor,
                                                 const float* __restrict__ dy, LossTargets targets, int lanes, int each,
                                                 float* __restrict__ dx) {
    __shared__ float scratch[WARP];
    const Team team(lanes);
    if (team.number >= targets.n * targets.d) return;
    const long long start = line_start(team.number, targets.c, targets.d);
    const Wanted wanted(targets, team.number, nullptr);
    float sum = 0.0f;
    for (long long c = team.lane; c < targets.c; c += lanes) {
        if (wanted.asks(c)) sum += wanted.weighted(c, start + c * targets.d);
    }
    sum = team.sum(sum, scratch);
    const float g = spread(dy, divisor, team.number, each);
    // An ignored sample asks for nothing, and g may be infinite then: 0 / 0 in a mean of nothing.
    const float scale = sum == 0.0f ? 0.0f : g * sum;
    for (long long c = team.lane; c < targets.c; c += lanes) {
        const long long at = start + c * targets.d;
        dx[at] = expf(log_p[at]) * scale - (wanted.asks(c) ? g * wanted.weighted(c, at) : 0.0f);
    }
}

// dt = -g (1 - s) w[c] ln p, where the target is probabilities.
extern "C" __global__ void cross_entropy_target_f32(const float* __restrict__ log_p, const float* __restrict__ divisor,
                                                    const float* __restrict__ dy, LossTargets targets, int each,
                                                    float* __restrict__ dt) {
    const float rest = 1.0f - (float)targets.smoothing;
    GRID_STRIDE(i, targets.n * targets.c * targets.d) {
        const long long sample = i / targets.d / targets.c * targets.d + i % targets.d;
        const float weight = targets.weight ? targets.weight[i / targets.d % targets.c] : 1.0f;
        dt[i] = -(spread(dy, divisor, sample, each) * rest * weight * log_p[i]);
    }
}

// A thread for each sample.
extern "C" __global__ void nll_loss_fwd_f32(const float* __restrict__ x, LossTargets targets,
                                            float* __restrict__ losses, float* __restrict__ shares,
                                            unsigned long long* __restrict__ fault) {
    GRID_STRIDE(i, targets.n * targets.d) {
        const Wanted wanted(targets, i, fault);
        const float weight = wanted.label < 0 ? 0.0f : wanted.weight(wanted.label);
        losses[i] = wanted.label < 0 ? 0.0f : -(weight * x[line_start(i, targets.c, targets.d) + wanted.label * targets.d]);
        shares[i] = weight;
    }
}

// A thread for each score: only the label's has a gradient.
extern "C" __global__ void nll_loss_bwd_f32(const float* __restrict__ divisor, const float* __restrict__ dy,
                                            LossTargets targets, int each, float* __restrict__ dx) {
    GRID_STRIDE(i, targets.n * targets.c * targets.d) {
        const long long sample = i / targets.d / targets.c * targets.d + i % targets.d;
        const Wanted wanted(targets, sample, nullptr);
        const bool own = wanted.label == i / targets.d % targets.c;
        dx[i] = own ? -(wanted.weight(wanted.label) * spread(dy, divisor, sample, each)) : 0.0f;
    }
}

// Sums of losses and of shares (null: none) over part b of `part` elements into sums[b].
extern "C" __global__ void loss_partial_f32(const float* __restrict__ losses, const float* __restrict__ shares,
                                            long long n, long long part, double* __restrict__ sums) {
    __shared__ double scratch[WARP];
    const long long begin = blockIdx.x * part, end = begin + part < n ? begin + part : n;
    double loss = 0, share = 0;
    for (long long i = begin + threadIdx.x; i < end; i += blockDim.x) {
        loss += losses[i];
        if (shares) share += shares[i];
    }
    loss = block_sum(loss, scratch);
    share = block_sum(share, scratch);
    if (threadIdx.x > 0) return;
    sums[2 * blockIdx.x] = loss;
    sums[2 * blockIdx.x + 1] = share;
}

// y = sum of the losses / divisor, in one block. The divisor is that given, or where it is 0 the sum of the shares.
extern "C" __global__ void loss_total_f32(const double* __restrict__ sums, long long parts, double given,
                                          float* __restrict__ y, float* __restrict__ divisor) {
    __shared__ double scratch[WARP];
    double loss = 0, share = 0;
    for (long long b = threadIdx.x; b < parts; b += blockDim.x) {
        loss += sums[2 * b];
        share += sums[2 * b + 1];
    }
    loss = block_sum(loss, scratch);
    share = block_sum(share, scratch);
    if (threadIdx.x > 0) return;
    const double by = given != 0 ? given : share;
    if (y) y[0] = (float)(loss / by);
    if (divisor) divisor[0] = (float)by;
}
