// The functions of the driver API that the project calls: a library that can replace libcuda.so.
//
// Each call checks what the real one checks and returns the same error code; none of them ends the program. A
// message with the details goes to stderr. All calls take one lock, so a program may call from several
// threads, as with the real driver.
#include "capture.h"
#include "memory.h"
#include "module.h"
#include "recorder.h"
#include "status.h"
#include "stream.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

using namespace cusim;

#define API extern "C" __attribute__((visibility("default"))) int

namespace {

std::mutex mutex;
bool initialised = false;
int context_users = 0;
char the_context; // its address is the handle of the one context
thread_local void* bound_context = nullptr;

std::set<Event*> events;
std::set<Module*> modules;
std::set<Function*> functions;
std::set<Graph*> graphs, executables;

long long setting(const char* name, long long otherwise) {
    const char* text = getenv(name);
    return text && *text ? atoll(text) : otherwise;
}
int driver_version() { return int(setting("CUSIM_DRIVER", 13000)); }
int capability() { return int(setting("CUSIM_CC", 90)); }

// Every call begins with this: it takes the lock, and `refused` is the error if no call can work now (no
// initialisation, no context, an earlier error).
struct Call {
    std::lock_guard<std::mutex> lock{mutex};
    int refused = CUDA_SUCCESS;

    enum Needs { Nothing, Driver, Context };
    explicit Call(Needs needs = Context) {
        if (needs >= Driver && !initialised) refused = CUDA_ERROR_NOT_INITIALIZED;
        else if (needs >= Context && (!bound_context || !context_users)) refused = CUDA_ERROR_INVALID_CONTEXT;
        else if (needs >= Context) refused = context_error;
    }
};
#define ENTER(...)                                                                                           \
    const Call call{__VA_ARGS__};                                                                            \
    if (call.refused) return call.refused

template <class T> T* known(const std::set<T*>& set, void* handle) {
    auto* p = static_cast<T*>(handle);
    return set.count(p) ? p : nullptr;
}

Function* known_function(void* handle) { return known(functions, handle); }

// Runs the queued work of all streams, then looks for overwritten patterns around the allocations.
int flush_all() {
    for (Stream* s : streams()) s->flush();
    if (context_error) return context_error;
    const std::string underrun = find_underrun();
    if (!underrun.empty()) {
        fprintf(stderr, "simulated GPU: %s\n", underrun.c_str());
        context_error = CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    return context_error;
}

bool on_device(Address p, size_t bytes, const char* what) {
    if (is_device_range(p, bytes)) return true;
    fprintf(stderr, "simulated GPU: %s of %zu bytes touches %s\n", what, bytes,
            describe_address(p, bytes).c_str());
    return false;
}

void* pointer(Address a) { return reinterpret_cast<void*>(a); }

// An asynchronous copy or fill on a stream.
int submit(void* handle, Work work) {
    Stream* stream = known_stream(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (const int refused = touch_stream(*stream)) return refused;
    if (stream->capture == Capture::None) {
        if (const int error = flush_before(*stream)) return error;
    }
    return stream->add(std::move(work));
}

// Like submit(), for a copy from or to the host. A GPU itself can access only pinned host memory. For other
// host memory the driver reads the source before the call returns, or waits until the copy is done.
int submit_host_copy(void* handle, Work work, bool to_device) {
    Stream* stream = known_stream(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    const bool pinned = is_pinned(to_device ? work.from : work.to, work.bytes);
    if (stream->capture == Capture::Active && !pinned) {
        fprintf(stderr,
                "simulated GPU: a copy from or to host memory that is not pinned cannot be captured\n");
        stream->invalidate();
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    if (is_async() && !pinned && to_device) {
        const auto* bytes = static_cast<const char*>(work.from);
        work.staged = std::make_shared<std::vector<char>>(bytes, bytes + work.bytes);
    }
    const bool wait = !pinned && !to_device;
    if (const int error = submit(handle, std::move(work))) return error;
    return wait ? stream->flush() : CUDA_SUCCESS;
}

// A synchronous copy or fill, on the default stream.
int run_now(const Work& work) {
    if (const int refused = unsafe_call("a copy or fill that waits")) return refused;
    if (const int error = flush_all()) return error;
    return work.run();
}

} // namespace

// ---- errors, versions, devices --------------------------------------------------------------------------

API cuGetErrorName(int status, const char** name) {
    switch (status) {
#define X(number, label, text)                                                                               \
    case number: *name = "CUDA_" #label; return CUDA_SUCCESS;
        CUSIM_STATUS_LIST(X)
#undef X
    }
    *name = nullptr;
    return CUDA_ERROR_INVALID_VALUE;
}
API cuGetErrorString(int status, const char** string) {
    switch (status) {
#define X(number, label, text)                                                                               \
    case number: *string = text; return CUDA_SUCCESS;
        CUSIM_STATUS_LIST(X)
#undef X
    }
    *string = nullptr;
    return CUDA_ERROR_INVALID_VALUE;
}

API cuInit(unsigned) {
    const Call call{Call::Nothing};
    if (setting("CUSIM_NODEV", 0)) return CUDA_ERROR_NO_DEVICE;
    initialised = true;
    return CUDA_SUCCESS;
}
API cuDriverGetVersion(int* version) {
    *version = driver_version();
    return CUDA_SUCCESS;
}
API cuDeviceGetCount(int* count) {
    ENTER(Call::Driver);
    *count = 1;
    return CUDA_SUCCESS;
}
API cuDeviceGet(int* device, int ordinal) {
    ENTER(Call::Driver);
    if (ordinal != 0) return CUDA_ERROR_INVALID_DEVICE;
    *device = 0;
    return CUDA_SUCCESS;
}
API cuDeviceGetName(char* name, int length, int device) {
    ENTER(Call::Driver);
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    snprintf(name, size_t(length), "simulated GPU (CPU)");
    return CUDA_SUCCESS;
}
API cuDeviceGetUuid_v2(unsigned char uuid[16], int device) {
    ENTER(Call::Driver);
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    memcpy(uuid, "receptive  cusim", 16);
    return CUDA_SUCCESS;
}
API cuDeviceGetUuid(unsigned char uuid[16], int device) { return cuDeviceGetUuid_v2(uuid, device); }
API cuDeviceTotalMem_v2(size_t* bytes, int device) {
    ENTER(Call::Driver);
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    *bytes = device_capacity();
    return CUDA_SUCCESS;
}
API cuDeviceGetAttribute(int* value, int attribute, int device) {
    ENTER(Call::Driver);
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    switch (attribute) {
    case 1: *value = 1024; break; // threads per block
    case 2:
    case 3: *value = 1024; break;       // block x, y
    case 4: *value = 64; break;         // block z
    case 5: *value = 2147483647; break; // grid x
    case 6:
    case 7: *value = 65535; break;                   // grid y, z
    case 8: *value = int(MAX_SHARED_UNASKED); break; // shared memory per block
    case 9: *value = 65536; break;                   // constant memory
    case 10: *value = 32; break;                     // warp size
    case 12: *value = 65536; break;                  // registers per block
    case 13: *value = 1000000; break;                // clock, kHz
    case 16: *value = 4; break;       // multiprocessors: few, so that grid-stride loops iterate several times
    case 31: *value = 1; break;       // concurrent kernels
    case 36: *value = 1000000; break; // memory clock, kHz
    case 37: *value = 64; break;      // memory bus, bits
    case 38: *value = 1 << 20; break; // L2 cache, bytes
    case 39: *value = 2048; break;    // threads per multiprocessor
    case 40:
    case 41: *value = 1; break; // async engines, unified addressing
    case 75: *value = capability() / 10; break;
    case 76: *value = capability() % 10; break;
    case 81: *value = 228 << 10; break;       // shared memory per multiprocessor
    case 82: *value = 65536; break;           // registers per multiprocessor
    case 97: *value = int(MAX_SHARED); break; // shared memory per block, on request
    case 106: *value = 32; break;             // blocks per multiprocessor
    case 111: *value = 1024; break;           // shared memory per block that the system reserves
    default: *value = 0;                      // memory pools and everything else: not supported
    }
    return CUDA_SUCCESS;
}

// ---- context --------------------------------------------------------------------------------------------

API cuDevicePrimaryCtxRetain(void** context, int device) {
    ENTER(Call::Driver);
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    context_users++;
    *context = &the_context;
    return CUDA_SUCCESS;
}
API cuDevicePrimaryCtxRelease_v2(int device) {
    ENTER(Call::Driver);
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    if (!context_users) return CUDA_ERROR_INVALID_CONTEXT;
    context_users--;
    return CUDA_SUCCESS;
}
API cuCtxSetCurrent(void* context) {
    ENTER(Call::Driver);
    if (context && context != &the_context) return CUDA_ERROR_INVALID_CONTEXT;
    bound_context = context;
    return CUDA_SUCCESS;
}
API cuCtxGetCurrent(void** context) {
    ENTER(Call::Driver);
    *context = bound_context;
    return CUDA_SUCCESS;
}
API cuCtxGetDevice(int* device) {
    ENTER();
    *device = 0;
    return CUDA_SUCCESS;
}
API cuCtxSynchronize() {
    ENTER();
    if (const int refused = unsafe_wait()) return refused;
    return flush_all();
}

// ---- memory ---------------------------------------------------------------------------------------------

API cuMemGetInfo_v2(size_t* free, size_t* total) {
    ENTER();
    *total = device_capacity();
    *free = *total - device_used();
    return CUDA_SUCCESS;
}
API cuMemAlloc_v2(Address* p, size_t bytes) {
    ENTER();
    if (!bytes) return CUDA_ERROR_INVALID_VALUE;
    if (const int refused = unsafe_call("cuMemAlloc")) return refused;
    *p = device_allocate(bytes);
    return *p ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
API cuMemFree_v2(Address p) {
    ENTER();
    if (!p) return CUDA_SUCCESS;
    if (const int refused = unsafe_call("cuMemFree")) return refused;
    if (const int error = flush_all()) return error; // as on a GPU, work that uses the memory ends first
    return device_free(p) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
API cuMemHostAlloc(void** p, size_t bytes, unsigned) {
    ENTER();
    if (!bytes) return CUDA_ERROR_INVALID_VALUE;
    if (const int refused = unsafe_call("cuMemHostAlloc")) return refused;
    *p = host_allocate(bytes);
    return *p ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
API cuMemAllocHost_v2(void** p, size_t bytes) { return cuMemHostAlloc(p, bytes, 0); }
API cuMemFreeHost(void* p) {
    ENTER();
    if (const int refused = unsafe_call("cuMemFreeHost")) return refused;
    if (const int error = flush_all()) return error;
    return host_free(p) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* stream) {
    ENTER();
    if (!on_device(to, bytes, "a copy to the device")) return CUDA_ERROR_INVALID_VALUE;
    return submit_host_copy(stream, Work::copy(pointer(to), from, bytes), true);
}
API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* stream) {
    ENTER();
    if (!on_device(from, bytes, "a copy to the host")) return CUDA_ERROR_INVALID_VALUE;
    return submit_host_copy(stream, Work::copy(to, pointer(from), bytes), false);
}
API cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void* stream) {
    ENTER();
    if (!on_device(to, bytes, "a copy to") || !on_device(from, bytes, "a copy from"))
        return CUDA_ERROR_INVALID_VALUE;
    return submit(stream, Work::copy(pointer(to), pointer(from), bytes));
}
API cuMemcpyHtoD_v2(Address to, const void* from, size_t bytes) {
    ENTER();
    if (!on_device(to, bytes, "a copy to the device")) return CUDA_ERROR_INVALID_VALUE;
    return run_now(Work::copy(pointer(to), from, bytes));
}
API cuMemcpyDtoH_v2(void* to, Address from, size_t bytes) {
    ENTER();
    if (!on_device(from, bytes, "a copy to the host")) return CUDA_ERROR_INVALID_VALUE;
    return run_now(Work::copy(to, pointer(from), bytes));
}
API cuMemcpyDtoD_v2(Address to, Address from, size_t bytes) {
    ENTER();
    if (!on_device(to, bytes, "a copy to") || !on_device(from, bytes, "a copy from"))
        return CUDA_ERROR_INVALID_VALUE;
    return run_now(Work::copy(pointer(to), pointer(from), bytes));
}
API cuMemsetD8Async(Address to, unsigned char value, size_t count, void* stream) {
    ENTER();
    if (!on_device(to, count, "a fill")) return CUDA_ERROR_INVALID_VALUE;
    return submit(stream, Work::fill(pointer(to), value, 1, count));
}
API cuMemsetD32Async(Address to, unsigned value, size_t count, void* stream) {
    ENTER();
    if (to % 4 || !on_device(to, count * 4, "a fill")) return CUDA_ERROR_INVALID_VALUE;
    return submit(stream, Work::fill(pointer(to), value, 4, count));
}
API cuMemsetD8_v2(Address to, unsigned char value, size_t count) {
    ENTER();
    if (!on_device(to, count, "a fill")) return CUDA_ERROR_INVALID_VALUE;
    return run_now(Work::fill(pointer(to), value, 1, count));
}

// ---- modules and launches -------------------------------------------------------------------------------

API cuModuleLoadData(void** module, const void* image) {
    ENTER();
    if (const int refused = unsafe_call("cuModuleLoadData")) return refused;
    auto loaded = std::make_unique<Module>();
    if (const int error =
            load_module(static_cast<const char*>(image), driver_version(), capability(), *loaded))
        return error;
    modules.insert(loaded.get());
    *module = loaded.release();
    return CUDA_SUCCESS;
}
API cuModuleLoadDataEx(void** module, const void* image, unsigned, int*, void**) {
    return cuModuleLoadData(module, image);
}
API cuModuleUnload(void* handle) {
    ENTER();
    Module* module = known(modules, handle);
    if (!module) return CUDA_ERROR_INVALID_HANDLE;
    if (const int error = flush_all()) return error;
    for (auto& [name, f] : module->functions) functions.erase(&f);
    modules.erase(module);
    delete module;
    return CUDA_SUCCESS;
}
API cuModuleGetFunction(void** function, void* handle, const char* name) {
    ENTER();
    Module* module = known(modules, handle);
    if (!module) return CUDA_ERROR_INVALID_HANDLE;
    Function* found;
    if (const int error = find_function(*module, name, &found)) return error;
    functions.insert(found);
    *function = found;
    return CUDA_SUCCESS;
}

enum {
    MAX_THREADS_PER_BLOCK = 0,
    SHARED_SIZE_BYTES = 1,
    MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
    SHARED_CARVEOUT = 9
};

API cuFuncGetAttribute(int* value, int attribute, void* handle) {
    ENTER();
    const Function* f = known_function(handle);
    if (!f) return CUDA_ERROR_INVALID_HANDLE;
    switch (attribute) {
    case MAX_THREADS_PER_BLOCK: *value = int(f->max_threads); break;
    case SHARED_SIZE_BYTES: *value = int(f->static_shared); break;
    case MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = int(f->max_dynamic_shared); break;
    default: *value = 0; // registers, local memory: only the GPU's compiler knows them
    }
    return CUDA_SUCCESS;
}
API cuFuncSetAttribute(void* handle, int attribute, int value) {
    ENTER();
    Function* f = known_function(handle);
    if (!f) return CUDA_ERROR_INVALID_HANDLE;
    if (attribute == SHARED_CARVEOUT) return CUDA_SUCCESS;
    if (attribute != MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 ||
        size_t(value) + f->static_shared > MAX_SHARED)
        return CUDA_ERROR_INVALID_VALUE;
    f->max_dynamic_shared = size_t(value);
    return CUDA_SUCCESS;
}
API cuFuncSetCacheConfig(void* handle, int) {
    ENTER();
    return known_function(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void* handle, int threads, size_t) {
    ENTER();
    if (!known_function(handle)) return CUDA_ERROR_INVALID_HANDLE;
    *blocks = threads > 0 && threads <= 1024 ? 2048 / threads : 0;
    return CUDA_SUCCESS;
}

API cuLaunchKernel(void* handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared_bytes, void* stream, void** arguments, void**) {
    ENTER();
    Function* f = known_function(handle);
    if (!f) return CUDA_ERROR_INVALID_HANDLE;
    const char* wrong = nullptr;
    const auto threads = (unsigned long long)bx * by * bz;
    if (!gx || !gy || !gz || !threads) wrong = "an empty grid or block";
    else if (gx > 2147483647u || gy > 65535 || gz > 65535) wrong = "a grid beyond 2^31 - 1, 65535, 65535";
    else if (bx > 1024 || by > 1024 || bz > 64 || threads > 1024)
        wrong = "a block beyond 1024 threads (64 in z)";
    else if (threads > f->max_threads) wrong = "more threads than its __launch_bounds__";
    else if (shared_bytes > f->max_dynamic_shared)
        wrong = "more dynamic shared memory than was asked for by cuFuncSetAttribute";
    else if (f->kernel->argument_count && !arguments) wrong = "no arguments";
    if (wrong) {
        fprintf(
            stderr,
            "simulated GPU: kernel %s, grid (%u,%u,%u), block (%u,%u,%u), %u bytes of shared memory: %s\n",
            f->kernel->name, gx, gy, gz, bx, by, bz, shared_bytes, wrong);
        return CUDA_ERROR_INVALID_VALUE;
    }
    return submit(stream, Work::launch(f, {dim3(gx, gy, gz), dim3(bx, by, bz), shared_bytes}, arguments));
}

// ---- streams and events ---------------------------------------------------------------------------------

API cuStreamCreate(void** stream, unsigned flags) {
    ENTER();
    *stream = new_stream(flags & 1);
    return CUDA_SUCCESS;
}
API cuStreamCreateWithPriority(void** stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
API cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    ENTER();
    *least = *greatest = 0;
    return CUDA_SUCCESS;
}
API cuStreamDestroy_v2(void* handle) {
    ENTER();
    Stream* stream = handle ? known_stream(handle) : nullptr;
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    const int error = stream->flush();
    delete_stream(stream);
    return error;
}
API cuStreamSynchronize(void* handle) {
    ENTER();
    Stream* stream = known_stream(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (const int refused = wait_for_stream(*stream)) return refused;
    return flush_all();
}
API cuStreamQuery(void* handle) {
    ENTER();
    Stream* stream = known_stream(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (const int refused = wait_for_stream(*stream)) return refused;
    return stream->flush();
}
API cuStreamWaitEvent(void* handle, void* event_handle, unsigned) {
    ENTER();
    Stream* stream = known_stream(handle);
    Event* event = known(events, event_handle);
    if (!stream || !event) return CUDA_ERROR_INVALID_HANDLE;
    if (const int refused = capture_wait(*stream, *event)) return refused;
    return event->stream && event->stream != stream && !event->captured ? event->stream->flush()
                                                                        : CUDA_SUCCESS;
}

API cuEventCreate(void** event, unsigned flags) {
    ENTER();
    auto* made = new Event;
    made->timed = !(flags & 2);
    events.insert(made);
    *event = made;
    return CUDA_SUCCESS;
}
API cuEventDestroy_v2(void* handle) {
    ENTER();
    Event* event = known(events, handle);
    if (!event) return CUDA_ERROR_INVALID_HANDLE;
    events.erase(event);
    delete event;
    return CUDA_SUCCESS;
}
API cuEventRecord(void* handle, void* stream_handle) {
    ENTER();
    Event* event = known(events, handle);
    Stream* stream = known_stream(stream_handle);
    if (!event || !stream) return CUDA_ERROR_INVALID_HANDLE;
    if (const int refused = touch_stream(*stream)) return refused;
    if (stream->capture == Capture::Invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    event->captured = stream->capture == Capture::Active;
    event->stream = stream;
    event->recorded = true;
    event->time = std::chrono::steady_clock::now();
    return CUDA_SUCCESS;
}
API cuEventSynchronize(void* handle) {
    ENTER();
    Event* event = known(events, handle);
    if (!event) return CUDA_ERROR_INVALID_HANDLE;
    if (const int refused = wait_for_event(*event)) return refused;
    return event->stream ? event->stream->flush() : CUDA_SUCCESS;
}
API cuEventQuery(void* handle) { return cuEventSynchronize(handle); }
API cuEventElapsedTime(float* milliseconds, void* begin_handle, void* end_handle) {
    ENTER();
    const Event *begin = known(events, begin_handle), *end = known(events, end_handle);
    if (!begin || !end || !begin->recorded || !end->recorded || !begin->timed || !end->timed)
        return CUDA_ERROR_INVALID_HANDLE;
    if (begin->captured || end->captured) return CUDA_ERROR_CAPTURED_EVENT;
    *milliseconds = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
    return CUDA_SUCCESS;
}
API cuEventElapsedTime_v2(float* milliseconds, void* begin, void* end) {
    return cuEventElapsedTime(milliseconds, begin, end);
}

// ---- capture and graphs ---------------------------------------------------------------------------------

API cuStreamBeginCapture_v2(void* handle, int mode) {
    ENTER();
    Stream* stream = known_stream(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (mode < 0 || mode > 2) return CUDA_ERROR_INVALID_VALUE;
    return begin_capture(*stream, CaptureMode(mode));
}
API cuStreamEndCapture(void* handle, void** graph) {
    ENTER();
    Stream* stream = known_stream(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    std::unique_ptr<Graph> captured;
    const int error = end_capture(*stream, captured);
    *graph = captured.get();
    if (captured) graphs.insert(captured.release());
    return error;
}
API cuStreamIsCapturing(void* handle, int* state) {
    ENTER();
    const Stream* stream = known_stream(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    *state = int(stream->capture) == 0 ? 0 : stream->capture == Capture::Active ? 1 : 2;
    return CUDA_SUCCESS;
}
API cuGraphGetNodes(void* handle, void** nodes, size_t* count) {
    ENTER();
    Graph* graph = known(graphs, handle);
    if (!graph) return CUDA_ERROR_INVALID_VALUE;
    if (nodes)
        for (size_t i = 0; i < *count; i++) nodes[i] = i < graph->nodes.size() ? &graph->nodes[i] : nullptr;
    if (!nodes || *count > graph->nodes.size()) *count = graph->nodes.size();
    return CUDA_SUCCESS;
}
API cuGraphNodeGetType(void* node, int* type) {
    ENTER();
    *type = int(static_cast<Work*>(node)->kind); // launch, copy, fill: the driver's numbers
    return CUDA_SUCCESS;
}
API cuGraphDestroy(void* handle) {
    ENTER();
    Graph* graph = known(graphs, handle);
    if (!graph) return CUDA_ERROR_INVALID_VALUE;
    graphs.erase(graph);
    delete graph;
    return CUDA_SUCCESS;
}
API cuGraphInstantiateWithFlags(void** executable, void* handle, unsigned long long) {
    ENTER();
    const Graph* graph = known(graphs, handle);
    if (!graph) return CUDA_ERROR_INVALID_VALUE;
    auto* copy = new Graph(*graph);
    executables.insert(copy);
    *executable = copy;
    return CUDA_SUCCESS;
}
API cuGraphUpload(void* executable, void* stream) {
    ENTER();
    return known(executables, executable) && known_stream(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
API cuGraphLaunch(void* executable, void* handle) {
    ENTER();
    const Graph* graph = known(executables, executable);
    Stream* stream = known_stream(handle);
    if (!graph) return CUDA_ERROR_INVALID_VALUE;
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    for (size_t i = 0; i < graph->nodes.size(); i++) {
        const std::string stale = graph->nodes[i].stale();
        if (stale.empty()) continue;
        fprintf(stderr, "simulated GPU: node %zu of a replayed graph is stale: %s\n", i, stale.c_str());
        return context_error = CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    for (Work work : graph->nodes) {
        work.of_graph = true;
        if (const int error = submit(handle, std::move(work))) return error;
    }
    return CUDA_SUCCESS;
}
API cuGraphExecDestroy(void* handle) {
    ENTER();
    Graph* graph = known(executables, handle);
    if (!graph) return CUDA_ERROR_INVALID_VALUE;
    executables.erase(graph);
    delete graph;
    return CUDA_SUCCESS;
}

// ---- not in a real driver: dry runs and counters ----------------------------------------------------------

// `mode`: 0 run, 1 dry run, 2 count on this many evenly spaced blocks of each launch (0: all). Forgets what
// was recorded.
API cusimRecord(int mode, unsigned long long blocks) {
    const Call call{Call::Nothing};
    if (mode < 0 || mode > 2) return CUDA_ERROR_INVALID_VALUE;
    return set_mode(Mode(mode), blocks) ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}
API cusimCanCount() { return CAN_COUNT; }
// What was recorded, as JSON. The text is valid until the next call.
extern "C" __attribute__((visibility("default"))) const char* cusimReport() {
    static std::string text;
    const Call call{Call::Nothing};
    text = report_json();
    return text.c_str();
}
