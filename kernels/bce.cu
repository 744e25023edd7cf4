// Binary cross-entropy of logits: sigmoid and the loss in one.
//
//      l  = w (p t softplus(-x) + (1 - t) softplus(x)),   softplus(x) = max(x, 0) + ln(1 + e^-|x|)
//      dx = w ((1 - t) s - p t sigmoid(-x)) g             dt = w (p softplus(-x) - softplus(x)) g       s = sigmoid(x)
//
// x and t are contiguous; w and p, each maybe null for 1, are stretched to their shape: strided_index.cuh finds their places.
//
// What it teaches: ln(1 - sigmoid(40)) is minus infinity in any precision a GPU has, but both softplus terms are
// positive and never overflow. A loss that is fused with its activation is not only faster, it is right.
//
// Bytes: forward x and t in, l out, 12 per element; backward 12.  Limited by: memory; expf and log1pf take less.
// Ragged edges: none, one thread per element. The mean is made of the single losses as for all losses (loss.cu).
#include "strided_index.cuh"

__device__ inline float softplus(float x) { return (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x))); }

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

extern "C" __global__ void bce_fwd_f32(const float* __restrict__ x, const float* __restrict__ t,
                                       const float* __restrict__ weight, const float* __restrict__ pos_weight,
                                       float* __restrict__ losses, Walk walk) {
    GRID_STRIDE(i, walk.n) {
        const Place at = place(walk, i);
        const float w = weight ? weight[at.b] : 1.0f, p = pos_weight ? pos_weight[at.c] : 1.0f;
        losses[i] = w * (p * t[i] * softplus(-x[i]) + (1.0f - t[i]) * softplus(x[i]));
    }
}

// dx, or dt where `of_target`. `dy` has one gradient per element (`each`), or one for all, which `divisor` divides.
extern "C" __global__ void bce_bwd_f32(const float* __restrict__ dy, const float* __restrict__ x,
                                       const float* __restrict__ t, const float* __restrict__ weight,
                                       const float* __restrict__ pos_weight, float divisor, int each, int of_target,
                                       float* __restrict__ dx, Walk walk) {
    GRID_STRIDE(i, walk.n) {
        const Place at = place(walk, i);
        const float w = weight ? weight[at.b] : 1.0f, p = pos_weight ? pos_weight[at.c] : 1.0f;
        const float slope = of_target ? p * softplus(-x[i]) - softplus(x[i])
                                      : (1.0f - t[i]) * sigmoid(x[i]) - p * t[i] * sigmoid(-x[i]);
        dx[i] = w * slope * dy[each ? i : 0] / divisor;
    }
}
