// CUSIM_TRACE=1: a line for each launch. CUSIM_PROFILE=1: a table of all kernels when the program ends.
#pragma once
#include "engine.h"

#include <chrono>

namespace cusim {

class LaunchTimer { // from its making to its end
public:
    LaunchTimer(const Kernel& kernel, const Shape& shape);
    ~LaunchTimer();

private:
    const Kernel& kernel;
    const Shape& shape;
    std::chrono::steady_clock::time_point begin;
};

} // namespace cusim
