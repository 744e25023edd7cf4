// Device memory and pinned host memory.
//
// All device memory comes from one large reserved range of addresses. None of it can be accessed before it is
// allocated. An allocation, rounded up to 16 bytes, ends at a page that stays out of bounds, so an access
// past the end fails at once. No address is used twice, so freed memory stays out of bounds too. The bytes of
// the first page before the allocation hold a pattern. It is checked when the memory is freed and when the
// host waits for the device.
//
//      reserved | pattern [ allocation, filled with NaN ) | reserved ...
//               ^ page                                    ^ page
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace cusim {

using Address = uint64_t;

struct Allocation {
    Address begin;
    size_t bytes;
    bool live; // false: freed
};

// Returns 0 if the device (CUSIM_MEMORY bytes) or this machine has no room.
Address device_allocate(size_t bytes);
bool device_free(Address begin);
size_t device_capacity();
size_t device_used();

// The allocation that contains `address`, else the nearest one before it; live or freed. Null if there is
// none.
const Allocation* nearest_allocation(Address address);
bool is_device_range(Address begin, size_t bytes); // within one live allocation
bool in_device_space(Address address);             // within the reserved range, allocated or not

// One line that says where an address lies, for reports.
std::string describe_address(Address address, size_t bytes);

// Looks for overwritten patterns around the live allocations. Returns an empty string if there are none.
std::string find_underrun();

void* host_allocate(size_t bytes);
bool host_free(void* p);
bool is_pinned(const void* p, size_t bytes);

} // namespace cusim
