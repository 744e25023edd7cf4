// Resizing: every plane between a sparse matrix for its rows and one for its columns, Y = R X C'.
//
//      y[i, j] = sum over k, l of R[i, k] x[k, l] C[j, l]
//
// Nearest, bilinear, antialiased and area resizing differ in the matrices alone. Their rows are short runs of weights,
// made once on the host (src/core/resample.rs) and kept on the device:
//
//      start[i]                    the first input that output i mixes
//      first[i] .. first[i + 1]    where its weights are
//
// What it teaches: the gradient of a linear map is its transpose, and the transpose of a sparse matrix is one too. So
// backward is this kernel with the transposed matrices: each dx gathers from the few dy that it was mixed into, no
// atomics.
//
// Bytes: x once (neighbouring outputs share their inputs in the cache), y once; the matrices are a few kilobytes.
// Limited by: memory for nearest and bilinear, 1 and 4 multiply-adds per output; arithmetic for a wide antialiasing
// window.
// Ragged edges: runs end at the border, their weights sum to 1 all the same.
#include "common.cuh"

extern "C" __global__ void interpolate_f32(const float* __restrict__ x, float* __restrict__ y, Resample rows,
                                           Resample columns, long long n) {
    GRID_STRIDE(o, n) {
        const long long i = o / columns.outputs % rows.outputs, j = o % columns.outputs;
        const float* plane = x + o / columns.outputs / rows.outputs * rows.inputs * columns.inputs;
        const float* row_weights = rows.weights + rows.first[i];
        const float* column_weights = columns.weights + columns.first[j];
        const int height = rows.first[i + 1] - rows.first[i], width = columns.first[j + 1] - columns.first[j];
        float sum = 0.0f;
        for (int l = 0; l < width; l++) {
            const float* column = plane + rows.start[i] * columns.inputs + columns.start[j] + l;
            float mixed = 0.0f;
            for (int k = 0; k < height; k++) mixed += row_weights[k] * column[k * columns.inputs];
            sum += column_weights[l] * mixed;
        }
        y[o] = sum;
    }
}
