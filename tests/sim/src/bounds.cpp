// SAN=address: checks that no access leaves its array. The compiler leaves a gap after each static array, the
// kernels' __shared__ arrays included, and calls the functions below with the place of each array.
#ifdef CUSIM_BOUNDS

#include "checks.h"
#include "status.h"

#include <iterator>
#include <map>

namespace {

struct Array {
    const char* begin;
    size_t bytes;
    const char* name;
};
std::map<const char*, Array>& arrays() {
    static std::map<const char*, Array> the;
    return the;
}

// The compiler defines this layout.
struct GlobalDescription {
    const char* begin;
    size_t bytes, bytes_with_gap;
    const char *name, *file;
    size_t has_constructor;
    void* location;
    size_t odr_indicator;
};

template <class Place> void check_array(const void* p, size_t bytes, bool write, Place place) {
    if (!cusim::check_address(p, bytes, write, place) || !cusim::is_shared(p)) return;
    const auto* at = static_cast<const char*>(p);
    if (cusim::is_dynamic_shared(p)) {
        if (!cusim::is_dynamic_shared(at + bytes - 1))
            cusim::fail_at(cusim::CUDA_ERROR_ILLEGAL_ADDRESS, place,
                           "an access beyond the end of dynamic shared memory");
        return;
    }
    const auto after = arrays().upper_bound(at);
    if (after == arrays().begin()) return;
    const Array& array = std::prev(after)->second;
    if (at + bytes <= array.begin + array.bytes) return;
    cusim::fail_at(cusim::CUDA_ERROR_ILLEGAL_ADDRESS, place,
                   std::string(write ? "writes" : "reads") + " at " +
                       std::to_string(at - array.begin - long(array.bytes)) +
                       " bytes past the end of __shared__ " + array.name + " (" +
                       std::to_string(array.bytes) + " bytes)");
}

} // namespace

void cusim::watch(const void* p, size_t bytes, Access access, Where where) {
    if (bytes) check_array(p, bytes, access != Access::Read, where);
}

extern "C" {
void __asan_register_globals(const GlobalDescription* list, size_t count) {
    for (size_t i = 0; i < count; i++) arrays()[list[i].begin] = {list[i].begin, list[i].bytes, list[i].name};
}
void __asan_unregister_globals(const GlobalDescription*, size_t) {}
void __asan_before_dynamic_init(const char*) {}
void __asan_after_dynamic_init() {}
void __asan_handle_no_return() {}

#define CUSIM_ACCESS(N)                                                                                      \
    void __asan_load##N##_noabort(const void* p) { check_array(p, N, false, __builtin_return_address(0)); }  \
    void __asan_store##N##_noabort(const void* p) { check_array(p, N, true, __builtin_return_address(0)); }
CUSIM_ACCESS(1)
CUSIM_ACCESS(2)
CUSIM_ACCESS(4)
CUSIM_ACCESS(8)
CUSIM_ACCESS(16)
void __asan_loadN_noabort(const void* p, size_t n) { check_array(p, n, false, __builtin_return_address(0)); }
void __asan_storeN_noabort(const void* p, size_t n) { check_array(p, n, true, __builtin_return_address(0)); }
}

#endif
