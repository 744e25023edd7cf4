// A fiber: a stack of its own and a place to go on from. Switching costs 6-11 ns, an OS thread's barrier 100
// times that.
#pragma once
#include <cstddef>

namespace cusim {

constexpr size_t FIBER_STACK = 128 << 10;

struct Fiber {
    void* context = nullptr; // where the registers of the stopped fiber lie
    char* stack = nullptr;   // FIBER_STACK bytes above a guard page; null for the scheduler, which has the OS
                             // thread's stack

    // Gives this fiber a stack, `number` being its place among the fibers, and makes it begin in `entry` at
    // its first turn.
    void create(void (*entry)(), unsigned number);
};

// Stops `from` (the caller) and goes on with `to`; returns when someone switches to `from` again.
void switch_fiber(Fiber& from, Fiber& to);

} // namespace cusim
