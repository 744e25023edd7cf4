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
