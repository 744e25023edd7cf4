// Functions of one tensor, element by element: y[i] = f(x[i]), and backward dx[i] = f'(..) dy[i].
//
// One formula per function, written once as a struct; a kernel is that formula in the loop below. Backward reads either
// the input or the output, whichever the formula is shorter in (src/ops/elementwise/NAME.rs says which, and derives it).
//
//      thread t of block b:   quad 256 b + t of x, then one grid further on, and so on
//
// Bytes from memory: 8 per element forward (4 read, 4 written), 12 backward.
// Arithmetic intensity: 1 to 40 operations on 8 bytes, far below the ~20 flop/byte at which arithmetic would count.
// Limited by: memory. So each thread moves 16 bytes at once, and nothing else is worth doing.
// Ragged edges: what is left of n / 4 goes one by one, and everything does when a view starts off a 16-byte border.
#include "common.cuh"

template <class F> __device__ void forward(F f, const float* x, float* y, long long n) {
    const long long quads = aligned16(x) && aligned16(y) ? n / 4 : 0;
    GRID_STRIDE(i, quads) {
        const float4 v = reinterpret_cast<const float4*>(x)[i];
        reinterpret_cast<float4*>(y)[i] = make_float4(f.y(v.x), f.y(v.y), f.y(v.z), f.y(v.w));
    }
    GRID_STRIDE(i, n - 4 * quads) y[4 * quads + i] = f.y(x[4 * quads + i]);
}

// `read` is x or y, as the formula needs.
template <class F> __device__ void backward(F f, const float* read, const float* dy, float* dx, long long n) {
    const long long quads = aligned16(read) && aligned16(dy) && aligned16(dx) ? n / 4 : 0;
    GRID_STRIDE(i, quads) {
        const float4 r = reinterpret_cast<const float4*>(read)[i];
        const float4 d = reinterpret_cast<const float4*>(dy)[i];
        reinterpret_cast<float4*>(dx)[i] = make_float4(f.dx(r.x, d.x), f.dx(r.y, d.y), f.dx(r.z, d.z), f.dx(r.w, d.w));
    }
    GRID_STRIDE(i, n - 4 * quads) {
        const long long at = 4 * quads + i;
        dx[at] = f.dx(read[at], dy[at]);
    }
}

// y = |x|
struct Abs {
    __device__ float y(float x) const { return fabsf(x); }
    __device__ float dx(float x, float dy) const { return x > 0 ? dy : x < 0 ? -dy : 0; }
};

// y = -x
struct Neg {
    __device__ float y(float x) const { return -x; }
};

// y = e^x, its own slope
struct Exp {
    __device__ float y(float x) const { return expf(x); }
    __device__ float dx(float y, float dy) const { return dy * y; }
};

// y = ln x
struct Log {
    __device__ float y(float x) const { return logf(x); }
    __device__ float dx(float x, float dy) const { return dy / x; }
};

struct Sqrt {
    __device__ float y(float x) const { return sqrtf(x); }
    __device__ float dx(float y, float dy) const { return dy / (y + y); }
};

struct Tanh {
    __device__ float y(float x) const { return tanhf(x); }
    __device__ float dx(float y, float dy) const { return dy * (1 - y * y); }
};

// y = 1 / (1 + e^-x)
struct Sigmoid {
    __device__ float y(float x) const { return 1 / (1 + expf(-x)); }
    __device__ float dx(float y, float dy) const { return dy * (1 - y) * y; }
};

// y = x sigmoid(x)
struct Silu {
    __device__ float y(float x) const { return x / (1 + expf(-x)); }
    __device__ float dx(float x, float dy) const {
        const float s = 1 / (1 + expf(-x));
        return dy * s * (1 + x * (1 - s));
    }
};

// y = max(x, 0); the comparison is false for NaN, which passes on
struct Relu {
    __device__ float y(float x) const { return x <= 0 ? 0 : x; }
    __device__ float dx(float y, float dy) const { return y <= 0 ? 0 : dy; }
};

struct LeakyRelu {
    float slope;
    __device__ float y(float x) const { return x > 0 ? x : x * slope; }
    __device__ float dx(float x, float dy) const { return x > 0 ? dy : dy * slope; }
};

// y = x P(x), P the normal distribution
struct Gelu {
    static constexpr float ROOT_HALF = 0.70710678118654752f;
    static constexpr float DENSITY = 0.39894228040143268f; // 1 / sqrt(2 pi)
    __device__ float y(float x) const { return 0.5f * x * (1 + erff(x * ROOT_HALF)); }
    __device__ float dx(float x, float dy) const {
        const float p = expf(-0.5f * x * x) * DENSITY;
        return dy * (0.5f * (1 + erff(x * ROOT_HALF)) + x * p);
    }
};

// The same with P fitted by a hyperbolic tangent
struct GeluTanh {
    static constexpr float K = 0.79788456080286536f; // sqrt(2 / pi)
    static constexpr float C = 0.044715f;
    __device__ float inner(float x) const { return K * x * (1 + C * x * x); }
    __device__ float y(float x) const { return 0.5f * x * (1 + tanhf(inner(x))); }
    __device__ float dx(float x, float dy) const {
        const float t = tanhf(inner(x));
        const float flat = 1 - t * t;
        // Far out the slope of t is 0, and its other factor may be infinite.
        const float bend = flat == 0 ? flat : x * flat * (K * (1 + 3 * C * x * x));
        return dy * 0.5f * (1 + t + bend);
    }
};

// y = min(max(x, min), max); NaN stays NaN, and a NaN limit makes NaN. A missing limit is infinite, and lets the
// gradient of an infinite x through: so the backward formula asks which limits there are.
struct Clamp {
    float min;
    float max;
    bool above;
    bool below;
    __device__ float y(float x) const {
        const float raised = min <= x || isnan(x) ? x : min;
        return raised <= max || isnan(raised) ? raised : max;
    }
    __device__ float dx(float x, float dy) const { return (!above || min < x) && (!below || x < max) ? dy : 0; }
};

extern "C" __global__ void abs_fwd_f32(const float* __restrict__ x, float* __restrict__ y, long long n) {
    forward(Abs{}, x, y, n);
}

extern "C" __global__ void abs_bwd_f32(const float* __restrict__ x, const float* __restrict__ dy,
                                       float* __restrict__ dx, long long n) {
    backward(Abs{}, x, dy, dx, n);
}

// Its own gradient: dx = -dy.
extern "C" __global__ void neg_f32(const float* __restrict__ x, float* __restrict__ y, long long n) {
    forward(Neg{}, x, y, n);
}

extern "C" __global__ void exp_fwd_f32(const float* __restrict__ x, float* __restrict__ y, long long n) {
    forward(Exp{}, x, y, n);
}

extern "C" __global__ void exp_bwd_f32(const float* __restrict__ y, const float* __restrict__ dy,
                                       float* __restrict__ dx, long long n) {
    backward(Exp{}, y, dy, dx, n);
}

extern "C" __global__ void log_fwd_f32(const float* __restrict__ x, float* __restrict__ y, long long n) {
    forward(Log{}, x, y, n);
}

extern "C" __global__ void log_bwd_f32(const float* __restrict__ x, const float* __restrict__ dy,
                                       float* __restrict__ dx, long long n) {
    backward(Log{}, x, dy, dx, n);
}

extern "C" __global__ void sqrt_fwd_f32(const float* __restrict__ x, float* __restrict__ y, long long n) {
    forward(Sqrt{}, x, y, n);
}

extern "C" __global__ void sqrt_bwd_f32(const float* __restrict__ y, const float* __restrict__ dy,
                                        float* __restrict__ dx, long long n) {
    backward(Sqrt{}, y, dy, dx, n);
}

extern "C" __global__ void tanh_fwd_f32(const float* __restrict__ x, float* __restrict__ y, long long n) {
    forward(Tanh{}, x, y, n);
}

extern "C" __global__ void tanh_bwd_f32(const float* __restrict__ y, const float* __restrict__ dy,
                                        float* __restrict__ dx, long long n) {
    backward(Tanh{}, y, dy, dx, n);
}

extern "C" __global__ void sigmoid_fwd_f32(const float* __restrict__ x, float* __restrict__ y, long long n) {
    forward(Sigmoid{}, x, y, n);
}

extern "C" __global__ void sigmoid_bwd_f32(const float* __restrict__ y, const float* __restrict__ dy,
                                           float* __restrict__ dx, long long n) {
    backward(Sigmoid{}, y, dy, dx, n);
}

extern "C" __global__ void silu_fwd_f32(const float* __restrict__ x, float* __restrict__ y, long long n) {
    forward(Silu{}, x, y, n);
}

extern "C" __global__ void silu_bwd_f32(const float* __restrict__ x, const float* __restrict__ dy,
                                        float* __restrict__ dx, long long n) {
    backward(Silu{}, x, dy, dx, n);
}

extern "C" __global__ void relu_fwd_f32(const float* __restrict__ x, float* __restrict__ y, long long n) {
    forward(Relu{}, x, y, n);
}

// dx may be written over dy: each element is read before it is written, by the same thread.
extern "C" __global__ void relu_bwd_f32(const float* __restrict__ y, const float* dy, float* dx, long long n) {
    backward(Relu{}, y, dy, dx, n);
}

extern "C" __global__ void leaky_relu_fwd_f32(const float* __restrict__ x, float* __restrict__ y, float slope,
                                              long long n) {
    forward(LeakyRelu{slope}, x, y, n);
}

extern "C" __global__ void leaky_relu_bwd_f32(const float* __restrict__ x, const float* __restrict__ dy,
                                              float* __restrict__ dx, float slope, long long n) {
    backward(LeakyRelu{slope}, x, dy, dx, n);
}

extern "C" __global__ void gelu_fwd_f32(const float* __restrict__ x, float* __restrict__ y, long long n) {
    forward(Gelu{}, x, y, n);
}

extern "C" __global__ void gelu_bwd_f32(const float* __restrict__ x, const float* __restrict__ dy,
                                        float* __restrict__ dx, long long n) {
    backward(Gelu{}, x, dy, dx, n);
}

extern "C" __global__ void gelu_tanh_fwd_f32(const float* __restrict__ x, float* __restrict__ y, long long n) {
    forward(GeluTanh{}, x, y, n);
}

extern "C" __global__ void gelu_tanh_bwd_f32(const float* __restrict__ x, const float* __restrict__ dy,
                                             float* __restrict__ dx, long long n) {
    backward(GeluTanh{}, x, dy, dx, n);
}

extern "C" __global__ void clamp_fwd_f32(const float* __restrict__ x, float* __restrict__ y, float min, float max,
                                         long long n) {
    forward(Clamp{min, max, true, true}, x, y, n);
}

extern "C" __global__ void clamp_bwd_f32(const float* __restrict__ x, const float* __restrict__ dy,
                                         float* __restrict__ dx, float min, float max, int above, int below,
                                         long long n) {
    backward(Clamp{min, max, above != 0, below != 0}, x, dy, dx, n);
}
