// What kernels compiled for the simulator need of its engine: where am I, wait for others, report an error.
#pragma once

#include "cusim_types.h"

#include <stddef.h>
#include <type_traits>
#include <utility>

// Code that the checking builds must not watch: it handles memory of other threads, or of the host, on
// purpose.
#ifdef CUSIM_CHECKED
#define CUSIM_UNWATCHED __attribute__((noinline, no_sanitize("thread", "kernel-address")))
#else
#define CUSIM_UNWATCHED
#endif

namespace cusim {

// A place in the source of a kernel, for reports.
struct Where {
    const char* file;
    int line;
};

// The running thread's coordinates. The engine writes them whenever it goes from one thread to another.
struct Builtins {
    uint3 thread_index, block_index;
    dim3 block_size, grid_size;
};
extern Builtins builtins;

// This block's dynamic shared memory.
void* dynamic_shared(Where where);

// __syncthreads and its three relatives that also count, and or or a predicate.
enum class Barrier { Plain, Count, And, Or };
int block_barrier(Barrier kind, int predicate, Where where);

// Blocks the calling lane until every lane of `mask` that has not exited has come to the same operation at
// the same line. The last of them runs `operate` once on the data of all; then all go on. `lanes[i]` is null
// for a lane that takes no part. `orders_memory`: what the lanes wrote before is seen by the others
// afterwards (__syncwarp; a shuffle promises no such thing).
struct WarpOp {
    const char* name;
    void (*operate)(void* const lanes[32], unsigned mask);
    bool orders_memory;
};
void warp_collective(const WarpOp& op, unsigned mask, void* data, Where where);

// Ends the launch with an error of the running thread. Does not return.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// cp.async: the bytes arrive at wait_group; until then the destination holds NaN. `valid` < `bytes` fills up
// with zeros.
void async_copy(void* shared, const void* global, unsigned bytes, unsigned valid, Where where);
void async_commit();
void async_wait(unsigned groups_left);

// For the checking builds: an access done on the running thread's behalf, by the emulation of an instruction.
enum class Access { Read, Write, Atomic };
#ifdef CUSIM_CHECKED
void watch(const void* address, size_t bytes, Access access, Where where);
#else
inline void watch(const void*, size_t, Access, Where) {}
#endif

// A kernel as the driver sees it: a name, and a way to call it with an array of pointers to its arguments.
struct Kernel {
    const char* name;
    void (*call)(void* const* arguments);
    const size_t* argument_sizes;
    size_t argument_count;
    char *shared_begin, *shared_end; // the static shared memory of the file that the kernel is in
    const Kernel* next;

    Kernel(const char* name, void (*call)(void* const*), const size_t* sizes, size_t count, char* begin,
           char* end);
};

template <auto kernel> struct Invoke;
template <class... Args, void (*kernel)(Args...)> struct Invoke<kernel> {
    static constexpr size_t count = sizeof...(Args);
    static constexpr size_t sizes[count + 1] = {sizeof(Args)..., 0};

    template <size_t... I>
    CUSIM_UNWATCHED static void spread(void* const* arguments, std::index_sequence<I...>) {
        kernel(*static_cast<std::remove_reference_t<Args>*>(arguments[I])...);
    }
    CUSIM_UNWATCHED static void call(void* const* arguments) {
        spread(arguments, std::index_sequence_for<Args...>{});
    }
};

} // namespace cusim
