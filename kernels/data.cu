// A batch made on the device: gathered from the set, flipped, cropped, padded, holed and normalised in one pass.
//
// What it teaches: a data pipeline is a gather. The set's bytes lie on the device; the host sends, for each image of the
// batch, only where its pixels are to be found (src/data/resident.rs draws them).
//
//      placement p of an image:   output (i, j)  <-  source (p.top + i, p.left + p.sign * j)
//
//          source 32x32              output 32x32         outside the valid rectangle: the fill
//          +----------+            +--+-------+           inside the hole: the hole's byte
//          |   +------|--+         |  fill    |
//          |   |      |  |   -->   |  +-------|
//          +---|------+  |         |  | pixels|
//              +---------+         +--+-------+
//
// Bytes: one read and four written for each pixel. Limited by memory, as every copy is; threads of a warp read neighbours
// (or neighbours backwards, where the image is flipped).
#include "common.cuh"

constexpr int PLACEMENT = 12;

// Numbers of a placement, in the order of Placement::numbers.
enum { SAMPLE, TOP, LEFT, SIGN, ROW0, ROW1, COLUMN0, COLUMN1, HOLE_TOP, HOLE_LEFT, HOLE_SIDE, BYTES };

__device__ inline bool within(long long v, long long from, long long to) { return v >= from && v < to; }

extern "C" __global__ void gather_batch(const unsigned char* __restrict__ pixels, const long long* __restrict__ set_labels,
                                        const float* __restrict__ table, const long long* __restrict__ placements,
                                        float* __restrict__ images, long long* __restrict__ labels, Gather g) {
    const long long plane = (long long)g.h * g.w, image = plane * g.c;
    GRID_STRIDE(t, g.batch * image) {
        const long long b = t / image, pixel = t % image;
        const int c = int(pixel / plane), i = int(pixel % plane / g.w), j = int(pixel % g.w);
        const long long* p = placements + b * PLACEMENT;
        if (pixel == 0) labels[b] = set_labels[p[SAMPLE]];
        const long long row = p[TOP] + i, column = p[LEFT] + p[SIGN] * j;
        unsigned char byte = (unsigned char)(p[BYTES] >> 32);
        if (within(i, p[HOLE_TOP], p[HOLE_TOP] + p[HOLE_SIDE]) && within(j, p[HOLE_LEFT], p[HOLE_LEFT] + p[HOLE_SIDE])) {
            byte = (unsigned char)(p[BYTES] >> (8 * c));
        } else if (within(row, p[ROW0], p[ROW1]) && within(column, p[COLUMN0], p[COLUMN1])) {
            byte = pixels[((p[SAMPLE] * g.c + c) * g.source_h + row) * g.source_w + column];
        }
        // A channel has only 256 answers; where every pixel has a mean of its own they are worked out.
        const float* own = table + 256 + 2 * pixel;
        images[t] = g.per_channel ? table[256 * c + byte] : (table[byte] - own[0]) / own[1];
    }
}
