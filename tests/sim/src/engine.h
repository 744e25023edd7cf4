// Runs a kernel: all blocks of the grid, one after another, with one fiber per thread of a block.
#pragma once
#include "cusim_engine.h"
#include "fiber.h"

#include <cstdint>
#include <string>

namespace cusim {

enum class Order { Forward, Reverse, Random };

struct Options {
    Order order = Order::Forward; // the order in which blocks, warps and lanes run
    uint64_t seed = 1;
    bool strict = false; // if a thread exits while others wait at a barrier, report an error
};
Options& options(); // read from the environment at first use

struct Shape {
    dim3 grid, block;
    size_t shared_bytes;        // dynamic shared memory
    uint64_t blocks_wanted = 0; // run only this many blocks, evenly spaced; 0: all
};

struct Outcome {
    int status = 0;     // a Status
    std::string report; // one line or more on what went wrong and where
    uint64_t blocks = 0, blocks_run = 0;
};

const Kernel* find_kernel(const std::string& name);
Outcome run_kernel(const Kernel& kernel, const Shape& shape, void* const* arguments);

constexpr size_t MAX_SHARED = 227 << 10; // per block, if a function attribute requests it
constexpr size_t MAX_SHARED_UNASKED = 48 << 10;

// ---- for the checks compiled in by SAN= (checks.cpp) ----------------------------------------------------

// The running thread's progress: it decides which memory accesses of two threads are ordered.
struct Position {
    uint32_t launch_first_block; // the number of the launch's first block
    uint32_t block;              // the number of this block, counted over all launches
    uint32_t barriers;           // block barriers passed
    uint32_t warp_syncs;         // at a __syncwarp: 1 + the largest count among its lanes
    uint32_t thread;             // number within the block
};
Position position();
constexpr unsigned NO_THREAD = ~0u;
extern unsigned running_thread; // its number within the block; NO_THREAD in the scheduler and on the host
inline bool is_running() { return running_thread != NO_THREAD; }

bool is_shared(const void* p);              // static or dynamic shared memory of the running block
bool is_dynamic_shared(const void* p);      // within the dynamic shared memory of the launch
bool is_near_dynamic_shared(const void* p); // within it or in the memory around it

// True for a local variable of the running thread. Most accesses are to these, so the test is one comparison.
extern uintptr_t own_stack;
inline bool is_own_stack(const void* p) { return reinterpret_cast<uintptr_t>(p) - own_stack < FIBER_STACK; }

// Like fail(), with any error code and with a place: an address of code, or a line.
[[noreturn]] void fail_at(int status, const void* code, const std::string& what);
[[noreturn]] void fail_at(int status, Where where, const std::string& what);

} // namespace cusim
