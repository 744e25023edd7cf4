// CUSIM_TRACE=1: one line per launch. CUSIM_PROFILE=1: a table of all kernels when the program ends.
#pragma once
#include "engine.h"

#include <chrono>

namespace cusim {

class LaunchTimer { // measures from its construction to its destruction
public:
    LaunchTimer(const Kernel& kernel, const Shape& shape);
    ~LaunchTimer();

private:
    const Kernel& kernel;
    const Shape& shape;
    std::chrono::steady_clock::time_point begin;
};

} // namespace cusim
