// What changes tensors in place: SGD and Adam over all parameters at once, gradient clipping, accumulation.
//
// A network has a hundred parameters, most of them small. One launch for each would take longer to start than to run.
// So up to 80 tensors go into one launch (their addresses are passed by value, in 4 KB of parameters), and blocks are
// dealt out to chunks of 4096 elements:
//
//      tensor      0: 9408        1: 64    2: 36864           ...
//      blocks      0  1  2        3        4 .. 12            `first` = 0, 3, 4, 13, ..: found by bisection
//
// Whatever changes from step to step (learning rate, momentum, Adam's bias corrections) is read from a small array on the
// device: a captured CUDA graph of the step is replayed as it is while the host writes new numbers between replays.
//
// Bytes from memory: SGD 20 per element (w, dw, v read; w, v written), Adam 28. Arithmetic intensity: 6 and 14
// operations on them.
// Limited by: memory; 16 bytes per thread at once where a tensor is aligned. Ragged edges: the last chunk of a tensor is
// shorter.
#include "common.cuh"

// The elements that a block works on: begin .. end of tensor t.
struct BlockRange {
    int t;
    long long begin;
    long long end;
};

// The range of this block.
__device__ inline BlockRange block_range(const Tensors& all) {
    int low = 0, high = all.count;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (all.first[middle] <= (int)blockIdx.x) low = middle;
        else high = middle;
    }
    const long long begin = ((int)blockIdx.x - all.first[low]) * all.chunk;
    return BlockRange{low, begin, min(all.n[low], begin + all.chunk)};
}

// Calls f on each element of this block's range: f(w, dw, m, v) changes w and the moments that exist.
template <class F> __device__ void update(const Tensors& all, const BlockRange& s, F f) {
    float* const w = all.w[s.t];
    const float* const dw = all.dw[s.t];
    float* const m = all.m[s.t];
    float* const v = all.v[s.t];
    const bool quads = aligned16(w) && aligned16(dw) && aligned16(m) && aligned16(v);
    const long long single = quads ? s.begin + (s.end - s.begin) / 4 * 4 : s.begin;
    for (long long i = s.begin / 4 + threadIdx.x; i < single / 4; i += blockDim.x) {
        float4 w4 = reinterpret_cast<float4*>(w)[i];
        const float4 d4 = reinterpret_cast<const float4*>(dw)[i];
        float4 m4 = reinterpret_cast<float4*>(m)[i];
        float4 v4 = F::MOMENTS == 2 ? reinterpret_cast<float4*>(v)[i] : m4;
        f(w4.x, d4.x, m4.x, v4.x);
        f(w4.y, d4.y, m4.y, v4.y);
        f(w4.z, d4.z, m4.z, v4.z);
        f(w4.w, d4.w, m4.w, v4.w);
        reinterpret_cast<float4*>(w)[i] = w4;
        reinterpret_cast<float4*>(m)[i] = m4;
        if (F::MOMENTS == 2) reinterpret_cast<float4*>(v)[i] = v4;
    }
    for (long long i = single + threadIdx.x; i < s.end; i += blockDim.x) {
        float unused = 0;
        f(w[i], dw[i], m[i], F::MOMENTS == 2 ? v[i] : unused);
    }
}

// g = dw + decay w;  v = momentum v + g;  w = w - lr v, with Nesterov w - lr (g + momentum v). The velocity stands in
// `m`.
struct Sgd {
    static constexpr int MOMENTS = 1;
    float lr;
    float momentum;
    float decay;
    bool nesterov;
    __device__ void operator()(float& w, float dw, float& m, float&) const {
        const float g = dw + decay * w;
        m = momentum * m + g;
        w -= lr * (nesterov ? g + momentum * m : m);
    }
};

// scalars: learning rate, momentum, weight decay.
extern "C" __global__ void __launch_bounds__(256) sgd_f32(Tensors all, const float* __restrict__ scalars,
                                                          int nesterov) {
    const BlockRange s = block_range(all);
    update(all, s, Sgd{scalars[0], scalars[1], scalars[2] * all.decays[s.t], nesterov != 0});
}

// w = shrink w;  g = dw + decay w;  m = m + (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;
//
//      w = w - rate m / (sqrt(v) / root + eps)         rate = lr / (1 - beta1^t), root = sqrt(1 - beta2^t)
struct Adam {
    static constexpr int MOMENTS = 2;
    float rate;
    float root;
    float shrink;
    float decay;
    float c1;
    float b2;
    float c2;
    float eps;
    __device__ void operator()(float& w, float dw, float& m, float& v) const {
        w *= shrink;
        const float g = dw + decay * w;
        m += (g - m) * c1;
        v = v * b2 + g * g * c2;
        w -= rate * m / (sqrtf(v) / root + eps);
    }
};

// scalars: rate, root, shrink (1 - lr decay in AdamW, 1 in Adam), decay (0 in AdamW), c1 = 1 - beta1.
extern "C" __global__ void __launch_bounds__(256) adam_f32(Tensors all, const float* __restrict__ scalars, float b2,
                                                           float c2, float eps) {
    const BlockRange s = block_range(all);
    const bool decays = all.decays[s.t] != 0;
    const float shrink = decays ? scalars[2] : 1, decay = decays ? scalars[3] : 0;
    update(all, s, Adam{scalars[0], scalars[1], shrink, decay, scalars[4], b2, c2, eps});
}

// partial[first + block] = the sum of the squares of the block's gradients, in f64.
extern "C" __global__ void __launch_bounds__(256) squares_f32_f64(
    Tensors all, double* __restrict__ partial, long long first) {
    __shared__ double scratch[WARP];
    const BlockRange s = block_range(all);
    const float* const dw = all.dw[s.t];
    double sum = 0;
    for (long long i = s.begin + threadIdx.x; i < s.end; i += blockDim.x) sum += dw[i] * dw[i];
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) partial[first + blockIdx.x] = sum;
}

// One block: the norm of all gradients, and the factor that brings it down to `most` (1 where it is lower already, or
// NaN).
extern "C" __global__ void __launch_bounds__(256) clip_factor(const double* __restrict__ partial, long long n,
                                                              double most, double* __restrict__ norm,
                                                              float* __restrict__ factor) {
    __shared__ double scratch[WARP];
    double sum = 0;
    for (long long i = threadIdx.x; i < n; i += blockDim.x) sum += partial[i];
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) {
        const double shrink = most / (sqrt(sum) + 1e-6);
        *norm = sqrt(sum);
        *factor = shrink < 1 ? (float)shrink : 1;
    }
}

// dw = factor dw. A factor of 1, which is the usual one, moves nothing.
extern "C" __global__ void __launch_bounds__(256) scale_gradients_f32(Tensors all, const float* __restrict__ factor) {
    const BlockRange s = block_range(all);
    const float by = *factor;
    if (by == 1) return;
    for (long long i = s.begin + threadIdx.x; i < s.end; i += blockDim.x) all.dw[s.t][i] *= by;
}

// dw = min(max(dw, -most), most); NaN stays.
extern "C" __global__ void __launch_bounds__(256) limit_gradients_f32(Tensors all, float most) {
    const BlockRange s = block_range(all);
    for (long long i = s.begin + threadIdx.x; i < s.end; i += blockDim.x) {
        const float g = all.dw[s.t][i];
        all.dw[s.t][i] = g < -most ? -most : g > most ? most : g;
    }
}

// target += x
extern "C" __global__ void add_assign_f32(const float* __restrict__ x, float* __restrict__ target, long long n) {
    const long long quads = aligned16(x) && aligned16(target) ? n / 4 : 0;
    GRID_STRIDE(i, quads) {
        const float4 v = reinterpret_cast<const float4*>(x)[i];
        float4 t = reinterpret_cast<float4*>(target)[i];
        t.x += v.x;
        t.y += v.y;
        t.z += v.z;
        t.w += v.w;
        reinterpret_cast<float4*>(target)[i] = t;
    }
    GRID_STRIDE(i, n - 4 * quads) target[4 * quads + i] += x[4 * quads + i];
}

// One block: counts a batch and stores its running statistics; `cumulative`, x are the batch's own statistics, of which
// every batch so far counts the same.
extern "C" __global__ void __launch_bounds__(256) track_f32(float* __restrict__ mean, float* __restrict__ var,
                                                            long long* __restrict__ batches,
                                                            const float* __restrict__ x_mean,
                                                            const float* __restrict__ x_var, long long n,
                                                            int cumulative) {
    const long long now = *batches + 1;
    const double share = cumulative ? 1.0 / (double)now : 1.0;
    for (long long i = threadIdx.x; i < n; i += blockDim.x) {
        mean[i] = cumulative ? (float)((1 - share) * mean[i] + share * x_mean[i]) : x_mean[i];
        var[i] = cumulative ? (float)((1 - share) * var[i] + share * x_var[i]) : x_var[i];
    }
    __syncthreads(); // every thread has read the count
    if (threadIdx.x == 0) *batches = now;
}
