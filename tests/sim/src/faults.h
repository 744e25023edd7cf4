// Turns a kernel's access to memory that is out of bounds (SIGSEGV, SIGBUS) into the failure of that launch.
#pragma once

namespace cusim {

// While one of these lives, such a signal on this OS thread is a kernel's. Others get the handlers that were
// there before.
struct FaultGuard {
    FaultGuard();
    ~FaultGuard();
    FaultGuard(const FaultGuard&) = delete;
};

} // namespace cusim
