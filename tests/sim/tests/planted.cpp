// Runs every kernel of planted.cu under one build of the simulator (`plain`, `address` or `thread`) and
// checks the outcome. A kernel with a bug must give a certain report. Its correct version must give no report
// in any order of the threads.
#include "check.h"

#include <cmath>
#include <cstring>

namespace {

std::string build;
int misses = 0;

std::vector<float> numbers(size_t n) {
    std::vector<float> v(n);
    for (size_t i = 0; i < n; i++) v[i] = float(i * i % 31) - 7;
    return v;
}

// The status of a launch or, if there is no error, the verdict on its result: 0, NAN_FOUND or WRONG.
int judge(int status, const std::vector<float>& result, const std::vector<float>& expected) {
    if (status) return status;
    for (const float v : result)
        if (std::isnan(v)) return NAN_FOUND;
    return result == expected ? 0 : WRONG;
}

// A kernel (x[1024], y) with the given launch; `expected` is empty if no result is right.
int run_xy(const char* kernel, unsigned threads, unsigned shared, const std::vector<float>& expected) {
    Device<float> x(numbers(1024)), y(std::vector<float>(threads, 0.0f));
    const int status = launch(kernel, {}, {threads}, shared, static_cast<const float*>(x.p), y.p);
    return status ? status : judge(0, y.read(), expected);
}

const std::vector<std::string> ORDERS[] = {
    {"forward", "1"}, {"reverse", "1"}, {"random", "1"}, {"random", "2"}, {"random", "3"}};

void row(const std::string& name, const std::string& seen, std::string report, bool good) {
    misses += !good;
    report = report.substr(0, report.find('\n'));
    const size_t skip = report.find("): ");
    if (report.rfind("simulated GPU: ", 0) == 0 && skip != std::string::npos &&
        report.find("thread (") < skip)
        report = report.substr(report.find("thread ("));
    printf("%-4s %-24s %-8s %-18s %s\n", good ? "ok" : "MISS", name.c_str(), build.c_str(), seen.c_str(),
           report.c_str());
}

using Settings = std::vector<std::pair<std::string, std::string>>;

// A kernel with a bug. In the named builds ("plain address thread") it must give this status, and a report
// that contains this text.
void bug(const std::string& name, const std::string& builds, int status, const std::string& text,
         const std::function<int()>& body, const Settings& settings = {}) {
    if (builds.find(build) == std::string::npos) return;
    const Result seen = run_apart(settings, body);
    const bool good = seen.status == status && seen.report.find(text) != std::string::npos;
    row(name, status_text(seen.status), seen.report, good);
    if (!good)
        printf("     must be: %s, \"%s\"; printed: %s\n", status_text(status).c_str(), text.c_str(),
               seen.report.c_str());
}

// A correct kernel: no error, the right result and no report, in all builds and orders.
void right(const std::string& name, const std::function<int()>& body) {
    for (const auto& order : ORDERS) {
        const Result seen =
            run_apart({{"CUSIM_ORDER", order[0]}, {"CUSIM_SEED", order[1]}, {"CUSIM_STRICT", "1"}}, body);
        if (seen.status == 0 && seen.report.empty()) continue;
        row(name, status_text(seen.status) + " " + order[0], seen.report, false);
        return;
    }
    row(name, "right in 5 orders", "", true);
}

std::vector<float> computed(size_t n, const std::function<float(size_t)>& f) {
    std::vector<float> v(n);
    for (size_t i = 0; i < n; i++) v[i] = f(i);
    return v;
}

void barriers() {
    const auto x = numbers(1024);
    const auto sums = computed(64, [&](size_t i) {
        float sum = 0;
        for (size_t k = 0; k < 4; k++) sum += x[64 * k + 63 - i];
        return sum;
    });
    right("rows_right", [=] { return run_xy("rows_right", 64, 0, sums); });
    bug("rows_no_second_barrier", "plain", WRONG, "",
        [=] { return run_xy("rows_no_second_barrier", 64, 0, sums); });
    bug("rows_no_second_barrier", "thread", 719,
        "race: this thread reads shared memory at tests/sim/tests/planted.cu:", [=] {
            return run_xy("rows_no_second_barrier", 64, 0, sums);
        });
    bug("rows_no_first_barrier", "plain", NAN_FOUND, "",
        [=] { return run_xy("rows_no_first_barrier", 64, 0, sums); });
    bug("rows_no_first_barrier", "thread", 719, "reads shared memory",
        [=] { return run_xy("rows_no_first_barrier", 64, 0, sums); });

    const auto barrier_branches = [] {
        Device<float> y(64);
        return launch("barrier_in_both_branches", {}, {64}, 0, y.p);
    };
    bug("barrier_in_both_branches", "plain address thread", 719, "diverged barrier", barrier_branches);
    const auto exits = [] {
        Device<float> y(64);
        return launch("exit_before_barrier", {}, {64}, 0, y.p);
    };
    bug("exit_before_barrier", "plain", 719, "missed barrier", exits, {{"CUSIM_STRICT", "1"}});
    bug("exit_before_barrier", "plain", 0, "", exits); // GPUs since Volta accept it
    float positive = 0;
    for (size_t i = 0; i < 64; i++) positive += x[i] > 0;
    const std::vector<float> votes(64, positive + 100);
    right("votes_right", [=] { return run_xy("votes_right", 64, 0, votes); });
}

void warps() {
    const auto x = numbers(1024);
    const auto next = computed(32, [&](size_t i) { return x[(i + 1) % 32] + x[32 + (i + 1) % 32]; });
    right("neighbour_right", [=] { return run_xy("neighbour_right", 32, 0, next); });
    bug("neighbour_no_syncwarp", "plain", NAN_FOUND, "",
        [=] { return run_xy("neighbour_no_syncwarp", 32, 0, next); });
    bug("neighbour_no_syncwarp", "thread", 719, "no thread of this block has written",
        [=] { return run_xy("neighbour_no_syncwarp", 32, 0, next); });
    bug("neighbour_one_syncwarp", "plain", WRONG, "",
        [=] { return run_xy("neighbour_one_syncwarp", 32, 0, next); });
    bug("neighbour_one_syncwarp", "thread", 719,
        "race: this thread writes shared memory at tests/sim/tests/planted.cu:", [=] {
            return run_xy("neighbour_one_syncwarp", 32, 0, next);
        });

    float sum = 0;
    for (size_t i = 0; i < 32; i++) sum += x[i];
    const auto shuffled = computed(32, [&](size_t i) {
        return sum + 2 * x[i / 8 * 8] + 3 * x[i ? i - 1 : 0] + 4 * x[i < 31 ? i + 1 : 31] + 1;
    });
    right("shuffles_right", [=] { return run_xy("shuffles_right", 32, 0, shuffled); });
    const auto half = computed(32, [&](size_t i) { return i < 16 ? x[i ^ 8] : 0; });
    right("shuffle_half_right", [=] { return run_xy("shuffle_half_right", 32, 0, half); });
    const auto bad = [](const char* kernel) { return [=] { return run_xy(kernel, 32, 0, {}); }; };
    bug("shuffle_from_exited", "plain address thread", 719, "lane 8 reads lane 16, which has exited",
        bad("shuffle_from_exited"));
    bug("shuffle_outside_mask", "plain", 719, "leaves out its own lane 16", bad("shuffle_outside_mask"));
    bug("shuffle_in_branches", "plain", 719, "diverged warp", bad("shuffle_in_branches"));
    bug("warp_against_block", "plain", 719, "waits at __syncthreads", bad("warp_against_block"));
}

void bounds() {
    const auto x = numbers(1024);
    right("copy_right", [=] {
        Device<float> from(x), to(61);
        const int status = launch("copy_right", {}, {64}, 0, static_cast<const float*>(from.p), to.p, 61);
        return judge(status, to.read(), std::vector<float>(x.begin(), x.begin() + 61));
    });
    const auto bad = [](const char* kernel, unsigned shared = 0) {
        return [=] { return run_xy(kernel, 64, shared, {}); };
    };
    bug("write_past_end", "plain", 700,
        "writes at 0 bytes past the end of an allocation of 256 bytes at tests/sim/tests/planted.cu:",
        bad("write_past_end"));
    bug("write_past_end", "address thread", 700,
        "writes 4 bytes at 0 bytes past the end of an allocation of 256 bytes", bad("write_past_end"));
    bug("write_before_begin", "plain", 700, "wrote just outside", bad("write_before_begin"));
    bug("write_before_begin", "address thread", 700, "4 bytes before an allocation",
        bad("write_before_begin"));
    const auto freed = [](bool null) {
        return [=] {
            Device<float> from(numbers(64)), to(64);
            if (!null) cuMemFree_v2(from.address);
            return launch("add_at", {}, {64}, 0, static_cast<const float*>(null ? nullptr : from.p), to.p);
        };
    };
    bug("use_after_free", "plain address thread", 700, "byte 0 of a freed allocation of 256 bytes",
        freed(false));
    bug("null_pointer", "plain address thread", 700, "", freed(true));
    bug("host_pointer", "address thread", 700, "neither the device's nor this block's", [] {
        Device<float> to(64);
        const float host[64] = {};
        return launch("add_at", {}, {64}, 0, static_cast<const float*>(host), to.p);
    });
    right("dynamic_shared", [=] {
        return run_xy("dynamic_shared", 64, 256, computed(64, [&](size_t i) { return x[63 - i]; }));
    });
    bug("dynamic_shared", "plain address thread", 700, "shared memory", bad("dynamic_shared", 252));
    bug("dynamic_shared", "plain", 719, "was launched with none", bad("dynamic_shared", 0));
    bug("dynamic_shared_before", "plain address thread", 700, "", bad("dynamic_shared_before", 256));
    bug("static_shared_past_end", "address", 700, "past the end of __shared__ s (256 bytes)",
        bad("static_shared_past_end"));
    right("aligned_vector_right", [=] {
        return run_xy("aligned_vector_right", 64, 0, std::vector<float>(64, x[4] + x[5] + x[6] + x[7]));
    });
    bug("misaligned_vector", "address thread", 716, "not a multiple", bad("misaligned_vector"));
    bug("too_many_locals", "plain", 719, "stack is full", bad("too_many_locals"));
}

void unwritten() {
    const auto bad = [](const char* kernel) { return [=] { return run_xy(kernel, 64, 0, {}); }; };
    bug("shared_not_written", "plain", NAN_FOUND, "", bad("shared_not_written"));
    bug("shared_not_written", "thread", 719, "no thread of this block has written",
        bad("shared_not_written"));
    bug("global_not_written", "plain", NAN_FOUND, "", [] {
        Device<float> x(numbers(64)), y(64);
        const int status = launch("add_at", {}, {64}, 0, static_cast<const float*>(x.p), y.p);
        return judge(status, y.read(), {});
    });
}

void async_copies() {
    const auto x = numbers(1024);
    const auto sums = computed(64, [&](size_t i) { return x[63 - i] + x[127 - i]; });
    right("async_right", [=] { return run_xy("async_right", 64, 0, sums); });
    bug("async_wait_too_few", "plain", NAN_FOUND, "",
        [=] { return run_xy("async_wait_too_few", 64, 0, sums); });
    bug("async_wait_too_few", "thread", 719, "race",
        [=] { return run_xy("async_wait_too_few", 64, 0, sums); });
    const auto bad = [](const char* kernel) { return [=] { return run_xy(kernel, 64, 0, {}); }; };
    bug("async_no_barrier", "plain", NAN_FOUND, "", bad("async_no_barrier"));
    bug("async_no_barrier", "thread", 719, "no thread of this block has written", bad("async_no_barrier"));
    bug("async_misaligned", "plain", 719, "an address is not a multiple of 16", bad("async_misaligned"));
    bug("async_past_end", "plain", 700, "cp.async at", bad("async_past_end"));
    right("async_zeros_right", [=] {
        return run_xy("async_zeros_right", 64, 0,
                      computed(64, [&](size_t i) { return i % 4 == 3 ? 0.0f : x[i]; }));
    });
}

// Compares a matrix kernel with a plain triple loop. The inputs are small whole numbers, exact in tf32 and
// bf16.
int run_matrix(const char* kernel, int per_word) {
    const int k_count = 8 * per_word;
    const auto a_at = [](int i, int k) { return float((3 * i + 5 * k) % 17 - 8); };
    const auto b_at = [](int k, int j) { return float((7 * k + 2 * j) % 13 - 6); };
    const auto word = [&](const std::function<float(int)>& at, int w) {
        unsigned bits[2] = {};
        for (int half = 0; half < per_word; half++) {
            const float v = at(per_word * w + half);
            memcpy(&bits[half], &v, 4);
        }
        return per_word == 1 ? bits[0] : bits[0] >> 16 | (bits[1] & 0xffff0000u);
    };
    std::vector<unsigned> a(16 * 8), b(8 * 8);
    for (int i = 0; i < 16; i++)
        for (int w = 0; w < 8; w++) a[i * 8 + w] = word([&](int k) { return a_at(i, k); }, w);
    for (int j = 0; j < 8; j++)
        for (int w = 0; w < 8; w++) b[j * 8 + w] = word([&](int k) { return b_at(k, j); }, w);
    const auto expected = computed(16 * 8, [&](size_t at) {
        float sum = 0;
        for (int k = 0; k < k_count; k++) sum += a_at(int(at) / 8, k) * b_at(k, int(at) % 8);
        return sum;
    });
    Device<unsigned> da(a), db(b);
    Device<float> c(16 * 8);
    const int status = launch(kernel, {}, {32}, 0, static_cast<const unsigned*>(da.p),
                              static_cast<const unsigned*>(db.p), c.p);
    return status ? status : judge(0, c.read(), expected);
}

void matrices() {
    right("matrix_tf32_right", [] { return run_matrix("matrix_tf32_right", 1); });
    right("matrix_bf16_right", [] { return run_matrix("matrix_bf16_right", 2); });
    bug("matrix_lane_exited", "plain", 719, "lane 31 has exited, and all 32 are needed",
        [] { return run_matrix("matrix_lane_exited", 1); });
}

void races() {
    right("count_right", [] {
        Device<float> y(std::vector<float>(1, 0.0f));
        const int status = launch("count_right", {4}, {64}, 0, y.p);
        return judge(status, y.read(), {256});
    });
    const auto count = [](const char* kernel) {
        return [=] {
            Device<float> y(std::vector<float>(1, 0.0f));
            return launch(kernel, {4}, {64}, 0, y.p);
        };
    };
    bug("count_not_atomic", "thread", 719,
        "race: this thread reads byte 0 of an allocation of 4 bytes at tests/sim/tests/planted.cu:",
        count("count_not_atomic"));
    bug("count_blocks_not_atomic", "thread", 719, "blocks are not ordered", count("count_blocks_not_atomic"));
    const auto bytes = [](const char* kernel) {
        return [=] {
            Device<unsigned char> y(64);
            return launch(kernel, {}, {64}, 0, y.p);
        };
    };
    right("bytes_right", bytes("bytes_right"));
    bug("bytes_shared", "thread", 719, "race", bytes("bytes_shared"));
}

} // namespace

int main(int, char** arguments) {
    build = arguments[1];
    printf("\n%-4s %-24s %-8s %-18s %s\n", "", "kernel", "build", "seen", "report");
    barriers();
    warps();
    bounds();
    unwritten();
    async_copies();
    matrices();
    races();
    return misses != 0;
}
