// Plain structs that kernels take by value. build.rs generates their Rust twins from this file: one member per line.
#pragma once

// A convolution, forward or backward: images [n, c, h, w], weight [o, c / groups, kh, kw], output [n, o, oh, ow].
struct Conv {
    int n;
    int c;
    int h;
    int w;
    int o;
    int oh;
    int ow;
    int groups;
    int kh;
    int kw;
    int sh;
    int sw;
    int ph;
    int pw;
    int dh;
    int dw;
};

// A walk over n elements of up to three tensors a, b, c at once: the sizes of its dimensions, innermost first, and how
// far each tensor steps in each of them. A step of 0 stays where it is: that is how a tensor is stretched.
struct Walk {
    long long n;
    long long size[6];
    long long a[6];
    long long b[6];
    long long c[6];
    int rank;
};

// A transpose of `rows`, together in the source, and `columns`, together in the output, once for each of `planes`,
// which are counted by up to four outer dimensions, innermost first.
struct Transpose {
    long long rows;
    long long columns;
    // How far one row is from the next in the output, and one column from the next in the source.
    long long row_step;
    long long column_step;
    long long planes;
    long long size[4];
    long long from[4];
    long long to[4];
};

// A tensor with borders: for each dimension, innermost first, the sizes of the output and of the input, the input's
// stride, how much was added in front (negative: cropped), and every how many places an element lies. Mode 0 surrounds
// with a constant, 1 reflects, 2 repeats the edge, 3 goes round.
struct Pad {
    long long n;
    long long out[6];
    long long size[6];
    long long stride[6];
    long long before[6];
    long long step[6];
    int rank;
    int mode;
};

// Some of the tensors an optimiser updates together: weight, gradient, first and second moment (or velocity), how many
// elements each has, the first of the blocks that work on it, and whether its weights decay (1) or not (0). Each block
// takes `chunk` elements, a multiple of 4.
struct Tensors {
    float* w[80];
    float* dw[80];
    float* m[80];
    float* v[80];
    long long n[80];
    long long chunk;
    int first[80];
    float decays[80];
    int count;
};

// A batch of matrix products: C[z] = finish(A[z] B[z]) with A[z] [m, k], B[z] [k, n] and C[z] [m, n], where
// finish(sum) = relu(sum + C if beta + bias). Strides count elements; a transposed matrix is one with its strides
// swapped. The batch has up to four dimensions, so that an operand broadcast in some of them has stride 0 there.
struct Gemm {
    // One value per column, or one per row (see bias_period), or null.
    const float* bias;
    long long a_row;
    long long a_col;
    long long b_row;
    long long b_col;
    // Elements from one row of C to the next; its columns are neighbours.
    long long ldc;
    long long a_batch[4];
    long long b_batch[4];
    long long c_batch;
    // Elements from one split's C to the next one's.
    long long c_split;
    int batch[4];
    int m;
    int n;
    int k;
    // The sum over k is cut into `splits` parts of k_split terms (the last may be shorter), each written to its own C.
    int splits;
    int k_split;
    // The matrix of the batch that blockIdx.z = 0 computes: a grid is at most 65535 deep.
    int first;
    // 0: the bias is one value per column. p > 0: one per row, and row i of matrix z takes bias[(z % p) * m + i].
    int bias_period;
    int beta;
    int relu;
};

// Which elements of a normalisation share statistics and which a weight: src/cpu/norm/mod.rs explains it.
struct Norm {
    long long groups;
    long long slices;
    long long len;
    long long run;
    long long cycle;
};

// A pooling of planes [h, w] to [oh, ow]: window rows i * sh - ph + k * dh, k = 0 .. kh, and columns likewise.
struct Pool {
    long long h;
    long long w;
    long long oh;
    long long ow;
    long long kh;
    long long kw;
    long long sh;
    long long sw;
    long long ph;
    long long pw;
    long long dh;
    long long dw;
};

// A resizing of one axis: output i mixes the inputs from start[i] on with weights[first[i] .. first[i + 1]].
struct Resample {
    const int* start;
    const int* first;
    const float* weights;
    long long inputs;
    long long outputs;
};

// The targets of a loss of class scores [n, c, d]: `labels` [n, d], or `probabilities` in the shape of the scores; the
// other is null. `weight` [c], one per class, may be null.
struct LossTargets {
    const long long* labels;
    const float* probabilities;
    const float* weight;
    long long n;
    long long c;
    long long d;
    long long ignore_index;
    double smoothing;
};

// The sizes of a batch that gather_batch makes: images [batch, c, h, w] from a set [n, c, source_h, source_w].
struct GatherArgs {
    int batch;
    int c;
    int source_h;
    int source_w;
    int h;
    int w;
    int per_channel;
};
