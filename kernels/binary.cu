// Functions of two tensors, element by element and broadcast: y[i] = f(a[..], b[..]). The second may be a number (b is
// null).
//
// Most broadcasts are simple: the host drops dimensions of size 1 and merges neighbours that both operands walk alike,
// so
//
//      same shape      [8, 3, 5, 5] with [8, 3, 5, 5]      ->  600            steps 1, 1
//      bias of linear  [64, 120]    with [120]             ->  64 x 120       steps 120, 0  and  1, 1
//      bias of conv    [8, 3, 6, 6] with [3, 1, 1]         ->  8 x 3 x 36     steps 108, 0  and  36, 1  and  1, 0
//
// Where rows are a multiple of 4 long, four neighbours lie in one row: each thread finds its place once (a division for
// each dimension but the outermost) and does all four: a whole float4 of an operand that steps, one float of one that
// stands still.
//
// Bytes from memory: 12 per element of equal shapes; 8 where b is a bias, which stays in the cache.
// Limited by: memory; the one-by-one path of odd rows (7 x 7 images) by its divisions, about 40 instructions an
// element.
// Ragged edges: rows of other lengths go one by one, as the rest of n / 4 does.
#include "strided_index.cuh"

// Four neighbours of a row, or one element that stands for all four.
__device__ inline float4 quad(const float* p, long long at, bool steps) {
    if (steps) return *reinterpret_cast<const float4*>(p + at);
    const float v = p[at];
    return make_float4(v, v, v, v);
}

template <class F>
__device__ void zip(F f, const float* a, const float* b, float number, float* y, const Walk& walk) {
    const bool step_a = walk.a[0] != 0, step_b = b != nullptr && walk.b[0] != 0;
    const bool rows_of_4 = walk.rank == 1 || walk.size[0] % 4 == 0;
    const bool aligned = aligned16(y) && (!step_a || aligned16(a)) && (!step_b || aligned16(b));
    const long long quads = rows_of_4 && aligned ? walk.n / 4 : 0;
    GRID_STRIDE(i, quads) {
        const Place at = place(walk, 4 * i);
        const float4 p = quad(a, at.a, step_a);
        const float4 q = b == nullptr ? make_float4(number, number, number, number) : quad(b, at.b, step_b);
        reinterpret_cast<float4*>(y)[i] = make_float4(f(p.x, q.x), f(p.y, q.y), f(p.z, q.z), f(p.w, q.w));
    }
    GRID_STRIDE(rest, walk.n - 4 * quads) {
        const long long i = 4 * quads + rest;
        const Place at = place(walk, i);
        y[i] = f(a[at.a], b == nullptr ? number : b[at.b]);
    }
}

struct Add {
    float alpha;
    __device__ float operator()(float a, float b) const { return a + alpha * b; }
};

struct Mul {
    __device__ float operator()(float a, float b) const { return a * b; }
};

struct Div {
    __device__ float operator()(float a, float b) const { return a / b; }
};

// Rounded towards zero
struct DivTrunc {
    __device__ float operator()(float a, float b) const { return truncf(a / b); }
};

// Rounded down. Rounding a / b itself would be wrong where the division already rounded up to an integer (1 / 0.1 is
// 10, but 0.1 is a little more than a tenth): so the exact remainder decides, as in Python.
struct DivFloor {
    __device__ float operator()(float left, float right) const {
        const double a = left, b = right;
        if (b == 0) return (float)(a / b);
        const double remainder = fmod(a, b);
        const bool below = remainder != 0 && (b < 0) != (remainder < 0);
        const double quotient = (a - remainder) / b - (below ? 1 : 0);
        return (float)(quotient == 0 ? copysign(0.0, a / b) : round(quotient));
    }
};

// Squares and their gradients are what powers are mostly used for.
__device__ inline float power(float x, float e) {
    return e == 1 ? x : e == 2 ? x * x : powf(x, e);
}

// As PyTorch with a number as exponent: roots are roots, which differ from powf at -0 and -infinity.
__device__ inline float power(float x, float e, bool number) {
    if (number && e == 0.5f) return sqrtf(x);
    if (number && e == -0.5f) return 1 / sqrtf(x);
    return power(x, e);
}

struct Pow {
    bool number;
    __device__ float operator()(float x, float e) const { return power(x, e, number); }
};

// The derivative of x^e in x: e x^(e-1), and 0 for e = 0
struct PowSlope {
    bool number;
    __device__ float operator()(float x, float e) const { return e == 0 ? 0 : e * power(x, e - 1, number); }
};

// The derivative of x^e in e: x^e ln x, and 0 for x = 0, e >= 0
struct PowGrowth {
    __device__ float operator()(float x, float e) const { return x == 0 && e >= 0 ? 0 : power(x, e) * logf(x); }
};

// max(x, min); NaN when either is
struct AtLeast {
    __device__ float operator()(float x, float min) const { return min <= x || isnan(x) ? x : min; }
};

// min(x, max); NaN when either is
struct AtMost {
    __device__ float operator()(float x, float max) const { return x <= max || isnan(x) ? x : max; }
};

struct SquaredDifference {
    __device__ float operator()(float a, float b) const { return (a - b) * (a - b); }
};

// a + alpha b: addition, and with a negative alpha subtraction.
extern "C" __global__ void add_f32(const float* __restrict__ a, const float* __restrict__ b, float number,
                                   float* __restrict__ y, float alpha, Walk walk) {
    zip(Add{alpha}, a, b, number, y, walk);
}

extern "C" __global__ void mul_f32(const float* __restrict__ a, const float* __restrict__ b, float number,
                                   float* __restrict__ y, Walk walk) {
    zip(Mul{}, a, b, number, y, walk);
}

extern "C" __global__ void div_f32(const float* __restrict__ a, const float* __restrict__ b, float number,
                                   float* __restrict__ y, Walk walk) {
    zip(Div{}, a, b, number, y, walk);
}

extern "C" __global__ void div_trunc_f32(const float* __restrict__ a, const float* __restrict__ b, float number,
                                         float* __restrict__ y, Walk walk) {
    zip(DivTrunc{}, a, b, number, y, walk);
}

extern "C" __global__ void div_floor_f32(const float* __restrict__ a, const float* __restrict__ b, float number,
                                         float* __restrict__ y, Walk walk) {
    zip(DivFloor{}, a, b, number, y, walk);
}

extern "C" __global__ void pow_f32(const float* __restrict__ a, const float* __restrict__ b, float number,
                                   float* __restrict__ y, Walk walk) {
    zip(Pow{b == nullptr}, a, b, number, y, walk);
}

extern "C" __global__ void pow_slope_f32(const float* __restrict__ a, const float* __restrict__ b, float number,
                                         float* __restrict__ y, Walk walk) {
    zip(PowSlope{b == nullptr}, a, b, number, y, walk);
}

extern "C" __global__ void pow_growth_f32(const float* __restrict__ a, const float* __restrict__ b, float number,
                                          float* __restrict__ y, Walk walk) {
    zip(PowGrowth{}, a, b, number, y, walk);
}

extern "C" __global__ void at_least_f32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ y,
                                        Walk walk) {
    zip(AtLeast{}, a, b, 0, y, walk);
}

extern "C" __global__ void at_most_f32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ y,
                                       Walk walk) {
    zip(AtMost{}, a, b, 0, y, walk);
}

extern "C" __global__ void squared_difference_f32(const float* __restrict__ a, const float* __restrict__ b,
                                                  float* __restrict__ y, Walk walk) {
    zip(SquaredDifference{}, a, b, 0, y, walk);
}

// The gradient of the squared difference in a: 2 (a - b) dy / divisor. Where the losses were summed or averaged, dy is
// one number and does not step.
extern "C" __global__ void mse_loss_bwd_f32(const float* __restrict__ a, const float* __restrict__ b,
                                            const float* __restrict__ dy, float* __restrict__ y, float divisor,
                                            Walk walk) {
    GRID_STRIDE(i, walk.n) {
        const Place at = place(walk, i);
        y[i] = 2 * dy[at.c] / divisor * (a[at.a] - b[at.b]);
    }
}

// y = a where the mask is set, else b; a null pointer stands for `number`. Filling under a mask is this with a number
// for a, and the gradient of either with 0 for the side that was not chosen.
extern "C" __global__ void where_f32(const unsigned char* __restrict__ mask, const float* __restrict__ a,
                                     const float* __restrict__ b, float number, float* __restrict__ y, Walk walk) {
    GRID_STRIDE(i, walk.n) {
        const Place at = place(walk, i);
        const bool set = mask[at.a] != 0;
        const float* chosen = set ? a : b;
        y[i] = chosen == nullptr ? number : chosen[set ? at.b : at.c];
    }
}

// The gradient of clamping between two tensors of one shape: how much of dy goes to the input (part 0), to min (1) or
// to max (2). A boundary is shared half and half. Either limit may be null.
extern "C" __global__ void clamp_tensors_bwd_f32(const float* __restrict__ x, const float* __restrict__ min,
                                                 const float* __restrict__ max, const float* __restrict__ dy,
                                                 float* __restrict__ y, int part, long long n) {
    GRID_STRIDE(i, n) {
        const float v = x[i];
        bool all, half;
        if (min != nullptr && max != nullptr) {
            const float low = min[i], high = max[i];
            const bool tie = low < high && (v == low || v == high);
            half = tie && (part == 0 || (part == 1 ? v == low : v == high));
            if (part == 0) all = !(v < low || v > high);
            else if (part == 1) all = v < low && low <= high;
            else all = (v > high && low <= high) || high < low;
        } else {
            const bool below = min != nullptr;
            const float limit = below ? min[i] : max[i];
            const bool limited = below ? limit > v : limit < v;
            const bool free = below ? limit < v : limit > v;
            half = v == limit;
            all = part == 0 ? !limited : !free;
        }
        y[i] = half ? dy[i] * 0.5f : all ? dy[i] : 0;
    }
}
