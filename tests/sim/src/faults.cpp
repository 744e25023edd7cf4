#include "faults.h"

#include "engine.h"
#include "memory.h"
#include "status.h"

#include <csignal>
#include <cstdio>
#include <pthread.h>
#include <ucontext.h>
#include <vector>

namespace cusim {
namespace {

struct sigaction previous_segv, previous_bus;
pthread_t launching;
volatile bool armed = false;

const void* program_counter(const void* context) {
    const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
    return reinterpret_cast<const void*>(machine.gregs[REG_RIP]);
#elif defined(__aarch64__)
    return reinterpret_cast<const void*>(machine.pc);
#else
    (void)machine;
    return nullptr;
#endif
}

bool is_write(const void* context) {
#if defined(__x86_64__)
    return static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_ERR] & 2;
#else
    (void)context;
    return false;
#endif
}

// An x86 processor gives no address for a misaligned access of 16 bytes, nor for an address that cannot
// exist.
bool is_misaligned(int signal, const siginfo_t* info, const void* context) {
#if defined(__x86_64__)
    constexpr int GENERAL_PROTECTION = 13;
    if (static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_TRAPNO] == GENERAL_PROTECTION)
        return true;
#else
    (void)context;
#endif
    return signal == SIGBUS && info->si_code == BUS_ADRALN;
}

// Runs on the signal stack. fail_at() leaves it by switching to the scheduler, which never resumes the faulty
// thread.
void on_fault(int signal, siginfo_t* info, void* context) {
    if (!armed || !pthread_equal(launching, pthread_self()) || !is_running()) {
        sigaction(signal, signal == SIGSEGV ? &previous_segv : &previous_bus,
                  nullptr); // the access is repeated, and now the other handler gets the signal
        return;
    }
    const void* code = program_counter(context);
    if (is_misaligned(signal, info, context))
        fail_at(CUDA_ERROR_MISALIGNED_ADDRESS, code,
                "16 bytes at an address that is not a multiple of 16, or a wild address,");
    const auto address = reinterpret_cast<Address>(info->si_addr);
    const char* verb = is_write(context) ? "writes" : "reads";
    if (is_own_stack(static_cast<char*>(info->si_addr) + 4096) && !is_own_stack(info->si_addr))
        fail_at(CUDA_ERROR_LAUNCH_FAILED, code, "this thread's stack is full (local arrays?)");
    if (is_near_dynamic_shared(info->si_addr))
        fail_at(CUDA_ERROR_ILLEGAL_ADDRESS, code,
                std::string(verb) + " beyond the end of dynamic shared memory");
    fail_at(CUDA_ERROR_ILLEGAL_ADDRESS, code, std::string(verb) + " at " + describe_address(address, 1));
}

// The handler needs its own stack, one per OS thread that launches: the fault may be that the fiber's stack
// is full.
void use_signal_stack() {
    thread_local std::vector<char> memory;
    if (!memory.empty()) return;
    memory.resize(256 << 10);
    stack_t stack{};
    stack.ss_sp = memory.data();
    stack.ss_size = memory.size();
    sigaltstack(&stack, nullptr);
}

} // namespace

FaultGuard::FaultGuard() {
    static const bool installed = [] {
        struct sigaction action {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER; // not deferred: the handler does not return
        sigaction(SIGSEGV, &action, &previous_segv);
        sigaction(SIGBUS, &action, &previous_bus);
        return true;
    }();
    (void)installed;
    use_signal_stack();
    launching = pthread_self();
    armed = true;
}

FaultGuard::~FaultGuard() { armed = false; }

} // namespace cusim
