#include "memory.h"

#include "recorder.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <sys/mman.h>

namespace cusim {
namespace {

constexpr size_t PAGE = 4096;
constexpr size_t PATTERN_BYTES = 256; // of the page before an allocation, at most
constexpr unsigned char PATTERN = 0xeb, UNWRITTEN = 0xff;

struct Space {
    Address begin = 0, end = 0, next = 0;

    Space() {
        // Addresses cost nothing until they are used. Reserves the largest range that this machine allows.
        for (size_t bytes = size_t(1) << 40; bytes >= size_t(1) << 32; bytes /= 2) {
            void* p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (p == MAP_FAILED) continue;
            begin = reinterpret_cast<Address>(p);
            next = begin + PAGE; // the page before the first allocation is out of bounds as well
            end = begin + bytes;
            return;
        }
    }
};

Space& space() {
    static Space the;
    return the;
}

constexpr size_t REMEMBERED = 4096;
std::map<Address, Allocation> live,
    freed;                      // by first address; some freed ones are kept, to name them in a report
Allocation latest{0, 0, false}; // what is_device_range() found last: the next address is often close to it
std::map<Address, size_t> pinned;
size_t used = 0;

size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

// The pages of an allocation: [first_page, last_page).
Address first_page(const Allocation& a) { return a.begin / PAGE * PAGE; }
Address last_page(const Allocation& a) { return round_up(a.begin + a.bytes, PAGE); }
char* pointer(Address a) { return reinterpret_cast<char*>(a); }

Address pattern_begin(const Allocation& a) {
    const Address page = first_page(a);
    return a.begin - page > PATTERN_BYTES ? a.begin - PATTERN_BYTES : page;
}

bool is_spoilt(const Allocation& a) {
    for (Address p = pattern_begin(a); p < a.begin; p++)
        if (*reinterpret_cast<unsigned char*>(p) != PATTERN) return true;
    for (Address p = a.begin + a.bytes; p < last_page(a); p++) // up to 15 bytes after the end
        if (*reinterpret_cast<unsigned char*>(p) != PATTERN) return true;
    return false;
}

} // namespace

size_t device_capacity() {
    static const size_t bytes = [] {
        const char* text = getenv("CUSIM_MEMORY");
        return text ? strtoull(text, nullptr, 10) : size_t(mode() == Mode::Run ? 8 : 80) << 30;
    }();
    return bytes;
}

size_t device_used() { return used; }

Address device_allocate(size_t bytes) {
    Space& s = space();
    const size_t body = round_up(bytes, 16), pages = round_up(body, PAGE);
    if (used + bytes > device_capacity() || s.next + pages + PAGE > s.end) return 0;
    char* low = pointer(s.next);
    if (mprotect(low, pages, PROT_READ | PROT_WRITE)) return 0;
    const Allocation a{s.next + pages - body, bytes, true};
    s.next += pages + PAGE;
    memset(pointer(pattern_begin(a)), PATTERN, a.begin - pattern_begin(a));
    if (mode() == Mode::Run) memset(pointer(a.begin), UNWRITTEN, bytes); // else zeros, as mmap gives
    memset(pointer(a.begin + bytes), PATTERN, body - bytes);
    live[a.begin] = a;
    used += bytes;
    return a.begin;
}

bool device_free(Address begin) {
    const auto it = live.find(begin);
    if (it == live.end()) return false;
    Allocation a = it->second;
    if (is_spoilt(a))
        fprintf(stderr, "simulated GPU: something wrote just outside of the freed %s\n",
                describe_address(begin, 1).c_str());
    a.live = false;
    used -= a.bytes;
    live.erase(it);
    latest = {0, 0, false};
    freed[a.begin] = a;
    if (freed.size() > REMEMBERED)
        freed.erase(freed.begin()); // addresses only grow, so the first is the oldest allocation
    // Returns the pages to the system. The addresses stay reserved and are never used again.
    mmap(pointer(first_page(a)), last_page(a) - first_page(a), PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return true;
}

const Allocation* nearest_allocation(Address address) {
    const Allocation* nearest = nullptr;
    for (const auto* map : {&live, &freed}) {
        const auto after = map->upper_bound(address);
        if (after == map->begin()) continue;
        const Allocation* a = &std::prev(after)->second;
        if (!nearest || a->begin > nearest->begin) nearest = a;
    }
    return nearest;
}

bool is_device_range(Address begin, size_t bytes) {
    if (bytes == 0) return true;
    if (begin >= latest.begin && begin + bytes <= latest.begin + latest.bytes) return true;
    const auto after = live.upper_bound(begin);
    if (after == live.begin()) return false;
    const Allocation& a = std::prev(after)->second;
    if (begin + bytes > a.begin + a.bytes) return false;
    latest = a;
    return true;
}

bool in_device_space(Address address) { return address >= space().begin && address < space().end; }

std::string describe_address(Address address, size_t bytes) {
    char text[200];
    if (!in_device_space(address)) {
        snprintf(text, sizeof text, "address %#llx, which is no device memory", (unsigned long long)address);
        return text;
    }
    const Allocation* a = nearest_allocation(address);
    const auto next = live.upper_bound(address);
    const auto past = a ? address - (a->begin + a->bytes) : 0;
    if (next != live.end() && (!a || (address >= a->begin + a->bytes && next->first - address < past)))
        snprintf(text, sizeof text, "%llu bytes before an allocation of %zu bytes",
                 (unsigned long long)(next->first - address), next->second.bytes);
    else if (!a)
        snprintf(text, sizeof text, "address %#llx, before all device memory", (unsigned long long)address);
    else if (address + bytes <= a->begin + a->bytes)
        snprintf(text, sizeof text, "byte %llu of %s allocation of %zu bytes",
                 (unsigned long long)(address - a->begin), a->live ? "an" : "a freed", a->bytes);
    else
        snprintf(text, sizeof text, "%lld bytes past the end of %s allocation of %zu bytes", (long long)past,
                 a->live ? "an" : "a freed", a->bytes);
    return text;
}

std::string find_underrun() {
    for (const auto& [begin, a] : live)
        if (is_spoilt(a))
            return "something wrote just outside of an allocation of " + std::to_string(a.bytes) + " bytes";
    return "";
}

void* host_allocate(size_t bytes) {
    void* p = nullptr;
    if (posix_memalign(&p, PAGE, bytes)) return nullptr;
    memset(p, UNWRITTEN, bytes);
    pinned[reinterpret_cast<Address>(p)] = bytes;
    return p;
}

bool host_free(void* p) {
    if (!pinned.erase(reinterpret_cast<Address>(p))) return false;
    free(p);
    return true;
}

bool is_pinned(const void* p, size_t bytes) {
    const auto address = reinterpret_cast<Address>(p);
    auto it = pinned.upper_bound(address);
    if (it == pinned.begin()) return false;
    --it;
    return address + bytes <= it->first + it->second;
}

} // namespace cusim
