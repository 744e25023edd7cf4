// What compiled kernels use of the simulator's engine: thread indices, barriers, error reports.
#pragma once

#include "cusim_types.h"

#include <stddef.h>
#include <type_traits>
#include <utility>

// Code that the checking builds must not check: it reads or writes memory of other threads, or of the host,
// on purpose.
#ifdef CUSIM_COUNTS
#define CUSIM_UNWATCHED __attribute__((noinline, no_sanitize("thread"), no_sanitize_coverage))
#elif defined(CUSIM_CHECKED)
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

// The running thread's indices. The engine writes them whenever it switches to another thread.
struct Builtins {
    uint3 thread_index, block_index;
    dim3 block_size, grid_size;
};
extern Builtins builtins;

// This block's dynamic shared memory.
void* dynamic_shared(Where where);

// __syncthreads, and its three variants that also count a predicate or combine it with "and" or "or".
enum class Barrier { Plain, Count, And, Or };
int block_barrier(Barrier kind, int predicate, Where where);

// Blocks the calling lane until every lane of `mask` that has not exited has reached the same operation at
// the same line. The last lane runs `operate` once on the data of all lanes; then all continue. `lanes[i]` is
// null for a lane that takes no part. `orders_memory`: afterwards each lane sees what the others wrote
// before. (True for __syncwarp; a shuffle does not guarantee it.)
struct WarpOp {
    const char* name;
    void (*operate)(void* const lanes[32], unsigned mask);
    bool orders_memory;
};
void warp_collective(const WarpOp& op, unsigned mask, void* data, Where where);

// Reports an error of the running thread and ends the launch. Does not return.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// cp.async: the bytes are copied at wait_group; until then the destination holds NaN. If `valid` < `bytes`,
// the rest is filled with zeros.
void async_copy(void* shared, const void* global, unsigned bytes, unsigned valid, Where where);
void async_commit();
void async_wait(unsigned groups_left);

// True while only some blocks of each launch run, to be counted. Results are wrong then, so arithmetic that
// no address depends on may be left out.
extern bool only_counts;

// For the counting build: the 32 row addresses of an ldmatrix.x4.
#ifdef CUSIM_COUNTS
void count_ldmatrix(const void* const rows[32], Where where);
#else
inline void count_ldmatrix(const void* const*, Where) {}
#endif

// For the checking builds: an access that the emulation of an instruction makes for the running thread.
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
