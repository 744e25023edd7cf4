// Plain structs that kernels take by value. build.rs generates their Rust twins from this file: one member a line.
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
// elements each has, the first of the blocks that work on it, and whether its weights decay (1) or not (0).
struct Tensors {
    float* w[80];
    float* dw[80];
    float* m[80];
    float* v[80];
    long long n[80];
    int first[80];
    float decays[80];
    int count;
};
