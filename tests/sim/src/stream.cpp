#include "stream.h"

#include "profile.h"
#include "recorder.h"
#include "status.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cusim {

int context_error = CUDA_SUCCESS;

bool is_async() {
    static const bool yes = getenv("CUSIM_ASYNC") && *getenv("CUSIM_ASYNC") == '1';
    return yes;
}

Work Work::launch(Function* function, const Shape& shape, void* const* arguments) {
    Work w{Kind::Launch};
    w.function = function;
    w.shape = shape;
    const Kernel& k = *function->kernel;
    for (size_t i = 0; i < k.argument_count; i++) {
        const size_t at = (w.argument_bytes.size() + 15) / 16 * 16;
        w.argument_offsets.push_back(at);
        w.argument_bytes.resize(at + k.argument_sizes[i]);
        memcpy(w.argument_bytes.data() + at, arguments[i], k.argument_sizes[i]);
    }
    return w;
}

Work Work::copy(void* to, const void* from, size_t bytes) {
    Work w{Kind::Copy};
    w.to = to;
    w.from = from;
    w.bytes = bytes;
    return w;
}

Work Work::fill(void* to, unsigned value, unsigned unit, size_t count) {
    Work w{Kind::Fill};
    w.to = to;
    w.value = value;
    w.unit = unit;
    w.bytes = count * unit;
    return w;
}

void Work::note(LaunchCounters counters) const {
    Node node{Node::Kind(kind)};
    if (kind == Kind::Launch) {
        node.kernel = function->kernel->name;
        node.shape = shape;
        node.static_shared = function->static_shared;
        node.counters = std::move(counters);
    }
    node.bytes = bytes;
    node.of_graph = of_graph;
    node.to_device = in_device_space(reinterpret_cast<Address>(to));
    node.from_device = in_device_space(reinterpret_cast<Address>(from));
    record(std::move(node));
}

int Work::run() const {
    if (mode() == Mode::Dry || (mode() == Mode::Count && kind != Kind::Launch)) note({});
    switch (kind) {
    case Kind::Copy: memmove(to, staged ? staged->data() : from, bytes); return CUDA_SUCCESS;
    case Kind::Fill:
        if (unit == 1) memset(to, int(value), bytes);
        else
            for (size_t i = 0; i < bytes; i += unit) memcpy(static_cast<char*>(to) + i, &value, unit);
        return CUDA_SUCCESS;
    case Kind::Launch: break;
    }
    if (mode() == Mode::Dry) return CUDA_SUCCESS;
    std::vector<void*> arguments;
    for (const size_t at : argument_offsets)
        arguments.push_back(const_cast<char*>(argument_bytes.data()) + at);
    const LaunchTimer timer(*function->kernel, shape);
    Shape some = shape;
    const bool count = mode() == Mode::Count;
    if (count) {
        some.blocks_wanted = blocks_wanted();
        count_launch_begin();
    }
    const Outcome outcome = run_kernel(*function->kernel, some, arguments.data());
    if (count) note(count_launch_end(outcome.blocks, outcome.blocks_run));
    if (outcome.status) {
        fprintf(stderr, "simulated GPU: %s\n", outcome.report.c_str());
        context_error = outcome.status;
    }
    return outcome.status;
}

std::string Work::stale() const {
    if (kind == Kind::Launch) {
        // The types of arguments are unknown, but a number in the range of freed device memory is an address.
        for (size_t at = 0; at + sizeof(Address) <= argument_bytes.size(); at += sizeof(Address)) {
            Address word;
            memcpy(&word, argument_bytes.data() + at, sizeof word);
            if (!in_device_space(word)) continue;
            const Allocation* a = nearest_allocation(word);
            if (a && !a->live && word < a->begin + a->bytes)
                return std::string("an argument of kernel ") + function->kernel->name + " points to " +
                       describe_address(word, 1);
        }
        return "";
    }
    for (const void* p : {static_cast<const void*>(to), from}) {
        const auto address = reinterpret_cast<Address>(p);
        if (in_device_space(address) && !is_device_range(address, bytes))
            return "a copy or fill touches " + describe_address(address, bytes);
        if (p && !in_device_space(address) && !is_pinned(p, bytes))
            return "a copy touches host memory that is no longer pinned";
    }
    return "";
}

int Stream::add(Work work) {
    if (capture == Capture::Invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (capture == Capture::Active) {
        graph->nodes.push_back(std::move(work));
        return CUDA_SUCCESS;
    }
    if (!is_async()) return work.run();
    queue.push_back(std::move(work));
    return CUDA_SUCCESS;
}

int Stream::flush() {
    while (!queue.empty()) {
        const Work work = std::move(queue.front());
        queue.pop_front();
        if (!context_error) work.run();
    }
    return context_error;
}

} // namespace cusim
