// Streams, events, capture and graphs.
//
// One piece of work (a launch, a copy, a fill) is an object here. An ordinary stream runs it at once. With
// CUSIM_ASYNC=1 it is queued until the host waits, which is the latest time at which a GPU could run it. A
// capturing stream appends it to a graph. To run a graph is to run its pieces in order.
#pragma once
#include "counters.h"
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

    // Launch. The arguments are copied at the call that launches, as on a GPU.
    Function* function = nullptr;
    Shape shape = {};
    std::vector<char> argument_bytes = {};
    std::vector<size_t> argument_offsets = {};

    // Copy: `from` is on the host, on the device, or in `staged`. Fill: `count` values of `unit` bytes.
    void* to = nullptr;
    const void* from = nullptr;
    size_t bytes = 0;
    std::shared_ptr<std::vector<char>> staged = {}; // a copy of pageable host memory, made at the call
    unsigned value = 0, unit = 1;

    bool of_graph = false; // run by the replay of a graph

    static Work launch(Function* function, const Shape& shape, void* const* arguments);
    static Work copy(void* to, const void* from, size_t bytes);
    static Work fill(void* to, unsigned value, unsigned unit, size_t count);

    int run() const;                          // a Status
    void note(LaunchCounters counters) const; // tells the recorder
    // Why this recorded work can no longer run; empty if it can.
    std::string stale() const;
};

struct Graph {
    std::vector<Work> nodes;
};

enum class Capture { None, Active, Invalidated };        // the driver's numbers
enum class CaptureMode { Global, ThreadLocal, Relaxed }; // the driver's numbers

struct Stream {
    bool non_blocking = false; // this stream and the default stream do not wait for each other
    std::deque<Work> queue;

    Capture capture = Capture::None;
    CaptureMode mode = CaptureMode::Global;
    std::thread::id capturing_thread;
    std::unique_ptr<Graph> graph;

    int add(Work work); // runs, queues or records the work
    int flush();        // runs the queued work
    void invalidate() { capture = Capture::Invalidated; }
};

struct Event {
    Stream* stream = nullptr;
    bool recorded = false, captured = false, timed = true;
    std::chrono::steady_clock::time_point time;
};

// The first error of a kernel. Every later call returns it as well: as on a GPU, the context cannot be used
// any more.
extern int context_error;

bool is_async(); // CUSIM_ASYNC=1

} // namespace cusim
