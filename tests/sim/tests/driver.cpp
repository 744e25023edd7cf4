// Tests the driver's rules: the calls that it refuses and the error codes, stream capture, graphs and their
// replay, late execution. Each case runs in its own process and ends at the first value that is wrong.
#include "check.h"

#include <cstring>
#include <thread>

extern "C" {
int cuGetErrorName(int, const char**);
int cuGetErrorString(int, const char**);
int cuDriverGetVersion(int*);
int cuDeviceGet(int*, int);
int cuDeviceGetAttribute(int*, int, int);
int cuMemGetInfo_v2(size_t*, size_t*);
int cuMemHostAlloc(void**, size_t, unsigned);
int cuMemFreeHost(void*);
int cuMemcpyHtoDAsync_v2(unsigned long long, const void*, size_t, void*);
int cuMemcpyDtoHAsync_v2(void*, unsigned long long, size_t, void*);
int cuMemcpyDtoDAsync_v2(unsigned long long, unsigned long long, size_t, void*);
int cuMemsetD32Async(unsigned long long, unsigned, size_t, void*);
int cuFuncGetAttribute(int*, int, void*);
int cuStreamCreate(void**, unsigned);
int cuStreamDestroy_v2(void*);
int cuStreamSynchronize(void*);
int cuStreamQuery(void*);
int cuStreamWaitEvent(void*, void*, unsigned);
int cuEventCreate(void**, unsigned);
int cuEventRecord(void*, void*);
int cuEventSynchronize(void*);
int cuEventQuery(void*);
int cuEventElapsedTime(float*, void*, void*);
int cuStreamBeginCapture_v2(void*, int);
int cuStreamEndCapture(void*, void**);
int cuStreamIsCapturing(void*, int*);
int cuGraphInstantiateWithFlags(void**, void*, unsigned long long);
int cuGraphLaunch(void*, void*);
int cuGraphGetNodes(void*, void**, size_t*);
int cuGraphNodeGetType(void*, int*);
int cuGraphDestroy(void*);
int cuGraphExecDestroy(void*);
}

namespace {

enum Mode { GLOBAL, THREAD_LOCAL, RELAXED };

#define EXPECT(got, wanted)                                                                                  \
    do {                                                                                                     \
        const long long g = (got), w = (wanted);                                                             \
        if (g != w) {                                                                                        \
            printf("line %d: %s is %lld, must be %lld\n", __LINE__, #got, g, w);                             \
            return WRONG;                                                                                    \
        }                                                                                                    \
    } while (0)

void* new_stream(unsigned flags = 1) {
    void* stream;
    must(cuStreamCreate(&stream, flags), "cuStreamCreate");
    return stream;
}
void* new_event() {
    void* event;
    must(cuEventCreate(&event, 0), "cuEventCreate");
    return event;
}

// Loads the kernel once, before any capture.
void* copy_kernel() {
    static void* const kernel = load_kernel("copy_right", {8, 8, 4});
    return kernel;
}

// Queues y = x (64 floats) with the kernel copy_right of planted.cu.
int queue_copy(void* stream, const Device<float>& x, const Device<float>& y) {
    void* const kernel = copy_kernel();
    int n = 64;
    void* arguments[] = {const_cast<float**>(&x.p), const_cast<float**>(&y.p), &n};
    return cuLaunchKernel(kernel, 1, 1, 1, 64, 1, 1, 0, stream, arguments, nullptr);
}

std::vector<float> all(float v) { return std::vector<float>(64, v); }

// ---- errors of single calls -----------------------------------------------------------------------------

int refuses_nonsense() {
    const char* text;
    EXPECT(cuGetErrorName(700, &text), 0);
    EXPECT(strcmp(text, "CUDA_ERROR_ILLEGAL_ADDRESS"), 0);
    EXPECT(cuGetErrorString(2, &text), 0);
    EXPECT(strcmp(text, "out of memory"), 0);
    EXPECT(cuGetErrorName(123456, &text), 1);
    int device, value;
    EXPECT(cuDeviceGet(&device, 1), 101);
    EXPECT(cuDeviceGetAttribute(&value, 75, 0), 0);
    EXPECT(value, 9);
    unsigned long long p = 0;
    EXPECT(cuMemAlloc_v2(&p, 0), 1);
    EXPECT(cuMemFree_v2(12345), 1);
    EXPECT(cuStreamSynchronize(&value), 400);
    Device<float> x(64);
    EXPECT(cuMemFree_v2(x.address + 16), 1);
    float host[65] = {};
    EXPECT(cuMemcpyHtoD_v2(x.address, host, 65 * 4), 1);
    EXPECT(cuMemcpyDtoDAsync_v2(x.address + 4, x.address, 256, nullptr), 1);
    return 0;
}

int needs_a_context_in_each_thread() {
    Device<float> x(64);
    int seen = 0;
    std::thread([&] { seen = cuCtxSynchronize(); }).join();
    EXPECT(seen, 201);
    return 0;
}

int limits_a_launch() {
    Device<float> x(all(1)), y(64);
    void* kernel = load_kernel("dynamic_shared", {8, 8}, ".maxntid 128, 1, 1");
    void* arguments[] = {&x.p, &y.p};
    const auto go = [&](Size3 grid, Size3 block, unsigned shared) {
        return cuLaunchKernel(kernel, grid.x, grid.y, grid.z, block.x, block.y, block.z, shared, nullptr,
                              arguments, nullptr);
    };
    int value;
    EXPECT(cuFuncGetAttribute(&value, 0, kernel), 0);
    EXPECT(value, 128);
    EXPECT(go({1, 1, 1}, {64, 1, 1}, 256), 0);
    EXPECT(go({0, 1, 1}, {64, 1, 1}, 256), 1);
    EXPECT(go({1, 65536, 1}, {64, 1, 1}, 256), 1);
    EXPECT(go({1, 1, 65536}, {64, 1, 1}, 256), 1);
    EXPECT(go({1, 1, 1}, {2048, 1, 1}, 256), 1);
    EXPECT(go({1, 1, 1}, {1, 1, 65}, 256), 1);
    EXPECT(go({1, 1, 1}, {129, 1, 1}, 256), 1); // more than __launch_bounds__
    EXPECT(go({1, 1, 1}, {64, 1, 1}, 49 << 10), 1);
    EXPECT(cuFuncSetAttribute(kernel, 8, 228 << 10), 1);
    EXPECT(cuFuncSetAttribute(kernel, 8, 49 << 10), 0);
    EXPECT(go({1, 1, 1}, {64, 1, 1}, 49 << 10), 0);
    return 0;
}

int reads_the_ptx() {
    void *module, *function;
    EXPECT(cuModuleLoadData(&module, "not PTX"), 218);
    EXPECT(cuModuleLoadData(&module, ".version 9.9\n.target sm_80\n"), 222);
    EXPECT(cuModuleLoadData(&module, ".version 8.0\n.target sm_100\n"), 209);
    EXPECT(cuModuleLoadData(&module, declare_kernel("copy_right", {8, 8, 4}).c_str()), 0);
    EXPECT(cuModuleGetFunction(&function, module, "copy_righ"), 500);
    EXPECT(cuModuleGetFunction(&function, module, "copy_right"), 0);
    EXPECT(cuModuleLoadData(&module, declare_kernel("copy_right", {8, 8, 8}).c_str()), 0);
    EXPECT(cuModuleGetFunction(&function, module, "copy_right"), 218); // the source says int
    return 0;
}

int runs_out_of_memory() {
    size_t free, total;
    EXPECT(cuMemGetInfo_v2(&free, &total), 0);
    EXPECT(total, 1000000);
    unsigned long long a, b;
    EXPECT(cuMemAlloc_v2(&a, 600000), 0);
    EXPECT(cuMemAlloc_v2(&b, 600000), 2);
    EXPECT(cuMemGetInfo_v2(&free, &total), 0);
    EXPECT(free, 400000);
    EXPECT(cuMemFree_v2(a), 0);
    EXPECT(cuMemFree_v2(a), 1);
    EXPECT(cuMemAlloc_v2(&b, 600000), 0);
    return 0;
}

int stays_broken_after_an_error() {
    Device<float> x(all(1)), y(64);
    EXPECT(launch("write_past_end", {}, {64}, 0, static_cast<const float*>(x.p), y.p), 700);
    unsigned long long p;
    EXPECT(cuMemAlloc_v2(&p, 4), 700);
    EXPECT(cuCtxSynchronize(), 700);
    return 0;
}

int times_events() {
    void *begin = new_event(), *end = new_event(), *stream = new_stream();
    float ms;
    EXPECT(cuEventElapsedTime(&ms, begin, end), 400);
    EXPECT(cuEventRecord(begin, stream), 0);
    EXPECT(cuEventRecord(end, stream), 0);
    EXPECT(cuEventSynchronize(end), 0);
    EXPECT(cuEventElapsedTime(&ms, begin, end), 0);
    EXPECT(ms >= 0, true);
    return 0;
}

// ---- capture and graphs ---------------------------------------------------------------------------------

int replays_a_graph() {
    void* stream = new_stream();
    Device<float> x(all(1)), y(all(0)), z(all(0));
    float* pinned;
    EXPECT(cuMemHostAlloc(reinterpret_cast<void**>(&pinned), 256, 0), 0);
    copy_kernel();
    int state;
    EXPECT(cuStreamBeginCapture_v2(stream, THREAD_LOCAL), 0);
    EXPECT(cuStreamBeginCapture_v2(stream, THREAD_LOCAL), 401);
    EXPECT(cuStreamIsCapturing(stream, &state), 0);
    EXPECT(state, 1);
    EXPECT(cuMemcpyHtoDAsync_v2(x.address, pinned, 256, stream), 0);
    EXPECT(queue_copy(stream, x, y), 0);
    EXPECT(cuMemcpyDtoDAsync_v2(z.address, y.address, 256, stream), 0);
    EXPECT(cuMemsetD32Async(y.address, 0, 64, stream), 0);
    void *graph, *ready;
    EXPECT(cuStreamEndCapture(stream, &graph), 0);
    EXPECT(cuStreamIsCapturing(stream, &state), 0);
    EXPECT(state, 0);
    EXPECT(y.read() == all(0), true); // nothing has run yet
    size_t count = 0;
    EXPECT(cuGraphGetNodes(graph, nullptr, &count), 0);
    EXPECT(count, 4);
    void* nodes[4];
    EXPECT(cuGraphGetNodes(graph, nodes, &count), 0);
    const int types[] = {1, 0, 1, 2};
    for (int i = 0; i < 4; i++) {
        int type;
        EXPECT(cuGraphNodeGetType(nodes[i], &type), 0);
        EXPECT(type, types[i]);
    }
    EXPECT(cuGraphInstantiateWithFlags(&ready, graph, 0), 0);
    EXPECT(cuGraphDestroy(graph), 0);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 64; i++) pinned[i] = float(round); // a replay reads the current values
        EXPECT(cuGraphLaunch(ready, stream), 0);
        EXPECT(cuStreamSynchronize(stream), 0);
        EXPECT(z.read() == all(float(round)), true);
    }
    EXPECT(cuGraphExecDestroy(ready), 0);
    EXPECT(cuGraphLaunch(ready, stream), 1);
    return 0;
}

int keeps_arguments_of_the_capture() {
    void* stream = new_stream();
    Device<float> x(all(3)), y(all(0)), z(all(0));
    const float* from = x.p;
    float* to = y.p;
    int n = 64;
    void* arguments[] = {&from, &to, &n};
    void *graph, *ready, *kernel = copy_kernel();
    EXPECT(cuStreamBeginCapture_v2(stream, THREAD_LOCAL), 0);
    EXPECT(cuLaunchKernel(kernel, 1, 1, 1, 64, 1, 1, 0, stream, arguments, nullptr), 0);
    EXPECT(cuStreamEndCapture(stream, &graph), 0);
    to = z.p; // has no effect: the graph copied its arguments
    n = 0;
    EXPECT(cuGraphInstantiateWithFlags(&ready, graph, 0), 0);
    EXPECT(cuGraphLaunch(ready, stream), 0);
    EXPECT(y.read() == all(3), true);
    EXPECT(z.read() == all(0), true);
    return 0;
}

int finds_freed_memory_in_a_replay() {
    void* stream = new_stream();
    Device<float> x(all(1));
    auto* y = new Device<float>(64);
    EXPECT(queue_copy(stream, x, *y), 0);
    void *graph, *ready;
    EXPECT(cuStreamBeginCapture_v2(stream, THREAD_LOCAL), 0);
    EXPECT(queue_copy(stream, x, *y), 0);
    EXPECT(cuStreamEndCapture(stream, &graph), 0);
    EXPECT(cuGraphInstantiateWithFlags(&ready, graph, 0), 0);
    EXPECT(cuGraphLaunch(ready, stream), 0);
    delete y;
    EXPECT(cuGraphLaunch(ready, stream), 700);
    EXPECT(cuCtxSynchronize(), 700);
    return 0;
}

// Makes a call that a capture forbids. It must return `status`, and the capture must then be invalid.
int forbidden(Mode mode, int status, const std::function<int(void* stream)>& call) {
    void *stream = new_stream(), *graph = stream;
    EXPECT(cuStreamBeginCapture_v2(stream, mode), 0);
    EXPECT(call(stream), status);
    int state;
    EXPECT(cuStreamIsCapturing(stream, &state), 0);
    EXPECT(state, 2);
    EXPECT(cuMemsetD32Async(0, 0, 0, stream), 901);
    EXPECT(cuStreamSynchronize(stream), 901);
    EXPECT(cuStreamEndCapture(stream, &graph), 901);
    EXPECT(graph == nullptr, true);
    EXPECT(cuStreamSynchronize(stream), 0); // the stream works normally again
    return 0;
}

int allocate_something() {
    unsigned long long p;
    return cuMemAlloc_v2(&p, 256);
}

int forbids_waiting() {
    EXPECT(forbidden(THREAD_LOCAL, 900, [](void* stream) { return cuStreamSynchronize(stream); }), 0);
    EXPECT(forbidden(RELAXED, 900, [](void* stream) { return cuStreamQuery(stream); }), 0);
    EXPECT(forbidden(RELAXED, 900, [](void*) { return cuCtxSynchronize(); }), 0);
    EXPECT(forbidden(GLOBAL, 900, [](void*) { return cuEventQuery(new_event()); }), 0);
    EXPECT(forbidden(THREAD_LOCAL, 907,
                     [](void* stream) {
                         void* event = new_event();
                         must(cuEventRecord(event, stream), "cuEventRecord");
                         return cuEventSynchronize(event);
                     }),
           0);
    return 0;
}

int forbids_allocating() {
    EXPECT(forbidden(GLOBAL, 900, [](void*) { return allocate_something(); }), 0);
    EXPECT(forbidden(THREAD_LOCAL, 900, [](void*) { return allocate_something(); }), 0);
    Device<float> x(64);
    EXPECT(forbidden(THREAD_LOCAL, 900, [&](void*) { return cuMemFree_v2(x.address); }), 0);
    EXPECT(forbidden(THREAD_LOCAL, 900,
                     [&](void*) {
                         void* module;
                         return cuModuleLoadData(&module, declare_kernel("copy_right", {8, 8, 4}).c_str());
                     }),
           0);
    void *stream = new_stream(), *graph;
    EXPECT(cuStreamBeginCapture_v2(stream, RELAXED), 0);
    EXPECT(allocate_something(), 0); // the relaxed mode allows it
    EXPECT(cuStreamEndCapture(stream, &graph), 0);
    return 0;
}

int minds_other_threads() {
    void *stream = new_stream(), *context, *graph;
    must(cuDevicePrimaryCtxRetain(&context, 0), "cuDevicePrimaryCtxRetain");
    int seen = -1;
    const auto elsewhere = [&](const std::function<int()>& call) {
        std::thread([&] {
            cuCtxSetCurrent(context);
            seen = call();
        }).join();
    };
    EXPECT(cuStreamBeginCapture_v2(stream, THREAD_LOCAL), 0);
    elsewhere(allocate_something);
    EXPECT(seen, 0);
    elsewhere([&] { return cuStreamEndCapture(stream, &graph); });
    EXPECT(seen, 908);
    EXPECT(cuStreamEndCapture(stream, &graph), 0);
    EXPECT(cuStreamBeginCapture_v2(stream, GLOBAL), 0);
    elsewhere(allocate_something);
    EXPECT(seen, 900);
    EXPECT(cuStreamEndCapture(stream, &graph), 901);
    return 0;
}

int forbids_pageable_memory() {
    Device<float> x(64);
    const float host[64] = {};
    EXPECT(forbidden(THREAD_LOCAL, 900,
                     [&](void* stream) { return cuMemcpyHtoDAsync_v2(x.address, host, 256, stream); }),
           0);
    return 0;
}

int keeps_the_default_stream_out() {
    Device<float> x(64);
    void *stream = new_stream(0), *graph; // a blocking stream
    EXPECT(cuStreamBeginCapture_v2(nullptr, GLOBAL), 900);
    EXPECT(cuStreamBeginCapture_v2(stream, RELAXED), 0);
    EXPECT(cuMemsetD32Async(x.address, 0, 64, nullptr), 906);
    EXPECT(cuStreamEndCapture(stream, &graph), 901);
    EXPECT(cuStreamEndCapture(stream, &graph), 401);
    return 0;
}

int keeps_two_streams_apart() {
    void *one = new_stream(), *two = new_stream(), *event = new_event(), *graph;
    EXPECT(cuEventRecord(event, two), 0);
    EXPECT(cuStreamWaitEvent(one, event, 0), 0);
    EXPECT(cuStreamBeginCapture_v2(one, THREAD_LOCAL), 0);
    EXPECT(cuStreamWaitEvent(one, event, 0), 905);
    EXPECT(cuStreamEndCapture(one, &graph), 901);
    return 0;
}

// ---- late execution (CUSIM_ASYNC=1) ---------------------------------------------------------------------

int runs_late() {
    void* stream = new_stream();
    Device<float> x(all(5)), y(all(0));
    float *pinned, host[64];
    EXPECT(cuMemHostAlloc(reinterpret_cast<void**>(&pinned), 256, 0), 0);
    EXPECT(queue_copy(stream, x, y), 0);
    EXPECT(cuMemcpyDtoHAsync_v2(pinned, y.address, 256, stream), 0);
    EXPECT(pinned[0] == 5, false); // a host that does not wait reads the old value
    EXPECT(cuStreamSynchronize(stream), 0);
    EXPECT(pinned[0] == 5, true);
    // The host may write pageable memory again right after the call, but not pinned memory.
    for (float& v : host) v = 6;
    for (int i = 0; i < 64; i++) pinned[i] = 6;
    EXPECT(cuMemcpyHtoDAsync_v2(x.address, host, 256, stream), 0);
    EXPECT(cuMemcpyHtoDAsync_v2(y.address, pinned, 256, stream), 0);
    for (float& v : host) v = 7;
    for (int i = 0; i < 64; i++) pinned[i] = 7;
    EXPECT(cuStreamSynchronize(stream), 0);
    EXPECT(x.read() == all(6), true);
    EXPECT(y.read() == all(7), true);
    // The next wait returns the error.
    void* kernel = load_kernel("add_at", {8, 8});
    const float* from = nullptr;
    void* arguments[] = {&from, &y.p};
    EXPECT(cuLaunchKernel(kernel, 1, 1, 1, 64, 1, 1, 0, stream, arguments, nullptr), 0);
    EXPECT(cuStreamSynchronize(stream), 700);
    return 0;
}

struct Case {
    const char* name;
    int (*body)();
    std::vector<std::pair<std::string, std::string>> settings = {};
};

const Case CASES[] = {
    {"refuses_nonsense", refuses_nonsense},
    {"needs_a_context_in_each_thread", needs_a_context_in_each_thread},
    {"limits_a_launch", limits_a_launch},
    {"reads_the_ptx", reads_the_ptx},
    {"runs_out_of_memory", runs_out_of_memory, {{"CUSIM_MEMORY", "1000000"}}},
    {"stays_broken_after_an_error", stays_broken_after_an_error},
    {"times_events", times_events},
    {"replays_a_graph", replays_a_graph},
    {"replays_a_graph", replays_a_graph, {{"CUSIM_ASYNC", "1"}}},
    {"keeps_arguments_of_the_capture", keeps_arguments_of_the_capture},
    {"finds_freed_memory_in_a_replay", finds_freed_memory_in_a_replay},
    {"forbids_waiting", forbids_waiting},
    {"forbids_allocating", forbids_allocating},
    {"minds_other_threads", minds_other_threads},
    {"forbids_pageable_memory", forbids_pageable_memory},
    {"keeps_the_default_stream_out", keeps_the_default_stream_out},
    {"keeps_two_streams_apart", keeps_two_streams_apart},
    {"runs_late", runs_late, {{"CUSIM_ASYNC", "1"}}},
};

} // namespace

int main() {
    int misses = 0;
    printf("\n%-4s %s\n", "", "the driver");
    for (const Case& c : CASES) {
        const Result seen = run_apart(c.settings, c.body);
        printf("%-4s %s%s\n", seen.status ? "MISS" : "ok", c.name,
               c.settings.empty() ? "" : (" with " + c.settings[0].first).c_str());
        if (seen.status) printf("     %s: %s\n", status_text(seen.status).c_str(), seen.report.c_str());
        misses += seen.status != 0;
    }
    return misses != 0;
}
