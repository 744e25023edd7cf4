// Device memory and pinned host memory.
//
// All device memory comes from one large reserved range of addresses, of which nothing can be touched until
// it is allocated. An allocation ends (to 16 bytes) at a page that stays out of bounds, so running over the
// end is an error at once; addresses are never given out twice, so freed memory stays out of bounds too. The
// bytes before the beginning in the first page hold a pattern, looked at when the memory is freed and when
// the host waits for the device.
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

// The allocation that `address` lies in or, failing that, the nearest before it; live or freed. Null: none.
const Allocation* nearest_allocation(Address address);
bool is_device_range(Address begin, size_t bytes); // within one live allocation
bool in_device_space(Address address);             // within the reserved range, allocated or not

// One line on where an address lies, for reports.
std::string describe_address(Address address, size_t bytes);

// Looks for spoilt patterns before the beginnings of allocations; the empty string if there are none.
std::string find_underrun();

void* host_allocate(size_t bytes);
bool host_free(void* p);
bool is_pinned(const void* p, size_t bytes);

} // namespace cusim
