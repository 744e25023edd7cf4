// A fiber: a stack and a place to continue from. A switch costs 6-11 ns; a barrier between OS threads costs
// 100 times as much.
#pragma once
#include <cstddef>

namespace cusim {

constexpr size_t FIBER_STACK = 128 << 10;

struct Fiber {
    void* context = nullptr; // where the registers of the stopped fiber lie
    char* stack = nullptr;   // FIBER_STACK bytes above a guard page; null for the scheduler, which has the OS
                             // thread's stack

    // Gives this fiber a stack. Its first switch starts `entry`. `number` counts the fibers and shifts the
    // stack.
    void create(void (*entry)(), unsigned number);
};

// Stops `from` (the caller) and continues `to`. Returns when some code switches back to `from`.
void switch_fiber(Fiber& from, Fiber& to);

} // namespace cusim
