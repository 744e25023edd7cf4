// Streams, events, capture and graphs.
//
// A piece of work (a launch, a copy, a fill) is an object here. An ordinary stream runs it at once; with
// CUSIM_ASYNC=1 it is queued until the host waits, as late as a GPU could possibly be; a capturing stream
// appends it to a graph. Running a graph is running its pieces in order.
#pragma once
#include "memory.h"
#include "module.h"

#include <chrono>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

namespace cusim {

struct Work {
    enum class Kind { Launch, Copy, Fill } kind;

    // Launch. The arguments are copied when the launch is asked for, as on a GPU.
    Function* function = nullptr;
    Shape shape = {};
    std::vector<char> argument_bytes = {};
    std::vector<size_t> argument_offsets = {};

    // Copy: `from` is on the host, on the device, or in `staged`. Fill: `count` values of `unit` bytes.
    void* to = nullptr;
    const void* from = nullptr;
    size_t bytes = 0;
    std::shared_ptr<std::vector<char>> staged =
        {}; // pageable host memory, copied when the copy was asked for
    unsigned value = 0, unit = 1;

    static Work launch(Function* function, const Shape& shape, void* const* arguments);
    static Work copy(void* to, const void* from, size_t bytes);
    static Work fill(void* to, unsigned value, unsigned unit, size_t count);

    int run() const; // a Status
    // Why this recorded piece can no longer run; empty if it can.
    std::string stale() const;
};

struct Graph {
    std::vector<Work> nodes;
};

enum class Capture { None, Active, Invalidated };        // the numbers are the driver's
enum class CaptureMode { Global, ThreadLocal, Relaxed }; // here as well

struct Stream {
    bool non_blocking = false; // does not wait for the default stream, nor it for this one
    std::deque<Work> queue;

    Capture capture = Capture::None;
    CaptureMode mode = CaptureMode::Global;
    std::thread::id capturing_thread;
    std::unique_ptr<Graph> graph;

    int add(Work work); // runs, queues or records it
    int flush();        // runs what is queued
    void invalidate() { capture = Capture::Invalidated; }
};

struct Event {
    Stream* stream = nullptr;
    bool recorded = false, captured = false, timed = true;
    std::chrono::steady_clock::time_point time;
};

// The first error of a kernel, which every later call returns as well: the context is beyond use, as on a
// GPU.
extern int context_error;

bool is_async(); // CUSIM_ASYNC=1

} // namespace cusim
