// Runs a kernel: all blocks of the grid, one after another, with a fiber for each thread of a block.
#pragma once
#include "cusim_engine.h"
#include "fiber.h"

#include <cstdint>
#include <string>

namespace cusim {

enum class Order { Forward, Reverse, Random };

struct Options {
    Order order = Order::Forward; // in which blocks, warps and lanes take turns
    uint64_t seed = 1;
    bool strict = false; // a barrier that some threads have left the kernel without reaching is an error
};
Options& options(); // read from the environment at first use

struct Shape {
    dim3 grid, block;
    size_t shared_bytes; // dynamic shared memory
};

struct Outcome {
    int status = 0;     // a Status
    std::string report; // one line or more on what went wrong and where
};

const Kernel* find_kernel(const std::string& name);
Outcome run_kernel(const Kernel& kernel, const Shape& shape, void* const* arguments);

constexpr size_t MAX_SHARED = 227 << 10; // of a block, asked for by attribute
constexpr size_t MAX_SHARED_UNASKED = 48 << 10;

// ---- for the checks compiled in by SAN= (checks.cpp) ----------------------------------------------------

// Where the running thread stands, as far as the order of its memory accesses is concerned.
struct Position {
    uint32_t launch_first_block; // the launch's first block, as counted from the first that ever ran
    uint32_t block;              // the number of this block
    uint32_t barriers;           // block barriers passed
    uint32_t warp_syncs;         // __syncwarp passed by this thread, and those it heard of
    uint32_t thread;             // number within the block
};
Position position();
bool is_running(); // a CUDA thread is (as against the engine between two threads, or the host)

bool is_shared(const void* p);              // static or dynamic shared memory of the running block
bool is_dynamic_shared(const void* p);      // within what the launch asked for
bool is_near_dynamic_shared(const void* p); // or in the memory round it

// A local variable of the running thread: most accesses are to these, so it is one comparison.
extern uintptr_t own_stack;
inline bool is_own_stack(const void* p) { return reinterpret_cast<uintptr_t>(p) - own_stack < FIBER_STACK; }

// As fail(), with a code other than ERROR_LAUNCH_FAILED, and with a place: an address of code, or a line.
[[noreturn]] void fail_at(int status, const void* code, const std::string& what);
[[noreturn]] void fail_at(int status, Where where, const std::string& what);
std::string source_line(const void* code); // "kernels/relu.cu:12"

} // namespace cusim
