// Turns a kernel's access out of bounds (SIGSEGV, SIGBUS) into an error of that launch.
#pragma once

namespace cusim {

// While one of these exists, such a signal on this OS thread comes from a kernel. Signals on other threads go
// to the handlers that were installed before.
struct FaultGuard {
    FaultGuard();
    ~FaultGuard();
    FaultGuard(const FaultGuard&) = delete;
};

} // namespace cusim
