#include "counters.h"

#include "requests.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace cusim {

const char* const KIND_NAMES[KINDS] = {"global_load", "global_store", "global_atomic",
                                       "shared_load", "shared_store", "shared_atomic",
                                       "async_load",  "async_store",  "ldmatrix"};

void Counters::add(const Counters& other, double times) {
    for (int kind = 0; kind < KINDS; kind++) {
        Traffic& mine = traffic[kind];
        const Traffic& its = other.traffic[kind];
        mine.requests += times * its.requests;
        mine.units += times * its.units;
        mine.ideal += times * its.ideal;
        mine.lines += times * its.lines;
        mine.bytes += times * its.bytes;
    }
    branches += times * other.branches;
    divergent += times * other.divergent;
    for (const auto& [name, count] : other.operations) operations[name] += times * count;
}

bool Place::operator<(const Place& other) const {
    return std::tie(code, where.file, where.line) < std::tie(other.code, other.where.file, other.where.line);
}

} // namespace cusim

#ifdef CUSIM_COUNTS
namespace cusim {
namespace {

constexpr unsigned LANES = 32, MAX_THREADS = 1024;
constexpr unsigned AHEAD = 32; // a lane that left the way comes back to it within so many basic blocks

// Different sectors. It is emptied for each block, so it forgets by a number and not by writing.
class Sectors {
public:
    size_t count() const { return size; }

    bool insert(Address sector) {
        if (2 * (size + 1) > slots.size()) grow();
        return put(sector);
    }

    void clear() {
        size = 0;
        generation++;
    }

    template <class F> void each(F f) const {
        for (const Slot& slot : slots)
            if (slot.generation == generation) f(slot.sector);
    }

private:
    struct Slot {
        Address sector = 0;
        uint32_t generation = 0;
    };
    std::vector<Slot> slots = std::vector<Slot>(1 << 12);
    uint32_t generation = 1;
    size_t size = 0;

    bool put(Address sector) {
        const size_t mask = slots.size() - 1;
        for (size_t at = (sector * 0x9e3779b97f4a7c15ull >> 32) & mask;; at = (at + 1) & mask) {
            Slot& slot = slots[at];
            if (slot.generation != generation) {
                slot = {sector, generation};
                size++;
                return true;
            }
            if (slot.sector == sector) return false;
        }
    }

    void grow() {
        std::vector<Slot> old(2 * slots.size());
        old.swap(slots);
        size = 0;
        for (const Slot& slot : old)
            if (slot.generation == generation) put(slot.sector);
    }
};

// What a site can be besides the kinds of traffic.
enum { BASIC_BLOCK = KINDS, OPERATION, SITE_KINDS };

// A place in the code that is counted.
struct Site {
    Place place;
    int kind; // of traffic, or one of the above

    // Accesses since the last point that all lanes of the running warp came to
    bool used = false;
    uint32_t turns[LANES] = {};
    std::vector<Request> requests;

    // in the running launch
    bool listed = false;
    const void* to = nullptr; // a place where the block was left to
    bool forks = false;       // it was left to two places
    double left = 0;
    Counters counters;
};

std::unordered_map<const void*, Site> by_code[SITE_KINDS];
std::map<std::pair<Place, int>, Site> by_line;
std::vector<Site*> used, listed;
Sectors block_read, block_written, launch_read, launch_written;
double sum_read, sum_written, sum_barriers;
bool counting = false; // during a launch that is counted
bool of_kernel = true; // the running code is the kernel's

// The way of the running warp since the last point that all its lanes came to: the basic blocks that the
// leader began, the lane that ran first. The warp parts where another lane goes on to another block. That
// lane is back on the way as soon as it begins a later block of it.
struct Step {
    const void* code;
    bool parted;
};
std::vector<Step> way;
unsigned leader = NO_THREAD;               // none until a lane has begun a block
unsigned steps[LANES];                     // of each other lane: how far it has come on the way
const void* block_of[MAX_THREADS / LANES]; // of each warp: the basic block that it waits in

Site& list(Site& site, Place place, int kind) {
    if (!site.listed) {
        site.place = place;
        site.kind = kind;
        site.listed = true;
        listed.push_back(&site);
    }
    return site;
}

Site& site_of(const void* code, int kind) {
    static struct {
        const void* code;
        Site* site;
    } recent[SITE_KINDS][1024];
    auto& slot = recent[kind][reinterpret_cast<uintptr_t>(code) % 1024];
    if (slot.code != code) slot = {code, &by_code[kind][code]};
    return list(*slot.site, {code, {nullptr, 0}}, kind);
}

Site& site_of(Where where, int kind) {
    const Place place{nullptr, where};
    return list(by_line[{place, kind}], place, kind);
}

void add_access(Site& site, const void* p, size_t bytes) {
    if (!site.used) {
        site.used = true;
        used.push_back(&site);
    }
    const unsigned lane = running_thread % LANES;
    const uint32_t turn = site.turns[lane]++;
    if (turn == site.requests.size()) site.requests.push_back({{}, 0, unsigned(bytes)});
    Request& request = site.requests[turn];
    request.address[lane] = reinterpret_cast<Address>(p);
    request.mask |= 1u << lane;
}

int kind_of(const void* p, int global, int shared) {
    if (in_device_space(reinterpret_cast<Address>(p))) return global;
    return is_shared(p) ? shared : KINDS; // a local variable or a constant is in neither
}

template <class At> void count_access(const void* p, size_t bytes, int global, int shared, At at) {
    if (!counting || !is_running() || is_own_stack(p) || bytes == 0) return;
    const int kind = kind_of(p, global, shared);
    if (kind != KINDS) add_access(site_of(at, kind), p, bytes);
}

unsigned passes(const Request& request) {
    unsigned most = 0;
    for (unsigned a = 0; a < LANES; a++) {
        unsigned here = 0;
        for (unsigned b = 0; b < LANES; b++)
            here += request.mask >> a & request.mask >> b & 1 && request.address[a] == request.address[b];
        most = std::max(most, here);
    }
    return most;
}

void add_cost(Site& site, const Request& request) {
    thread_local std::vector<Address> sectors;
    const int kind = site.kind;
    const bool global =
        kind == GLOBAL_LOAD || kind == GLOBAL_STORE || kind == GLOBAL_ATOMIC || kind == ASYNC_LOAD;
    const bool atomic = kind == GLOBAL_ATOMIC || kind == SHARED_ATOMIC;
    const Cost cost = global ? global_cost(request, sectors) : shared_cost(request);
    Traffic& traffic = site.counters.traffic[kind];
    traffic.requests++;
    traffic.units += cost.units;
    traffic.ideal += cost.ideal;
    traffic.lines += atomic ? passes(request) : cost.lines;
    traffic.bytes += LANES * request.bytes;
    if (!global) return;
    for (const Address sector : sectors) {
        if (kind != GLOBAL_STORE && block_read.insert(sector)) launch_read.insert(sector);
        if ((kind == GLOBAL_STORE || atomic) && block_written.insert(sector)) launch_written.insert(sector);
    }
}

void count_accesses() {
    for (Site* site : used) {
        site->used = false;
        for (const Request& request : site->requests) add_cost(*site, request);
        site->requests.clear();
        std::fill(site->turns, site->turns + LANES, 0);
    }
    used.clear();
}

void count_branches() {
    for (size_t i = 0; i < way.size(); i++) {
        const void* next = i + 1 < way.size() ? way[i + 1].code : nullptr;
        if (!next && !way[i].parted) break; // the way does not go on yet
        Site& site = site_of(way[i].code, BASIC_BLOCK);
        site.left++;
        site.counters.divergent += way[i].parted;
        if (!site.to) site.to = next;
        site.forks |= way[i].parted || site.to != next;
    }
}

// All lanes stand at the end of the way.
void start_way() {
    leader = NO_THREAD;
    std::fill(steps, steps + LANES, unsigned(way.size()));
}

// How many sectors all blocks touch, from those that the counted blocks touch: of each allocation as many
// times more as there are more blocks, but not more than it has.
double scaled_up(const Sectors& sectors, double times) {
    std::map<Address, std::pair<double, double>> allocations; // by address: touched, all
    sectors.each([&](Address sector) {
        const Address address = sector * SECTOR + SECTOR - 1;
        const Allocation* a = nearest_allocation(address);
        if (!a) return;
        auto& [touched, all] = allocations[a->begin];
        touched++;
        all = double((a->begin + a->bytes + SECTOR - 1) / SECTOR - a->begin / SECTOR);
    });
    double sum = 0;
    for (const auto& [begin, sectors] : allocations) sum += std::min(sectors.first * times, sectors.second);
    return sum;
}

} // namespace

void count_launch_begin() {
    counting = true;
    launch_read.clear();
    launch_written.clear();
    sum_read = sum_written = sum_barriers = 0;
}

void count_warp_begin(unsigned warp) {
    if (!counting) return;
    way.clear();
    if (block_of[warp]) way.push_back({block_of[warp], false});
    start_way();
}

void count_warp_point() {
    if (!counting) return;
    count_accesses();
    count_branches();
    // The lanes go on in the basic block that they are in.
    if (!way.empty()) way = {{way.back().code, false}};
    start_way();
}

void count_warp_end(unsigned warp) {
    if (!counting) return;
    count_warp_point();
    block_of[warp] = way.empty() ? nullptr : way.back().code;
}

void count_code_of_kernel(bool yes) { of_kernel = yes; }

void count_block_end(unsigned barriers) {
    if (!counting) return;
    sum_read += double(block_read.count());
    sum_written += double(block_written.count());
    sum_barriers += barriers;
    block_read.clear();
    block_written.clear();
    std::fill(block_of, block_of + MAX_THREADS / LANES, nullptr);
}

LaunchCounters count_launch_end(uint64_t blocks, uint64_t counted) {
    counting = false;
    LaunchCounters launch;
    const double times = double(blocks) / double(std::max<uint64_t>(counted, 1));
    for (Site* site : listed) {
        if (site->forks) site->counters.branches = site->left;
        launch.places[site->place].add(site->counters, times);
        launch.all.add(site->counters, times);
        site->listed = site->forks = false;
        site->to = nullptr;
        site->left = 0;
        site->counters = {};
    }
    listed.clear();
    launch.blocks_counted = double(counted);
    launch.barriers = times * sum_barriers;
    launch.block_read = times * sum_read;
    launch.block_written = times * sum_written;
    launch.launch_read = scaled_up(launch_read, times);
    launch.launch_written = scaled_up(launch_written, times);
    return launch;
}

void count_operation(const char* name, Where where) {
    if (counting) site_of(where, OPERATION).counters.operations[name]++;
}

void count_async(const void* to, const void* from, unsigned bytes, unsigned valid, Where where) {
    if (!counting) return;
    if (valid) add_access(site_of(where, ASYNC_LOAD), from, bytes);
    add_access(site_of(where, ASYNC_STORE), to, bytes);
}

void count_ldmatrix(const void* const rows[32], Where where) {
    if (!counting) return;
    const Cost cost = ldmatrix_cost(rows);
    Traffic& traffic = site_of(where, LDMATRIX).counters.traffic[LDMATRIX];
    traffic.requests++;
    traffic.units += cost.units;
    traffic.ideal += cost.ideal;
    traffic.bytes += LANES * 16;
}

void watch(const void* p, size_t bytes, Access access, Where where) {
    if (access == Access::Atomic) count_access(p, bytes, GLOBAL_ATOMIC, SHARED_ATOMIC, where);
}

} // namespace cusim

using namespace cusim;

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

#define CUSIM_HERE static_cast<const void*>(__builtin_return_address(0))
#define CUSIM_LOAD(NAME, BYTES)                                                                              \
    void __tsan_##NAME(const void* p) { count_access(p, BYTES, GLOBAL_LOAD, SHARED_LOAD, CUSIM_HERE); }
#define CUSIM_STORE(NAME, BYTES)                                                                             \
    void __tsan_##NAME(const void* p) { count_access(p, BYTES, GLOBAL_STORE, SHARED_STORE, CUSIM_HERE); }
#define CUSIM_ACCESS(BYTES)                                                                                  \
    CUSIM_LOAD(read##BYTES, BYTES)                                                                           \
    CUSIM_LOAD(volatile_read##BYTES, BYTES)                                                                  \
    CUSIM_LOAD(unaligned_read##BYTES, BYTES)                                                                 \
    CUSIM_STORE(write##BYTES, BYTES)                                                                         \
    CUSIM_STORE(volatile_write##BYTES, BYTES)                                                                \
    CUSIM_STORE(unaligned_write##BYTES, BYTES)
CUSIM_ACCESS(1)
CUSIM_ACCESS(2)
CUSIM_ACCESS(4)
CUSIM_ACCESS(8)
CUSIM_ACCESS(16)
void __tsan_read_range(const void* p, size_t n) { count_access(p, n, GLOBAL_LOAD, SHARED_LOAD, CUSIM_HERE); }
void __tsan_write_range(const void* p, size_t n) {
    count_access(p, n, GLOBAL_STORE, SHARED_STORE, CUSIM_HERE);
}

// The compiler puts this call at the beginning of each basic block.
void __sanitizer_cov_trace_pc() {
    if (!counting || !of_kernel || !is_running()) return;
    const void* code = CUSIM_HERE;
    const unsigned lane = running_thread % LANES;
    if (leader == NO_THREAD) leader = lane;
    if (lane == leader) {
        way.push_back({code, false});
        return;
    }
    unsigned& at = steps[lane];
    if (at < way.size() && way[at].code == code) {
        at++;
        return;
    }
    if (at > 0) way[at - 1].parted = true;
    for (size_t later = at, end = std::min(way.size(), later + AHEAD); later < end; later++)
        if (way[later].code == code) {
            at = unsigned(later + 1);
            return;
        }
}
}

#endif
