#include "recorder.h"

#include "source.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cusim {

bool only_counts = false;

namespace {

// By kernel, then by line ("kernels/relu.cu:12").
using Lines = std::map<std::string, Counters>;

struct State {
    Mode mode = Mode::Run;
    uint64_t blocks = 0;
    std::vector<Node> nodes;
    std::map<std::string, std::map<Place, Counters>> kernels;
    bool print = false;

    void set(Mode m, uint64_t n) {
        mode = m;
        blocks = n;
        only_counts = m == Mode::Count && n;
    }

    State() {
        const auto text_of = [](const char* name) {
            const char* text = getenv(name);
            return text && *text && strcmp(text, "0") ? text : nullptr;
        };
        if (text_of("CUSIM_DRY")) set(Mode::Dry, 0);
        if (const char* text = text_of("CUSIM_COUNT")) {
            if (!CAN_COUNT) fprintf(stderr, "simulated GPU: CUSIM_COUNT needs a driver built with COUNT=1\n");
            else set(Mode::Count, strcmp(text, "all") ? strtoull(text, nullptr, 10) : 0);
        }
        print = mode != Mode::Run;
    }
    ~State();
};

State& state() {
    static State the;
    return the;
}

std::map<std::string, Lines> lines_of_kernels(const State& s) {
    std::vector<const void*> codes;
    for (const auto& [kernel, places] : s.kernels)
        for (const auto& [place, counters] : places)
            if (place.code) codes.push_back(place.code);
    const auto known = source_lines(codes);
    std::map<std::string, Lines> all;
    for (const auto& [kernel, places] : s.kernels)
        for (const auto& [place, counters] : places) {
            const Where& w = place.where;
            std::string line =
                place.code ? known.at(place.code) : std::string(w.file) + ":" + std::to_string(w.line);
            if (line.rfind("./", 0) == 0) line.erase(0, 2);
            all[kernel][line].add(counters, 1);
        }
    return all;
}

// ---- JSON -----------------------------------------------------------------------------------------------

std::string text(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::string text(const char* format, ...) {
    char buffer[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    return buffer;
}

template <class List, class F> std::string joined(const List& list, F f) {
    std::string all;
    for (const auto& item : list) {
        const std::string one = f(item);
        if (!one.empty()) all += (all.empty() ? "" : ",") + one;
    }
    return all;
}

// The counters that are not 0.
std::string json(const Counters& c) {
    std::string all;
    for (int kind = 0; kind < KINDS; kind++) {
        const Traffic& t = c.traffic[kind];
        if (t.requests)
            all += text("\"%s\":{\"requests\":%.17g,\"units\":%.17g,\"ideal\":%.17g,\"lines\":%.17g,"
                        "\"bytes\":%.17g},",
                        KIND_NAMES[kind], t.requests, t.units, t.ideal, t.lines, t.bytes);
    }
    const auto operations =
        joined(c.operations, [](const auto& o) { return text("\"%s\":%.17g", o.first.c_str(), o.second); });
    return all + text("\"branches\":%.17g,\"divergent\":%.17g,\"operations\":{", c.branches, c.divergent) +
           operations + "}";
}

std::string json(const Node& n) {
    if (n.kind != Node::Kind::Launch)
        return text("{\"kind\":\"%s\",\"bytes\":%zu,\"to_device\":%s,\"from_device\":%s,\"of_graph\":%s}",
                    n.kind == Node::Kind::Copy ? "copy" : "fill", n.bytes, n.to_device ? "true" : "false",
                    n.from_device ? "true" : "false", n.of_graph ? "true" : "false");
    const dim3 g = n.shape.grid, b = n.shape.block;
    const LaunchCounters& c = n.counters;
    std::string all = text("{\"kind\":\"launch\",\"kernel\":\"%s\",\"grid\":[%u,%u,%u],\"block\":[%u,%u,%u],"
                           "\"dynamic_shared\":%zu,\"static_shared\":%zu,\"of_graph\":%s",
                           n.kernel, g.x, g.y, g.z, b.x, b.y, b.z, n.shape.shared_bytes, n.static_shared,
                           n.of_graph ? "true" : "false");
    if (c.blocks_counted)
        all += text(",\"counters\":{\"blocks_counted\":%.17g,\"barriers\":%.17g,\"block_read\":%.17g,"
                    "\"block_written\":%.17g,\"launch_read\":%.17g,\"launch_written\":%.17g,",
                    c.blocks_counted, c.barriers, c.block_read, c.block_written, c.launch_read,
                    c.launch_written) +
               json(c.all) + "}";
    return all + "}";
}

// ---- the table that CUSIM_DRY and CUSIM_COUNT print -------------------------------------------------------

double ratio(double a, double b) { return b ? a / b : 0; }

void print_kernel(const std::string& name, const Lines& lines, double launches, const LaunchCounters& c) {
    const auto cell = [&](Kind kind) {
        const Traffic& t = c.all.traffic[kind];
        return t.requests ? text("%5.2f (%5.2f)", ratio(t.units, t.requests), ratio(t.ideal, t.requests))
                          : "-";
    };
    double matrix = 0;
    for (const auto& [operation, count] : c.all.operations)
        if (operation.rfind("mma", 0) == 0) matrix += count;
    fprintf(stderr, "%-40s %6.0f %10.0f  %13s  %13s  %13s  %13s  %13s %10.0f %10.0f %5.1f %%\n", name.c_str(),
            launches, c.blocks_counted, cell(GLOBAL_LOAD).c_str(), cell(GLOBAL_STORE).c_str(),
            cell(SHARED_LOAD).c_str(), cell(SHARED_STORE).c_str(), cell(LDMATRIX).c_str(), matrix, c.barriers,
            100 * ratio(c.all.divergent, c.all.branches));
    struct Waste {
        double units;
        const std::string* line;
        int kind;
    };
    std::vector<Waste> worst;
    for (const auto& [line, counters] : lines)
        for (int kind = 0; kind < KINDS; kind++) {
            const Traffic& t = counters.traffic[kind];
            if (t.units > 1.25 * t.ideal) worst.push_back({t.units - t.ideal, &line, kind});
        }
    std::sort(worst.begin(), worst.end(), [](const Waste& a, const Waste& b) { return a.units > b.units; });
    for (size_t i = 0; i < worst.size() && i < 3; i++) {
        const Traffic& t = lines.at(*worst[i].line).traffic[worst[i].kind];
        fprintf(stderr, "    %s: %s, %.2f a request instead of %.2f\n", worst[i].line->c_str(),
                KIND_NAMES[worst[i].kind], t.units / t.requests, t.ideal / t.requests);
    }
}

State::~State() {
    if (!print) return;
    std::map<std::string, std::pair<double, LaunchCounters>> kernels;
    size_t copies = 0;
    for (const Node& n : nodes) {
        if (n.kind != Node::Kind::Launch) {
            copies++;
            continue;
        }
        auto& [launches, sum] = kernels[n.kernel];
        launches++;
        sum.blocks_counted += n.counters.blocks_counted;
        sum.barriers += n.counters.barriers;
        sum.all.add(n.counters.all, 1);
    }
    fprintf(stderr, "%zu launches, %zu copies and fills\n", nodes.size() - copies, copies);
    if (mode == Mode::Dry) {
        for (const auto& [name, row] : kernels) fprintf(stderr, "%-40s %6.0f\n", name.c_str(), row.first);
        return;
    }
    fprintf(stderr, "sectors of 32 bytes per global request, wavefronts per shared request (ideal)\n");
    fprintf(stderr, "%-40s %6s %10s  %13s  %13s  %13s  %13s  %13s %10s %10s %7s\n", "kernel", "runs",
            "blocks", "global load", "global store", "shared load", "shared store", "ldmatrix", "mma",
            "barriers", "diverge");
    auto lines = lines_of_kernels(*this);
    for (const auto& [name, row] : kernels) print_kernel(name, lines[name], row.first, row.second);
}

} // namespace

Mode mode() { return state().mode; }
uint64_t blocks_wanted() { return state().blocks; }

bool set_mode(Mode mode, uint64_t blocks) {
    if (mode == Mode::Count && !CAN_COUNT) return false;
    State& s = state();
    s.set(mode, blocks);
    s.print = false; // the program asks for the report itself
    s.nodes.clear();
    s.kernels.clear();
    return true;
}

void record(Node node) {
    State& s = state();
    for (const auto& [place, counters] : node.counters.places) s.kernels[node.kernel][place].add(counters, 1);
    node.counters.places.clear();
    s.nodes.push_back(std::move(node));
}

std::string report_json() {
    const State& s = state();
    std::string all =
        "{\"nodes\":[" + joined(s.nodes, [](const Node& n) { return "\n" + json(n); }) + "],\"lines\":{";
    return all +
           joined(lines_of_kernels(s),
                  [](const auto& kernel) {
                      if (kernel.second.empty()) return std::string();
                      return "\n\"" + kernel.first + "\":{" +
                             joined(kernel.second,
                                    [](const auto& line) {
                                        return "\n\"" + line.first + "\":{" + json(line.second) + "}";
                                    }) +
                             "}";
                  }) +
           "}}\n";
}

} // namespace cusim
