#include "profile.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

namespace cusim {
namespace {

bool is_set(const char* name) {
    const char* text = getenv(name);
    return text && *text && *text != '0';
}

struct Totals {
    double seconds = 0;
    unsigned long long launches = 0, threads = 0;
};

struct Profile {
    std::map<const char*, Totals> kernels;

    ~Profile() {
        std::vector<std::pair<const char*, Totals>> rows(kernels.begin(), kernels.end());
        std::sort(rows.begin(), rows.end(),
                  [](auto& a, auto& b) { return a.second.seconds > b.second.seconds; });
        fprintf(stderr, "%-44s %9s %13s %10s\n", "kernel (CPU time on the simulated GPU)", "launches",
                "threads", "ms");
        for (const auto& [name, t] : rows)
            fprintf(stderr, "%-44s %9llu %13llu %10.1f\n", name, t.launches, t.threads, t.seconds * 1e3);
    }
};

const bool trace = is_set("CUSIM_TRACE"), profile = is_set("CUSIM_PROFILE");

} // namespace

LaunchTimer::LaunchTimer(const Kernel& kernel, const Shape& shape) : kernel(kernel), shape(shape) {
    if (trace || profile) begin = std::chrono::steady_clock::now();
}

LaunchTimer::~LaunchTimer() {
    if (!trace && !profile) return;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const dim3 g = shape.grid, b = shape.block;
    if (trace)
        fprintf(stderr, "%-44s grid (%u,%u,%u) block (%u,%u,%u) shared %zu: %.3f ms\n", kernel.name, g.x, g.y,
                g.z, b.x, b.y, b.z, shape.shared_bytes, seconds * 1e3);
    if (!profile) return;
    static Profile table;
    Totals& t = table.kernels[kernel.name];
    t.seconds += seconds;
    t.launches++;
    t.threads += 1ull * g.x * g.y * g.z * b.x * b.y * b.z;
}

} // namespace cusim
