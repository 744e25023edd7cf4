// Compares the counters with numbers that were worked out on paper, for the kernels of counted.cu.
#include "check.h"

#include <cmath>
#include <cstring>

extern "C" int cusimRecord(int, unsigned long long);
extern "C" const char* cusimReport();

namespace {

int misses = 0;

// A number of the JSON text: the value of the last name, searched from each name on.
double number(const char* text, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        text = strstr(text, ("\"" + name + "\":").c_str());
        if (!text) return 0;
        text += name.size() + 3;
    }
    return strtod(text, nullptr);
}

struct Fact {
    std::vector<std::string> names; // under "counters" of the launch
    double value;
};
Fact traffic(const char* kind, const char* name, double value) { return {{kind, name}, value}; }

struct Setup {
    unsigned blocks = 1, threads = 32, shared = 0;
    unsigned long long counted = 0;
};

template <class... Args>
void paper(const std::string& title, const std::string& kernel, const Setup& setup,
           const std::vector<Fact>& facts, Args... args) {
    Device<float> x(std::vector<float>(1 << 14, 1.0f)), y(std::vector<float>(1 << 14, 0.0f));
    // A launch that is not counted leaves nothing behind.
    launch(kernel, {setup.blocks}, {setup.threads}, setup.shared, static_cast<const float*>(x.p), y.p,
           args...);
    must(cusimRecord(2, setup.counted), "cusimRecord");
    int status = launch(kernel, {setup.blocks}, {setup.threads}, setup.shared, static_cast<const float*>(x.p),
                        y.p, args...);
    const std::string report = cusimReport();
    must(cusimRecord(0, 0), "cusimRecord");
    const char* counters = strstr(report.c_str(), "\"counters\":");
    std::string wrong = status ? status_text(status) : counters ? "" : "no counters";
    for (const Fact& fact : facts) {
        if (!wrong.empty()) break;
        const double got = number(counters, fact.names);
        if (got == fact.value) continue;
        wrong = fact.names.front() + (fact.names.size() > 1 ? " " + fact.names.back() : "");
        char text[100];
        snprintf(text, sizeof text, ": %.10g, on paper %.10g", got, fact.value);
        wrong += text;
    }
    misses += !wrong.empty();
    printf("%-4s %-36s count    %s\n", wrong.empty() ? "ok" : "MISS", title.c_str(), wrong.c_str());
}

std::vector<Fact> loads(double requests, double sectors, double ideal, double lines) {
    return {traffic("global_load", "requests", requests), traffic("global_load", "units", sectors),
            traffic("global_load", "ideal", ideal), traffic("global_load", "lines", lines)};
}

std::vector<Fact> shared_loads(double requests, double wavefronts, double ideal) {
    return {traffic("shared_load", "requests", requests), traffic("shared_load", "units", wavefronts),
            traffic("shared_load", "ideal", ideal)};
}

void global_memory() {
    paper("coalesced", "coalesced", {}, loads(1, 4, 4, 1));
    paper("coalesced, 8 warps", "coalesced", {1, 256}, loads(8, 32, 32, 8));
    paper("coalesced, half a warp", "coalesced", {1, 16}, loads(1, 2, 2, 1));
    paper("coalesced, a warp and 4 lanes", "coalesced", {1, 36}, loads(2, 5, 5, 2));
    paper("stride 2", "stride_2", {}, loads(1, 8, 4, 2));
    paper("stride 32", "stride_32", {}, loads(1, 32, 4, 32));
    paper("broadcast", "broadcast", {}, loads(1, 1, 1, 1));
    paper("misaligned by 4 bytes", "misaligned", {}, loads(1, 5, 4, 2));
    paper("reversed", "reversed", {}, loads(1, 4, 4, 1));
    paper("16 bytes per lane", "float4_copy", {}, loads(1, 16, 16, 4));
    paper("1 byte per lane", "bytes", {}, loads(1, 1, 1, 1));
    paper("3 of 32 lanes", "some_lanes", {}, loads(1, 1, 1, 1), 3);
    paper("no lane", "some_lanes", {}, loads(0, 0, 0, 0), 0);
    paper("stores", "coalesced", {2},
          {traffic("global_store", "requests", 2), traffic("global_store", "units", 8),
           traffic("global_store", "bytes", 2 * 128)});
    paper("a loop of 10 turns", "loop", {}, loads(10, 40, 40, 10), 10);
    // The second read of a block is served by L1, all blocks' reads but the first by L2.
    paper("sectors of blocks and of the launch", "reread", {8},
          {traffic("global_load", "units", 8 * 2 * 4),
           {{"block_read"}, 8 * 4},
           {{"launch_read"}, 4},
           {{"block_written"}, 8 * 4},
           {{"launch_written"}, 8 * 4}});
    // From 4 of 1024 blocks: reads are of one allocation of 2048 sectors, so 256 x 4 sectors is the estimate.
    paper("4 of 64 blocks, scaled up", "reread", {64, 32, 0, 4},
          {{{"blocks_counted"}, 4},
           traffic("global_load", "requests", 128),
           traffic("global_load", "units", 512),
           {{"block_read"}, 256},
           {{"launch_written"}, 256}});
}

void shared_memory() {
    paper("shared, stride 1", "shared_stride", {}, shared_loads(1, 1, 1), 1);
    paper("shared, stride 0: broadcast", "shared_stride", {}, shared_loads(1, 1, 1), 0);
    paper("shared, stride 2: 2-way conflict", "shared_stride", {}, shared_loads(1, 2, 1), 2);
    paper("shared, stride 8: 8-way conflict", "shared_stride", {}, shared_loads(1, 8, 1), 8);
    paper("shared, stride 32: 32-way conflict", "shared_stride", {}, shared_loads(1, 32, 1), 32);
    paper("shared, stride 33: no conflict", "shared_stride", {}, shared_loads(1, 1, 1), 33);
    paper("tile by columns", "transposed", {}, shared_loads(1, 32, 1));
    paper("padded tile by columns", "transposed_padded", {}, shared_loads(1, 1, 1));
    // 8 bytes: two phases of 16 lanes. A step of 2: the 16 lanes of a phase meet in pairs of banks.
    paper("float2, side by side", "shared_float2", {}, shared_loads(1, 2, 2), 1);
    paper("float2, every second", "shared_float2", {}, shared_loads(1, 4, 2), 2);
    // 16 bytes: four phases of 8 lanes.
    paper("float4, side by side", "shared_float4", {}, shared_loads(1, 4, 4), 1);
    paper("float4, every second", "shared_float4", {}, shared_loads(1, 8, 4), 2);
    paper("float4, all the same", "shared_float4", {}, shared_loads(1, 4, 4), 0);
    const auto rows = [](double wavefronts) -> std::vector<Fact> {
        return {traffic("ldmatrix", "requests", 1), traffic("ldmatrix", "units", wavefronts),
                traffic("ldmatrix", "ideal", 4)};
    };
    // Rows of 8 words: rows r and r + 4 of a matrix lie in the same banks. Of 32: all 8 do. Of 12 or 36:
    // none.
    paper("ldmatrix, rows of 8 words", "matrix_rows", {1, 32, 32 * 8 * 4}, rows(8), 8);
    paper("ldmatrix, rows of 32 words", "matrix_rows", {1, 32, 32 * 32 * 4}, rows(32), 32);
    paper("ldmatrix, rows of 12 words", "matrix_rows", {1, 32, 32 * 12 * 4}, rows(4), 12);
    paper("ldmatrix, rows of 36 words", "matrix_rows", {1, 32, 32 * 36 * 4}, rows(4), 36);
    paper("cp.async of 16 bytes", "async_tile", {1, 32, 512},
          {traffic("async_load", "requests", 1), traffic("async_load", "units", 16),
           traffic("async_store", "units", 4)},
          16);
    paper("cp.async of zeros", "async_tile", {1, 32, 512},
          {traffic("async_load", "requests", 0), traffic("async_store", "units", 4)}, 0);
}

void the_rest() {
    paper("mma", "multiply", {3, 64}, {{{"operations", "mma.sync.m16n8k8.tf32"}, 3 * 2 * 5}}, 5);
    paper("atomics at 32 places", "atomics", {},
          {traffic("global_atomic", "requests", 1), traffic("global_atomic", "units", 4),
           traffic("global_atomic", "lines", 1)},
          32);
    paper("atomics at 2 places", "atomics", {},
          {traffic("global_atomic", "units", 1), traffic("global_atomic", "lines", 16)}, 2);
    paper("barriers and a shuffle", "barriers", {2, 64},
          {{{"barriers"}, 2 * 7}, {{"operations", "__shfl_xor_sync"}, 4}}, 7);
    paper("a warp that parts", "parting", {4}, {{{"branches"}, 4}, {{"divergent"}, 2}}, 9);
    paper("a warp that does not", "parting", {4}, {{{"branches"}, 0}, {{"divergent"}, 0}}, 32);
    paper("two warps and a barrier, no branch", "straight", {3, 64}, {{{"branches"}, 0}, {{"barriers"}, 3}});
    // Each of 2 warps decides 7 times whether the loop goes on. The shuffle after it parts no warp.
    paper("branches of a loop", "barriers", {1, 64}, {{{"branches"}, 2 * 7}, {{"divergent"}, 0}}, 7);
    paper("a kernel that does nothing", "idle", {2}, {{{"barriers"}, 0}, {{"branches"}, 0}});
    // Warp 0 parts at 16, 8, 4, 2 and 1, and before the last line. The sums are 6 stores, after 2.
    paper("a tree sum", "tree", {1, 64},
          {{{"divergent"}, 6}, traffic("shared_store", "requests", 8), {{"barriers"}, 7}});
}

// A dry run lists what there is to do, does copies and fills, and launches nothing.
void dry_run() {
    must(cusimRecord(1, 0), "cusimRecord");
    Device<float> x(std::vector<float>(32, 1.0f)), y(std::vector<float>(32, 0.0f));
    const int status = launch("coalesced", {3}, {32}, 0, static_cast<const float*>(x.p), y.p);
    const std::string report = cusimReport();
    const bool listed =
        report.find("\"kernel\":\"coalesced\",\"grid\":[3,1,1],\"block\":[32,1,1]") != std::string::npos &&
        report.find("\"kind\":\"copy\",\"bytes\":128,\"to_device\":true") != std::string::npos;
    const bool good = !status && listed && y.read()[0] == 0 && x.read()[0] == 1;
    misses += !good;
    printf("%-4s %-36s count    %s\n", good ? "ok" : "MISS", "a dry run", good ? "" : report.c_str());
}

} // namespace

int main() {
    open_device();
    global_memory();
    shared_memory();
    the_rest();
    dry_run();
    return misses != 0;
}
