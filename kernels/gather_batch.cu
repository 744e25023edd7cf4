// A batch made on the device: gathered from the set, flipped, cropped, padded, holed and normalised in one pass.
//
// What it teaches: a data pipeline is a gather. The set's bytes lie on the device; the host sends, for each image of the
// batch, only a crop spec, which says where its pixels are (src/data/device_dataset.rs draws it).
//
//      crop spec p of an image:   output (i, j)  <-  source (p.top + i, p.left + p.sign * j)
//
//          source 32x32              output 32x32         outside the valid rectangle: the fill
//          +----------+            +--+-------+           inside the hole: the hole's byte
//          |   +------|--+         |  fill    |
//          |   |      |  |   -->   |  +-------|
//          +---|------+  |         |  | pixels|
//              +---------+         +--+-------+
//
// Bytes: one read and four written per pixel. Limited by: memory, as every copy is. Threads of a warp read neighbours, in
// reverse order where the image is flipped.
#include "common.cuh"

constexpr int CROP_SPEC = 12;

// The numbers of a crop spec, in the order of CropSpec::numbers.
enum { SAMPLE, TOP, LEFT, SIGN, ROW0, ROW1, COLUMN0, COLUMN1, HOLE_TOP, HOLE_LEFT, HOLE_SIDE, BYTES };

__device__ inline bool within(long long v, long long from, long long to) { return v >= from && v < to; }

extern "C" __global__ void gather_batch(const unsigned char* __restrict__ pixels, const long long* __restrict__ set_labels,
                                        const float* __restrict__ table, const long long* __restrict__ crop_specs,
                                        float* __restrict__ images, long long* __restrict__ labels, GatherArgs g) {
    const long long plane = (long long)g.h * g.w, image = plane * g.c;
    GRID_STRIDE(t, g.batch * image) {
        const long long b = t / image, pixel = t % image;
        const int c = int(pixel / plane), i = int(pixel % plane / g.w), j = int(pixel % g.w);
        const long long* p = crop_specs + b * CROP_SPEC;
        if (pixel == 0) labels[b] = set_labels[p[SAMPLE]];
        const long long row = p[TOP] + i, column = p[LEFT] + p[SIGN] * j;
        unsigned char byte = (unsigned char)(p[BYTES] >> 32);
        if (within(i, p[HOLE_TOP], p[HOLE_TOP] + p[HOLE_SIDE]) && within(j, p[HOLE_LEFT], p[HOLE_LEFT] + p[HOLE_SIDE])) {
            byte = (unsigned char)(p[BYTES] >> (8 * c));
        } else if (within(row, p[ROW0], p[ROW1]) && within(column, p[COLUMN0], p[COLUMN1])) {
            byte = pixels[((p[SAMPLE] * g.c + c) * g.source_h + row) * g.source_w + column];
        }
        // Per channel there are only 256 results, in a table. If every pixel has its own mean, the result is computed.
        const float* own = table + 256 + 2 * pixel;
        images[t] = g.per_channel ? table[256 * c + byte] : (table[byte] - own[0]) / own[1];
    }
}
