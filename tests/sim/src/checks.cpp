#ifdef CUSIM_CHECKED

#include "checks.h"

#include "memory.h"
#include "status.h"

#include <string>

// The linker's symbols for the memory of this library, the kernels' constants included.
extern "C" __attribute__((visibility("hidden"))) const char __ehdr_start[], _end[];

namespace cusim {
namespace {

template <class Place> bool check(const void* p, size_t bytes, bool write, Place place) {
    if (is_own_stack(p) || !is_running()) return false;
    const auto address = reinterpret_cast<Address>(p);
    const auto what = [&] {
        return std::string(write ? "writes " : "reads ") + std::to_string(bytes) + " bytes at ";
    };
    if (in_device_space(address)) {
        if (!is_device_range(address, bytes))
            fail_at(CUDA_ERROR_ILLEGAL_ADDRESS, place, what() + describe_address(address, bytes));
    } else if (is_near_dynamic_shared(p) && !is_dynamic_shared(p)) {
        fail_at(CUDA_ERROR_ILLEGAL_ADDRESS, place,
                what() + "an address just outside of dynamic shared memory");
    } else if (!is_shared(p)) {
        if (p >= __ehdr_start && p < _end && !write) return false;
        fail_at(CUDA_ERROR_ILLEGAL_ADDRESS, place,
                what() + "an address that is neither the device's nor this block's");
    }
    if ((bytes & (bytes - 1)) == 0 && bytes <= 16 && address % bytes)
        fail_at(CUDA_ERROR_MISALIGNED_ADDRESS, place, what() + "an address that is not a multiple of that");
    return true;
}

} // namespace

bool check_address(const void* p, size_t bytes, bool write, const void* code) {
    return check(p, bytes, write, code);
}
bool check_address(const void* p, size_t bytes, bool write, Where where) {
    return check(p, bytes, write, where);
}

} // namespace cusim

#endif
