// COUNT=1: counts what each launch would cost on a GPU. The compiler puts a call before each load, each store
// and each basic block of a kernel (-fsanitize=thread, -fsanitize-coverage=trace-pc). counters.cpp defines
// the called functions and puts the accesses of a warp's lanes together again: one memory instruction of a
// warp is one request.
//
// A thread of the simulator runs alone until it waits. So the nth access of each lane at one place, counted
// from the last barrier or shuffle of the whole warp, belongs to one request. Lanes that skipped a turn of a
// loop with a condition are counted with the others' earlier turns: for a loop whose lanes take different
// ways, the counts are an estimate.
//
// The loads and stores are those of the source as g++ -O1 compiles it. nvcc may merge neighbouring ones into
// one wider access.
#pragma once
#include "engine.h"

#include <map>
#include <string>
#include <vector>

namespace cusim {

enum Kind {
    GLOBAL_LOAD,
    GLOBAL_STORE,
    GLOBAL_ATOMIC,
    SHARED_LOAD,
    SHARED_STORE,
    SHARED_ATOMIC,
    ASYNC_LOAD,  // the global side of cp.async
    ASYNC_STORE, // its shared side
    LDMATRIX,
    KINDS
};
extern const char* const KIND_NAMES[KINDS];

struct Traffic {
    double requests = 0;
    double units = 0; // sectors of global memory, wavefronts of shared memory
    double ideal = 0; // the fewest sectors or wavefronts that could serve as many bytes
    double lines =
        0; // cache lines of 128 bytes. Of an atomic: passes, the most lanes that meet at one address
    double bytes = 0; // the width of each request: 32 lanes x bytes per lane
};

struct Counters {
    Traffic traffic[KINDS];
    double branches = 0;  // executions by a warp of a branch that went both ways during the launch
    double divergent = 0; // those in which lanes of one warp went different ways
    std::map<std::string, double> operations; // of whole warps, by name: mma, shuffles, votes, __syncwarp

    void add(const Counters& other, double times);
};

// A place in a kernel: an address of code, or a line.
struct Place {
    const void* code;
    Where where;
    bool operator<(const Place& other) const;
};

struct LaunchCounters {
    double blocks_counted = 0; // the rest of this struct is scaled up from these to all blocks
    Counters all;
    std::map<Place, Counters> places;
    double barriers = 0;
    // Different sectors that each block reads and writes, summed over the blocks: the traffic between
    // multiprocessor and L2 if L1 keeps everything. Different sectors of the whole launch: the traffic of
    // DRAM if L2 keeps everything.
    double block_read = 0, block_written = 0, launch_read = 0, launch_written = 0;
};

#ifdef CUSIM_COUNTS
constexpr bool CAN_COUNT = true;
// The engine calls these around a launch, after each block, before and after a warp runs, and when a barrier
// or shuffle has brought all lanes of the running warp to one point.
void count_launch_begin();
LaunchCounters count_launch_end(uint64_t blocks, uint64_t counted);
void count_block_end(unsigned barriers);
void count_warp_begin(unsigned warp);
void count_warp_point();
void count_warp_end(unsigned warp);
void count_code_of_kernel(bool yes); // false: the code that runs now is the simulator's
void count_operation(const char* name, Where where);
void count_async(const void* to, const void* from, unsigned bytes, unsigned valid, Where where);
#else
constexpr bool CAN_COUNT = false;
inline void count_launch_begin() {}
inline LaunchCounters count_launch_end(uint64_t, uint64_t) { return {}; }
inline void count_block_end(unsigned) {}
inline void count_warp_begin(unsigned) {}
inline void count_warp_point() {}
inline void count_code_of_kernel(bool) {}
inline void count_warp_end(unsigned) {}
inline void count_operation(const char*, Where) {}
inline void count_async(const void*, const void*, unsigned, unsigned, Where) {}
#endif

} // namespace cusim
