// SAN=thread: finds races. In a race two threads access the same memory, at least one of them writes, and
// nothing orders the two accesses.
//
// For each 4 bytes of device and shared memory the checker keeps the last write and the last reads: the
// thread, the block, the number of barriers before it, the line. A new access is ordered after an old one if
//
//   - the old one belongs to an earlier launch, or to the same thread;
//   - both belong to one block, and a __syncthreads lies between them;
//   - both belong to one warp, and a __syncwarp of both threads lies between them;
//   - both are atomic (not ordered, but no race).
//
// Two blocks of a launch are never ordered. None of these rules depends on the order in which the threads
// really ran, so one run finds a race that a GPU would show once in a thousand runs. A read of shared memory
// that this block has not written yet is an error too.
#ifdef CUSIM_RACES

#include "checks.h"
#include "memory.h"
#include "source.h"
#include "status.h"

#include <memory>
#include <unordered_map>
#include <vector>

namespace cusim {
namespace {

// ---- places in the source, in 4 bytes: an offset into this library's code, or an index into `listed` -----

extern "C" __attribute__((visibility("hidden"))) const char __ehdr_start[];

constexpr uint32_t LISTED = 1u << 31;
std::vector<Where> listed;

uint32_t site_of(const void* code) { return uint32_t(static_cast<const char*>(code) - __ehdr_start); }
uint32_t site_of(Where where) {
    for (size_t i = 0; i < listed.size(); i++)
        if (listed[i].line == where.line && listed[i].file == where.file) return LISTED | uint32_t(i);
    listed.push_back(where);
    return LISTED | uint32_t(listed.size() - 1);
}
std::string site_text(uint32_t site) {
    if (!(site & LISTED)) return source_line(__ehdr_start + site);
    const Where& w = listed[site & ~LISTED];
    return std::string(w.file) + ":" + std::to_string(w.line);
}

// ---- what is kept about an access -----------------------------------------------------------------------

enum class Who : uint8_t {
    One,
    Warp,
    Block,
    Grid
}; // one thread, or several: of one warp, of one block, of several blocks

struct Cell {
    uint32_t block = 0; // 0: no access yet
    uint32_t site = 0;
    uint16_t thread = 0, barriers = 0, warp_syncs = 0;
    Who who = Who::One;
    bool atomic = false;
};

struct Granule {
    Cell write, read;
};

// A page's granules: one per 4 bytes, and one per byte after the first access narrower than 4 bytes.
struct Page {
    Granule words[1024];
    std::unique_ptr<Granule[]> bytes;
};

std::unordered_map<Address, std::unique_ptr<Page>> pages;

Page& page_of(Address address) {
    struct Recent {
        Address number = 0;
        Page* page = nullptr;
    };
    static Recent recent[64];
    const Address number = address / 4096;
    Recent& r = recent[number % 64];
    if (!r.page || r.number != number) {
        auto& page = pages[number];
        if (!page) page = std::make_unique<Page>();
        r = {number, page.get()};
    }
    return *r.page;
}

// ---- the rules ------------------------------------------------------------------------------------------

struct Request {
    Position me;
    uint32_t site;
    const void* p;
    size_t bytes;
    Access access;
    bool shared;
};

bool is_ordered(const Cell& old, const Request& now) {
    const Position& me = now.me;
    if (old.block < me.launch_first_block) return true;
    if (old.block != me.block) return now.shared; // each block has its own shared memory
    if (old.who == Who::Grid) return now.shared;
    if (old.barriers != uint16_t(me.barriers)) return true;
    if (old.who == Who::Block) return false;
    if (old.who == Who::One && old.thread == me.thread) return true;
    return old.thread / 32 == me.thread / 32 && old.warp_syncs < uint16_t(me.warp_syncs);
}

[[noreturn]] void report_race(const Cell& old, const char* old_verb, const Request& now) {
    const bool other_block = old.block != now.me.block;
    const std::string where =
        now.shared ? "shared memory" : describe_address(reinterpret_cast<Address>(now.p), now.bytes);
    const std::string who =
        other_block ? "another block" : "thread " + std::to_string(old.thread) + " of this block";
    const std::string verb = now.access == Access::Read    ? "reads"
                             : now.access == Access::Write ? "writes"
                                                           : "atomically changes";
    const std::string text = "race: this thread " + verb + " " + where + " at " + site_text(now.site) + "; " +
                             who + " " + old_verb + " it at " + site_text(old.site) +
                             (other_block ? ", and blocks are not ordered" : ", and no barrier lies between");
    fail("%s", text.c_str());
}

void check(const Granule& g, const Request& now) {
    const bool both_atomic = g.write.atomic && now.access == Access::Atomic;
    if (!is_ordered(g.write, now) && !both_atomic)
        report_race(g.write, g.write.atomic ? "atomically changed" : "wrote", now);
    if (now.access != Access::Read && !is_ordered(g.read, now)) report_race(g.read, "read", now);
}

Cell cell_of(const Request& now) {
    Cell c;
    c.block = now.me.block;
    c.site = now.site;
    c.thread = uint16_t(now.me.thread);
    c.barriers = uint16_t(now.me.barriers);
    c.warp_syncs = uint16_t(now.me.warp_syncs);
    c.atomic = now.access == Access::Atomic;
    return c;
}

// Reads that are not ordered are merged into one entry: a later write must be ordered after all of them.
void record(Granule& g, const Request& now) {
    Cell c = cell_of(now);
    if (now.access != Access::Read) {
        g.write = c;
        g.read = {};
        return;
    }
    const Cell& old = g.read;
    if (!is_ordered(old, now)) {
        if (old.who == Who::Grid || old.block != c.block) c.who = Who::Grid;
        else if (old.who == Who::Block || old.thread / 32 != c.thread / 32) c.who = Who::Block;
        else c.who = Who::Warp;
    }
    g.read = c;
}

bool is_written(const Granule& g, uint32_t block) { return g.write.block == block; }

void look(const Request& now) {
    const auto begin = reinterpret_cast<Address>(now.p);
    const bool narrow = begin % 4 || now.bytes % 4;
    for (Address a = begin; a < begin + now.bytes; a += narrow ? 1 : 4) {
        Page& page = page_of(a);
        Granule& word = page.words[a % 4096 / 4];
        if (narrow && !page.bytes) page.bytes = std::make_unique<Granule[]>(4096);
        bool written = is_written(word, now.me.block);
        check(word, now);
        if (page.bytes) {
            bool all = true;
            for (unsigned i = 0; i < (narrow ? 1 : 4); i++) {
                const Granule& byte = page.bytes[a % 4096 + i];
                check(byte, now);
                all &= is_written(byte, now.me.block);
            }
            written |= all;
        }
        if (now.shared && now.access != Access::Write && !written) {
            const std::string text =
                "reads shared memory that no thread of this block has written, at " + site_text(now.site);
            fail("%s", text.c_str());
        }
        record(narrow ? page.bytes[a % 4096] : word, now);
    }
}

template <class Place> void look_at(const void* p, size_t bytes, Access access, Place place) {
    if (!bytes || !check_address(p, bytes, access != Access::Read, place)) return;
    look({position(), site_of(place), p, bytes, access, is_shared(p)});
}

} // namespace

void watch(const void* p, size_t bytes, Access access, Where where) { look_at(p, bytes, access, where); }

} // namespace cusim

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

#define CUSIM_ACCESS(NAME, BYTES)                                                                            \
    void __tsan_read##NAME(void* p) {                                                                        \
        cusim::look_at(p, BYTES, cusim::Access::Read, __builtin_return_address(0));                          \
    }                                                                                                        \
    void __tsan_write##NAME(void* p) {                                                                       \
        cusim::look_at(p, BYTES, cusim::Access::Write, __builtin_return_address(0));                         \
    }                                                                                                        \
    void __tsan_volatile_read##NAME(void* p) { __tsan_read##NAME(p); }                                       \
    void __tsan_volatile_write##NAME(void* p) { __tsan_write##NAME(p); }                                     \
    void __tsan_unaligned_read##NAME(void* p) { __tsan_read##NAME(p); }                                      \
    void __tsan_unaligned_write##NAME(void* p) { __tsan_write##NAME(p); }
CUSIM_ACCESS(1, 1)
CUSIM_ACCESS(2, 2)
CUSIM_ACCESS(4, 4)
CUSIM_ACCESS(8, 8)
CUSIM_ACCESS(16, 16)
void __tsan_read_range(void* p, size_t n) {
    cusim::look_at(p, n, cusim::Access::Read, __builtin_return_address(0));
}
void __tsan_write_range(void* p, size_t n) {
    cusim::look_at(p, n, cusim::Access::Write, __builtin_return_address(0));
}
}

#endif
