// What one memory instruction of a warp costs on a GPU, from the addresses of its lanes.
//
// Global memory moves in sectors of 32 bytes, four of which are a cache line. A request needs every sector
// that one of its lanes touches:
//
//      lane        0   1   2  ...  31            sectors    ideal
//      x[lane]     |----|----|----|----|             4          4     32 lanes x 4 bytes = 128 bytes
//      x[2 lane]   |----|----|----|----|----|...     8          4     every other number is fetched for
//      nothing x[32 lane]  one sector for each lane         32          4 x[0]        |----| 1          1 a
//      broadcast x[lane + 1]  |----|----|----|----|-           5          4     misaligned by 4 bytes
//
// Shared memory has 32 banks of 4 bytes: the word at address a lies in bank (a / 4) % 32. A bank gives one
// word in each wavefront. Lanes that read the same word share it. A request of 4 bytes per lane is one phase
// of 32 lanes, one of 8 bytes two phases of 16 lanes, one of 16 bytes four phases of 8 lanes. A phase takes
// as many wavefronts as its fullest bank has words.
#pragma once
#include "memory.h"

#include <vector>

namespace cusim {

constexpr unsigned SECTOR = 32, LINE = 128;

struct Request {
    Address address[32]; // of the lanes in `mask`
    unsigned mask;
    unsigned bytes; // of each lane
};

struct Cost {
    unsigned units; // sectors, or wavefronts
    unsigned ideal; // the fewest that could serve as many bytes
    unsigned lines; // cache lines; 0 for shared memory
};

// `sectors` receives the numbers (address / 32) of the sectors, each once.
Cost global_cost(const Request& request, std::vector<Address>& sectors);
Cost shared_cost(const Request& request);

// ldmatrix.x4: lane 8 q + r brings the address of row r of matrix q, 16 bytes. A matrix is a phase.
Cost ldmatrix_cost(const void* const rows[32]);

} // namespace cusim
