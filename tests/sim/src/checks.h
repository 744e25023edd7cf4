// The checks behind the calls that the compiler puts before each load and store of a kernel, in builds with
// SAN=.
//
// SAN=address and SAN=thread use GCC's instrumentation (-fsanitize=kernel-address, -fsanitize=thread) but not
// its run-time libraries. Those know one address space and OS threads. A kernel has device allocations,
// shared memory that is new for each block, and threads ordered by barriers. So bounds.cpp and races.cpp
// define the called functions. The result is an ordinary library, which needs no LD_PRELOAD.
#pragma once
#include "engine.h"

namespace cusim {

// What both builds check: device memory lies in a live allocation, and an address is a multiple of the
// access's size. If not, it ends the launch. Returns false for an access that needs no further check (to a
// local variable or a constant).
bool check_address(const void* p, size_t bytes, bool write, const void* code);
bool check_address(const void* p, size_t bytes, bool write, Where where);

} // namespace cusim
