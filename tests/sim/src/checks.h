// The calls that the compiler puts before each load and store of a kernel, in the builds with SAN=.
//
// SAN=address and SAN=thread use GCC's instrumentation (-fsanitize=kernel-address, -fsanitize=thread) but not
// its run-time libraries: those know one address space and OS threads, while a kernel has allocations of its
// own, shared memory that begins anew with each block, and threads ordered by barriers. So the calls end in
// bounds.cpp and races.cpp, and the library still is an ordinary one, which needs no LD_PRELOAD.
#pragma once
#include "engine.h"

namespace cusim {

// What both builds check: device memory lies in a live allocation, and an address is a multiple of the
// access's size. Ends the thread if not. False: the access is of no interest (a local variable, a constant).
bool check_address(const void* p, size_t bytes, bool write, const void* code);
bool check_address(const void* p, size_t bytes, bool write, Where where);

} // namespace cusim
